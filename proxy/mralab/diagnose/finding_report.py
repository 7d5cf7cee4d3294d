"""A finding in documents and in answers of the control API: the fields that ``finding_json`` returns."""

from __future__ import annotations

from pydantic import Field

from .chain_report import PresentedCertificate
from .document import DocumentModel
from .occurrence import Tie


class Remedy(DocumentModel):
    """Something to do, and where."""

    code: str = Field(description="Stable name of the remedy.")
    text: str = Field(description="What to do.")
    where: str = Field(description="Menu path or command, on Expressway, CUCM or elsewhere.")


class Finding(DocumentModel):
    """One cause at one server and port, with its evidence and remedies."""

    code: str = Field(description="Stable name of the cause.")
    server: str = Field(description="Name or address that clients request.")
    ip: str = Field(description="Address of the server, empty if unknown.")
    port: int | None = Field(description="Null if unknown, as for a certificate file without one.")
    error: str = Field(description="Text of the log line.")
    depth: int | None = Field(description="Depth of the certificate in its chain; null if no certificate is at fault.")
    action: str = Field(description="Terminate or Continue; empty if no certificate is at fault.")
    count: int = Field(description="Number of occurrences.")
    first: float = Field(description="First occurrence, in seconds since the epoch.")
    last: float = Field(description="Last occurrence, in seconds since the epoch.")
    evidence: tuple[str, ...] = Field(description="Lines of the log; for preflight, the lines that X14.2 would write.")
    cause: str = Field(description="What is wrong and why it matters, in sentences.")
    remedies: tuple[Remedy, ...] = Field(description="The best first; a temporary one last.")
    reference: str = Field(description="The document that the cause is based on, or empty.")
    dial: str = Field(description="ADDRESS:PORT of the connection; empty if unknown, and for preflight.")
    nearest: str = Field(description="The nearest miss in the allow list, empty if that is not the cause.")
    tie: Tie = Field(description="How server and port are known; transaction: from the request or handshake itself.")
    presented: tuple[PresentedCertificate, ...] = Field(
        default=(), description="What the server sent, its own certificate first. Empty if unknown, and for preflight."
    )
    answered: float = Field(
        default=0.0,
        description="The server's latest answer after `last`, in seconds since the epoch; 0 without one, and for "
        "preflight.",
    )
