"""Private keys are left out of text that is shown."""

from __future__ import annotations

import pytest

from mralab.core.tls.private_keys import without_keys

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIO\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at: 'cucm:8443'", "at: 'cucm:8443'"),
        (f"at: {KEY!r} is not NODE:PORT", "at: '(a private key)' is not NODE:PORT"),
        (f"{KEY} and {KEY.replace('EC ', '')}\n", "(a private key) and (a private key)\n"),
        (f"cut short: {KEY[:40]}", "cut short: (a private key)"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
    ],
)
def test_a_key_is_left_out(text: str, shown: str) -> None:
    assert without_keys(text) == shown
