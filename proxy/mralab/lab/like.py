"""A customer's certificates as the servers of a lab: look-alikes with new keys, at the same names and ports.

Files are named as ``mralab preflight --save`` names them: ``HOST_PORT.pem``, ``HOST_PORT_rsa.pem`` and
``HOST_PORT_ecdsa.pem`` have the chain that a server presents, its own certificate first. Without any such file the
certificates belong to one CUCM, by the names of its certificate list: ``tomcat.pem``, ``CallManager-ECDSA.pem``; a
single server certificate of another name is presented on every port. Without CallManager, but beside files of IM and
Presence (``cup-xmpp.pem``), ``tomcat.pem`` is an IM and Presence node's. All other files have certificates that
complete the chains' shape, such as CAs. Nothing in them is trusted unless it is in the trust store as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web
from cryptography import x509
from cryptography.x509.oid import NameOID

from ..core.hostport import host_port
from ..core.mra.allowlist import Kind
from ..core.mra.target import BadHost, canonical_host
from ..errors import InputError, TrustStoreError
from ..mocks.cucm import Cucm
from ..mocks.imp import Imp
from ..mocks.lookalike import Lookalikes, mint_lookalikes, title
from ..mocks.node import Node, Service
from ..mocks.node_certificates import NodeCertificates
from ..mocks.pki import Certified
from ..mocks.unity import Unity
from ..tls.trust_store import certificate_files, load_certificates, load_store
from .like_kind import PRODUCTS, TOMCAT_PORT, Product, product_of
from .nodes import FQDN, IP, NODES, LabPlan, NodeRow

_ADDRESS: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]+?)_(?P<port>[0-9]{1,5})(?:_(?:rsa|ecdsa|ec))?")
_HASHED: Final = re.compile(r"(?P<host>.+)_(?P<digits>[0-9a-f]{8})")
"""A host whose name is not safe in a file name, as ``diagnose.saving`` writes it: with the start of its SHA-256."""
_UPLOAD: Final = "upload_"
"""Prefix of the files of ``preflight --save`` with a certificate to add to the trust store."""
_CUCM_PORTS: Final = (8443, 6972, 6971)
_FILLED: Final[dict[Kind, tuple[int, ...]]] = {"cucm": _CUCM_PORTS, "imp": (8443,), "unity": (8443, 7443)}
"""Ports of each kind of node that get certificates if no file is for them."""
_ROLE: Final = re.compile(r"(?P<service>tomcat|callmanager)(?:-ecdsa)?", re.IGNORECASE)
_PRESENCE_ROLE: Final = re.compile(r"cup(?:-xmpp(?:-s2s)?)?(?:-ecdsa)?", re.IGNORECASE)
_PORTS: Final = {"tomcat": (8443, 6972), "callmanager": (6971,)}
"""Service in CUCM's certificate list -> the ports that present its certificates (``mocks.tftp``)."""

Chain = tuple[x509.Certificate, ...]


class _File(NamedTuple):
    path: Path
    chain: Chain


@dataclass(frozen=True, slots=True)
class LikeServer:
    """One server: its name or address, and what each of its ports presents (at most one RSA and one EC)."""

    host: str
    presented: Mapping[int, tuple[Certified, ...]]
    kind: Kind | None
    """Kind of node that answers behind the certificates; None: every path is 404."""

    @property
    def other_ports(self) -> tuple[int, ...]:
        """The ports that a mock of its kind does not have."""
        own = _TLS_PORTS[self.kind] if self.kind is not None else ()
        return tuple(port for port in self.presented if port not in own)


@dataclass(frozen=True, slots=True)
class Like:
    """The servers of a lab made from a customer's certificates, and its trust store."""

    servers: tuple[LikeServer, ...]
    """The first one is the CUCM that clients are sent to."""
    trusted: tuple[x509.Certificate, ...]
    """Look-alikes of the trusted certificates."""
    stand_ins: tuple[x509.Certificate, ...]
    """CAs that were not given, but have signed some of the certificates. They are not trusted."""
    notes: tuple[str, ...]
    """What could not be copied, and what was assumed: a sentence each."""

    @property
    def has_cucm(self) -> bool:
        """Whether a server is a CUCM; if not, the lab has its own beside them."""
        return any(server.kind == "cucm" for server in self.servers)

    def rows(self) -> dict[str, NodeRow]:
        """Return the lab's table of nodes: ``cucm`` is the one that clients are sent to."""
        kinds = {server.kind for server in self.servers}
        rows = {} if self.has_cucm else {name: row for name, row in NODES.items() if name not in kinds}
        used = {server.host for server in self.servers} | {row.ip for row in rows.values()}
        addresses = (str(ipaddress.IPv4Address(IP) + number) for number in range(1 << 16))
        free = (address for address in addresses if address not in used)
        for server in self.servers:
            ip = server.host if _is_address(server.host) else next(free)
            name = server.host if "cucm" in rows else "cucm"
            if server.kind is not None:
                rows[name] = NodeRow(server.host, ip, _NodeMaker(server, ip, _MAKERS[server.kind]))
            if server.other_ports:
                other_name = f"{name} (other ports)" if server.kind is not None else name
                rows[other_name] = NodeRow(server.host, ip, _OtherMaker(server, ip))
        return rows


