"""Certificates in the forms that test authors have: our ``Certified``, trustme's ``LeafCert``, PEM text or files.

Protocols match trustme's classes, so that trustme need not be installed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from ..errors import MralabError
from .pki import Certified, Key, digest_for


class Blob(Protocol):
    """Protocol of ``trustme.Blob``."""

    def bytes(self) -> bytes:
        """Return the PEM."""


@runtime_checkable
class Authority(Protocol):
    """Protocol of ``trustme.CA``."""

    @property
    def cert_pem(self) -> Blob:
        """PEM of the certificate."""

    @property
    def private_key_pem(self) -> Blob:
        """PEM of the private key."""


@runtime_checkable
class Leaf(Protocol):
    """Protocol of ``trustme.LeafCert``."""

    @property
    def private_key_pem(self) -> Blob:
        """PEM of the private key."""

    @property
    def cert_chain_pems(self) -> Sequence[Blob]:
        """PEM of the certificate, then of its issuers."""


KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_KEY_LINE: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_MOST_BITS: Final = 16_384
"""OPENSSL_RSA_MAX_MODULUS_BITS."""
_UNREADABLE: Final = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm)
"""What cryptography raises for a certificate or key that it cannot read."""
Presentable = Certified | Leaf | str | bytes | Path
"""Forms that ``certified`` accepts.

