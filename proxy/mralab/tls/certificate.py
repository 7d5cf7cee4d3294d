"""The facts about a certificate that verification uses, read from its bytes as OpenSSL reads them; and a summary."""

from __future__ import annotations

import calendar
import math
import warnings
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import crypto

from ..core.tls.chain_step import CertificateFacts
from ..core.tls.der import SEQUENCE, NotDer, certificate_parts, values
from ..core.tls.fingerprint import fingerprint
from ..core.tls.hostname import names_of
from ..core.tls.verdict import CertificateSummary

# Algorithms of RFC 3279 and RFC 8017 with 64 bits of security, half of their digest's 128 (OpenSSL 1.1.1
# crypto/x509/x509_set.c): MD2, MD4, MD5 with RSA, and MD5 as a parameter of RSASSA-PSS.
_WEAK_DIGESTS: Final = tuple(
    bytes.fromhex(oid)
    for oid in ("06092a864886f70d010102", "06092a864886f70d010103", "06092a864886f70d010104", "06082a864886f70d0205")
)
_TYPE_RSA_PSS: Final = 912


_MOST_CACHED: Final = 512  # certificates
LARGEST_CACHED: Final = 8192
"""Bytes of a certificate that is cached. OpenSSL accepts 100 KB, with thousands of names."""
_cache: dict[bytes, CertificateFacts] = {}


def read_facts(der: bytes) -> CertificateFacts:
    """Return the facts of a certificate in DER. Cached: few certificates make most handshakes (saves 60 of 260 us)."""
    cached = _cache.get(der)
    if cached is None:
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        cached = CertificateFacts(
            names_of(der),
            security_bits(certificate),
            _weakly_signed(der),
            _expiry(certificate),
            *_issuer_and_subject(der),
        )
        if len(der) <= LARGEST_CACHED:
            if len(_cache) >= _MOST_CACHED:
                del _cache[next(iter(_cache))]
            _cache[der] = cached
    return cached


def _weakly_signed(der: bytes) -> bool:
    """Return whether another certificate's key signed this one over a digest that level 1 refuses."""
    try:
        algorithm = certificate_parts(der)[1]
    except NotDer:
        return False
    if not any(oid in algorithm for oid in _WEAK_DIGESTS):
        return False
    issuer, subject = _issuer_and_subject(der)
    return issuer != subject


def _issuer_and_subject(der: bytes) -> tuple[bytes, bytes]:
    """Return issuer and subject of a certificate in DER; empty if they cannot be read."""
    try:
        # after version and serialNumber: signature, issuer, validity, subject (RFC 5280 section 4.1)
        sequences = [content for tag, content in values(certificate_parts(der)[0]) if tag == SEQUENCE]
        return sequences[1], sequences[3]
    except (NotDer, IndexError):
        return b"", b""


def _expiry(certificate: crypto.X509) -> float:
    """Return notAfter in seconds since the epoch; infinity if it is not a date (OpenSSL refuses such a certificate)."""
    try:
        text = (certificate.get_notAfter() or b"").decode("ascii", "replace")
        fields = (int(text[:4]), *(int(text[at : at + 2]) for at in (4, 6, 8, 10, 12)))
        return calendar.timegm((*fields, 0, 0, 0))
    except (crypto.Error, ValueError, OverflowError):
        return math.inf


def security_bits(certificate: crypto.X509) -> int:
    """Return the security of a certificate's key in bits, as OpenSSL 1.1.1 counts it (NIST SP 800-57).

    0 for a key that OpenSSL cannot read, 256 for a kind of key that has only one strength, such as Ed25519.
    """
    try:
        key = certificate.get_pubkey()
    except crypto.Error:
        return 0
    size = key.bits()
    if key.type() in (crypto.TYPE_RSA, crypto.TYPE_DSA, _TYPE_RSA_PSS):
        for bits, strength in ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80)):
            if size >= bits:
                return strength
        return 0
    return size // 2 if key.type() == crypto.TYPE_EC else 256


def summarize(der: bytes) -> CertificateSummary:
    """Return a summary of a certificate in DER; fields that ``cryptography`` cannot read are empty."""
    names = names_of(der)
    parsed = _parsed(der)
    return CertificateSummary(
        subject=_text_or_empty(lambda: parsed.subject.rfc4514_string() if parsed else ""),
        issuer=_text_or_empty(lambda: parsed.issuer.rfc4514_string() if parsed else ""),
        names=tuple(str(name) for name in (*names.dns, *names.ips)),
        cn=names.cn or "",
        not_before=_text_or_empty(lambda: parsed.not_valid_before_utc.isoformat() if parsed else ""),
        not_after=_text_or_empty(lambda: parsed.not_valid_after_utc.isoformat() if parsed else ""),
        key=_text_or_empty(lambda: _key(parsed) if parsed else ""),
        fingerprint=fingerprint(der),
    )


def _parsed(der: bytes) -> x509.Certificate | None:
    """Return a certificate, None if ``cryptography`` refuses it. Its oddities are for the verdict to report."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion):
            return None


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    kind = type(key).__name__.lstrip("_").removesuffix("PublicKey")
    size = getattr(key, "key_size", "")
    return f"{'EC' if isinstance(key, ec.EllipticCurvePublicKey) else kind} {size}".strip()


def _text_or_empty(read: Callable[[], str]) -> str:
    try:
        return read()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
