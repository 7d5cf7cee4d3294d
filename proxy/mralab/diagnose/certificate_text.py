"""A certificate as reports show it."""

from __future__ import annotations

from cryptography import x509

from ..core.tls.fingerprint import fingerprint
from ..core.tls.hostname import names_of
from . import chain
from .report import Certificate


def certificate_of(certificate: x509.Certificate) -> Certificate | None:
    """Return a certificate in words; None if ``cryptography`` cannot read it."""
    if not chain.is_readable(certificate):
        return None
    subject_key = chain.extension(certificate, x509.SubjectKeyIdentifier)
    authority_key = chain.extension(certificate, x509.AuthorityKeyIdentifier)
    authority = authority_key.key_identifier if authority_key is not None else None
    names = names_of(chain.der(certificate))
    return Certificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=tuple(str(name) for name in (*names.dns, *names.ips)),
        cn=names.cn or "",
        key=chain.key(certificate),
        signature=chain.signature(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=fingerprint(chain.der(certificate)),
        subject_key_identifier=_hexadecimal(subject_key.digest if subject_key is not None else None),
        authority_key_identifier=_hexadecimal(authority),
    )


def parsed_certificate(der: bytes) -> Certificate | None:
    """Return a certificate in words from its DER; None if it cannot be read."""
    certificate = chain.parse(der)
    return certificate_of(certificate) if certificate is not None else None


def _hexadecimal(identifier: bytes | None) -> str:
    return identifier.hex(":").upper() if identifier else ""
