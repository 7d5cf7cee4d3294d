"""Discovery of servers by Expressway-C: TLS verify mode, the nodes learnt, their automatic rules of the allow list.

Configuration > Unified Communications > Unified CM servers, IM and Presence Service nodes, Unity Connection servers.
The administrator types the address of a publisher. Only that server is verified, and only with TLS verify mode On.
Further nodes, under the addresses that clients are sent to, are learnt from it and never checked. The list is static
until the servers are refreshed (Cisco, MRA Deployment Guide; 218018). So a discovery may succeed where logins fail.

Emulated, not observed: AXL operations other than ``ExpresswayCConfiguration`` (``listProcessNode`` is what public
clients call), Unity Connection's request, every text whose source is not given, the name rules (traffic_server's), and
that a failed refresh keeps the nodes known before.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, get_args
from xml.sax.saxutils import escape as escape_xml

from cryptography import x509
from cryptography.x509.oid import NameOID

from ..config import HostEntry
from ..core.hostport import bracketed
from ..core.mra.allowlist import Kind
from ..core.mra.target import BadHost, canonical_host
from ..core.tls.hostname import is_address
from ..diagnose.axl import (
    PRESENCE,
    AxlError,
    DuplicateError,
    Operation,
    hosts_with_role,
    list_nodes_operation,
    node_names,
)
from ..diagnose.axl_client import Login, Peer, call, exchange
from ..diagnose.handshake import Address
from ..errors import InputError
from ..harness.proxy import Proxy
from .discovery_result import NOT_RESOLVABLE, RESOLVABLE, DiscoveredNode, Discovery, TlsVerify

__all__ = ["DiscoveredNode", "Discoverer", "Discovery"]

FQDN_NEEDED: Final = "You must enter an FQDN when TLS verify mode is On."
"""Cisco, MRA Deployment Guide."""
NOT_PRESENCE: Final = "Failed: Address is not a IM and Presence Server"
"""Cisco CSCul05131, with its spelling."""
UNKNOWN_ADDRESS: Final = "no server of the lab has this name or address, so requests to it are denied"
_PORT: Final = 8443
_SECONDS: Final = 45.0
"""A refresh takes up to 45 seconds (MRA Deployment Guide)."""


@dataclass(frozen=True, slots=True)
class _Publisher:
    """What the administrator typed in."""

    kind: Kind
    host: str
    login: Login

    @property
    def tls_verify(self) -> TlsVerify:
        return "On" if self.login.verify else "Off"


class Discoverer:
    """The discovered servers of one Expressway-C cluster.

    ``peers`` returns the traffic servers of its peers, which an upgrade replaces. The first one asks publishers; the
    rules are those of all, as configuration is shared.
    """

    def __init__(self, peers: Callable[[], Sequence[Proxy]], domain: str) -> None:
        self._peers = peers
        self._domain = domain
        self._known: dict[tuple[Kind, str], tuple[_Publisher, Discovery]] = {}

    @property
    def discovered(self) -> tuple[Discovery, ...]:
        """The state of each publisher, in order of discovery."""
        return tuple(discovery for _, discovery in self._known.values())

    async def discover(self, address: str, *, kind: str, user: str, password: str, tls_verify: str) -> Discovery:
        """Discover the nodes of a publisher, and replace the rules of this kind of node if it answers.

        A publisher that never answered is not kept. Raises ``InputError``.
        """
        publisher = _publisher(address, kind, user, password, tls_verify)
        discovery = await self._look_up(publisher)
        if discovery.ok or (publisher.kind, publisher.host) in self._known:
            self._keep(publisher, discovery)
        return discovery

    async def refresh(self) -> tuple[Discovery, ...]:
        """Repeat every discovery ("Refresh servers"). Return the new states."""
        for publisher, _ in tuple(self._known.values()):
            self._keep(publisher, await self._look_up(publisher))
        return self.discovered

    def apply_rules(self) -> None:
        """Put the automatic rules of the discovered nodes into force, for each kind of node that was discovered."""
        nodes = {node.address: node.kind for each in self.discovered for node in each.nodes}
        kinds = {each.kind for each in self.discovered}
        for proxy in self._peers():
            hosts: dict[str, Any] = {}
            for host, entry in proxy.config.hosts.items():
                kind = nodes.get(host, "none" if entry.node in kinds else entry.node)
                if kind != entry.node:
                    hosts[host] = {**entry.model_dump(exclude_unset=True), "node": kind}
            if hosts:
                proxy.change(hosts=hosts)

    def _keep(self, publisher: _Publisher, discovery: Discovery) -> None:
        key = (publisher.kind, publisher.host)
        if not discovery.ok and key in self._known:
            # Emulated, not observed: the nodes stay, and the one that was asked carries the error.
            known = self._known[key][1].nodes
            nodes = (
                replace(node, error=discovery.error, is_verified=False) if node.is_publisher else node for node in known
            )
            discovery = replace(discovery, nodes=tuple(nodes))
        self._known[key] = (publisher, discovery)
        self.apply_rules()

    async def _look_up(self, publisher: _Publisher) -> Discovery:
        kind, host, login = publisher.kind, publisher.host, publisher.login
        discovery = Discovery(host, kind, publisher.tls_verify)
        if login.verify and not _is_fqdn(host):
            return replace(discovery, error=FQDN_NEEDED)
        hosts = self._peers()[0].config.hosts
        if host not in hosts:
            return replace(discovery, error=f"{NOT_RESOLVABLE}: {host}")
        entry = hosts[host]
        peer = Peer(Address(host.strip("[]"), _PORT), entry.dial or entry.ip, entry.dialled(_PORT))
        try:
            addresses = await _LOOK_UPS[kind](self, peer, login)
            note = await self._write_names(peer, login) if kind == "cucm" else ""
        except AxlError as error:
            return replace(discovery, error=_without_prefix(error, peer))
        if kind == "imp" and not any(_is_same_server(hosts, host, address) for address in addresses):
            return replace(discovery, error=NOT_PRESENCE)
        nodes = tuple(_node(hosts, publisher, address) for address in addresses)
        return replace(discovery, nodes=nodes, note=note)

    async def _call_processing_nodes(self, peer: Peer, login: Login) -> tuple[str, ...]:
        response = await self._call(peer, login, list_nodes_operation())
        return node_names(response, str(peer.address))

    async def _presence_nodes(self, peer: Peer, login: Login) -> tuple[str, ...]:
        response = await self._call(peer, login, list_nodes_operation(PRESENCE))
        return hosts_with_role(response, str(peer.address), PRESENCE)

    async def _unity_node(self, peer: Peer, login: Login) -> tuple[str, ...]:
        credentials = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        head = (
            "GET /vmrest/version HTTP/1.1",
            f"Host: {peer.address}",
            f"Authorization: Basic {credentials}",
            "Accept: application/xml",
            "Connection: close",
        )
        proxy = self._peers()[0]
        message = "\r\n".join((*head, "", "")).encode("latin-1")
        status, _ = await exchange(peer, login, message, proxy.config, proxy.trusted, seconds=_SECONDS)
        if status == 401:
            raise AxlError("user name or password is wrong (401)")
        if status != 200:
            raise AxlError(f"is not a Unity Connection server: status {status}")
        return (bracketed(peer.address.host),)

    async def _write_names(self, peer: Peer, login: Login) -> str:
        """Write Expressway-C's names to CUCM (AXL ``ExpresswayCConfiguration``). Return why that failed, or nothing."""
        host = f"{self._peers()[0].config.log.hostname}.{self._domain}"
        identity = self._peers()[0].server.settings.identity
        names = _names(identity.certificates[0]) if identity is not None else ()
        host_field = f"<HostNameOrIP>{escape_xml(host)}</HostNameOrIP>"
        names_field = (
            "<X509SubjectNameorSubjectAlternateName>"
            f"{escape_xml(','.join(names or (host,)))}</X509SubjectNameorSubjectAlternateName>"
        )
        add = Operation(
            "addExpresswayCConfiguration",
            f"<expresswayCConfiguration>{host_field}{names_field}</expresswayCConfiguration>",
        )
        try:
            try:
                await self._call(peer, login, add)
            except DuplicateError:
                update = Operation("updateExpresswayCConfiguration", host_field + names_field)
                await self._call(peer, login, update)
        except AxlError as error:
            return f"Expressway-C's names were not written: {_without_prefix(error, peer)}"
        return ""

    async def _call(self, peer: Peer, login: Login, operation: Operation) -> Any:
        proxy = self._peers()[0]
        return await call(peer, login, operation, proxy.config, proxy.trusted, seconds=_SECONDS)


