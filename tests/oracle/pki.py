"""Certificates for the comparison, minted for each run; some are malformed."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Minted:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key
    der: bytes = b""
    """Where it is no longer what ``certificate`` is: see ``altered``."""

    @property
    def pem(self) -> bytes:
        if self.der:
            return ssl.DER_cert_to_PEM_cert(self.der).encode()
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def common_names(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


def mint(
    *cns: str,
    subject: x509.Name | None = None,
    issuer: Minted | None = None,
    ca: bool | None = False,
    path_length: int | None = None,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    sans: Sequence[x509.GeneralName] = (),
    days: tuple[float, float] = (-1, 365),
    key: Key | None = None,
    digest: hashes.HashAlgorithm | None = None,
    identifiers: bool = True,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Minted:
    """Mint a certificate; ``ca=None`` omits basicConstraints, without an ``issuer`` it is self-signed.

    ``subject`` replaces ``cns``; ``sans`` are added after ``dns`` and ``ips``.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    own = common_names(*cns) if subject is None else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.certificate.subject if issuer else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
    names += sans
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not list(own))
    if identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if issuer:
            signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
            builder = builder.add_extension(signer, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer_key = issuer.key if issuer else key
    hashed = None if isinstance(signer_key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return Minted(builder.sign(signer_key, hashed), key)  # type: ignore[arg-type]


def unknown_extension(critical: bool) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), critical


def usage(*wanted: str) -> tuple[x509.ExtensionType, bool]:
    every = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{name: name in wanted for name in every}), True


def purposes(*wanted: ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    return x509.ExtendedKeyUsage(wanted), False


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


# -- certificates that cryptography does not make: their DER is changed and signed again

Tlv = tuple[int, bytes]
"""A DER value: tag and content."""

VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY = range(7)
"""Where the fields of a version 3 TBSCertificate stand (RFC 5280 section 4.1)."""


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def values(data: bytes) -> list[Tlv]:
    found: list[Tlv] = []
    while data:
        tag, size, at = data[0], data[1], 2
        if size & 0x80:
            at += size & 0x7F
            size = int.from_bytes(data[2:at], "big")
        found.append((tag, data[at : at + size]))
        data = data[at + size :]
    return found


def altered(one: Minted, issuer: Minted, change: Callable[[list[Tlv]], None], *, md5: bool = False) -> Minted:
    """Return ``one`` with its TBSCertificate's fields changed by ``change``, signed again by ``issuer``."""
    whole = values(one.certificate.public_bytes(serialization.Encoding.DER))[0][1]
    tbs, algorithm, _ = values(whole)
    fields = values(tbs[1])
    change(fields)
    if md5:
        algorithm = (0x30, tlv(6, bytes.fromhex("2a864886f70d010104")) + tlv(5, b""))  # md5WithRSAEncryption
        fields[ALGORITHM] = algorithm
    signed = tlv(0x30, b"".join(tlv(*field) for field in fields))
    key = issuer.key
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(signed, padding.PKCS1v15(), hashes.MD5() if md5 else hashes.SHA256())  # noqa: S303
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return Minted(one.certificate, one.key, tlv(0x30, signed + tlv(*algorithm) + tlv(3, b"\0" + signature)))


def validity(before: bytes, after: bytes) -> Callable[[list[Tlv]], None]:
    """Return a change that sets the UTCTimes to these texts."""

    def change(fields: list[Tlv]) -> None:
        fields[VALIDITY] = (0x30, tlv(0x17, before) + tlv(0x17, after))

    return change


def printable_subject(fields: list[Tlv]) -> None:
    """Change the subject's UTF8Strings to PrintableStrings with the same content."""
    tag, content = fields[SUBJECT]
    fields[SUBJECT] = (tag, content.replace(b"\x06\x03\x55\x04\x03\x0c", b"\x06\x03\x55\x04\x03\x13"))


def version(number: int) -> Callable[[list[Tlv]], None]:
    """Return a change of the version; version 1 has neither a version field nor extensions."""

    def change(fields: list[Tlv]) -> None:
        fields[VERSION] = (0xA0, tlv(2, bytes((number - 1,))))
        if number == 1:
            del fields[VERSION], fields[-1]

    return change


def extension(oid: str, content: bytes, *, critical: bool = False) -> Callable[[list[Tlv]], None]:
    """Return a change that adds an extension; ``oid`` is DER in hexadecimal."""

    def change(fields: list[Tlv]) -> None:
        tag, explicit = fields[-1]
        more = tlv(6, bytes.fromhex(oid)) + (b"\x01\x01\xff" if critical else b"") + tlv(4, content)
        fields[-1] = (tag, tlv(0x30, values(explicit)[0][1] + tlv(0x30, more)))

    return change


def serial(content: bytes) -> Callable[[list[Tlv]], None]:
    def change(fields: list[Tlv]) -> None:
        fields[SERIAL] = (2, content)

    return change
