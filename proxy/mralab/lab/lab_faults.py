"""The ports of a lab's nodes as places of faults, for the control API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..mocks.listener import Listener
    from ..mocks.pki import Certified
    from .lab import Lab


class LabFaults:
    """Implements ``control.fault_servers.FaultServers`` for the nodes of a running lab."""

    form: Final = "NODE:PORT of the lab"

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @property
    def certificates(self) -> Mapping[str, Certified]:
        """The lab's certificates, by recipe."""
        return self._lab.pki

    def listeners(self) -> Mapping[str, Listener]:
        """Return the TLS ports of every node, by ``NODE:PORT``."""
        return {
            f"{name}:{port}": node.tls_listener(port)
            for name, node in self._lab.nodes.items()
            for port in node.tls_ports
        }

    def find(self, at: str) -> str | None:
        """Return ``NODE:PORT``, where ``at`` may have the node's host name or address; None if there is no such node.

        Raises ``MralabError`` if the node has no such TLS port.
        """
        server, _, port = at.rpartition(":")
        node = self._lab.nodes.get(server) or self._lab.node_for(server)
        if node is None or not port.isascii() or not port.isdecimal():
            return None
        node.tls_listener(int(port))
        name = next(name for name, each in self._lab.nodes.items() if each is node)
        return f"{name}:{int(port)}"
