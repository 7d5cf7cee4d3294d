"""A mock server with a name, an address, certificates and services.

A node type is a subclass of ``Node`` in its own module (``cucm``), which lists the services that it has. A service is a
module (``uds``, ``tftp``), which declares ``Service`` rows beside its handlers: port, scheme, certificates, routes.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Self, TypeVar

from ..core.hostport import host_port
from ..errors import MralabError
from .context import TlsOffer
from .listener import TlsListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from aiohttp import web
    from cryptography import x509

    from ..core.mra.allowlist import Kind
    from .faults.armed import Armed
    from .faults.registry import Fault
    from .pki import Certified

NodeT = TypeVar("NodeT", contravariant=True)


@dataclass(frozen=True, slots=True)
class Service(Generic[NodeT]):
    """One port of a node and what answers there. ``NodeT`` is what the handlers need of the node."""

    port: int
    """Port that clients request; ``Node.ports`` maps it to the port that the mock listens on."""
    scheme: Literal["http", "https"]
    application: Callable[[NodeT], web.Application]
    """Return the aiohttp application with the service's routes."""
    certificates: tuple[str, ...] = ()
    """Purposes of the certificates presented: at most one RSA and one EC; none with ``http``."""
    ciphers: str = ""
    """OpenSSL cipher string; empty: OpenSSL's default."""
    ask_client: bool = False
    """Whether the server sends a CertificateRequest."""