_LOOK_UPS: Final = {
    "cucm": Discoverer._call_processing_nodes,
    "imp": Discoverer._presence_nodes,
    "unity": Discoverer._unity_node,
}


def _publisher(address: str, kind: str, user: str, password: str, tls_verify: str) -> _Publisher:
    """Return what was typed in, checked. Raises ``InputError`` with every problem."""
    problems = []
    host = address
    try:
        host = canonical_host(bracketed(address))
    except BadHost as error:
        problems.append(f"address {address!r}: is not a host name or address: {error}")
    if kind not in get_args(Kind):
        problems.append(f"kind {kind!r}: is not one of {', '.join(get_args(Kind))}")
    if tls_verify.lower() not in ("on", "off"):
        problems.append(f"tls_verify {tls_verify!r}: is neither On nor Off")
    if not user or ":" in user:  # RFC 7617 section 2
        problems.append(f"user {user!r}: must not be empty or have a colon, for Basic authorization")
    if problems:
        raise InputError(problems)
    known: Kind = next(each for each in get_args(Kind) if each == kind)
    return _Publisher(known, host, Login(user, password, verify=tls_verify.lower() == "on"))


def _node(hosts: Mapping[str, HostEntry], publisher: _Publisher, address: str) -> DiscoveredNode:
    """Return a node that ``publisher`` listed under ``address``."""
    if address not in hosts:
        return DiscoveredNode(address, publisher.kind, NOT_RESOLVABLE, UNKNOWN_ADDRESS)
    is_publisher = _is_same_server(hosts, publisher.host, address)
    is_verified = is_publisher and publisher.login.verify
    return DiscoveredNode(address, publisher.kind, RESOLVABLE, "", is_publisher, is_verified)


def _is_fqdn(host: str) -> bool:
    return "." in host.strip(".") and not is_address(host.strip("[]"))


def _is_same_server(hosts: Mapping[str, HostEntry], one: str, other: str) -> bool:
    """Return whether two addresses are of one server: the same, or name and address of one place."""
    first, second = hosts.get(one), hosts.get(other)
    if one == other or first is None or second is None:
        return one == other
    return (first.dial, first.ports) == (second.dial, second.ports)


def _without_prefix(error: AxlError, peer: Peer) -> str:
    return error.message.removeprefix(f"AXL at {peer.address}: ")


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the common name and the DNS names of Expressway-C's own certificate."""
    subject = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return tuple(subject)
    return tuple(dict.fromkeys((*subject, *san.get_values_for_type(x509.DNSName))))
