"""Mock CUCM: UDS as Jabber uses it at login (port 8443), and TFTP (6970, 6971 and 6972).

Certificates by port: Cisco, CUCM Security Guide 12.5(1), "Default Security Setup" (6971 is for
CallManager and CallManager-ECDSA, 6972 for Tomcat's); document 218018, where 6972 presents tomcat-ECDSA.
Element names and realm: Cisco's UDS documentation. Like the Tomcat behind real UDS, it answers without a
reason phrase: ``HTTP/1.1 200 `` (the article's log).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Literal, Self, get_args
from urllib.parse import quote

from aiohttp import web

from ..core.nearest import did_you_mean
from ..errors import InputError, MralabError
from . import tftp
from .context import server_context
from .listener import TlsListener
from .xmlbody import document, element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from xml.etree.ElementTree import Element

    from .faults.armed import Armed
    from .faults.registry import Fault
    from .pki import Certified

CERTIFICATES: Final = ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA")
UDS_PORT: Final = 8443
"""Port that clients request; ``Cucm.ports`` maps it to the port that this mock listens on."""
TFTP_HTTP_PORT: Final = 6970
CALLMANAGER_PORT: Final = 6971
TFTP_PORT: Final = 6972
RELEASE: Final = "14.0.1"
REALM: Final = "Cisco Web Services Realm"

HttpsCiphers = Literal["RSA Ciphers Only", "All Supported EC and RSA Ciphers"]
"""Values of the enterprise parameter "HTTPS Ciphers"; the first is CUCM's default."""
RSA_ONLY, EC_AND_RSA = get_args(HttpsCiphers)
_HTTPS_CIPHERS: Final[dict[str, HttpsCiphers]] = {
    RSA_ONLY.lower(): "RSA Ciphers Only",
    EC_AND_RSA.lower(): "All Supported EC and RSA Ciphers",
    "rsa": "RSA Ciphers Only",
    "all": "All Supported EC and RSA Ciphers",
}
_HAPROXY_CIPHERS: Final = (
    "aRSA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-SHA384:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:!eNULL"
)
"""Ciphers of HAProxy on 6971 and 6972: all of RSA, these of ECDSA (CUCM Security Guide, "Cipher Management")."""


