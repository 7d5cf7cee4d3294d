"""The fault points of a running proxy: each terminates TLS in front of a mock of the user's, in this process.

``mralab.FaultPoint`` is the same for Python. Faults are injected through ``control.faults``.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from ..core.hostport import host_port
from ..diagnose.certificate_text import certificate_of
from ..errors import InputError, ListenError, MralabError
from ..mocks.listener import Listener
from ..mocks.pki import Certified
from ..mocks.recipes import paired, read_certificates, read_key
from ..mocks.relay import Relay
from ..net.endpoints import CONTROL
from .fault_report import ConnectionReport, FaultPointReport, FaultReport

T = TypeVar("T")

MOST: Final = 16
"""Fault points that are open at the same time."""
_SHOWN: Final = 20
"""Connections of each that a report has."""


class NoPointError(MralabError):
    """No fault point has this number."""


@dataclass(frozen=True, slots=True)
class PointRequest:
    """A fault point to open: the mock that it connects to, and what it presents, in PEM."""

    dial: str
    """IP address of the mock."""
    port: int
    certificate: str
    """The server's own certificate, then its issuers."""
    key: str = field(repr=False)
    issuer: str | None = field(repr=False)
    """Certificate and key of the CA that signed it; None: unknown."""
    tls: bool
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedPoint:
    """A fault point that does not listen yet."""

    relay: Relay
    presented: Certified
    dial: str
    """HOST:PORT of the mock."""
    tls: bool
    versions: tuple[str, ...]


def prepare(request: PointRequest) -> PreparedPoint:
    """Read the certificate and key of a fault point, and make its relay. Takes some milliseconds.

    Raises ``InputError`` with every problem. No message has a part of a key.
    """
    presented, problems = _read(asdict(request))
    if presented is None or problems:
        raise InputError(problems)
    try:
        relay = Relay((request.dial, request.port), presented, tls=request.tls, versions=request.versions)
    except MralabError as error:  # OpenSSL cannot present it
        raise InputError([f"certificate: {error.message}"]) from error
    return PreparedPoint(relay, presented, host_port(request.dial, request.port), request.tls, request.versions)


def problems_in(values: Mapping[str, Any]) -> list[str]:
    """Return the problems in the values of a ``PointRequest`` that its types do not show.

    A value that is missing or of another type is skipped.
    """
    return _read(values)[1]


class FaultPoints:
    """The open fault points, by number. ``changed`` is called after each change, with what has changed.

    It implements ``control.fault_servers.FaultServers``.
    """

    form: Final = "HOST:PORT of a fault point"
    certificates: Final[Mapping[str, Certified]] = {}

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._points: dict[int, PreparedPoint] = {}
        self._counter = itertools.count(1)
        self._lock = asyncio.Lock()

    async def open(self, prepared: PreparedPoint) -> FaultPointReport:
        """Start a fault point on a free port of 127.0.0.1; return its state.

        Raises ``InputError`` if there are too many, or if listening fails.
        """
        async with self._lock:
            if len(self._points) >= MOST:
                ids = ", ".join(map(str, self._points))
                raise InputError(
                    [f"{MOST} fault points are open, the most: {ids}"], "close one with DELETE /api/fault-points/ID"
                )
            try:
                await prepared.relay.__aenter__()
            except ListenError as error:
                raise InputError([error.message], error.hint) from error
            number = next(self._counter)
            self._points[number] = prepared
        self._changed(f"fault point {number} opened")
        return _report(number, prepared, ())

    async def close(self, number: int) -> None:
        """Close a fault point with its connections and faults. Raises ``NoPointError``."""
        async with self._lock:
            if number not in self._points:
                ids = ", ".join(map(str, self._points)) or "none"
                raise NoPointError(f"fault point {number}: is not open", f"open ones: {ids}")
            await self._points.pop(number).relay.__aexit__(None, None, None)
        self._changed(f"fault point {number} closed")

    async def close_all(self) -> None:
        """Close every fault point."""
        async with self._lock:
            points, self._points = self._points, {}
            for point in points.values():
                await point.relay.__aexit__(None, None, None)

    def reports(self, faults: Iterable[FaultReport]) -> list[FaultPointReport]:
        """Return the state of every fault point, with those of ``faults`` that are in force there."""
        faults = tuple(faults)
        return [_report(number, point, faults) for number, point in self._points.items()]

    def listeners(self) -> Mapping[str, Listener]:
        """Return the listeners, by ``HOST:PORT``."""
        return {host_port(*point.relay.address): point.relay.listener for point in self._points.values()}

    def find(self, at: str) -> str | None:
        """Return ``at`` if a fault point has this address."""
        return at if at in self.listeners() else None


