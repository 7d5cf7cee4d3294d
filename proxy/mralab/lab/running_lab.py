"""A running lab: its nodes and peers, what it has recorded, and what can be changed while it runs."""

from __future__ import annotations

import asyncio
import base64
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..diagnose.assertions import AssertionResult
from ..diagnose.findings import Finding
from ..diagnose.journal import Journal, Transaction
from ..errors import MralabError
from ..harness.proxy import Proxy
from ..harness.sync_facade import Completed
from ..harness.trust_input import Trusted
from ..mocks.cucm import Cucm
from ..mocks.edge import Edge
from ..mocks.node import Node
from ..mocks.probe import answers
from . import reissuing, staging
from .discovery import Discoverer, Discovery
from .nodes import DOMAIN


@dataclass(slots=True)
class Parts:
    """The parts of a running lab. ``peers`` are all Expressway-C peers of the cluster by host name."""

    loop: asyncio.AbstractEventLoop
    nodes: Mapping[str, Node]
    cucm: Cucm
    home: staging.HomeServer
    unplugged: staging.Unplugged
    peers: dict[str, Proxy]
    edge: Edge
    discoverer: Discoverer
    are_running: bool = True
    """False once the lab has ended: what was recorded can still be read."""


class RunningLab:
    """The part of a lab that is the same in ``async with`` and ``with``. It may be used from any thread.

    A change is complete when the call returns (``await`` is optional) and applies from the next request. What a lab has
    recorded can still be read when it has ended.
    """

    _parts: Parts | None = None

    @property
    def is_running(self) -> bool:
        """Whether the lab runs now."""
        return self._parts is not None and self._parts.are_running

    @property
    def has_records(self) -> bool:
        """Whether the lab runs or has run, so that there is a log to read."""
        return self._parts is not None

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Every mock server by its name: ``lab.nodes["cucm"]``."""
        return self._recorded.nodes

    @property
    def cucm(self) -> Cucm:
        """The mock CUCM: ``lab.cucm.certificate("tomcat")``, ``lab.cucm.advertise = "ip"``."""
        return self._recorded.cucm

    @property
    def proxy(self) -> Proxy:
        """The proxy; of a cluster, the first peer."""
        return next(iter(self._recorded.peers.values()))

    @property
    def peers(self) -> Mapping[str, Proxy]:
        """Every Expressway-C peer of the cluster by its host name; one, unless the scenario has more."""
        return self._recorded.peers

    @property
    def via(self) -> str:
        """URL for clients: get_edge_config and, behind it, the proxy."""
        return f"http://127.0.0.1:{self._running.edge.port}"

    @property
    def discovered(self) -> tuple[Discovery, ...]:
        """State of each publisher since its latest ``discover`` or ``refresh``.

        Until the first ``discover`` it is empty, and the lab acts as if Expressway-C had discovered every node, before
        the upgrade, under its name and its address.
        """
        return self._recorded.discoverer.discovered

    @property
    def journal(self) -> Journal:
        """Journal of the proxy's events since it started, as ``Proxy.journal``."""
        return self.proxy.journal

    @property
    def log(self) -> tuple[str, ...]:
        """Log lines since the latest login began, or since ``clear``; oldest first."""
        return self.proxy.log

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of every peer from the events since the latest login began, or since ``clear``."""
        return tuple(finding for peer in self.peers.values() for finding in peer.findings)

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """Requests since the latest login began, or since ``clear``, with their outcomes; oldest first."""
        return self.proxy.transactions

    def node_for(self, server: str) -> Node | None:
        """Return the node with this name or address in the lab's network; None if there is none."""
        return next((node for node in self.nodes.values() if server in (node.fqdn, node.ip)), None)

    def refused(self, server: str, *, because: str | None = None, port: int | None = None) -> AssertionResult:
        """Return whether a request to ``server`` was refused, as ``Proxy.refused``."""
        return self.proxy.refused(server, because=because, port=port)

    def allowed(self, server: str, *, port: int | None = None) -> AssertionResult:
        """Return whether ``server`` answered its latest requests, as ``Proxy.allowed``."""
        return self.proxy.allowed(server, port=port)

    def probes(self) -> dict[tuple[str, str], Callable[[], Awaitable[None]]]:
        """Return the health checks of the mocks: name and address -> a call that raises if the mock does not answer."""
        token = base64.b64encode(DOMAIN.encode()).decode().rstrip("=")
        urls = {f"{name} {port}": url for name, node in self.nodes.items() for port, url in node.urls.items()}
        urls["edge"] = f"{self.via}/{token}/get_edge_config"  # the edge itself answers this; it relays all other paths
        return {(name, url.split("/")[2]): functools.partial(answers, url) for name, url in urls.items()}

    def lift_faults(self) -> None:
        """Lift every fault of every node."""
        for node in self.nodes.values():
            node.lift_faults()

    def is_unplugged(self, node: Node, port: int) -> bool:
        """Return whether a port of a node refuses connections, because the scenario has it down."""
        return self._recorded.unplugged.has(self.name_of(node), port)

    def plug_in(self, node: Node, port: int) -> Completed:
        """Let a port of a node that the scenario has down accept connections."""
        unplugged = self._running.unplugged
        unplugged.plug_in(self.name_of(node), port)
        self.change(hosts=staging.hosts(self.nodes, unplugged))
        self.restore_rules()  # the entries of [hosts] name the kind that each node is, discovered or not
        return Completed()

    def restore_rules(self) -> None:
        """Put the automatic rules of the discovered nodes into force again, after ``[hosts]`` was set anew.

        ``lab.proxy.reset()`` and ``POST /api/reset`` call it: discovered servers stay until they are refreshed.
        """
        self._running.discoverer.apply_rules()

    def name_of(self, node: Node) -> str:
        """Return the name of a node of the lab: its key in ``nodes``."""
        return next(name for name, each in self.nodes.items() if each is node)

    def clear(self) -> Completed:
        """Clear the log, the requests and the findings."""
        return self._on_every_peer(lambda peer: peer.clear())

    def trust(self, *things: Trusted) -> Completed:
        """Add to the trust store of every peer, as Maintenance > Security > Trusted CA certificate does."""
        return self._on_every_peer(lambda peer: peer.trust(*things))

    def distrust(self, *things: Trusted) -> Completed:
        """Remove from the trust store of every peer."""
        return self._on_every_peer(lambda peer: peer.distrust(*things))

    def reissue(self, server: str, port: int = 8443, *, names: Iterable[str] | None = None) -> Completed:
        """Replace the certificate of a server of the lab with one of a CA of the lab that every peer trusts.

        ``server`` is its name or address. The certificate is the one that it presents at ``port``; where it presents
        the same one at other ports, those change too. The new one has the same subject, a new key of the same kind and
        the purposes of a server, and is valid from now on. Its alternative names are ``names``, by default those of the
        old certificate and ``server``. Faults that are injected at the port stay.

        Raises:
            MralabError: it is no server of the lab, has no TLS at this port, no such CA is trusted, or ``names`` is not
                a list of host names and IP addresses.
        """
        node = self.node_for(server)
        if node is None:
            known = ", ".join(dict.fromkeys(each.fqdn for each in self.nodes.values()))
            raise MralabError(f"{server} is not a server of the lab", f"its servers: {known}")
        issuer = reissuing.trusted_authority(self.nodes.values(), self._running.peers.values())
        if issuer is None:
            store = "the trust store" if len(self.peers) == 1 else "the trust store of every peer"
            raise MralabError(f"no CA of the lab is in {store}", "trust one of them first: lab.trust(...)")
        if names is None:
            names = (*reissuing.alternative_names(node.presented(port).cert), server)
        reissuing.reissue(node, port, issuer, names)
        return Completed()

    def verify_origin_server(self, value: str) -> Completed:
        """``xConfiguration EdgeConfigServer VerifyOriginServer: On`` or ``Off``, on every peer."""
        return self._on_every_peer(lambda peer: peer.verify_origin_server(value))

    def change(self, **tables: Any) -> Completed:
        """Change keys of the configuration of every peer. Raises ``ConfigError``."""
        return self._on_every_peer(lambda peer: peer.change(**tables))

    def _on_every_peer(self, action: Callable[[Proxy], object]) -> Completed:
        for peer in self._running.peers.values():
            action(peer)
        return Completed()

    @property
    def _running(self) -> Parts:
        parts = self._recorded
        assert parts.are_running, "the lab is not running"  # noqa: S101
        return parts

    @property
    def _recorded(self) -> Parts:
        """The parts of a lab that runs or has run: their state is that of the end."""
        assert self._parts is not None, "the lab is not running"  # noqa: S101
        return self._parts