def _cucm(plan: LabPlan, fqdn: str, ip: str) -> Node:
    advertise = plan.scenario.advertise
    return Cucm(plan.pki, plan.cluster.users, cluster=plan.cluster, fqdn=fqdn, ip=ip, advertise=advertise)


def _imp(plan: LabPlan, fqdn: str, ip: str) -> Node:
    return Imp(NodeCertificates(plan.pki, "imp"), plan.cluster, fqdn=fqdn, ip=ip)


def _unity(plan: LabPlan, fqdn: str, ip: str) -> Node:
    return Unity(NodeCertificates(plan.pki, "unity"), plan.cluster.users, fqdn=fqdn, ip=ip)


_MAKERS: Final[dict[Kind, Callable[[LabPlan, str, str], Node]]] = {"cucm": _cucm, "imp": _imp, "unity": _unity}
_TLS_PORTS: Final[dict[Kind, tuple[int, ...]]] = {
    "cucm": (*Cucm.tomcat_ports, 6971, 6972, 9443, 9444),
    "imp": Imp.tomcat_ports,
    "unity": Unity.tomcat_ports,
}
"""Ports with TLS of the mocks."""


@dataclass(frozen=True, slots=True)
class _NodeMaker:
    """Makes the node of a server, with the services of its kind behind its certificates."""

    server: LikeServer
    ip: str
    make: Callable[[LabPlan, str, str], Node]

    def __call__(self, plan: LabPlan) -> Node:
        presented = self.server.presented
        node = self.make(plan, self.server.host, self.ip)
        for port in node.tls_ports:  # one that no file is for presents what 8443 does, as Tomcat's ports do
            certified = presented.get(port, presented[TOMCAT_PORT])
            names = [f"{port}-{each.kind}" for each in certified]
            for name, each in zip(names, certified, strict=True):
                node.install(name, each)
            node.serve(port, *names)
        return node


@dataclass(frozen=True, slots=True)
class _OtherMaker:
    """Makes the ports of a server that no mock has: they answer every request with 404."""

    server: LikeServer
    ip: str

    def __call__(self, _plan: LabPlan) -> Node:
        certificates: dict[str, Certified] = {}
        services: list[Service[Node]] = []
        for port in self.server.other_ports:
            names = {f"{port}-{each.kind}": each for each in self.server.presented[port]}
            certificates |= names
            services.append(Service(port, "https", _nothing, tuple(names)))
        return Node(certificates, services, fqdn=self.server.host, ip=self.ip)


def _nothing(_node: Node) -> web.Application:
    return web.Application()


def read_like(folder: Path, trusted: Path | None = None) -> Like:
    """Read the certificates in ``folder`` and mint their look-alikes.

    ``trusted`` is the file or folder of the certificates that are trusted, by default ``trust`` in ``folder`` if there
    is one. Raises ``InputError`` with every problem in the files.
    """
    if not folder.is_dir():
        raise InputError([f"{folder}: is not a folder"], "--like takes a folder of PEM files: HOST_PORT.pem")
    store = trusted or (folder / "trust" if (folder / "trust").exists() else None)
    problems: list[str] = []
    files: list[_File] = []
    in_store: Chain = ()
    try:
        paths = certificate_files(folder)
        files = [_File(path, tuple(found)) for path, found in zip(paths, load_certificates(paths), strict=True)]
    except TrustStoreError as error:
        problems += error.problems
    try:
        in_store = load_store(store).certificates if store is not None else ()
    except TrustStoreError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    notes = [] if in_store else ["No trusted certificate was given (--like-trust, or DIR/trust), so none is trusted."]
    assigned, kinds = _by_address(files, notes) or _by_role(folder, files, in_store, notes)
    chains = [chain for ports in assigned.values() for chains in ports.values() for chain in chains]
    copies = mint_lookalikes(chains, [*(each for file in files for each in file.chain), *in_store])
    servers = tuple(_server(host, kinds[host], ports, copies, notes) for host, ports in assigned.items())
    return Like(servers, copies.trusted(in_store), copies.stand_ins, (*copies.differences, *notes))


# -- which server and port presents which chain

_Ports = dict[int, list[Chain]]
"""Port -> the chains that it presents."""
_Assigned = tuple[dict[str, _Ports], dict[str, Kind | None]]
"""Host -> its ports, the CUCM that clients are sent to first; and host -> kind of node."""


def _by_address(files: Iterable[_File], notes: list[str]) -> _Assigned | None:
    """Return the chains of the files whose names have host and port; None if there are no such files."""
    assigned: dict[str, _Ports] = {}
    for file in files:
        address = address_of(file.path.stem)
        if address is not None:
            host, port = address
            assigned.setdefault(host, {}).setdefault(port, []).append(file.chain)
    products = {host: product_of(host, ports) for host, ports in assigned.items()}
    ordered = sorted(assigned.items(), key=lambda item: (_rank(products[item[0]], item[1]), item[0].split(".")))
    for host, ports in ordered:
        product = products[host]
        notes += [product.note] if product.note else []
        if product.kind is not None:
            _fill(host, product.kind, ports, notes)
    return (dict(ordered), {host: product.kind for host, product in products.items()}) if ordered else None


