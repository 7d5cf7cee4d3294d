"""Fingerprints of certificates: one printed form."""

from __future__ import annotations

import pytest

from mralab.core.tls.fingerprint import canonical_fingerprint, fingerprint

# SHA-256 of "abc" (FIPS 180-2, appendix B.1)
DIGITS = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
PRINTED = ":".join(DIGITS[at : at + 2] for at in range(0, 64, 2)).upper()


def test_a_fingerprint_is_sha_256_in_capitals_with_colons() -> None:
    assert fingerprint(b"abc") == PRINTED


@pytest.mark.parametrize("text", [PRINTED, PRINTED.lower(), DIGITS, DIGITS.upper()])
def test_every_spelling_has_one_printed_form(text: str) -> None:
    assert canonical_fingerprint(text) == PRINTED


def test_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        canonical_fingerprint("root.pem")