def _report(number: int, point: PreparedPoint, faults: Iterable[FaultReport]) -> FaultPointReport:
    host, port = point.relay.address
    address = host_port(host, port)
    return FaultPointReport(
        id=number,
        address=address,
        host=host,
        port=port,
        dial=point.dial,
        tls=point.tls,
        versions=point.versions,
        certificate=certificate_of(point.presented.cert),
        can_expire=point.presented.issuer_key is not None,
        seen=tuple(
            ConnectionReport(sni=each.sni, handshake=each.handshake, alert=each.alert, faults=each.faults)
            for each in point.relay.listener.seen[-_SHOWN:]
        ),
        faults=tuple(fault for fault in faults if fault.at == address),
        hint=f'PUT /api/hosts/NAME with {{"dial": "{host}", "port": {port}}} puts it between the proxy and the mock',
    )


# -- reading a request


def _read(values: Mapping[str, Any]) -> tuple[Certified | None, list[str]]:
    """Return what to present, if it can be read, and every problem, each with the name of its field."""
    problems = list(_problems_of_dial(values.get("dial"), values.get("port")))
    presented = _pair(values, "certificate", "key", problems)
    issuer = _pair(values, "issuer", "issuer", problems)
    if presented is None:
        return None, problems
    if issuer is not None:
        if not _has_signed(issuer.cert, presented.cert):
            problems.append("issuer: did not sign the first certificate of certificate")
        presented = replace(presented, issuer_key=issuer.key)
    name = presented.cert.subject.rfc4514_string() or presented.fingerprint
    return replace(presented, name=name), problems


def _problems_of_dial(dial: object, port: object) -> Iterator[str]:
    if not isinstance(dial, str):
        return
    try:
        address = ip_address(dial)
    except ValueError:
        yield f"dial: {dial!r} is not an IP address"
        return
    if address.version == 6 and address.scope_id:
        # A look-up of it takes a thread, and the process that has the workers forks.
        yield f"dial: {dial!r} has a zone, which is not supported: give a loopback or global address"
    elif isinstance(port, int) and CONTROL.reached_by(dial, port):
        yield f"dial, port: {host_port(dial, port)} is the control API itself"


def _pair(values: Mapping[str, Any], certificate: str, key: str, problems: list[str]) -> Certified | None:
    """Return the certificate and key in the PEM texts of two fields, or None and what is wrong with either."""
    chain = _parsed(read_certificates, values.get(certificate), certificate, problems)
    private = _parsed(read_key, values.get(key), key, problems)
    if chain is None or private is None:
        return None
    try:
        return paired(chain[0], chain[1:], private, key)
    except MralabError as error:
        problems.append(error.message)
        return None


def _parsed(parse: Callable[[bytes, str], T], text: object, field: str, problems: list[str]) -> T | None:
    if not isinstance(text, str):
        return None
    try:
        return parse(text.encode(), field)
    except MralabError as error:
        problems.append(error.message)
        return None


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether ``issuer`` signed ``certificate``, or signed it in a way that cannot be checked here."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm:
        return True
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
