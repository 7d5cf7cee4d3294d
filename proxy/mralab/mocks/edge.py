"""The edge in front of Expressway-C's traffic server: get_edge_config, sign-on, and the relay to the proxy.

On a real Expressway, Expressway-C's edge config server answers ``/DOMAIN/get_edge_config``, ``get_edge_sso`` and
``authorize``. All other requests reach its traffic server as ``http://vcs_control.DOMAIN:8443/TOKEN/PATH``. One plain
listener plays both.

Emulated, not observed: the answer of ``get_edge_sso`` (no single sign-on, OAuth with local passwords) and what
``authorize`` answers (see ``oauth``; 502 if no node of the home cluster answers Expressway).
"""

from __future__ import annotations

import base64
import binascii
import re
import string
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Protocol, Self
from urllib.parse import quote

import aiohttp
from aiohttp import web
from yarl import URL

from ..core.hostport import host_port
from ..core.http.rewrite import HOP_BY_HOP
from .authorization import authenticated, bearer
from .listener import TlsListener, VerbatimResponse
from .oauth import implicit_grant
from .tokens import Tokens
from .xmlbody import document, element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from xml.etree.ElementTree import Element

_EDGE_PATH: Final = re.compile(r"/(?P<token>[A-Za-z0-9+_=-]+)/(?P<resource>get_edge_config|get_edge_sso|authorize)/?")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_SERVICES: Final = ("_cisco-phone-tftp", "_cuplogin", "_cisco-uds")
_NOT_RELAYED: Final = frozenset(name.decode() for name in HOP_BY_HOP) | {"trailer"}
"""RFC 9110 7.6.1; this relay has no trailers. Host is replaced; this listener has already answered Expect."""
_CHUNK: Final = 65536
_HEADERS: Final = {"Server": "CE_C ECS", "Age": "0"}
"""Header of the edge configuration server's answers (Cisco 211304)."""


class Server(Protocol):
    """The CUCM that get_edge_config describes."""

    @property
    def fqdn(self) -> str:
        """Name in DNS."""

    @property
    def address(self) -> str:
        """Name or address in System > Server."""


class HomeCluster(Protocol):
    """The home cluster, as Expressway's own requests find it."""

    async def servers(self, user: str) -> Sequence[Server]:
        """Return the nodes to name in get_edge_config, the user's first."""

    async def answers(self, user: str) -> bool:
        """Return whether a node answers the request behind ``authorize``."""


