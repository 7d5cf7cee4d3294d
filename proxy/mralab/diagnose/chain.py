"""Build a certificate chain as OpenSSL does, from sent and trusted certificates; read facts from certificates.

OpenSSL looks for an issuer in the trust store first, then among the certificates that were sent
(X509_V_FLAG_TRUSTED_FIRST, the default since 1.1.0). A candidate has the issuer's name, and the key identifier and
serial number in the authority key identifier, if any (RFC 5280 section 4.2.1.1).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from ..core.log.escape import escape

_LONGEST: Final = 10  # certificates; OpenSSL follows at most 7 CAs here
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Link(NamedTuple):
    """One certificate of a chain: ``sent`` by the server, in the trust store (``trusted``), or both."""

    certificate: x509.Certificate
    sent: bool
    trusted: bool


def parse(der: bytes) -> x509.Certificate | None:
    """Parse a certificate. Returns None if ``cryptography`` cannot read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            certificate = x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion):
            return None
    return certificate if is_readable(certificate) else None


def is_readable(certificate: x509.Certificate) -> bool:
    """Return whether ``cryptography`` can read names and dates, which it parses on first access."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            _ = (
                certificate.subject,
                certificate.issuer,
                certificate.not_valid_after_utc,
                certificate.not_valid_before_utc,
            )
        except (ValueError, TypeError):  # TypeError: a name that is not text, such as a BIT STRING
            return False
    return True


def build(sent: Sequence[x509.Certificate], store: Iterable[x509.Certificate], now: datetime) -> tuple[Link, ...]:
    """Return the chain from the leaf up, as far as it can be built; empty if ``sent``, leaf first, is empty."""
    if not sent:
        return ()
    store = tuple(store)
    links = [Link(sent[0], sent=True, trusted=sent[0] in store)]
    while len(links) < _LONGEST and not is_self_issued(links[-1].certificate):
        child = links[-1].certificate
        issuer = _issuer(child, store, now) or _issuer(child, sent[1:], now)
        if issuer is None or any(issuer == link.certificate for link in links):
            break
        links.append(Link(issuer, issuer in sent, issuer in store))
    return tuple(links)


def _issuer(child: x509.Certificate, candidates: Iterable[x509.Certificate], now: datetime) -> x509.Certificate | None:
    """Return a candidate that may have issued ``child``, preferably one in date."""
    issuers = [candidate for candidate in candidates if may_have_issued(candidate, child)]
    return next(iter([issuer for issuer in issuers if is_in_date(issuer, now)] or issuers), None)


def is_in_date(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether a certificate is within its validity."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def may_have_issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Return whether names and identifiers match, as X509_check_issued does; signatures are not verified."""
    return same_name(issuer.subject, child.issuer) and identifiers_fit(issuer, child)


def identifiers_fit(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Return whether each part of ``child``'s authority key identifier matches ``issuer``; True if it has none."""
    authority = extension(child, x509.AuthorityKeyIdentifier)
    if authority is None:
        return True
    subject_key = extension(issuer, x509.SubjectKeyIdentifier)
    key_identifier = authority.key_identifier
    if key_identifier is not None and subject_key is not None and key_identifier != subject_key.digest:
        return False
    serial = authority.authority_cert_serial_number
    if serial is not None and serial != issuer.serial_number:
        return False
    name = issuer_of_issuer(authority)
    return name is None or same_name(name, issuer.issuer)


def issuer_of_issuer(authority: x509.AuthorityKeyIdentifier) -> x509.Name | None:
    """Return the directory name in an authority key identifier: the name of the CA that issued the issuer."""
    names = authority.authority_cert_issuer or ()
    return next((name.value for name in names if isinstance(name, x509.DirectoryName)), None)


def signed_by(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether the key of ``issuer`` verifies the signature of ``child``."""
    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def same_key(certificate: x509.Certificate, other: x509.Certificate) -> bool:
    """Return whether two certificates have the same public key; False if a key cannot be read."""
    try:
        return certificate.public_key() == other.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Return whether subject and issuer are the same and no identifier contradicts that."""
    return may_have_issued(certificate, certificate)


def same_name(name: x509.Name, other: x509.Name) -> bool:
    """Compare names as OpenSSL does: case-insensitive, with a run of blanks equal to one."""
    return name == other or _canonical(name) == _canonical(other)


def name_key(name: x509.Name) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return a hashable form of a name. Names that are the same for ``same_name`` have the same form."""
    return tuple(map(tuple, _canonical(name)))


def _canonical(name: x509.Name) -> list[list[tuple[str, str]]]:
    return [
        sorted((part.oid.dotted_string, " ".join(str(part.value).casefold().split())) for part in relative)
        for relative in name.rdns
    ]


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return the value of an extension; None if it is absent or cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError, TypeError):
        return None


def subject_key(certificate: x509.Certificate) -> str:
    """Return the subject key identifier with colons; empty if there is none."""
    value = extension(certificate, x509.SubjectKeyIdentifier)
    return value.digest.hex(":").upper() if value is not None else ""


def authority_key(certificate: x509.Certificate) -> str:
    """Return the key identifier of the issuer, from the authority key identifier, with colons; empty without one."""
    value = extension(certificate, x509.AuthorityKeyIdentifier)
    identifier = value.key_identifier if value is not None else None
    return identifier.hex(":").upper() if identifier else ""


def title(name: x509.Name) -> str:
    """Return a name to display: its CN, or the whole name if it has none."""
    try:
        common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
        text = str(common[0].value) if common else name.rfc4514_string()
    except (ValueError, TypeError):
        text = ""
    return text or "(no name)"


def key(certificate: x509.Certificate) -> str:
    """Return type and size of the public key: ``RSA 2048``, ``EC 256``; empty if it cannot be read."""
    try:
        public = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    kind = type(public).__name__.lstrip("_").removesuffix("PublicKey")
    size = getattr(public, "key_size", "")
    return f"{'EC' if isinstance(public, ec.EllipticCurvePublicKey) else kind} {size}".strip()


def digest(certificate: x509.Certificate) -> str:
    """Return the name of the signature's digest; empty if there is none or it is unknown."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm is not None else ""


_SIGNATURES: Final = (
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.", "RSA"),
    ("1.2.840.10045.4.", "ECDSA"),
    ("1.2.840.10040.4.", "DSA"),
    ("2.16.840.1.101.3.4.3.", "DSA"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
)
"""Beginnings of OIDs of signature algorithms (RFC 8017, RFC 5758, RFC 8410)."""


def signature(certificate: x509.Certificate) -> str:
    """Return digest and algorithm of the signature: ``SHA256 with RSA``, ``Ed25519``; the OID if it is unknown."""
    oid = certificate.signature_algorithm_oid.dotted_string
    algorithm = next((name for beginning, name in _SIGNATURES if oid.startswith(beginning)), "")
    if not algorithm:
        return oid
    return " with ".join(filter(None, (digest(certificate).upper(), algorithm)))


def der(certificate: x509.Certificate) -> bytes:
    """Return the certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return the whole days until the certificate expires; negative after that."""
    return math.floor((certificate.not_valid_after_utc - now).total_seconds() / 86400)


def quoted(name: x509.Name) -> str:
    """Return a name to display, quoted and escaped."""
    return f"'{escape(title(name))}'"