class Node:
    """One mock server; use it in an ``async with`` statement. Each service listens on a free port of ``host``.

    ``certificates`` maps purposes, as CUCM's certificate list names them (``tomcat``, ``CallManager-ECDSA``), to
    certificates. ``authorities`` are the names of the CAs among them that a service with ``ask_client`` accepts for
    clients; without any, it accepts its own certificates. ``fqdn`` and ``ip`` are the node's name and address in the
    lab's network. If a service has two certificates, the client's cipher order decides, or in TLS 1.3 its order of
    signature algorithms. ``tls`` are the versions offered, ``"1.2"`` and ``"1.3"``.
    """

    kind: ClassVar[Kind] = "cucm"
    """Kind of node that Expressway discovers: it decides which automatic rules of the allow list the node gets."""

    def __init__(
        self,
        certificates: Mapping[str, Certified],
        services: Iterable[Service[Self]],
        *,
        authorities: Iterable[str] = (),
        fqdn: str,
        ip: str,
        host: str = "127.0.0.1",
        tls: Sequence[str] = ("1.2",),
    ) -> None:
        self.fqdn = fqdn
        self.ip = ip
        self.host = host
        self._certificates = certificates
        self._authorities = tuple(authorities)
        self._tls = tuple(tls)
        self._installed: dict[str, Certified] = {}
        self._trusted_clients: tuple[x509.Certificate, ...] = ()
        self._services = {service.port: service for service in services}
        self._served_purposes = {
            port: service.certificates for port, service in self._services.items() if service.scheme == "https"
        }
        self._listeners = {
            port: TlsListener(service.application(self), None, host) for port, service in self._services.items()
        }
        self._started = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start every service."""
        self._started = True
        self._apply_certificates(*self.tls_ports)
        async with AsyncExitStack() as stack:
            for listener in self._listeners.values():
                await stack.enter_async_context(listener)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop every service."""
        self._started = False
        await self._stack.aclose()

    @property
    def address(self) -> str:
        """Name or address that clients are sent to."""
        return self.fqdn

    @property
    def ports(self) -> dict[int, int]:
        """Port that clients request -> port that this mock listens on."""
        return {port: listener.port for port, listener in self._listeners.items()}

    @property
    def tls_ports(self) -> tuple[int, ...]:
        """The ports, as clients request them, that have TLS."""
        return tuple(self._served_purposes)

    @property
    def urls(self) -> dict[int, str]:
        """Port that clients request -> URL of the service on this machine: ``https://127.0.0.1:41021/``."""
        return {
            port: f"{self._services[port].scheme}://{host_port(self.host, real)}/" for port, real in self.ports.items()
        }

    def listener(self, port: int) -> TlsListener:
        """Return the listener that plays ``port``. Raises ``KeyError`` if there is no such service."""
        return self._listeners[port]

    def tls_listener(self, port: int) -> TlsListener:
        """Return the listener that plays a TLS port. Raises ``MralabError`` if it is not one."""
        return self._listeners[self._tls_port(port)]

    # -- certificates

    @property
    def authorities(self) -> tuple[Certified, ...]:
        """The CAs that the node accepts for clients."""
        return tuple(self._certificates[name] for name in self._authorities)

    def certificate(self, name: str) -> Certified:
        """Return the certificate in force for a purpose, or a CA by its name."""
        return self._installed[name] if name in self._installed else self._certificates[name]

    def name_of_certificate(self, certificate: x509.Certificate) -> str:
        """Return the name with which ``certificate`` returns it; empty if it is none of the node's."""
        names = (*self._installed, *self._certificates)
        return next((name for name in names if self.certificate(name).cert == certificate), "")

    def presented(self, port: int) -> Certified:
        """Return the certificate presented to the latest client of a TLS port, or the port's first."""
        return self.certificate(self.presented_purpose(port))

    def presented_purpose(self, port: int) -> str:
        """Return the purpose of the certificate that ``presented`` returns, such as ``tomcat-ECDSA``."""
        purposes = self._served_purposes[self._tls_port(port)]
        seen = self._listeners[port].seen
        kind = next((each.certificate for each in reversed(seen) if each.certificate), "")
        return next((purpose for purpose in purposes if self.certificate(purpose).kind == kind), purposes[0])

    @property
    def presented_on(self) -> dict[str, tuple[int, ...]]:
        """Purpose of each certificate that a TLS port has -> the ports that have it."""
        found: dict[str, tuple[int, ...]] = {}
        for port, purposes in self._served_purposes.items():
            for purpose in purposes:
                found[purpose] = (*found.get(purpose, ()), port)
        return found

    def install(self, name: str, certified: Certified) -> None:
        """Replace the certificate ``name`` for new connections."""
        self._installed[name] = certified
        self._apply_certificates(*self.tls_ports)

    def serve(self, port: int, *names: str) -> None:
        """Set the certificates of a TLS port for new connections: at most one RSA and one ECDSA."""
        self._served_purposes[self._tls_port(port)] = names
        self._apply_certificates(port)

    @property
    def tls(self) -> tuple[str, ...]:
        """TLS versions offered, ``"1.2"`` and ``"1.3"``; setting them applies to new connections."""
        return self._tls

    @tls.setter
    def tls(self, versions: Sequence[str]) -> None:
        self._tls = tuple(versions)
        self._apply_certificates(*self.tls_ports)

    def trust_clients(self, *certificates: x509.Certificate) -> None:
        """Add client certificates or their CAs to those that the node accepts, from the next connection.

        On CUCM: an upload as tomcat-trust or CallManager-trust.
        """
        self._trusted_clients += certificates
        self._apply_certificates(*self.tls_ports)

    # -- faults

    def inject(self, fault: Fault, port: int | None = None, times: int | None = None) -> Armed:
        """Inject a fault into the next ``times`` connections to a TLS port, or into all until it is lifted.

        Default: the node's first TLS port. ``with lab.cucm.inject(Stall(), port=6972): ...``; see ``mralab.fault`` for
        the faults available.
        """
        port = next(iter(self._served_purposes)) if port is None else port
        return self.tls_listener(port).inject(fault, times)

    def faults(self, port: int) -> tuple[Fault, ...]:
        """Return the faults in force at a port; none if the node has no such port."""
        return self._listeners[port].faults if port in self._listeners else ()

    def lift_faults(self, port: int | None = None) -> None:
        """Lift every fault, or those of one port."""
        for each, listener in self._listeners.items():
            if port in (None, each):
                listener.lift_faults()

    def _tls_port(self, port: int) -> int:
        """Return ``port``. Raises ``MralabError`` if it is not a TLS port."""
        if port not in self._served_purposes:
            known = ", ".join(map(str, sorted(self._served_purposes)))
            raise MralabError(f"{self.fqdn}: has no TLS port {port}; it has {known}")
        return port

    def _apply_certificates(self, *ports: int) -> None:
        """Make the TLS contexts of running ports anew: one for all ports with the same offer.

        OpenSSL takes 1 to 2 ms for each, together half of a lab's start. Those of other ports are kept.
        """
        if not self._started:
            return  # the start makes them, from what is installed by then
        offers = {port: self._offer(port) for port in ports}
        contexts = {offer: offer.context() for offer in dict.fromkeys(offers.values())}
        for port, offer in offers.items():
            self._listeners[port].context = contexts[offer]

    def _offer(self, port: int) -> TlsOffer:
        service = self._services[port]
        certificates = tuple(self.certificate(purpose) for purpose in self._served_purposes[port])
        accepted = [each.cert for each in self.authorities or certificates]
        asked_for = (*accepted, *self._trusted_clients) if service.ask_client else ()
        return TlsOffer(certificates, self._tls, asked_for, service.ciphers)
