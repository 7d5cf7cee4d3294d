"""What the verification of a server's certificate found, and what follows from it.

Rules of Traffic Server 8.1.11 (iocore/net/SSLClientUtils.cc:40-107): OpenSSL reports faults from the root down to
the leaf; ``on`` (STRICT) ends at the first, ``audit`` (MODERATE) notes each and goes on, and only a leaf that OpenSSL
itself accepts is held against the name that was asked for. Error texts are those of ``X509_verify_cert_error_string``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from .release import VerifyMode

Wording = Literal["1.1.1", "3"]

# crypto/x509/x509_txt.c, by number; the ones whose wording changed with OpenSSL 3 stand in _SINCE_3.
_TEXTS: Final[dict[int, str]] = {
    1: "unspecified certificate verification error",
    2: "unable to get issuer certificate",
    3: "unable to get certificate CRL",
    4: "unable to decrypt certificate's signature",
    5: "unable to decrypt CRL's signature",
    6: "unable to decode issuer public key",
    7: "certificate signature failure",
    8: "CRL signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    11: "CRL is not yet valid",
    12: "CRL has expired",
    13: "format error in certificate's notBefore field",
    14: "format error in certificate's notAfter field",
    15: "format error in CRL's lastUpdate field",
    16: "format error in CRL's nextUpdate field",
    17: "out of memory",
    18: "self signed certificate",
    19: "self signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    22: "certificate chain too long",
    23: "certificate revoked",
    24: "invalid CA certificate",
    25: "path length constraint exceeded",
    26: "unsupported certificate purpose",
    27: "certificate not trusted",
    28: "certificate rejected",
    29: "subject issuer mismatch",
    30: "authority and subject key identifier mismatch",
    31: "authority and issuer serial number mismatch",
    32: "key usage does not include certificate signing",
    33: "unable to get CRL issuer certificate",
    34: "unhandled critical extension",
    35: "key usage does not include CRL signing",
    37: "invalid non-CA certificate (has CA markings)",
    38: "proxy path length constraint exceeded",
    39: "key usage does not include digital signature",
    40: "proxy certificates not allowed, please set the appropriate flag",
    41: "invalid or inconsistent certificate extension",
    42: "invalid or inconsistent certificate policy extension",
    43: "no explicit policy",
    44: "Different CRL scope",
    45: "Unsupported extension feature",
    46: "RFC 3779 resource not subset of parent's resources",
    47: "permitted subtree violation",
    48: "excluded subtree violation",
    49: "name constraints minimum and maximum not supported",
    51: "unsupported name constraint type",
    52: "unsupported or invalid name constraint syntax",
    53: "unsupported or invalid name syntax",
    62: "Hostname mismatch",
    64: "IP address mismatch",
    66: "EE certificate key too weak",
    67: "CA certificate key too weak",
    68: "CA signature digest algorithm too weak",
    # New in OpenSSL 3: 1.1.1 judged the same certificates by the number that _BEFORE_3 gives.
    79: "invalid CA certificate",
    89: "basic constraints of CA cert not marked critical",
    92: "CA cert does not include key usage extension",
    94: "certificate public key has explicit ECC parameters",
}
_SINCE_3: Final[dict[int, str]] = {
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    26: "unsuitable certificate purpose",
}


def error_text(number: int, wording: Wording) -> str:
    """OpenSSL's text for a verify error, as 1.1.1 prints it or as 3 does."""
    if wording == "3" and number in _SINCE_3:
        return _SINCE_3[number]
    return _TEXTS.get(number, "unknown certificate verification error" if wording == "3" else f"error number {number}")


class Fault(NamedTuple):
    """One thing wrong with a server's certificate: an OpenSSL verify error, or the name (``number`` is None)."""

    number: int | None
    depth: int

    @property
    def is_name(self) -> bool:
        """Whether the chain was good and only the name was not in the certificate."""
        return self.number is None


class Offer(NamedTuple):
    """What a certificate offers, for people: text in every field. ``fingerprint`` is SHA-256 with colons."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    cn: str
    not_before: str
    not_after: str
    key: str
    fingerprint: str


@dataclass(slots=True)
class Verdict:
    """What was asked, what the certificate offers, and every fault found.

    ``action`` is Traffic Server's word: ``Terminate`` ends the handshake at the first fault, ``Continue`` does not.
    """

    name: str
    mode: VerifyMode
    faults: list[Fault] = field(default_factory=list)
    matched: str = ""
    offer: Offer | None = None

    @property
    def action(self) -> str:
        """``Terminate`` or ``Continue``."""
        return "Terminate" if self.mode == "on" else "Continue"

    @property
    def refused(self) -> bool:
        """Whether the connection must not be used."""
        return self.mode == "on" and bool(self.faults)

    @property
    def outcome(self) -> str:
        """In one word: ``unverified``, ``verified``, ``tolerated`` (audit) or ``refused``."""
        if self.mode == "off":
            return "unverified"
        if not self.faults:
            return "verified"
        return "refused" if self.mode == "on" else "tolerated"

    def add(self, fault: Fault) -> bool:
        """Note a fault; whether the handshake may go on."""
        self.faults.append(fault)
        return self.mode != "on"
