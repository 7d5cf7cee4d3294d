"""Certificates for the comparison: minted for each run, odd ones among them."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Minted:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
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
    """One certificate; ``ca=None`` leaves basicConstraints out, no ``issuer`` means self-signed.

    ``subject`` stands for the ``cns``; ``sans`` come behind ``dns`` and ``ips``.
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
