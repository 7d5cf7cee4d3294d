"""The JSON document of ``mralab preflight --json``, whose schema ``mralab schema preflight`` prints.

``version`` changes when a field is renamed, removed or changes its meaning; new fields do not change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from . import preflight_summary
from .document import SCHEMA_TEXT, DocumentModel, FirstVersion
from .finding_report import Finding
from .server_check import ServerCheck, State


class Certificate(DocumentModel):
    """The server's certificate."""

    subject: str = Field(description="RFC 4514.")
    issuer: str = Field(description="RFC 4514.")
    names: tuple[str, ...] = Field(description="Subject alternative names: DNS names and IP addresses.")
    cn: str = Field(description="Common name, empty if it has none.")
    not_before: str = Field(description="ISO 8601, empty if it cannot be read.")
    not_after: str = Field(description="ISO 8601, empty if it cannot be read.")
    key: str = Field(description="Type and size of the key, such as RSA 2048 or EC 256.")
    fingerprint: str = Field(description="SHA-256, with colons.")
    days_left: int | None = Field(description="Whole days until it expires, negative after that; null if unknown.")


class ChainMember(DocumentModel):
    """A certificate of the chain."""

    subject: str = Field(description="RFC 4514.")
    issuer: str = Field(description="RFC 4514.")
    key: str = Field(description="Type and size of the key.")
    not_before: str = Field(description="ISO 8601.")
    not_after: str = Field(description="ISO 8601.")
    days_left: int = Field(description="Whole days until it expires, negative after that.")
    fingerprint: str = Field(description="SHA-256, with colons.")
    sent: bool = Field(description="The server sent it, or it is in the file.")
    trusted: bool = Field(description="It is in the trust store.")


class MissingCa(DocumentModel):
    """The CA without which the chain does not end at a trusted root."""

    subject: str = Field(description="RFC 4514.")
    key_identifier: str = Field(description="Subject key identifier with colons, empty if no certificate has it.")
    root_trusted: bool | None = Field(description="Whether its root is in the trust store; null if unknown.")


class Expiry(DocumentModel):
    """A certificate of the chain that expires within 30 days."""

    subject: str = Field(description="RFC 4514.")
    depth: int
    not_after: str = Field(description="ISO 8601.")
    days: int = Field(description="Whole days left.")


class Check(DocumentModel):
    """The result of one handshake, of two with the same result, or of a certificate file."""

    host: str
    port: int | None = Field(description="Null for a certificate file without a port in --name.")
    source: str = Field(
        description="The certificate file, with the certificate's number if it has several; empty for a server."
    )
    dial: str = Field(description="ADDRESS:PORT of the connection, empty without one.")
    prefer: tuple[Literal["ecdsa", "rsa"], ...] = Field(description="What the handshakes preferred; empty for a file.")
    state: State = Field(description="What X14.2 would do; not-asked: there was no handshake, nothing is known.")
    accepted: bool
    certificate: Certificate | None = Field(description="Null if the server presented none.")
    chain: tuple[ChainMember, ...] = Field(description="Leaf first, as far as it can be built.")
    findings: tuple[Finding, ...] = Field(description="In the order in which X14.2 reports them.")
    missing_ca: MissingCa | None = Field(description="Null if no CA is missing.")
    order: tuple[str, ...] = Field(description="The codes of the findings; X14.2 stops at the first.")
    expiring: tuple[Expiry, ...]
    client_certificate_requested: bool | None = Field(description="Null if the handshake did not get that far.")
    client_certificate_presented: bool
    notes: tuple[str, ...] = Field(description="Risks that do not make X14.2 refuse the server.")
    saved: str = Field(description="The file of --save with the chain that was sent, or empty.")
    uploads: tuple[str, ...] = Field(description="The files of --save with a certificate to trust.")
    lines: tuple[str, ...] = Field(description="The log lines that X14.2 would write if it reported every fault.")


class Counts(DocumentModel):
    """Numbers of servers, each counted once, by the worst result of its handshakes."""

    servers: int
    accepted: int
    refused: int
    failed: int = Field(description="TLS fails for another reason than the certificate.")
    not_checked: int = Field(description="No handshake: DNS, refused, timeout.")


class PreflightReport(DocumentModel):
    """The answer of ``mralab preflight``."""

    schema_: Literal["mralab/preflight"] = Field(default="mralab/preflight", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    summary: str = Field(description="The answer in one line.")
    release: str = Field(
        description="The release as which servers were checked: the configuration's, X14.2 if that verifies none."
    )
    counts: Counts
    trust_store: int = Field(description="Number of certificates in the trust store.")
    servers: tuple[Check, ...]


def report(checks: Sequence[ServerCheck], trust_store: int) -> PreflightReport:
    """Return the document for ``checks``. ``trust_store`` is the number of trusted certificates."""
    counts = preflight_summary.count(checks)
    release = preflight_summary.release_of(checks)
    return PreflightReport(
        summary=preflight_summary.headline(counts, release),
        release=release,
        counts=Counts(**counts._asdict()),
        trust_store=trust_store,
        servers=tuple(Check.model_validate(check.as_json()) for check in checks),
    )
