"""Mock of CUCM's UDS, as Jabber uses it: ``/cucm-uds/`` on 8443 and 443.

Element names, parameters of clusterUser and realm: Cisco's UDS documentation. Emulated, not observed: the counts and
the parameters of the directory search, ``start`` for devices, 405 for other methods, OAuth tokens for passwords. The
body of PUT credentials is not public here, so it is not read, and the password stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from aiohttp import web

from . import tftp
from .application import challenge, empty, xml
from .authorization import CUCM_REALM, authenticated, bearer
from .cluster import RELEASE, Cluster, key
from .xmlbody import element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from xml.etree.ElementTree import Element

PORT: Final = 8443
DIRECTORY_LIMIT: Final = 64
"""Users in a page of the directory search without ``max``. Emulated, not observed."""

_Item = TypeVar("_Item")


class UdsNode(Protocol):
    """What UDS needs from its node."""

    cluster: Cluster
    peers: Sequence[str]
    """Entries of System > Server for nodes that the cluster does not have as mocks."""

    @property
    def address(self) -> str:
        """The node's own entry of System > Server."""


def routes(node: UdsNode) -> list[web.RouteDef]:
    """Return the routes of version, clusterUser, servers, the directory search, user, credentials and devices."""
    uds = _Uds(node)
    return [
        web.get("/cucm-uds/version", uds.version),
        web.get("/cucm-uds/clusterUser", uds.cluster_user),
        web.get("/cucm-uds/servers", uds.servers),
        web.get("/cucm-uds/users", uds.users),
        web.get("/cucm-uds/user/{user}", uds.user),
        web.put("/cucm-uds/user/{user}/credentials", uds.credentials),
        web.get("/cucm-uds/user/{user}/devices", uds.devices),
    ]


class _Page(NamedTuple):
    """A part of a list: ``start`` counts from 0, ``most`` None means all."""

    start: int
    most: int | None

    def of(self, items: Sequence[_Item]) -> Sequence[_Item]:
        end = None if self.most is None else self.start + self.most
        return items[self.start : end]


