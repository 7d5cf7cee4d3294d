"""What the verification of a server's certificate found, and what follows from it.

Rules of Traffic Server 8.1.11 (iocore/net/SSLClientUtils.cc:40-107): OpenSSL reports faults from the root down to
the leaf; ``on`` (STRICT) ends at the first, ``audit`` (MODERATE) notes each and goes on, and only a leaf that OpenSSL
itself accepts is held against the name that was asked for. ``verifyerror`` has the texts of the faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..release import VerifyMode
from .verifyerror import ALL_TEXTS, VERIFY_TEXTS, Wording, error_text

__all__ = [
    "ALL_TEXTS",
    "NO_CERTIFICATE",
    "VERIFY_TEXTS",
    "CertificateFault",
    "CertificateSummary",
    "Verdict",
    "Wording",
    "error_text",
]


class CertificateFault(NamedTuple):
    """One thing wrong with a server's certificate: an OpenSSL verify error, or the name (``number`` is None)."""

    number: int | None
    depth: int


class CertificateSummary(NamedTuple):
    """What a certificate offers, for people: text in every field. ``fingerprint`` is SHA-256 with colons."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    cn: str
    not_before: str
    not_after: str
    key: str
    fingerprint: str


NO_CERTIFICATE: Final = CertificateFault(50, 0)
"""The server presented no certificate, so there was nothing to verify: anonymous and pre-shared-key cipher suites.

OpenSSL verifies nothing then and has no error for it; 50 is its error for what an application refuses by itself
(X509_V_ERR_APPLICATION_VERIFICATION). Traffic Server would send the request: that we do not is our decision.
"""


@dataclass(slots=True)
class Verdict:
    """The name that was asked for, the certificate that was presented for it, and every fault found.

    ``action`` is Traffic Server's word: ``Terminate`` ends the handshake at the first fault, ``Continue`` does not.
    """

    name: str
    mode: VerifyMode
    faults: list[CertificateFault] = field(default_factory=list)
    leaf: bytes = b""
    """The server's certificate in DER, once it was judged; ``net.certificate.offer`` has it in words."""
    judged: bool = False
    """The server's own certificate went through the whole verification; ``faults`` are what it found."""

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
        """In one word: ``unverified``, ``verified`` (judged, no fault), ``tolerated`` (audit) or ``refused``."""
        if self.mode == "off":
            return "unverified"
        if self.faults:
            return "refused" if self.mode == "on" else "tolerated"
        return "verified" if self.judged else "unverified"

    def add(self, fault: CertificateFault) -> bool:
        """Note a fault; whether the handshake may go on."""
        self.faults.append(fault)
        return self.mode != "on"
