"""A presented chain as reports show it: names beside the requested one, dates, key, signature, fingerprint."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mralab.core.tls.fingerprint import fingerprint
from mralab.diagnose.chain_report import described, presented
from tests.diagnose.minted import NOW, mint

NAME = "cucm.steven.lab"


def test_a_chain_with_the_requested_name() -> None:
    root = mint("Root", ca=True)
    leaf = mint(NAME, root, sans=[NAME, "10.48.36.215"])
    shown = presented([leaf.der, root.der], NAME, 8443, NOW)
    first, second = shown.certificates
    assert (shown.server, shown.port, shown.matching) == (NAME, 8443, f"dNSName {NAME}")
    assert (first.depth, first.matched, first.validity, first.self_signed) == (0, True, "in date", False)
    assert (second.depth, second.matched, second.self_signed) == (1, None, True)
    assert first.names == (NAME, "10.48.36.215")
    assert first.fingerprint == fingerprint(leaf.der)
    assert first.pem == leaf.pem
    assert first.key in ("EC 256", "RSA 2048")
    assert first.signature in ("SHA256 with ECDSA", "SHA256 with RSA")


def test_the_requested_address_is_not_in_it() -> None:
    leaf = mint(NAME, sans=[NAME])
    shown = presented([leaf.der], "10.48.36.215", 8443, NOW)
    assert (shown.matching, shown.certificates[0].matched) == ("", False)


def test_an_address_counts_as_the_configuration_says() -> None:
    leaf = mint(NAME, sans=["10.48.36.215"])
    assert presented([leaf.der], "10.48.36.215", 8443, NOW).matching == "iPAddress 10.48.36.215"
    assert presented([leaf.der], "10.48.36.215", 8443, NOW, ip_san=False).matching == ""


@pytest.mark.parametrize(
    ("days", "validity"), [((-20, -10), "expired"), ((5, 10), "not yet valid"), ((-5, 10), "in date")]
)
def test_dates_are_compared_with_the_handshake_s_time(days: tuple[int, int], validity: str) -> None:
    leaf = mint(NAME, sans=[NAME], days=days)
    assert presented([leaf.der], NAME, None, NOW).certificates[0].validity == validity
    assert presented([leaf.der], NAME, None, NOW + timedelta(days=400)).certificates[0].validity == "expired"


def test_a_description_is_enough() -> None:
    leaf = mint("*.steven.lab", sans=["*.steven.lab"])
    words = presented([leaf.der], NAME, 8443, NOW)
    again = described(words.certificates, NAME, 8443, NOW)
    assert again.matching == "dNSName *.steven.lab"
    assert again.certificates[0].fingerprint == words.certificates[0].fingerprint


def test_an_unreadable_certificate_ends_the_list() -> None:
    leaf = mint(NAME, sans=[NAME])
    assert len(presented([leaf.der, b"junk", leaf.der], NAME, 8443, NOW).certificates) == 1
    assert presented([], NAME, 8443, NOW).certificates == ()
