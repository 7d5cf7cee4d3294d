"""The result of checking one server: what X14.2 would do, the certificate and chain, findings and log lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from cryptography import x509

from ..core.log.escape import escape
from ..core.release import DEFAULT, Preference
from ..core.tls.verdict import CertificateSummary
from .chain_notes import Expiry
from .finding_json import finding_json
from .findings import Finding
from .handshake import Address, ServerName
from .missing_ca import MissingCa

State = Literal["accepted", "refused", "failed", "not-asked"]
"""What X14.2 would do: accept the certificate, refuse it, or fail in TLS for another reason.

``not-asked``: there was no handshake, so nothing is known.
"""


@dataclass(frozen=True, slots=True)
class ChainMember:
    """One certificate of the chain: ``sent`` by the server, in the trust store (``trusted``), or both."""

    subject: str
    issuer: str
    key: str
    not_before: str
    not_after: str
    days_left: int
    fingerprint: str
    sent: bool
    trusted: bool


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """The certificate that a server presented to a client with preference ``prefer``, and what ``release`` would do.

    ``prefer`` has both preferences if both gave the same result, and is empty for a certificate that was read from a
    file, which ``source`` names. ``sent`` has the certificates in DER, leaf first. ``missing`` is
    the CA without which the chain does not end at a trusted root. ``certificates_to_trust`` are the certificates at
    hand that a remedy adds to the trust store. ``saved`` is the file with the chain and ``uploads`` those with a
    certificate to trust; both are empty if nothing was saved. ``dial`` is the address and port of the connection,
    empty if the name could not be resolved. ``certificate`` is None if the server presented none. ``chain`` goes as far
    as it could be built. ``findings`` are in the order in which X14.2 reports the faults; X14.2 stops at the first.
    ``lines`` are the log lines that X14.2 would write if it reported every fault. ``expiring`` has the certificates
    that expire within 30 days, ``shared_subjects`` sentences about CAs that share a name with another trusted one.
    ``certificate_requested`` is whether the server requested a client certificate, None if the handshake did not get
    that far; ``certificate_presented`` is whether it received one.
    """

    address: Address | ServerName
    prefer: tuple[Preference, ...]
    state: State
    dial: str
    certificate: CertificateSummary | None
    chain: tuple[ChainMember, ...]
    findings: tuple[Finding, ...]
    lines: tuple[str, ...]
    expiring: tuple[Expiry, ...]
    shared_subjects: tuple[str, ...]
    certificate_requested: bool | None
    certificate_presented: bool
    source: str = ""
    sent: tuple[bytes, ...] = ()
    missing: MissingCa | None = None
    certificates_to_trust: tuple[x509.Certificate, ...] = ()
    saved: str = ""
    uploads: tuple[str, ...] = ()
    release: str = DEFAULT

    @property
    def ok(self) -> bool:
        """Whether X14.2 would accept the server."""
        return self.state == "accepted"

    @property
    def title(self) -> str:
        """Server and port, and for a certificate that was read from a file its ``source``."""
        return f"{self.address}, {escape(self.source)}" if self.source else str(self.address)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about risks that do not make X14.2 refuse the server."""
        notes = [*(str(expiry) for expiry in self.expiring), *self.shared_subjects]
        if self.certificate_requested and self.ok:
            notes.append(
                "the server requests a client certificate, and has accepted the configured one"
                if self.certificate_presented
                else "the server requests a client certificate but continues without one; Expressway-C presents its "
                "own, and the server must trust the CA of that one"
            )
        if self.saved:
            notes.append(f"the chain that the server sent is in {escape(self.saved)}")
        return tuple(notes)

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        certificate = None
        if self.certificate is not None:
            certificate = {**self.certificate._asdict(), "days_left": self.chain[0].days_left if self.chain else None}
        return {
            "host": self.address.host,
            "port": self.address.port,
            "source": self.source,
            "dial": self.dial,
            "prefer": list(self.prefer),
            "state": self.state,
            "accepted": self.ok,
            "certificate": certificate,
            "chain": [asdict(member) for member in self.chain],
            "findings": [finding_json(finding) for finding in self.findings],
            "missing_ca": asdict(self.missing) if self.missing is not None else None,
            "order": [finding.code for finding in self.findings],
            "expiring": [expiry._asdict() for expiry in self.expiring],
            "client_certificate_requested": self.certificate_requested,
            "client_certificate_presented": self.certificate_presented,
            "notes": list(self.notes),
            "saved": self.saved,
            "uploads": list(self.uploads),
            "lines": list(self.lines),
        }
