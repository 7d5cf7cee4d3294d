"""Tomcat of a node: its ports and certificates, and the enterprise parameter "HTTPS Ciphers" that governs them.

CUCM, IM and Presence and Unity Connection all have one. The parameter: Cisco, Preferred Architecture 12.x, Security.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self, TypeVar, get_args

from ..core.nearest import did_you_mean
from ..errors import InputError
from .application import application
from .node import Node, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aiohttp import web

    from .node_certificates import Certificates

PORTS: Final = (8443, 443)
"""Ports of Tomcat (Cisco, Expressway IP Port Usage X15.0: "443 or 8443")."""

HttpsCiphers = Literal["RSA Ciphers Only", "All Supported EC and RSA Ciphers"]
"""Values of the enterprise parameter "HTTPS Ciphers"; the first is CUCM's default."""
RSA_ONLY, EC_AND_RSA = get_args(HttpsCiphers)
_HTTPS_CIPHERS: Final[dict[str, HttpsCiphers]] = {
    RSA_ONLY.lower(): "RSA Ciphers Only",
    EC_AND_RSA.lower(): "All Supported EC and RSA Ciphers",
    "rsa": "RSA Ciphers Only",
    "all": "All Supported EC and RSA Ciphers",
}

NodeT = TypeVar("NodeT")


class TomcatNode(Node):
    """A node with Tomcat; arguments as for ``Node``. ``routes`` are functions of the node, one for each service there.

    8443 and 443 present tomcat, and tomcat-ECDSA as well with ``https_ciphers = "All Supported EC and RSA Ciphers"``.

    Raises:
        InputError: ``https_ciphers`` is not a value of that parameter.
    """

    tomcat_ports: ClassVar[tuple[int, ...]] = PORTS
    """TLS ports whose certificates "HTTPS Ciphers" governs."""

    def __init__(
        self,
        certificates: Certificates,
        routes: Iterable[Callable[[Self], Iterable[web.RouteDef]]],
        services: Iterable[Service[Self]] = (),
        *,
        fqdn: str,
        ip: str,
        host: str = "127.0.0.1",
        https_ciphers: str = RSA_ONLY,
        tls: Sequence[str] = ("1.2",),
    ) -> None:
        self._https_ciphers = parse_https_ciphers(https_ciphers)
        tomcat = _services(tuple(routes), self._tomcat_certificates())
        authorities = certificates.authorities
        super().__init__(
            certificates, (*tomcat, *services), authorities=authorities, fqdn=fqdn, ip=ip, host=host, tls=tls
        )

    @property
    def https_ciphers(self) -> HttpsCiphers:
        """Enterprise parameter "HTTPS Ciphers"; setting it changes the certificates of 8443 and 443.

        Accepts CUCM's values in any case, and ``"rsa"`` and ``"all"`` for short. Raises ``InputError`` for others.
        """
        return self._https_ciphers

    @https_ciphers.setter
    def https_ciphers(self, value: str) -> None:
        self._https_ciphers = parse_https_ciphers(value)
        for port in self.tomcat_ports:
            self.serve(port, *self._tomcat_certificates())

    def _tomcat_certificates(self) -> tuple[str, ...]:
        return ("tomcat",) if self._https_ciphers == RSA_ONLY else ("tomcat", "tomcat-ECDSA")


def parse_https_ciphers(value: str) -> HttpsCiphers:
    """Return the value of "HTTPS Ciphers" for ``value``. Raises ``InputError`` if there is none."""
    known = _HTTPS_CIPHERS.get(value.strip().lower())
    if known is None:
        near = did_you_mean(value, get_args(HttpsCiphers))
        raise InputError([f"HTTPS Ciphers: {value!r} is neither {RSA_ONLY!r} nor {EC_AND_RSA!r}{near}"])
    return known


def _services(
    routes: Sequence[Callable[[NodeT], Iterable[web.RouteDef]]], certificates: tuple[str, ...]
) -> tuple[Service[NodeT], ...]:
    def make(node: NodeT) -> web.Application:
        return application(*(each(node) for each in routes))

    return tuple(Service(port, "https", make, certificates) for port in PORTS)
