"""The chain of a certificate as OpenSSL builds it, from what a server sent and what is trusted, and facts about it.

OpenSSL looks for an issuer in the trust store first, then among the certificates that were sent
(X509_V_FLAG_TRUSTED_FIRST, the default since 1.1.0). A candidate has the issuer's name, and the key identifier and
serial number that the authority key identifier asks for (RFC 5280 section 4.2.1.1).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from ..core.log.escape import escape
from ..core.tls.hostname import CertificateNames, names_of

_LONGEST: Final = 10  # certificates: OpenSSL follows 7 CAs here
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Link(NamedTuple):
    """One certificate of a chain: ``sent`` by the server, in the trust store (``trusted``), or both."""

    certificate: x509.Certificate
    sent: bool
    trusted: bool


def parse(der: bytes) -> x509.Certificate | None:
    """Return a certificate, None if ``cryptography`` cannot read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            certificate = x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion):
            return None
    return certificate if is_readable(certificate) else None


def is_readable(certificate: x509.Certificate) -> bool:
    """Whether ``cryptography`` can read names and dates, which it parses only when they are looked at."""
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
    """Return the chain from the leaf up, as far as it can be built. ``sent`` has the leaf first; empty for none."""
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
    """Return a candidate that may have issued ``child``, one in date if there is one."""
    fitting = [one for one in candidates if may_have_issued(one, child)]
    in_date = [one for one in fitting if one.not_valid_before_utc <= now <= one.not_valid_after_utc]
    return next(iter(in_date or fitting), None)


def may_have_issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Whether names and identifiers fit, as X509_check_issued finds out; signatures are not looked at."""
    return same_name(issuer.subject, child.issuer) and identifiers_fit(issuer, child)


def identifiers_fit(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Whether the authority key identifier of ``child``, as far as it has one, is that of ``issuer``."""
    wanted = extension(child, x509.AuthorityKeyIdentifier)
    if wanted is None:
        return True
    held = extension(issuer, x509.SubjectKeyIdentifier)
    if wanted.key_identifier is not None and held is not None and wanted.key_identifier != held.digest:
        return False
    serial = wanted.authority_cert_serial_number
    if serial is not None and serial != issuer.serial_number:
        return False
    named = issuer_of_issuer(wanted)
    return named is None or same_name(named, issuer.issuer)


def issuer_of_issuer(wanted: x509.AuthorityKeyIdentifier) -> x509.Name | None:
    """Return the directory name in an authority key identifier: that of the CA which issued the issuer."""
    names = wanted.authority_cert_issuer or ()
    return next((name.value for name in names if isinstance(name, x509.DirectoryName)), None)


def signed_by(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the key of ``issuer`` made the signature of ``child``."""
    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether two certificates have the same public key; not where it cannot be read."""
    try:
        return one.public_key() == other.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are the same and no identifier says otherwise."""
    return may_have_issued(certificate, certificate)


def same_name(one: x509.Name, other: x509.Name) -> bool:
    """Compare names as OpenSSL does: without case, and with runs of blanks as one."""
    return one == other or _canonical(one) == _canonical(other)


def _canonical(name: x509.Name) -> list[list[tuple[str, str]]]:
    return [
        sorted((part.oid.dotted_string, " ".join(str(part.value).casefold().split())) for part in relative)
        for relative in name.rdns
    ]


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return an extension's value, None if it is absent or cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError, TypeError):
        return None


def title(name: x509.Name) -> str:
    """Return a name for people: its CN, or all of it where there is none."""
    try:
        common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
        text = str(common[0].value) if common else name.rfc4514_string()
    except (ValueError, TypeError):
        text = ""
    return text or "(no name)"


def key(certificate: x509.Certificate) -> str:
    """Return kind and size of the public key: ``RSA 2048``, ``EC 256``; empty if it cannot be read."""
    try:
        public = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    kind = type(public).__name__.lstrip("_").removesuffix("PublicKey")
    size = getattr(public, "key_size", "")
    return f"{'EC' if isinstance(public, ec.EllipticCurvePublicKey) else kind} {size}".strip()


def digest(certificate: x509.Certificate) -> str:
    """Return the name of the signature's digest, empty if there is none or it is unknown."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm is not None else ""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint with colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's bytes."""
    return certificate.public_bytes(Encoding.DER)


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return the whole days until it expires; negative once it has."""
    return math.floor((certificate.not_valid_after_utc - now).total_seconds() / 86400)


def quoted(name: x509.Name) -> str:
    """Return a name for people in quotes, escaped."""
    return f"'{escape(title(name))}'"


@dataclass(frozen=True)
class Shown:
    """What one handshake showed, and what it is judged with.

    ``sent`` has the certificates as sent, leaf first. ``elsewhere`` has those that other servers sent in the same run.
    ``ip_san`` is whether an iPAddress entry counts (``verify.ip_san``).
    """

    name: str
    port: int
    sent: tuple[x509.Certificate, ...]
    store: tuple[x509.Certificate, ...]
    now: datetime
    elsewhere: tuple[x509.Certificate, ...] = ()
    ip_san: bool = True

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The chain from the leaf up, as far as it can be built."""
        return build(self.sent, self.store, self.now)

    @cached_property
    def names(self) -> CertificateNames:
        """The names of the leaf, as OpenSSL reads them."""
        return names_of(der(self.sent[0])) if self.sent else CertificateNames()

    def at(self, depth: int) -> x509.Certificate | None:
        """The certificate at a depth of the chain, None where the chain does not reach."""
        return self.links[depth].certificate if depth < len(self.links) else None
