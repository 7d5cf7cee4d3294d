"""Host and port as text: IPv6 addresses are in brackets."""

from __future__ import annotations

import pytest

from mralab.core.hostport import bracketed, host_port


@pytest.mark.parametrize(
    ("host", "in_url"),
    [
        ("cucm.steven.lab", "cucm.steven.lab"),
        ("10.48.36.215", "10.48.36.215"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_only_bare_ipv6_gets_brackets(host: str, in_url: str) -> None:
    assert bracketed(host) == in_url
    assert host_port(host, 8443) == f"{in_url}:8443"