PEM holds the unencrypted private key, the certificate, then its issuers. A ``str`` that is not PEM is a path.
"""


def certified(thing: Presentable, issuer: Authority | Certified | None = None) -> Certified:
    """Return ``thing`` as a ``Certified``. ``expired`` needs its ``issuer``, unless it is self-signed.

    Raises:
        MralabError: ``thing`` is not one of these forms, cannot be read, or its key does not match its certificate.
    """
    if not isinstance(thing, Certified):
        thing = certified_of_pem(*_pem(thing))
    if issuer is None:
        return thing
    issuer_key = issuer.key if isinstance(issuer, Certified) else read_key(issuer.private_key_pem.bytes(), "the issuer")
    return replace(thing, issuer_key=issuer_key)


def expired(certificate: Certified, days: float = 1.0) -> Certified:
    """Return the same certificate with the same key, signed again so that it expired ``days`` ago.

    Raises:
        MralabError: the issuer's key is unknown.
    """
    if certificate.issuer_key is None:
        raise MralabError(
            f"{certificate.name}: cannot sign an expired copy: the issuer's key is unknown",
            "pass the issuer with its key: FaultPoint(..., issuer=ca), or issuer of POST /api/fault-points",
        )
    old = certificate.cert
    end = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=certificate.key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=min(old.not_valid_before_utc, end - dt.timedelta(days=1)),
        not_valid_after=end,
    )
    try:
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        cert = builder.sign(certificate.issuer_key, digest_for(certificate.issuer_key))
    except (*_UNREADABLE, x509.DuplicateExtension) as error:
        raise MralabError(f"{certificate.name}: cannot sign an expired copy: {error}") from error
    return replace(certificate, cert=cert)


def reissued(certificate: Certified, issuer: Certified, names: Sequence[x509.GeneralName]) -> Certified:
    """Return a certificate for the same subject as CUCM would get it from ``issuer``: valid from now, for TLS servers.

    ``names`` are its subject alternative names. The key is new and of the same kind, RSA keys with 2048 bits.
    """
    key: Key
    if isinstance(certificate.key, ec.EllipticCurvePrivateKey):
        key = ec.generate_private_key(certificate.key.curve)
    else:
        key = rsa.generate_private_key(65537, 2048)
    now = dt.datetime.now(dt.UTC)
    usages = dict.fromkeys(KEY_USAGES, False) | {"digital_signature": True}
    usages["key_encipherment" if certificate.kind == "rsa" else "key_agreement"] = True
    builder = (
        x509.CertificateBuilder(
            issuer_name=issuer.cert.subject,
            subject_name=certificate.cert.subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(days=1),
            not_valid_after=now + dt.timedelta(days=730),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.KeyUsage(**usages), critical=True)
    )
    cert = builder.sign(issuer.key, digest_for(issuer.key))
    return Certified(certificate.name, cert, key, (issuer.cert, *issuer.chain), issuer.key)


def _pem(thing: Leaf | str | bytes | Path) -> tuple[bytes, str]:
    """Return the PEM, key first or last, and the name for error messages."""
    if isinstance(thing, Leaf):
        return thing.private_key_pem.bytes() + b"".join(blob.bytes() for blob in thing.cert_chain_pems), "the LeafCert"
    if isinstance(thing, bytes) or (isinstance(thing, str) and "-----BEGIN" in thing):
        return thing.encode() if isinstance(thing, str) else thing, "the PEM"
    if isinstance(thing, str | Path):
        try:
            return Path(thing).read_bytes(), str(thing)
        except OSError as error:
            raise MralabError(f"{thing}: cannot be read: {error.strerror}") from error
    raise MralabError(
        f"{thing!r}: not a certificate with its private key",
        "pass a trustme LeafCert, PEM with a private key, or the path of a PEM file",
    )


def certified_of_pem(pem: bytes, source: str) -> Certified:
    """Return the certificate, key and issuers of a PEM text. ``source`` names it in messages.

    Raises:
        MralabError: there is no certificate or no key in it, or the key does not match the first certificate.
    """
    cert, *chain = read_certificates(pem, source)
    return paired(cert, chain, read_key(pem, source), source)


def paired(cert: x509.Certificate, chain: Sequence[x509.Certificate], key: Key, source: str) -> Certified:
    """Return a certificate with its key and issuers. Raises ``MralabError`` if the key does not match."""
    try:
        matches = cert.public_key() == key.public_key()
    except _UNREADABLE as error:  # a kind of key that cryptography does not know
        raise MralabError(f"{source}: holds no certificate that can be read: {error}") from error
    if not matches:
        raise MralabError(
            f"{source}: the private key does not match the first certificate",
            "put the server's certificate first",
        )
    self_signed = cert.issuer == cert.subject and not chain
    return Certified(source, cert, key, tuple(chain), key if self_signed else None)


def read_certificates(pem: bytes, source: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text, at least one. Raises ``MralabError``."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        for each in certificates:
            _ = (each.subject, each.issuer, each.not_valid_before_utc, each.not_valid_after_utc)  # each may raise
    except _UNREADABLE as error:
        if b"CERTIFICATE-----" not in pem:  # cryptography's message names its own documentation then
            raise MralabError(f"{source}: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)") from error
        raise MralabError(f"{source}: holds no certificate that can be read: {error}") from error
    return certificates


def read_key(pem: bytes, source: str) -> Key:
    """Return the first private key of a PEM text. No message has a part of it.

    Raises:
        MralabError: there is none that is RSA or EC and not encrypted.
    """
    match = _KEY_LINE.search(pem)
    if match is None:
        raise MralabError(f"{source}: holds no unencrypted private key in PEM (-----BEGIN PRIVATE KEY-----)")
    try:
        # OpenSSL's check of a large RSA key takes seconds, a signature milliseconds.
        key = load_pem_private_key(pem[match.start() :], None, unsafe_skip_rsa_key_validation=True)
    except _UNREADABLE as error:
        raise MralabError(f"{source}: holds no unencrypted private key that can be read: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise MralabError(f"{source}: the private key is neither RSA nor EC")
    if key.key_size > _MOST_BITS:
        raise MralabError(f"{source}: the private key has {key.key_size} bits, more than {_MOST_BITS}")
    if isinstance(key, rsa.RSAPrivateKey) and not _can_sign(key):
        raise MralabError(f"{source}: the private key is damaged: its signatures do not match its public key")
    return key


def _can_sign(key: rsa.RSAPrivateKey) -> bool:
    try:
        signature = key.sign(b"", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"", padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature, InternalError):
        return False
    return True
