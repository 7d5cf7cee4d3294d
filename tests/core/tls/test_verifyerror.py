"""Texts of X.509 verification errors."""

from __future__ import annotations

import pytest
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from mralab.core.tls.verdict import ALL_TEXTS, VERIFY_TEXTS, error_text

UNKNOWN = "unknown certificate verification error"
MAJOR = SSL.SSLeay_version(SSL.SSLEAY_VERSION).split()[1].split(b".")[0].decode()


def in_use(number: int) -> str:
    text: bytes = Binding.ffi.string(Binding.lib.X509_verify_cert_error_string(number))
    return text.decode()


def test_every_text_of_the_openssl_in_use_is_known() -> None:
    here = {number: in_use(number) for number in range(1, 256)}
    assert {text for text in here.values() if text not in ALL_TEXTS} == set()
    newest = VERIFY_TEXTS["4" if int(MAJOR) >= 4 else "3"]
    assert {number for number, text in here.items() if text not in (UNKNOWN, newest.get(number))} == set()


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [
        (18, "self signed certificate", "self-signed certificate"),
        (19, "self signed certificate in certificate chain", "self-signed certificate in certificate chain"),
        (26, "unsupported certificate purpose", "unsuitable certificate purpose"),
        (20, "unable to get local issuer certificate", "unable to get local issuer certificate"),
        (10, "certificate has expired", "certificate has expired"),
        (9, "certificate is not yet valid", "certificate is not yet valid"),
        (62, "Hostname mismatch", "hostname mismatch"),
        # numbers that changed their meaning with OpenSSL 3
        (79, "invalid CA certificate", "invalid CA certificate"),
        (24, "unable to decode issuer public key", "issuer certificate doesn't have a public key"),
        (
            94,
            "Certificate public key has explicit ECC parameters",
            "Certificate public key has explicit ECC parameters",
        ),
        # errors that 1.1.1 does not have keep their text
        (85, "Missing Authority Key Identifier", "Missing Authority Key Identifier"),
        (4711, UNKNOWN, UNKNOWN),
    ],
)
def test_an_error_is_worded_as_either_openssl_prints_it(number: int, old: str, new: str) -> None:
    assert (error_text(number, "1.1.1"), error_text(number, "3")) == (old, new)


def test_every_text_that_is_logged_is_listed() -> None:
    for number in range(1, 256):
        assert {error_text(number, "1.1.1"), error_text(number, "3")} <= set(ALL_TEXTS)


def test_texts_are_by_version_and_number() -> None:
    assert VERIFY_TEXTS["1.0.2"][66] == "Issuer certificate lookup error"
    assert VERIFY_TEXTS["1.1.1"][66] == VERIFY_TEXTS["3"][66] == "EE certificate key too weak"
    assert VERIFY_TEXTS["1.1.1"][24] == VERIFY_TEXTS["3"][79] == "invalid CA certificate"
    assert 68 not in VERIFY_TEXTS["1.0.2"]
    assert list(ALL_TEXTS) == sorted(set(ALL_TEXTS))
