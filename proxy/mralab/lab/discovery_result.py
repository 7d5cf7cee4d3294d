"""The state of discovered servers: what the pages Unified CM servers, IM and Presence and Unity Connection list."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from ..core.mra.allowlist import Kind

TlsVerify = Literal["On", "Off"]

RESOLVABLE: Final = "Address resolvable"
"""Status of a zone since X14.0.2 (release notes)."""
NOT_RESOLVABLE: Final = "Address not resolvable"


@dataclass(frozen=True, slots=True)
class DiscoveredNode:
    """A node that Expressway-C learnt from a publisher."""

    address: str
    """Name or address as the publisher lists it, which is what clients are sent to."""
    kind: Kind
    status: str
    """``Address resolvable`` or not. It says nothing about the node's certificate."""
    error: str = ""
    """What is wrong with this node, as far as discovery sees it; empty if nothing is."""
    is_publisher: bool = False
    """Whether it is the server that was typed in, under this name or another one."""
    is_verified: bool = False
    """Whether its certificate was verified: the publisher's alone, and with TLS verify mode On alone."""

    @property
    def ok(self) -> bool:
        """Whether discovery sees no error. Requests to the node may be refused all the same."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Discovery:
    """The state of one publisher since its latest discovery or refresh."""

    address: str
    """Address that was typed in; the only one verified."""
    kind: Kind
    tls_verify: TlsVerify
    nodes: tuple[DiscoveredNode, ...] = ()
    error: str = ""
    """Why the latest discovery failed; ``nodes`` are then those known before."""
    note: str = ""
    """What else went wrong: Expressway-C's names could not be written to CUCM."""

    @property
    def ok(self) -> bool:
        """Whether the page is green: the publisher answered. Logins may still fail."""
        return not self.error

    def record(self) -> dict[str, Any]:
        """Return the state as JSON data: every field by its name, and ``ok`` of the publisher and of each node."""
        nodes = [{**asdict(node), "ok": node.ok} for node in self.nodes]
        return {**asdict(self), "nodes": nodes, "ok": self.ok}

    def __str__(self) -> str:
        nodes = ", ".join(f"{node.address} ({node.status})" for node in self.nodes) or "no nodes"
        outcome = f"failed: {self.error}" if self.error else nodes
        return f"{self.address}, TLS verify mode {self.tls_verify}: {outcome}"
