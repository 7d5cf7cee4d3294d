"""What ``mralab diagnose`` reports: one model for the terminal, for ``--json`` and for every other form.

The document's schema is ``mralab schema diagnose``. Its version changes when a field is renamed, removed or changes its
meaning; new fields do not change it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from .document import SCHEMA_TEXT, DocumentModel, FirstVersion

Category = Literal["issue-found", "potential-problem", "no-issue", "not-applicable", "missing-information"]
"""The categories of the article's log analyser (Cisco 218018)."""

Confidence = Literal["certain", "likely", "uncertain"]
"""How sure it is that a finding's lines belong to its server and port."""

TITLES: Final[dict[Category, str]] = {
    "issue-found": "Issue found",
    "potential-problem": "Potential problem",
    "missing-information": "Missing information",
    "not-applicable": "Not applicable",
    "no-issue": "No issue",
}
"""Each category as a title, in the order in which a person reads them."""


class Evidence(DocumentModel):
    """A line that supports a finding, as it stands in the file."""

    file: str = Field(
        description="Path of the file, empty for a line of a running proxy; a member of an archive is ARCHIVE:MEMBER."
    )
    line: int | None = Field(description="Line number from 1; for a capture the number of the packet; null if unknown.")
    text: str = Field(description="The line.")


class Remedy(DocumentModel):
    """Something to do, and where."""

    code: str = Field(description="Stable name of the remedy.")
    text: str
    where: str = Field(description="Menu path or command, on Expressway, CUCM or a client.")


class Certificate(DocumentModel):
    """A certificate in words."""

    subject: str = Field(description="RFC 4514.")
    issuer: str = Field(description="RFC 4514.")
    names: tuple[str, ...] = Field(description="Subject alternative names.")
    cn: str = Field(description="The subject's first CN, empty if it has none.")
    key: str = Field(description="Kind and size, such as RSA 2048.")
    signature: str = Field(description="Digest and algorithm, such as SHA256 with RSA; the OID of an unknown one.")
    not_before: datetime = Field(description="Start of its validity.")
    not_after: datetime = Field(description="End of its validity.")
    fingerprint: str = Field(description="SHA-256, with colons.")
    subject_key_identifier: str = Field(description="With colons, empty if the certificate has none.")
    authority_key_identifier: str = Field(description="With colons, empty if the certificate has none.")


class Finding(DocumentModel):
    """One cause at one server and port."""

    code: str = Field(description="Stable name of the cause.")
    category: Category
    server: str = Field(description="Name or address that clients request, empty if the log does not show it.")
    ip: str = Field(description="Address of the server, empty if unknown.")
    port: int | None
    dial: str = Field(description="ADDRESS:PORT of the actual connection, where the log or capture shows it.")
    peers: tuple[str, ...] = Field(description="Expressway peers whose files show it; empty if no file names a host.")
    error: str = Field(description="Text of the line.")
    depth: int | None = Field(description="Depth of the certificate in its chain; null if no certificate is at fault.")
    action: str = Field(description="Terminate or Continue, empty if nothing was verified.")
    cause: str
    history: tuple[str, ...] = Field(description="What happened at this server before and after.")
    next: tuple[str, ...] = Field(description="What is likely to fail once this is repaired.")
    remedies: tuple[Remedy, ...] = Field(description="The best first; a temporary one last.")
    check: str = Field(description="How to see that the remedy worked.")
    chain: tuple[Certificate, ...] = Field(
        description="What the server presented, leaf first, where a capture shows it."
    )
    evidence: tuple[Evidence, ...] = Field(description="The newest lines.")
    confidence: Confidence
    confidence_reason: str
    first: datetime | None = Field(description="First occurrence; null if the lines have no time.")
    last: datetime | None
    count: int
    reference: str = Field(description="The document that the cause is based on.")


class Check(DocumentModel):
    """Something that was looked at without finding a fault, or could not be looked at."""

    category: Literal["no-issue", "not-applicable", "missing-information"]
    subject: str = Field(description="Server and port, peer, or file.")
    text: str


class Peer(DocumentModel):
    """An Expressway, as far as its files show it."""

    name: str
    files: tuple[str, ...]
    lines: int = Field(description="Lines of the logs that have lines of it.")
    first: datetime | None
    last: datetime | None
    verify_origin_server: Literal["on", "off", "audit"] | None = Field(description="From xconf_dump; null if unknown.")
    ciphers: dict[str, str] = Field(description="Cipher strings from xconf_dump, by key.")
    trust_store: tuple[Certificate, ...] | None = Field(description="From ca_*.pem; null without one.")
    certificate: Certificate | None = Field(description="The peer's own, from server_*.pem.")


class Input(DocumentModel):
    """A file that was read."""

    path: str
    kind: Literal["log", "capture", "certificates", "configuration", "status"]
    peer: str
    lines: int | None = Field(description="Lines of a log, connections of a capture, certificates of a file.")


class Problem(DocumentModel):
    """A file, or a part of one, that was not read."""

    path: str
    reason: str


class Unread(DocumentModel):
    """Lines of processes that matter, which could not be parsed."""

    lines: int
    examples: tuple[Evidence, ...] = Field(description="The first three.")


class Report(DocumentModel):
    """The answer of ``mralab diagnose``."""

    schema_: Literal["mralab/diagnose"] = Field(default="mralab/diagnose", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    summary: str = Field(description="The answer in one line.")
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    peers: tuple[Peer, ...]
    inputs: tuple[Input, ...]
    unread: Unread
    problems: tuple[Problem, ...]