class Edge:
    """get_edge_config in front of a proxy; use it in an ``async with`` statement.

    ``proxy`` returns the proxy's host and port; it is called for each request. ``control_host`` is the host of the
    requests sent to the proxy (default: ``vcs_control.DOMAIN:8443``). The answer has two addresses of CUCM:
    ``_cisco-uds`` has the one in DNS (its FQDN), the user's UDS and TFTP server have the one in System > Server.
    ``tokens`` are the OAuth tokens that CUCM accepts. ``on_login`` is called before each answer of get_edge_config.
    ``cluster`` is the home cluster; by default it is ``cucm`` alone, and answers.
    """

    def __init__(
        self,
        proxy: Callable[[], tuple[str, int]],
        *,
        cucm: Server,
        cluster: HomeCluster | None = None,
        users: Mapping[str, str],
        tokens: Tokens | None = None,
        domain: str = "steven.lab",
        control_host: str = "",
        on_login: Callable[[], object] = lambda: None,
        host: str = "127.0.0.1",
    ) -> None:
        self.domain = domain
        self._control_host = control_host or f"vcs_control.{domain}:8443"
        self._proxy = proxy
        self._cucm = cucm
        self._on_login = on_login
        self._cluster = cluster
        self._users = users
        self._tokens = Tokens() if tokens is None else tokens
        self._session: aiohttp.ClientSession | None = None
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._listener = TlsListener(app, None, host)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start listening."""
        async with AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    auto_decompress=False,
                    trust_env=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    # No total timeout: the proxy limits the response time, and the client closes when it gives up.
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                    connector=aiohttp.TCPConnector(limit=0),
                )
            )
            await stack.enter_async_context(self._listener)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and close every connection."""
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """Port that the edge listens on."""
        return self._listener.port

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = _origin_form(request.raw_path)
        match = _EDGE_PATH.fullmatch(path.partition("?")[0])
        domain = _domain(match["token"]) if match else None
        if match is None or domain is None or request.method not in ("GET", "HEAD"):
            return await self._relay(request, path)
        if domain.lower() != self.domain.lower():
            refusal = web.Response(status=403, headers={"Server": "CE_E"})
            refusal.force_close()
            return refusal
        match match["resource"]:
            case "get_edge_config":
                return await self._edge_config(request)
            case "get_edge_sso":
                return _xml(_sign_on())
            case _:
                return await self._authorize(request)

    # -- sign-on

    async def _authorize(self, request: web.Request) -> web.Response:
        if request.query.get("realm") != "local":
            return web.Response(status=404, headers=_HEADERS)  # there is no identity provider
        user = authenticated(request, self._users)
        if user is None:
            return _unauthorized()
        if self._cluster is not None and not await self._cluster.answers(user):
            return web.Response(status=502, headers=_HEADERS)
        return implicit_grant(request, user, self._tokens)

    # -- get_edge_config

    async def _edge_config(self, request: web.Request) -> web.Response:
        user = authenticated(request, self._users) or bearer(request, self._tokens)
        if user is None:
            return _unauthorized()
        self._on_login()
        services = request.query.getall("service_name", list(_SERVICES))
        servers = (self._cucm,) if self._cluster is None else await self._cluster.servers(user)
        return _xml(self._configuration(services, servers))

    def _configuration(self, services: Iterable[str], servers: Sequence[Server]) -> Element:
        edge = f"expe.{self.domain}"
        addresses = (element("address", server.address) for server in servers)
        tftp = element("service", element("name", "tftpServer"), *addresses)
        return element(
            "getEdgeConfigResponse",
            element("serviceConfig", *(self._service(name, servers) for name in services), tftp),
            element(
                "edgeConfig",
                element("sipEdgeServer", _tls_server(edge, 5061)),
                element("sipRequest", element("route", "<sip:10.48.36.46:5061;transport=tls;lr>")),
                element("xmppEdgeServer", _tls_server(edge, 5222)),
                element("httpEdgeServer", _tls_server(edge, 8443)),
                element("turnEdgeServer"),
                element("userUdsServer", *(_tls_server(server.address, 8443) for server in servers)),
            ),
            version="1.0",
        )

    def _service(self, name: str, servers: Iterable[Server]) -> Element:
        if name != "_cisco-uds":  # the lab's DNS has no other service
            return element("service", element("name", name), element("error", "NameError"))
        records = (
            element(
                "server",
                element("priority", str(priority)),
                element("weight", "1"),
                element("port", "8443"),
                element("address", server.fqdn),
            )
            for priority, server in enumerate(servers, start=1)
        )
        return element("service", element("name", name), *records)

    # -- relay to the proxy

    async def _relay(self, request: web.Request, path: str) -> web.StreamResponse:
        assert self._session is not None  # noqa: S101 - set on entering, before any request
        host, port = self._proxy()
        url = URL(f"http://{self._control_host}{path}", encoded=True)
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _NOT_RELAYED and name.lower() not in ("host", "expect")
        ]
        try:
            async with self._session.request(
                request.method,
                url,
                proxy=f"http://{host_port(host, port)}",
                headers=headers,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as answer:
                return await _relay_response(request, answer)
        except TimeoutError:  # first: aiohttp's timeouts are ClientErrors too
            return web.Response(status=504, reason="Connection Timed Out", headers={"Server": "CE_E"})
        except aiohttp.ClientError:
            return web.Response(status=502, reason="Next Hop Connection Failed", headers={"Server": "CE_E"})


def _xml(root: Element) -> web.Response:
    return web.Response(body=document(root), content_type="text/xml", charset="UTF-8", headers=_HEADERS)


def _unauthorized() -> web.Response:
    return web.Response(status=401, headers={**_HEADERS, "WWW-Authenticate": 'Basic realm="Cisco-Edge"'})


def _sign_on() -> Element:
    return element(
        "SSOResult",
        element(
            "Response",
            element("SingleSignOn", element("Status", enabled="false")),
            element("OAuth", element("Status", enabled="true"), element("Realm", "local")),
        ),
        version="1.0",
    )


async def _relay_response(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = ((name, value) for name, value in answer.headers.items() if name.lower() not in _NOT_RELAYED)
    response = VerbatimResponse(answer.status, answer.reason or "", headers)
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            await response.write(chunk)
    except aiohttp.ClientError:
        # The response was cut off. Abort, or the client takes the part it has for the whole.
        if request.transport is not None:
            request.transport.abort()
    return response


def _tls_server(address: str, port: int) -> Element:
    return element("server", element("address", address), element("tlsPort", str(port)))


def _origin_form(target: str) -> str:
    """Return path and query of a request target, which may be absolute (RFC 9112 3.2)."""
    if not target.isascii():
        target = quote(target.encode(errors="surrogateescape"), safe=string.punctuation)
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    return f"/{rest.partition('/')[2]}"


def _domain(token: str) -> str | None:
    """Return the domain encoded in a token of get_edge_config; None if the token is invalid."""
    standard = token.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        text = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if _DOMAIN.fullmatch(text) else None
