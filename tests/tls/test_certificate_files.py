"""Files of certificates in PEM, DER and PKCS#7, and the messages for other files."""

from __future__ import annotations

import base64
import datetime
import itertools

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from mralab.errors import TrustStoreError
from mralab.tls.trust_store import parse_pem

CA, OTHER = trustme.CA(), trustme.CA()
PEM = CA.cert_pem.bytes()
LINES = PEM.count(b"\n")
KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "t")])
NOW = datetime.datetime(2026, 1, 1)
CERTIFICATES = [x509.load_pem_x509_certificate(one.cert_pem.bytes()) for one in (CA, OTHER)]
CERTIFICATE = CERTIFICATES[0]
DER = CERTIFICATE.public_bytes(Encoding.DER)
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(KEY, hashes.SHA256())
LIST = x509.CertificateRevocationListBuilder().issuer_name(NAME).last_update(NOW).next_update(NOW)
REVOKED = LIST.sign(KEY, hashes.SHA256())
PLAIN = forms.NoEncryption()
ISSUED = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 1, NOW, NOW + datetime.timedelta(1))
BIT_STRING_NAME = (
    ISSUED.sign(KEY, hashes.SHA256())
    .public_bytes(Encoding.DER)
    .replace(b"\x55\x04\x03\x0c\x01t", b"\x55\x04\x03\x03\x01\0")
)
LOCKED = forms.BestAvailableEncryption(b"secret")
PFX = pkcs12.serialize_key_and_certificates(b"n", KEY, None, CERTIFICATES, LOCKED)


def key(encoding: Encoding, form: forms.PrivateFormat, lock: forms.KeySerializationEncryption = PLAIN) -> bytes:
    return KEY.private_bytes(encoding, form, lock)


def problems(data: bytes) -> tuple[str, ...]:
    with pytest.raises(TrustStoreError) as caught:
        parse_pem(data, "file")
    return caught.value.problems


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_pkcs7_bundle_gives_all_its_certificates(encoding: Encoding) -> None:
    bundle = pkcs7.serialize_certificates(CERTIFICATES, encoding)
    assert set(parse_pem(bundle, "chain.p7b")) == set(CERTIFICATES)


def test_pkcs7_may_be_among_certificates() -> None:
    bundle = pkcs7.serialize_certificates(CERTIFICATES, Encoding.PEM)
    assert parse_pem(PEM + bundle, "both.pem")[0] == CERTIFICATE


@pytest.mark.parametrize(
    "data",
    [
        PEM,
        DER,
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + PEM,
        b"subject=CN = a\nissuer=CN = b\n" + PEM + b"\n# the end\n",
        PEM.replace(b"-----\n", b"-----  \n"),
        PEM.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
    ],
    ids=itertools.count(),  # the bytes are minted at each run
)
def test_usual_forms_are_accepted(data: bytes) -> None:
    assert parse_pem(data, "file") == [CERTIFICATE]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (b"not a certificate", "holds no PEM certificate"),
        (base64.encodebytes(DER), "base64 without the lines '-----BEGIN CERTIFICATE-----'"),
        (PEM.decode().encode("utf-16"), "UTF-16"),
        (PEM.decode().encode("utf-16-be"), "UTF-16"),
        (PEM + key(Encoding.PEM, forms.PrivateFormat.PKCS8), "holds a private key"),
        (PEM + key(Encoding.PEM, forms.PrivateFormat.PKCS8, LOCKED), "holds a private key"),
        (PEM + key(Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL), "holds a private key"),
        (PEM + key(Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, LOCKED), "holds a private key"),
        (key(Encoding.PEM, forms.PrivateFormat.OpenSSH), "holds a private key"),
        (key(Encoding.DER, forms.PrivateFormat.PKCS8), "holds a private key"),
        (key(Encoding.DER, forms.PrivateFormat.PKCS8, LOCKED), "holds a private key"),
        (key(Encoding.DER, forms.PrivateFormat.TraditionalOpenSSL), "holds a private key"),
        (PFX, "PKCS#12"),
        (REQUEST.public_bytes(Encoding.PEM), "certificate signing request"),
        (REQUEST.public_bytes(Encoding.DER), "certificate signing request"),
        (REVOKED.public_bytes(Encoding.PEM), "certificate revocation list"),
        (REVOKED.public_bytes(Encoding.DER), "certificate revocation list"),
        (KEY.public_key().public_bytes(Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo), "public key"),
        (KEY.public_key().public_bytes(Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo), "public key"),
        (bytes.fromhex("feedfeed00000002"), "keystore"),
        (DER[:-1], "cut short"),
        (BIT_STRING_NAME, "cannot be read"),
        (DER + DER, "bytes after it"),
        (PEM + b"-----BEGIN CERTIFICATE-----\n", f"file:{LINES + 1}: '-----BEGIN CERTIFICATE-----' without"),
        (PEM[: len(PEM) // 2] + PEM, "file:1: '-----BEGIN CERTIFICATE-----' without"),
        (PEM[40:], "'-----END CERTIFICATE-----' without"),
        (PEM.replace(b"-----BEGIN", b"----BEGIN"), "'-----BEGIN CERTIFICATE-----' is spelled"),
        (PEM.replace(b"-----BEGIN", b"\xe2\x80\x94BEGIN"), "'-----BEGIN CERTIFICATE-----' is spelled"),
        (PEM + PEM.replace(b"-----BEGIN", b"-----BEGlN"), "'-----END CERTIFICATE-----' without"),
        (PEM.replace(b"-----\n", b"-----\nComment: x\n\n", 1), "header lines"),
        (PEM.replace(b"-----\n", b"-----\n\0", 1), "NUL"),
        (PEM.replace(b"-----\n", b"-----\n!", 1), "is not base64"),
        (PEM.replace(b"-----\n", b"-----\n====", 1), "is not base64"),
        (b"\0" + PEM, "NUL"),
        (PEM.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "openssl x509"),
        (PEM.replace(b"CERTIFICATE", b"PKCS7"), "PKCS#7"),
        (PEM.replace(b"CERTIFICATE", b"certificate"), "'certificate'"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "is empty"),
    ],
    ids=itertools.count(),
)
def test_everything_else_is_refused_by_name(data: bytes, words: str) -> None:
    found = problems(data)
    assert len(found) == 1
    assert words in found[0]
    assert found[0].startswith("file:")


def test_a_private_key_hides_no_other_problem_and_nothing_is_taken() -> None:
    found = problems(PEM + key(Encoding.PEM, forms.PrivateFormat.PKCS8) + REVOKED.public_bytes(Encoding.PEM))
    assert "holds a private key, so no certificate in it was loaded" in found[0]
    assert "revocation list" in found[1]


@given(
    st.lists(st.sampled_from([PEM, b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n", b"x\n", b"\n"]))
)
def test_either_all_certificates_are_used_or_none(pieces: list[bytes]) -> None:
    good = pieces.count(PEM)
    damaged = any(piece.startswith(b"-----") and piece != PEM for piece in pieces)
    try:
        found = parse_pem(b"".join(pieces), "file")
    except TrustStoreError:
        assert damaged or not good
    else:
        assert len(found) == good
        assert not damaged
