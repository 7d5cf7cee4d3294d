"""The state of a lab, as the control API answers it: nodes, discovery and certificates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.mra.allowlist import Kind
from ..diagnose.document import DocumentModel

Advertise = Literal["fqdn", "ip"]


class NodeReport(DocumentModel):
    """A mock server."""

    name: str = Field(description="Name in the lab, such as cucm.")
    kind: Kind = Field(description="Unified CM, IM and Presence, or Unity Connection.")
    fqdn: str = Field(description="Its host name.")
    ip: str = Field(description="Address in the lab's network, as in the log.")
    address: str = Field(description="The entry of System > Server: what clients are sent to.")
    ports: dict[int, int] = Field(description="Port that clients request -> port on loopback that it listens on.")


class DiscoveredNodeReport(DocumentModel):
    """A node that a publisher listed to Expressway-C."""

    address: str = Field(description="Name or address as the publisher lists it: what clients are sent to.")
    kind: Kind = Field(description="Unified CM, IM and Presence, or Unity Connection.")
    status: str = Field(description="Address resolvable, or Address not resolvable.")
    error: str = Field(description="What is wrong with it, as far as discovery sees it, else empty.")
    is_publisher: bool = Field(description="Whether it is the publisher itself.")
    is_verified: bool = Field(description="Whether its certificate was verified; only the publisher's is.")
    ok: bool = Field(description="Whether discovery sees no error. Requests to it may still be refused.")


class DiscoveryReport(DocumentModel):
    """The state of one publisher since its latest discovery or refresh."""

    address: str = Field(description="Address as it was entered.")
    kind: Kind = Field(description="Unified CM, IM and Presence, or Unity Connection.")
    tls_verify: Literal["On", "Off"] = Field(description="TLS verify mode.")
    nodes: tuple[DiscoveredNodeReport, ...] = Field(description="The nodes that the publisher listed.")
    error: str = Field(description="Why the latest discovery failed; the nodes are then those known before.")
    note: str = Field(description="What else went wrong, such as names that could not be written to CUCM; else empty.")
    ok: bool = Field(description="Whether the publisher answered. Logins may still fail.")


class LabReport(DocumentModel):
    """The state of a lab."""

    scenario: str = Field(description="Name of the scenario that it was started with.")
    via: str = Field(description="URL for clients: get_edge_config and, behind it, the proxy.")
    peers: tuple[str, ...] = Field(
        description="Host names of the Expressway-C peers. The control API operates the first: its configuration, trust"
        " store, log and findings. Each login goes through the next one."
    )
    users: tuple[str, ...] = Field(description="User IDs that can log in.")
    advertise: Advertise = Field(description="System > Server of CUCM: host names or addresses.")
    https_ciphers: str = Field(description="Enterprise parameter HTTPS Ciphers of CUCM.")
    nodes: tuple[NodeReport, ...] = Field(description="The mock servers.")
    discovered: tuple[DiscoveryReport, ...] = Field(
        description="Empty until the first discovery: the lab then acts as if every node had been discovered."
    )


class LabCertificate(DocumentModel):
    """A certificate of the lab."""

    node: str = Field(description="Name of the node that has it; empty for a CA.")
    name: str = Field(description="Its purpose, such as tomcat-ECDSA, or the name of the CA.")
    ports: tuple[int, ...] = Field(description="Ports on which the node presents it.")
    subject: str = Field(description="RFC 4514.")
    issuer: str = Field(description="RFC 4514.")
    not_before: str = Field(description="Start of its validity, ISO 8601 in UTC.")
    not_after: str = Field(description="End of its validity, ISO 8601 in UTC.")
    key: str = Field(description="Type of the key: rsa or ec.")
    fingerprint: str = Field(description="SHA-256, with colons.")
    pem: str = Field(description="The certificate itself, without its key.")
