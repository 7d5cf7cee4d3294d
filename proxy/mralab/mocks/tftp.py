"""Mock of CUCM's TFTP service over HTTP (6970) and HTTPS (6971, 6972): the files that Jabber fetches at login.

Certificates by port: Cisco, CUCM Security Guide 12.5(1), "Default Security Setup" (6971 is for CallManager and
CallManager-ECDSA, 6972 for Tomcat's); document 218018, where 6972 presents tomcat-ECDSA.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from .node import Service
from .xmlbody import document, element

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

HTTP_PORT: Final = 6970
CALLMANAGER_PORT: Final = 6971
TOMCAT_PORT: Final = 6972
_HAPROXY_CIPHERS: Final = (
    "aRSA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-SHA384:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:!eNULL"
)
"""Ciphers of HAProxy on 6971 and 6972: all of RSA, these of ECDSA (CUCM Security Guide, "Cipher Management")."""
_DEVICE_FILE: Final = re.compile(r"/CSF(?P<user>[^/]+)\.cnf\.xml")


class TftpNode(Protocol):
    """The CUCM node that the files describe."""

    users: Mapping[str, str]

    @property
    def address(self) -> str:
        """Name or address of the node in System > Server."""


def application(node: TftpNode) -> web.Application:
    """Return the application with ``/CSFUSER.cnf.xml``, ``/SPDefault.cnf.xml`` and ``/jabber-config.xml``."""

    async def serve(request: web.Request) -> web.Response:
        root = _file(request.path, node)
        if root is None:
            return web.Response(status=404, reason="")
        return web.Response(body=document(root), content_type="text/xml", charset="UTF-8", reason="")

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    return app


def _https(port: int, *certificates: str) -> Service[TftpNode]:
    return Service(port, "https", application, certificates, ciphers=_HAPROXY_CIPHERS, ask_client=True)


SERVICES: Final = (
    Service(HTTP_PORT, "http", application),
    _https(CALLMANAGER_PORT, "CallManager", "CallManager-ECDSA"),
    _https(TOMCAT_PORT, "tomcat", "tomcat-ECDSA"),
)


def _file(path: str, node: TftpNode) -> Element | None:
    if path == "/SPDefault.cnf.xml":
        return _service_profile(node)
    if path == "/jabber-config.xml":
        return _client_settings()
    device = _DEVICE_FILE.fullmatch(path)
    return _device(device["user"], node) if device and device["user"] in node.users else None


def _device(user: str, node: TftpNode) -> Element:
    """Return the file of a phone: its line, and the server where it registers."""
    manager = element("callManager", element("processNodeName", node.address), element("sipPort", "5060"))
    return element(
        "device",
        element("deviceProtocol", "SIP"),
        element("deviceName", f"CSF{user}"),
        element("callManagerGroup", element("member", manager, priority="0")),
        element("sipLines", element("line", element("name", user), element("proxy", "USECALLMANAGER"))),
    )


def _service_profile(node: TftpNode) -> Element:
    """Return the default service profile, for users without their own."""
    return element(
        "serviceProfile",
        element("name", "SPDefault"),
        element("service", element("type", "tftp"), element("address", node.address)),
    )


def _client_settings() -> Element:
    return element(
        "config",
        element("Policies", element("Telephony_Enabled", "true")),
        element("Directory", element("DirectoryServerType", "UDS")),
        version="1.0",
    )
