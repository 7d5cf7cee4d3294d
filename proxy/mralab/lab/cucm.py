"""A mock CUCM: UDS as Jabber asks it at login (port 8443), and TFTP over HTTPS beside it (6972).

Element names and realm: Cisco's UDS documentation. Like the Tomcat behind real UDS, it answers without a
reason phrase: ``HTTP/1.1 200 `` (the article's log).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import quote

from aiohttp import web

from mralab.errors import MralabError
from mralab.lab import tftp
from mralab.lab.context import server_context
from mralab.lab.listener import TlsListener
from mralab.lab.xmlbody import document, element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from xml.etree.ElementTree import Element

    from mralab.lab.fault import Armed, Fault
    from mralab.lab.pki import Certified

CERTIFICATES: Final = ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA")
UDS_PORT: Final = 8443
"""Where clients ask for UDS; ``Cucm.uds_port`` is where this mock really listens."""
TFTP_PORT: Final = 6972
RELEASE: Final = "14.0.1"
REALM: Final = "Cisco Web Services Realm"


class Cucm:
    """One CUCM node; ``async with`` it.

    Set at any time: ``advertise``, what System > Server says and clients are told (``"fqdn"`` or ``"ip"``);
    ``peers``, the other entries of System > Server; ``users`` (name -> password).

    By default 8443 has the tomcat certificates, RSA and ECDSA, and shows the one that the client's cipher
    order asks for first; 6972 has CallManager-ECDSA alone and asks for a client certificate.
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
    ) -> None:
        self.fqdn = fqdn
        self.ip = ip
        self.advertise = advertise
        self.peers = tuple(peers)
        self.users = users
        self._pki = pki
        self._installed: dict[str, Certified] = {}
        self._serves: dict[int, tuple[str, ...]] = {
            UDS_PORT: ("tomcat", "tomcat-ECDSA"),
            TFTP_PORT: ("CallManager-ECDSA",),
        }
        self.uds = TlsListener(self._uds(), None, host)
        self.tftp = TlsListener(tftp.application(self), None, host)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start both listeners."""
        self._show()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.uds)
            await stack.enter_async_context(self.tftp)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both listeners."""
        await self._stack.aclose()

    @property
    def address(self) -> str:
        """What System > Server says: the name or address that clients are sent to."""
        return self.fqdn if self.advertise == "fqdn" else self.ip

    @property
    def uds_port(self) -> int:
        """The port that stands for 8443."""
        return self.uds.port

    @property
    def tftp_port(self) -> int:
        """The port that stands for 6972."""
        return self.tftp.port

    def certificate(self, name: str) -> Certified:
        """Return a certificate by the name that CUCM's certificate list gives it (``CERTIFICATES``)."""
        return self._installed[name] if name in self._installed else self._pki[name]

    def presented(self, port: int) -> Certified:
        """Return the certificate that the latest client of 8443 or 6972 was shown, or its first."""
        listener = self.uds if port == UDS_PORT else self.tftp
        having = [self.certificate(name) for name in self._serves[port]]
        shown = next((seen.certificate for seen in reversed(listener.seen) if seen.certificate), "")
        return next((each for each in having if each.kind == shown), having[0])

    def install(self, name: str, certified: Certified) -> None:
        """Put another certificate in a certificate's place, for the connections to come."""
        self._installed[name] = certified
        self._show()

    def serve(self, port: int, *names: str) -> None:
        """Say which certificates 8443 or 6972 has from now on: at most one RSA and one ECDSA."""
        self._serves[port] = names
        self._show()

    def inject(self, fault: Fault, port: int = UDS_PORT, times: int | None = None) -> Armed:
        """Let the next ``times`` connections to 8443 or 6972 meet a fault, or all until it is lifted.

        ``with lab.cucm.inject(Stall(), port=6972): ...``; see ``mralab.lab.fault`` for what there is.
        """
        listeners = {UDS_PORT: self.uds, TFTP_PORT: self.tftp}
        if port not in listeners:
            raise MralabError(f"{self.fqdn}: has no port {port}; it has {UDS_PORT} and {TFTP_PORT}")
        return listeners[port].inject(fault, times)

    def lift_faults(self) -> None:
        """Lift every fault."""
        self.uds.lift_faults()
        self.tftp.lift_faults()

    def _show(self) -> None:
        uds, phones = ([self.certificate(name) for name in self._serves[port]] for port in (UDS_PORT, TFTP_PORT))
        # By name: asking for a certificate makes it, and an RSA key that nobody is shown is a wait for nothing.
        authorities = [self._pki[name] for name in self._pki if name not in CERTIFICATES]
        self.uds.context = server_context(*uds)
        self.tftp.context = server_context(*phones, ask_client=authorities or phones)

    # ------------------------------------------------------------ UDS

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
        profile = f"http://{self.address}:6970/SPDefault.cnf.xml"
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
        most = request.query.get("max", "")
        if most and not (most.isascii() and most.isdigit()):
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
        shown = [] if most and int(most[:9]) == 0 else [device]
        return _xml(element("devices", *shown, uri=uri, version=RELEASE))

    def _user_uri(self, name: str) -> str:
        return self._uri(f"/cucm-uds/user/{quote(name, safe='')}")

    def _refusal(self, request: web.Request) -> web.Response | None:
        """401 without the password of a user; 403 for another user's data."""
        caller = authenticated(request, self.users)
        if caller is None:
            return _empty(401, {"WWW-Authenticate": f'Basic realm="{REALM}"'})
        return None if caller == request.match_info["user"] else _empty(403)


def authenticated(request: web.Request, users: Mapping[str, str]) -> str | None:
    """Return the user of the request's Basic authorization if the password is right (RFC 7617), else None."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    right = users.get(name)
    if not colon or right is None or not hmac.compare_digest(right.encode(), password.encode()):
        return None
    return name


async def _not_found(_request: web.Request) -> web.Response:
    return _empty(404)


def _xml(root: Element) -> web.Response:
    return web.Response(body=document(root), content_type="application/xml", charset="UTF-8", status=200, reason="")


def _empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, reason="", headers=headers)