class _Uds:
    """The resources of one node."""

    def __init__(self, node: UdsNode) -> None:
        self._node = node

    async def version(self, _request: web.Request) -> web.Response:
        return xml(
            element(
                "versionInformation",
                element("version", RELEASE),
                element("capabilities", element("usersResourceAuthEnabled", "true")),
                uri=self._uri("/cucm-uds/version"),
                version=RELEASE,
            )
        )

    async def cluster_user(self, request: web.Request) -> web.Response:
        parameter = next((each for each in _FILTERS if request.query.get(each)), "")
        if not parameter:
            return empty(400)  # "At least one filter parameter is required"
        cluster, wanted = self._node.cluster, request.query[parameter]
        name = next((user for user in cluster.users if _FILTERS[parameter](cluster, user, wanted)), None)
        uri = self._uri(f"/cucm-uds/clusterUser?{parameter}={quote(wanted, safe='')}")
        body = element("clusterUser", version=RELEASE, uri=uri)
        if name is None:
            body.append(element("result", found="false"))
        else:
            body.append(element("result", found="true", uri=self._user_uri(name), version=RELEASE))
            servers_uri = f"https://{self._publisher}:{PORT}/cucm-uds/servers"
            body.append(element("homeCluster", self._publisher, serversUri=servers_uri))
        return xml(body)

    async def servers(self, _request: web.Request) -> web.Response:
        names = [each.name for each in self._node.cluster.with_role("CUCM Voice/Video")]
        servers = (element("server", name) for name in dict.fromkeys((*names, *self._node.peers)))
        return xml(element("servers", *servers, version=RELEASE, uri=self._uri("/cucm-uds/servers")))

    async def users(self, request: web.Request) -> web.Response:
        """Search the directory: each parameter is the beginning of a field, in any case, and all must match."""
        if self._caller(request) is None:
            return challenge(CUCM_REALM)
        page = _page(request, DIRECTORY_LIMIT)
        if page is None:
            return empty(400)
        wanted = {name: text.casefold() for name in _FIELDS if (text := request.query.get(name, ""))}
        cluster = self._node.cluster
        found = [
            user
            for user in sorted(cluster.users)
            if all(any(_starts(field, text) for field in _FIELDS[name](cluster, user)) for name, text in wanted.items())
        ]
        shown = page.of(found)
        return xml(
            element(
                "users",
                *(self._entry(user) for user in shown),
                uri=self._uri(request.path_qs),
                version=RELEASE,
                start=str(page.start),
                requestedCount=str(page.most),
                returnedCount=str(len(shown)),
                totalCount=str(len(found)),
            )
        )

    def _entry(self, user: str) -> Element:
        person = self._node.cluster.person(user)
        return element(
            "user",
            element("id", key("user", user)),
            element("userName", user),
            element("firstName", person.first_name),
            element("lastName", person.last_name),
            element("displayName", _display_name(self._node.cluster, user)),
            element("phoneNumber", person.telephone),
            element("email", person.mail),
            element("department", person.department),
            uri=self._user_uri(user),
        )

    async def user(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        name = request.match_info["user"]
        cluster = self._node.cluster
        person = cluster.person(name)
        presence = cluster.with_role("CUCM IM and Presence") if person.im_and_presence else ()
        address = self._node.address
        body = element(
            "user",
            element("id", key("user", name)),
            element("userName", name),
            element("firstName", person.first_name),
            element("lastName", person.last_name),
            element("displayName", _display_name(cluster, name)),
            element("phoneNumber", person.telephone),
            element("email", person.mail),
            element("department", person.department),
            element("homeCluster", "true", enableImAndPresence="true" if presence else "false"),
            element("serviceProfile", element("uri", f"http://{address}:{tftp.HTTP_PORT}/SPDefault.cnf.xml")),
            element("jabberProfile", element("uri", f"https://{address}:{tftp.TOMCAT_PORT}{tftp.JABBER_PROFILE}")),
            uri=self._user_uri(name),
            version=RELEASE,
        )
        if presence:
            body.append(element("imAndPresence", *(element("server", each.name) for each in presence)))
        return xml(body)

    async def credentials(self, request: web.Request) -> web.Response:
        """Answer what Cisco documents for a change: 204."""
        return self._refusal(request) or empty(204)

    async def devices(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        page = _page(request, None)
        if page is None:
            return empty(400)
        name = request.match_info["user"]
        uri = f"{self._user_uri(name)}/devices"
        numbered = list(enumerate(self._node.cluster.devices(name), start=1))
        devices = (
            element(
                "device",
                element("id", str(number)),
                element("name", device.name),
                element("type", device.type),
                element("model", device.model),
                element("description", device.description, editable="true"),
                element("protocol", device.protocol),
                uri=f"{uri}/{number}",
            )
            for number, device in page.of(numbered)
        )
        return xml(element("devices", *devices, uri=uri, version=RELEASE))

    @property
    def _publisher(self) -> str:
        return self._node.cluster.with_role("CUCM Voice/Video")[0].name

    def _uri(self, path: str) -> str:
        return f"https://{self._node.address}:{PORT}{path}"

    def _user_uri(self, name: str) -> str:
        return self._uri(f"/cucm-uds/user/{quote(name, safe='')}")

    def _caller(self, request: web.Request) -> str | None:
        """Return the user of the request's password or token; None without a valid one."""
        cluster = self._node.cluster
        return authenticated(request, cluster.users) or bearer(request, cluster.tokens)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return 401 without a user's password, 403 for another user's data, else None."""
        caller = self._caller(request)
        if caller is None:
            return challenge(CUCM_REALM)
        return None if caller == request.match_info["user"] else empty(403)


def _display_name(cluster: Cluster, user: str) -> str:
    person = cluster.person(user)
    return f"{person.first_name} {person.last_name}".strip()


def _starts(field: str, text: str) -> bool:
    return field.casefold().startswith(text)


_FILTERS: Final[dict[str, Callable[[Cluster, str, str], bool]]] = {
    "username": lambda _cluster, user, wanted: user == wanted,
    "email": lambda cluster, user, wanted: cluster.person(user).mail.casefold() == wanted.casefold(),
    "useridentifier": lambda _cluster, user, wanted: user == wanted,
}
"""Parameters of clusterUser (Cisco's UDS documentation); the first one given counts."""

_FIELDS: Final[dict[str, Callable[[Cluster, str], Iterable[str]]]] = {
    "name": lambda cluster, user: (
        cluster.person(user).first_name,
        cluster.person(user).last_name,
        _display_name(cluster, user),
        user,
    ),
    "first": lambda cluster, user: (cluster.person(user).first_name,),
    "last": lambda cluster, user: (cluster.person(user).last_name,),
    "username": lambda _cluster, user: (user,),
    "number": lambda cluster, user: (cluster.person(user).telephone,),
    "email": lambda cluster, user: (cluster.person(user).mail,),
}
"""Parameters of the directory search -> the fields that may match."""


def _page(request: web.Request, default: int | None) -> _Page | None:
    """Return the part of a list that ``start`` and ``max`` request; None if one of them is not a number."""
    texts = request.query.get("start", ""), request.query.get("max", "")
    if any(text and not (text.isascii() and text.isdigit()) for text in texts):
        return None
    start, most = (int(text[:9]) if text else None for text in texts)
    return _Page(start or 0, default if most is None else most)
