"""Certificates that a mock presents, in every form that is accepted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from mralab.errors import MralabError
from mralab.mocks.pki import Pki
from mralab.mocks.recipes import certified, expired

NAME = "cucm.steven.lab"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def test_a_certificate_with_its_key_in_every_form(ca: trustme.CA, tmp_path: Path) -> None:
    leaf = ca.create_child_ca().issue_cert(NAME)
    pem = leaf.private_key_and_cert_chain_pem.bytes()
    key_last = b"".join(blob.bytes() for blob in leaf.cert_chain_pems) + leaf.private_key_pem.bytes()
    (tmp_path / "server.pem").write_bytes(pem)
    forms: list[Any] = [leaf, pem, pem.decode(), key_last, tmp_path / "server.pem", str(tmp_path / "server.pem")]
    for form in forms:
        found = certified(form)
        assert found.cert == x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
        assert (len(found.chain), found.kind, found.issuer_key) == (1, "ec", None)


def test_a_certificate_of_mralab_is_used_unchanged(pki: Pki) -> None:
    assert certified(pki["tomcat"]) is pki["tomcat"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"nonsense", r"^the PEM: holds no certificate in PEM \(-----BEGIN CERTIFICATE-----\)$"),
        ("no.pem", "no.pem: cannot be read: No such file"),
        (7, "7: not a certificate with its private key"),
    ],
)
def test_the_error_for_something_other_than_a_certificate(wrong: Any, message: str) -> None:
    with pytest.raises(MralabError, match=message):
        certified(wrong)


def test_the_error_for_a_certificate_without_its_key(ca: trustme.CA) -> None:
    leaf, other = ca.issue_cert(NAME), ca.issue_cert(NAME)
    with pytest.raises(MralabError, match=r"holds no unencrypted private key in PEM \(-----BEGIN PRIVATE KEY-----\)$"):
        certified(leaf.cert_chain_pems[0].bytes())
    with pytest.raises(MralabError, match="private key does not match the first certificate"):
        certified(leaf.cert_chain_pems[0].bytes() + other.private_key_pem.bytes())


def test_expired_is_the_same_certificate_in_all_but_its_dates(ca: trustme.CA, pki: Pki) -> None:
    for whole in (certified(ca.issue_cert(NAME), ca), pki["tomcat"], pki["tomcat-ECDSA"]):
        old, new = whole.cert, expired(whole, days=2).cert
        assert (new.subject, new.issuer, new.public_key()) == (old.subject, old.issuer, old.public_key())
        assert list(new.extensions) == list(old.extensions)
        gone = dt.datetime.now(dt.UTC) - new.not_valid_after_utc
        assert dt.timedelta(days=2) <= gone < dt.timedelta(days=2, minutes=1)
        assert new.not_valid_before_utc < new.not_valid_after_utc
        issuer = whole.chain[0] if whole.chain else old
        if whole.issuer_key is not None and (whole.chain or whole.issuer_key == whole.key):
            new.verify_directly_issued_by(issuer)
