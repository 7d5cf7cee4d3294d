"""The result of verifying a server's certificate: its faults, and whether the connection may be used.

Rules of Traffic Server 8.1.11 (iocore/net/SSLClientUtils.cc:40-107): OpenSSL reports faults from the root down to the
leaf. ``on`` (STRICT) ends the handshake at the first fault, ``audit`` (MODERATE) reports each and continues. Only a
leaf that OpenSSL itself accepts is compared with the host name. ``verifyerror`` has the texts of the faults.
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
    """One fault of a server's chain: an OpenSSL verify error, or the host name does not match (``number`` is None)."""

    number: int | None
    depth: int


class CertificateSummary(NamedTuple):
    """The contents of a certificate as text for people. ``fingerprint`` is SHA-256 with colons."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    cn: str
    not_before: str
    not_after: str
    key: str
    fingerprint: str


NO_CERTIFICATE: Final = CertificateFault(50, 0)
"""The server presented no certificate to verify: anonymous and pre-shared-key cipher suites.

OpenSSL does not verify then and has no error for this case; 50 is its error for a refusal by the application
(X509_V_ERR_APPLICATION_VERIFICATION). Traffic Server would send the request. Refusing it is our decision.
"""


@dataclass(slots=True)
class Verdict:
    """The host name to verify, the certificate that the server presented for it, and every fault found."""

    name: str
    mode: VerifyMode
    faults: list[CertificateFault] = field(default_factory=list)
    leaf: bytes = b""
    """The server's certificate in DER; empty until it was verified or a fault was found."""
    presented: tuple[bytes, ...] = ()
    """Every certificate that the server sent, in DER, its own first; empty until a fault was found."""
    judged: bool = False
    """The verification reached its last step, the host name; ``faults`` is complete."""

    @property
    def action(self) -> str:
        """Traffic Server's word for the mode: ``Terminate`` ends the handshake at the first fault, or ``Continue``."""
        return "Terminate" if self.mode == "on" else "Continue"

    @property
    def refused(self) -> bool:
        """The connection must not be used."""
        return self.mode == "on" and bool(self.faults)

    @property
    def outcome(self) -> str:
        """One of ``unverified``, ``verified`` (judged, no fault), ``tolerated`` (audit) and ``refused``."""
        if self.mode == "off":
            return "unverified"
        if self.faults:
            return "refused" if self.mode == "on" else "tolerated"
        return "verified" if self.judged else "unverified"

    def add(self, fault: CertificateFault) -> bool:
        """Add a fault. Return whether the handshake may continue."""
        self.faults.append(fault)
        return self.mode != "on"