class Cucm:
    """One CUCM node; use it in an ``async with`` statement.

    These can be set at any time: ``advertise`` (``"fqdn"`` or ``"ip"``), the entry of System > Server that clients are
    sent to; ``peers``, the other entries of System > Server; ``users`` (name -> password); ``https_ciphers``.

    8443 presents tomcat, and tomcat-ECDSA as well with ``https_ciphers = "All Supported EC and RSA Ciphers"``. 6972
    presents tomcat or tomcat-ECDSA and 6971 CallManager or CallManager-ECDSA, with any ``https_ciphers`` (CUCM before
    15SU2); both send a CertificateRequest. If a port has two certificates, the client's cipher order decides. 6970 is
    plain HTTP.

    Raises:
        InputError: ``https_ciphers`` is not a value of that parameter.
    """

    def __init__(
        self,
        pki: Mapping[str, Certified],
        users: Mapping[str, str],
        *,
        fqdn: str = "cucm.steven.lab",
        ip: str = "10.48.36.215",
        advertise: Literal["fqdn", "ip"] = "fqdn",
        peers: Sequence[str] = (),
        host: str = "127.0.0.1",
        https_ciphers: str = RSA_ONLY,
    ) -> None:
        self.fqdn = fqdn
        self.ip = ip
        self.advertise = advertise
        self.peers = tuple(peers)
        self.users = users
        self._pki = pki
        self._installed: dict[str, Certified] = {}
        self._https_ciphers = parse_https_ciphers(https_ciphers)
        self._served_names: dict[int, tuple[str, ...]] = {
            UDS_PORT: self._uds_certificates(),
            CALLMANAGER_PORT: ("CallManager", "CallManager-ECDSA"),
            TFTP_PORT: ("tomcat", "tomcat-ECDSA"),
        }
        self._listeners: dict[int, TlsListener] = {
            UDS_PORT: TlsListener(self._uds(), None, host),
            **{
                port: TlsListener(tftp.application(self), None, host)
                for port in (TFTP_HTTP_PORT, CALLMANAGER_PORT, TFTP_PORT)
            },
        }
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start every listener."""
        self._apply_certificates()
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
        """Stop every listener."""
        await self._stack.aclose()

    @property
    def address(self) -> str:
        """Entry of System > Server: the name or address that clients are sent to."""
        return self.fqdn if self.advertise == "fqdn" else self.ip

    @property
    def ports(self) -> dict[int, int]:
        """Port that clients request (8443, 6970, 6971, 6972) -> port that this mock listens on."""
        return {port: listener.port for port, listener in self._listeners.items()}

    @property
    def uds(self) -> TlsListener:
        """Listener that plays 8443."""
        return self._listeners[UDS_PORT]

    @property
    def tftp(self) -> TlsListener:
        """Listener that plays 6972."""
        return self._listeners[TFTP_PORT]

    @property
    def uds_port(self) -> int:
        """Port that plays 8443."""
        return self.uds.port

    @property
    def tftp_port(self) -> int:
        """Port that plays 6972."""
        return self.tftp.port

    @property
    def https_ciphers(self) -> HttpsCiphers:
        """Enterprise parameter "HTTPS Ciphers"; setting it changes the certificates of 8443.

        Accepts CUCM's values in any case, and ``"rsa"`` and ``"all"`` for short. Raises ``InputError`` for others.
        """
        return self._https_ciphers

    @https_ciphers.setter
    def https_ciphers(self, value: str) -> None:
        self._https_ciphers = parse_https_ciphers(value)
        self.serve(UDS_PORT, *self._uds_certificates())

    def certificate(self, name: str) -> Certified:
        """Return a certificate by its name in CUCM's certificate list (``CERTIFICATES``)."""
        return self._installed[name] if name in self._installed else self._pki[name]

    def presented(self, port: int) -> Certified:
        """Return the certificate presented to the latest client of a TLS port, or the port's first."""
        certificates = [self.certificate(name) for name in self._served_names[self._tls_port(port)]]
        seen = self._listeners[port].seen
        kind = next((each.certificate for each in reversed(seen) if each.certificate), "")
        return next((each for each in certificates if each.kind == kind), certificates[0])

    def install(self, name: str, certified: Certified) -> None:
        """Replace the certificate ``name`` for new connections."""
        self._installed[name] = certified
        self._apply_certificates()

    def serve(self, port: int, *names: str) -> None:
        """Set the certificates of 8443, 6971 or 6972 for new connections: at most one RSA and one ECDSA."""
        self._served_names[self._tls_port(port)] = names
        self._apply_certificates()

    def inject(self, fault: Fault, port: int = UDS_PORT, times: int | None = None) -> Armed:
        """Inject a fault into the next ``times`` connections to 8443, 6971 or 6972, or into all until it is lifted.

        ``with lab.cucm.inject(Stall(), port=6972): ...``; see ``mralab.fault`` for the faults available.
        """
        return self._listeners[self._tls_port(port)].inject(fault, times)

    def lift_faults(self) -> None:
        """Lift every fault."""
        for listener in self._listeners.values():
            listener.lift_faults()

    def _tls_port(self, port: int) -> int:
        """Return ``port``. Raises ``MralabError`` if it is not a TLS port."""
        if port not in self._served_names:
            known = ", ".join(map(str, sorted(self._served_names)))
            raise MralabError(f"{self.fqdn}: has no TLS port {port}; it has {known}")
        return port

    def _uds_certificates(self) -> tuple[str, ...]:
        return ("tomcat",) if self._https_ciphers == RSA_ONLY else ("tomcat", "tomcat-ECDSA")

    def _apply_certificates(self) -> None:
        # Look up by name: access mints a certificate, and an RSA key that no port presents would only cost time.
        authorities = [self._pki[name] for name in self._pki if name not in CERTIFICATES]
        for port, names in self._served_names.items():
            certificates = [self.certificate(name) for name in names]
            if port == UDS_PORT:
                context = server_context(*certificates)
            else:
                context = server_context(
                    *certificates, ask_client=authorities or certificates, ciphers=_HAPROXY_CIPHERS
                )
            self._listeners[port].context = context

    # -- UDS

    def _uds(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/cucm-uds/version", self._version),
                web.get("/cucm-uds/clusterUser", self._cluster_user),
                web.get("/cucm-uds/servers", self._servers),
                web.get("/cucm-uds/user/{user}", self._user),
                web.get("/cucm-uds/user/{user}/devices", self._devices),
                web.route("*", "/{path:.*}", _not_found),
            ]
        )
        return app

    def _uri(self, path: str, port: int = UDS_PORT) -> str:
        return f"https://{self.address}:{port}{path}"

    async def _version(self, _request: web.Request) -> web.Response:
        return _xml(
            element(
                "versionInformation",
                element("version", RELEASE),
                element("capabilities", element("usersResourceAuthEnabled", "true")),
                uri=self._uri("/cucm-uds/version"),
                version=RELEASE,
            )
        )

    async def _cluster_user(self, request: web.Request) -> web.Response:
        name = request.query.get("username", "")
        uri = self._uri(f"/cucm-uds/clusterUser?username={quote(name, safe='')}")
        answer = element("clusterUser", version=RELEASE, uri=uri)
        if name in self.users:
            answer.append(element("result", found="true", uri=self._user_uri(name), version=RELEASE))
            home = element("homeCluster", self.address, serversUri=self._uri("/cucm-uds/servers"))
            answer.append(home)
        else:
            answer.append(element("result", found="false"))
        return _xml(answer)

    async def _servers(self, _request: web.Request) -> web.Response:
        nodes = (element("server", node) for node in (self.address, *self.peers))
        return _xml(element("servers", *nodes, version=RELEASE, uri=self._uri("/cucm-uds/servers")))

    async def _user(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        name = request.match_info["user"]
        profile = f"http://{self.address}:{TFTP_HTTP_PORT}/SPDefault.cnf.xml"
        return _xml(
            element(
                "user",
                element("id", name),
                element("userName", name),
                element("homeCluster", "true"),
                element("serviceProfile", element("uri", profile)),
                uri=self._user_uri(name),
                version=RELEASE,
            )
        )

    async def _devices(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        limit = request.query.get("max", "")
        if limit and not (limit.isascii() and limit.isdigit()):
            return _empty(400)
        name = request.match_info["user"]
        uri = f"{self._user_uri(name)}/devices"
        device = element(
            "device",
            element("id", "1"),
            element("name", f"CSF{name}"),
            element("type", "Client Services Framework"),
            element("model", "Cisco Unified Client Services Framework"),
            element("description", f"Jabber of {name}", editable="true"),
            element("protocol", "SIP"),
            uri=f"{uri}/1",
        )
        devices = [] if limit and int(limit[:9]) == 0 else [device]
        return _xml(element("devices", *devices, uri=uri, version=RELEASE))

    def _user_uri(self, name: str) -> str:
        return self._uri(f"/cucm-uds/user/{quote(name, safe='')}")

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return 401 without a user's password, 403 for another user's data, else None."""
        caller = authenticated(request, self.users)
        if caller is None:
            return _empty(401, {"WWW-Authenticate": f'Basic realm="{REALM}"'})
        return None if caller == request.match_info["user"] else _empty(403)


def parse_https_ciphers(value: str) -> HttpsCiphers:
    """Return the value of "HTTPS Ciphers" for ``value``. Raises ``InputError`` if there is none."""
    known = _HTTPS_CIPHERS.get(value.strip().lower())
    if known is None:
        near = did_you_mean(value, get_args(HttpsCiphers))
        raise InputError([f"HTTPS Ciphers: {value!r} is neither {RSA_ONLY!r} nor {EC_AND_RSA!r}{near}"])
    return known


def authenticated(request: web.Request, users: Mapping[str, str]) -> str | None:
    """Return the user of the request's Basic authorization if the password is right (RFC 7617), else None."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    expected = users.get(name)
    if not colon or expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
        return None
    return name


async def _not_found(_request: web.Request) -> web.Response:
    return _empty(404)


def _xml(root: Element) -> web.Response:
    return web.Response(body=document(root), content_type="application/xml", charset="UTF-8", status=200, reason="")


def _empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, reason="", headers=headers)
