"""Certificates in the forms that test authors have: our ``Certified``, trustme's ``LeafCert``, PEM text or files.

Protocols match trustme's classes, so that trustme need not be installed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
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
        thing = _from_pem(*_pem(thing))
    if issuer is None:
        return thing
    issuer_key = issuer.key if isinstance(issuer, Certified) else _key(issuer.private_key_pem.bytes(), "the issuer")
    return replace(thing, issuer_key=issuer_key)


def expired(certificate: Certified, days: float = 1.0) -> Certified:
    """Return the same certificate with the same key, signed again so that it expired ``days`` ago.

    Raises:
        MralabError: the issuer's key is unknown.
    """
    if certificate.issuer_key is None:
        raise MralabError(
            f"{certificate.name}: cannot sign an expired copy: the issuer's key is unknown",
            "pass the issuer: FaultPoint(..., issuer=ca)",
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
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    cert = builder.sign(certificate.issuer_key, digest_for(certificate.issuer_key))
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


def _from_pem(pem: bytes, source: str) -> Certified:
    try:
        cert, *chain = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise MralabError(f"{source}: holds no certificate that can be read: {error}") from error
    key = _key(pem, source)
    if cert.public_key() != key.public_key():
        raise MralabError(
            f"{source}: the private key does not match the first certificate",
            "put the server's certificate first",
        )
    self_signed = cert.issuer == cert.subject and not chain
    return Certified(source, cert, key, tuple(chain), key if self_signed else None)


def _key(pem: bytes, source: str) -> Key:
    start = pem.find(b"-----BEGIN ")
    while start >= 0 and b"PRIVATE KEY" not in pem[start : pem.find(b"\n", start)]:
        start = pem.find(b"-----BEGIN ", start + 1)
    try:
        key = load_pem_private_key(pem[max(start, 0) :], None)
    except (ValueError, TypeError) as error:
        raise MralabError(f"{source}: holds no unencrypted private key that can be read: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise MralabError(f"{source}: the private key is neither RSA nor EC")
    return key
