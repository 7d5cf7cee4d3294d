"""The state of a lab, as the control API answers it: nodes, discovery, certificates and faults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..core.mra.allowlist import Kind
from ..diagnose.document import DocumentModel

Advertise = Literal["fqdn", "ip"]


class NodeReport(DocumentModel):
    """A mock server."""

    name: str = Field(description="Name in the lab, such as cucm.")
    kind: Kind
    fqdn: str
    ip: str = Field(description="Address in the lab's network, as in the log.")
    address: str = Field(description="The entry of System > Server: what clients are sent to.")
    ports: dict[int, int] = Field(description="Port that clients request -> port on loopback that it listens on.")


class DiscoveredNodeReport(DocumentModel):
    """A node that Expressway-C learnt from a publisher."""

    address: str
    kind: Kind
    status: str
    error: str = Field(description="What is wrong with it, as far as discovery sees it, else empty.")
    is_publisher: bool
    is_verified: bool = Field(description="Whether its certificate was verified: the publisher's alone.")
    ok: bool


class DiscoveryReport(DocumentModel):
    """The state of one publisher since its latest discovery or refresh."""

    address: str
    kind: Kind
    tls_verify: Literal["On", "Off"]
    nodes: tuple[DiscoveredNodeReport, ...]
    error: str = Field(description="Why the latest discovery failed; the nodes are then those known before.")
    note: str
    ok: bool = Field(description="Whether the publisher answered. Logins may fail all the same.")


class LabReport(DocumentModel):
    """The state of a lab."""

    scenario: str = Field(description="Name of the scenario that it was started with.")
    via: str = Field(description="URL for clients: get_edge_config and, behind it, the proxy.")
    users: tuple[str, ...]
    advertise: Advertise = Field(description="System > Server of CUCM: host names or addresses.")
    https_ciphers: str = Field(description="Enterprise parameter HTTPS Ciphers of CUCM.")
    nodes: tuple[NodeReport, ...]
    discovered: tuple[DiscoveryReport, ...] = Field(
        description="Empty until the first discovery: the lab then acts as if every node had been discovered."
    )


class LabCertificate(DocumentModel):
    """A certificate of the lab."""

    node: str = Field(description="Name of the node that has it; empty for a CA.")
    name: str = Field(description="Its purpose, such as tomcat-ECDSA, or the name of the CA.")
    ports: tuple[int, ...] = Field(description="Ports on which the node presents it.")
    subject: str
    issuer: str
    not_before: str
    not_after: str
    key: str = Field(description="Type of the key: rsa or ec.")
    fingerprint: str = Field(description="SHA-256, with colons.")
    pem: str


class FaultReport(DocumentModel):
    """A fault in force."""

    id: int
    at: str = Field(description="NODE:PORT.")
    fault: str
    parameters: dict[str, Any]
    times: int | None = Field(description="Number of connections that meet it; null: all.")
    met: int = Field(description="Number of connections that have met it.")


class FaultParameter(DocumentModel):
    """A parameter of a fault."""

    name: str
    type: str
    required: bool
    default: Any = None


class FaultKind(DocumentModel):
    """A fault that can be injected."""

    name: str
    description: str
    parameters: tuple[FaultParameter, ...]


class FaultsReport(DocumentModel):
    """The faults in force, and those that can be injected."""

    faults: tuple[FaultReport, ...]
    known: tuple[FaultKind, ...]
