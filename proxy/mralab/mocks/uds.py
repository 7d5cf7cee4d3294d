"""Mock of CUCM's UDS, as Jabber uses it at login: HTTPS on 8443.

Element names and realm: Cisco's UDS documentation. Like the Tomcat behind real UDS, it answers without a reason
phrase: ``HTTP/1.1 200 `` (the article's log).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from aiohttp import web

from . import tftp
from .basic_auth import authenticated
from .node import Service
from .xmlbody import document, element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

PORT: Final = 8443
RELEASE: Final = "14.0.1"
REALM: Final = "Cisco Web Services Realm"


class UdsNode(Protocol):
    """What UDS needs of its node."""

    users: Mapping[str, str]
    """User name -> password."""
    peers: Sequence[str]
    """The other entries of System > Server."""

    @property
    def address(self) -> str:
        """The node's own entry of System > Server."""


def application(node: UdsNode) -> web.Application:
    """Return the application with version, clusterUser, servers, user and devices; 404 for all else."""
    return _Uds(node).application()


SERVICES: Final = (Service(PORT, "https", application, ("tomcat", "tomcat-ECDSA")),)


class _Uds:
    """The resources of one node."""

    def __init__(self, node: UdsNode) -> None:
        self._node = node

    def application(self) -> web.Application:
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
        body = element("clusterUser", version=RELEASE, uri=uri)
        if name in self._node.users:
            body.append(element("result", found="true", uri=self._user_uri(name), version=RELEASE))
            body.append(element("homeCluster", self._node.address, serversUri=self._uri("/cucm-uds/servers")))
        else:
            body.append(element("result", found="false"))
        return _xml(body)

    async def _servers(self, _request: web.Request) -> web.Response:
        servers = (element("server", name) for name in (self._node.address, *self._node.peers))
        return _xml(element("servers", *servers, version=RELEASE, uri=self._uri("/cucm-uds/servers")))

    async def _user(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        name = request.match_info["user"]
        profile = f"http://{self._node.address}:{tftp.HTTP_PORT}/SPDefault.cnf.xml"
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

    def _uri(self, path: str) -> str:
        return f"https://{self._node.address}:{PORT}{path}"

    def _user_uri(self, name: str) -> str:
        return self._uri(f"/cucm-uds/user/{quote(name, safe='')}")

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return 401 without a user's password, 403 for another user's data, else None."""
        caller = authenticated(request, self._node.users)
        if caller is None:
            return _empty(401, {"WWW-Authenticate": f'Basic realm="{REALM}"'})
        return None if caller == request.match_info["user"] else _empty(403)


async def _not_found(_request: web.Request) -> web.Response:
    return _empty(404)


def _xml(root: Element) -> web.Response:
    return web.Response(body=document(root), content_type="application/xml", charset="UTF-8", status=200, reason="")


def _empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, reason="", headers=headers)