def _rank(product: Product, ports: Mapping[int, object]) -> int:
    """Return the order of a server: a CUCM by its ports, one by its name, one without a sign; then the others."""
    if product.kind != "cucm":
        return 3
    return 0 if {6971, 6972} & ports.keys() else 2 if product.note else 1


def address_of(stem: str) -> tuple[str, int] | None:
    """Return host and port in a file's name (without suffix), as ``preflight --save`` writes it; None without them."""
    match = _ADDRESS.fullmatch(stem)
    if match is None or not 0 < (port := int(match["port"])) < 1 << 16 or stem.startswith(_UPLOAD):
        return None
    host = match["host"]
    if hashed := _HASHED.fullmatch(host):
        candidates = (hashed["host"], hashed["host"].replace("-", ":"), hashed["host"].replace("-", "::", 1))
        digits = hashed["digits"]
        host = next((each for each in candidates if sha256(each.encode()).hexdigest()[:8] == digits), host)
    try:
        return canonical_host(f"[{host}]" if ":" in host else host).strip("[]"), port
    except BadHost:
        return None


def _by_role(folder: Path, files: Sequence[_File], trusted: Chain, notes: list[str]) -> _Assigned:
    """Return the chains of one server, by the names of its certificate list or because there is only one."""
    ports: _Ports = {}
    for file in files:
        if role := _ROLE.fullmatch(file.path.stem):
            for port in _PORTS[role["service"].lower()]:
                ports.setdefault(port, []).append(file.chain)
    issuers = {each.issuer for file in files for each in file.chain if each.issuer != each.subject}
    servers = [file for file in files if file.chain[0].subject not in issuers and _may_serve(file, trusted)]
    if not ports and len(servers) == 1:
        ports = {port: [servers[0].chain] for port in _CUCM_PORTS}
    if not ports:
        found = ", ".join(file.path.name for file in servers) or "none"
        raise InputError(
            [f"{folder}: no file name says which server presents it; server certificates: {found}"],
            "name them HOST_PORT.pem, such as cucm.example.com_8443.pem, as mralab preflight --save does",
        )
    named = _name_in(next(ports[port] for port in _CUCM_PORTS if port in ports)[0][0])
    kind: Kind = "cucm"
    if 6971 not in ports and any(_PRESENCE_ROLE.fullmatch(file.path.stem) for file in files):
        kind, ports = "imp", {TOMCAT_PORT: ports[TOMCAT_PORT]}
        notes.append("tomcat is next to certificates of IM and Presence, without CallManager: it is taken as theirs.")
    host = named or (FQDN if kind == "cucm" else NODES[kind].fqdn)
    origin = "the name in its certificate" if named else "the lab's own name"
    notes.append(f"No file name has a server: the lab's {PRODUCTS[kind]} is {host}, {origin}.")
    _fill(host, kind, ports, notes)
    return {host: ports}, {host: kind}


def _may_serve(file: _File, trusted: Chain) -> bool:
    """Return whether the first certificate may be a server's: it is no CA, or it is self-signed and not trusted."""
    leaf = file.chain[0]
    if file.path.stem.startswith(_UPLOAD):
        return False
    try:
        if not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return True
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return True
    return leaf.issuer == leaf.subject and leaf not in trusted


def _name_in(leaf: x509.Certificate) -> str:
    """Return the first host name in a certificate that is not a wildcard; empty if there is none."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        candidates = names.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        candidates = []
    candidates += [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    for each in candidates:
        try:
            return canonical_host(each)
        except BadHost:
            continue
    return ""


def _fill(host: str, kind: Kind, ports: _Ports, notes: list[str]) -> None:
    """Give each port that a login needs certificates: those of another port of the node, 8443 before others."""
    wanted = _FILLED[kind]
    known = next(port for port in wanted if port in ports)
    for port in wanted:
        if port not in ports:
            ports[port] = ports[known]
            notes.append(f"No file is for {host_port(host, port)}: it presents what {known} does.")


def _server(
    host: str, kind: Kind | None, ports: Mapping[int, Sequence[Chain]], copies: Lookalikes, notes: list[str]
) -> LikeServer:
    presented: dict[int, tuple[Certified, ...]] = {}
    for port, chains in ports.items():
        kinds: dict[str, Certified] = {}
        for chain in chains:
            copy = copies.presented(chain)
            first = kinds.setdefault(copy.kind, copy)
            if first.cert != copy.cert:
                notes.append(
                    f"{host_port(host, port)} has several {copy.kind.upper()} certificates in its files: it presents "
                    f"{title(first.cert)} until {first.cert.not_valid_after_utc:%Y-%m-%d} only, the first."
                )
        presented[port] = tuple(kinds[kind] for kind in sorted(kinds, reverse=True))  # RSA first
    return LikeServer(host, presented, kind)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
