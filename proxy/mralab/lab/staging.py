"""A scenario's changes of a lab: certificates, faults, nodes that are down, and the files that Expressway-C reads."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..mocks.faults.made import make_fault
from ..mocks.node import Node
from ..mocks.pki import Pki
from .scenario_checks import RULES_HEADER
from .scenario_model import Scenario


def install_certificates(nodes: Mapping[str, Node], scenario: Scenario, pki: Pki) -> None:
    """Install the certificates that the scenario names, on nodes that need not run yet."""
    for name, purposes in scenario.certificates.items():
        for purpose, recipe in purposes.items():
            nodes[name].install(purpose, pki[recipe])


def inject_faults(nodes: Mapping[str, Node], scenario: Scenario, pki: Pki) -> None:
    """Inject the scenario's faults into running nodes. Raises ``MralabError`` if one is not possible there."""
    for entry in scenario.faults:
        name, _, port = entry.at.partition(":")
        nodes[name].inject(make_fault(entry.fault, entry.arguments, pki), int(port), entry.times)


def configuration_tables(scenario: Scenario) -> dict[str, Any]:
    """Return the tables of the proxy's configuration that the scenario sets."""
    tables = dict(scenario.expressway)
    if scenario.prefer is not None:
        tables["upstream"] = {**tables.get("upstream", {}), "prefer": scenario.prefer}
    return tables


def needs_files(scenario: Scenario) -> bool:
    """Return whether ``write_files`` has anything to write."""
    return bool(scenario.own_certificate) or scenario.rules is not None


def write_files(scenario: Scenario, pki: Pki, folder: Path) -> dict[str, Any]:
    """Write Expressway-C's own certificate and its allow list; return the tables that name them.

    The file with the private key is readable by its owner only.
    """
    tables: dict[str, Any] = {}
    if scenario.own_certificate:
        own = pki[scenario.own_certificate]
        file = folder / "own.pem"
        file.touch(mode=0o600)
        file.write_text(own.chain_pem + own.key_pem, "ascii")
        tables["upstream"] = {"certificate": str(file)}
    if scenario.rules is not None:
        file = folder / "rules.csv"
        file.write_text("\n".join((RULES_HEADER, *scenario.rules, "")), "utf-8")
        tables["allow"] = {"rules": str(file), "automatic": False}
    return tables


class HomeServer:
    """The CUCM node to which get_edge_config sends the next client, one of ``nodes`` in turn."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._node = nodes[0]

    def choose(self, turn: int) -> None:
        """Choose the node for the login with this number, counted from 0."""
        self._node = self._nodes[turn % len(self._nodes)]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, the chosen one first."""
        return (self._node, *(node for node in self._nodes if node is not self._node))

    @property
    def fqdn(self) -> str:
        """The node's name in DNS."""
        return self._node.fqdn

    @property
    def address(self) -> str:
        """The node's own entry of System > Server."""
        return self._node.address


class Unplugged:
    """Ports of nodes that refuse every connection, although the node runs: as if it were down.

    They lead to a port that is bound and does not listen, so that no other server can get it meanwhile. Use it in a
    ``with`` statement.

    Raises:
        ConfigError: the scenario names ports that its nodes do not have.
    """

    def __init__(self, scenario: Scenario, nodes: Mapping[str, Node]) -> None:
        ports = {name: ", ".join(map(str, sorted(node.ports))) for name, node in nodes.items()}
        places = {place for name, node in nodes.items() for place in (name, *(f"{name}:{port}" for port in node.ports))}
        if unknown := [place for place in scenario.down if place not in places]:
            raise ConfigError(f"down: {place}: it has {ports[place.partition(':')[0]]}" for place in unknown)
        self._down = frozenset(scenario.down)
        self._plugged_in: set[tuple[str, int]] = set()
        self._closed = socket.socket()

    def __enter__(self) -> Unplugged:
        self._closed.bind(("127.0.0.1", 0))
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.close()

    def has(self, name: str, port: int) -> bool:
        """Return whether a port of a node refuses connections."""
        return not self._down.isdisjoint((name, f"{name}:{port}")) and (name, port) not in self._plugged_in

    def plug_in(self, name: str, port: int) -> None:
        """Connect a port again."""
        self._plugged_in.add((name, port))

    def location(self, name: str, node: Node) -> dict[str, Any]:
        """Return where the proxy finds a node: an entry of ``[hosts]``."""
        closed = self._closed.getsockname()[1]
        ports = {asked: closed if self.has(name, asked) else real for asked, real in node.ports.items()}
        return {"dial": node.host, "ports": ports, "node": node.kind}


def hosts(nodes: Mapping[str, Node], unplugged: Unplugged) -> dict[str, Any]:
    """Return the entries of ``[hosts]`` for the nodes, by name and by address."""
    entries: dict[str, Any] = {}
    for name, node in nodes.items():
        location = unplugged.location(name, node)
        # Several nodes may play one server (lab --like): the first one is of the server's kind.
        before = entries.get(node.fqdn, {})
        location["ports"] = {**before.get("ports", {}), **location["ports"]}
        location["node"] = before.get("node", node.kind)
        entries |= {node.ip: location, node.fqdn: {"ip": node.ip, **location}}
    return entries
