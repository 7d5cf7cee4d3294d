"""Mock of CUCM's TFTP service over HTTP (6970) and HTTPS (6971, 6972): the files that Jabber fetches at login.

Certificates by port: Cisco, CUCM Security Guide 12.5(1), "Default Security Setup" (6971 is for CallManager and
CallManager-ECDSA, 6972 for Tomcat's); document 218018, where 6972 presents tomcat-ECDSA.

Emulated, not observed: the content of the files beyond their names, the ID in the name of the Jabber profile, and 404
for signed and encrypted files (``.sgn``, ``.enc.sgn``), as in a cluster whose mixed mode is off.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from .application import application, empty, xml
from .cluster import Cluster, Device, key
from .node import Service
from .xmlbody import element

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

HTTP_PORT: Final = 6970
CALLMANAGER_PORT: Final = 6971
TOMCAT_PORT: Final = 6972
HAPROXY_CIPHERS: Final = (
    "aRSA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-SHA384:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:!eNULL"
)
"""Ciphers of HAProxy: all of RSA, these of ECDSA (CUCM Security Guide, "Cipher Management")."""
_DEVICE_FILE: Final = re.compile(r"/(?P<device>[^/]+)\.cnf\.xml")
JABBER_PROFILE: Final = f"/JAB_{key('serviceProfile', 'SPDefault')}.cnf.xml"
"""Path of the Jabber profile: ``JAB_`` and the ID of the service profile (CUCM 12.5 and later)."""


class TftpNode(Protocol):
    """The CUCM node that the files describe."""

    cluster: Cluster

    @property
    def address(self) -> str:
        """Name or address of the node in System > Server."""


def _application(node: TftpNode) -> web.Application:
    """Return the application with the files of devices, ``_FILES`` and nothing else."""

    async def serve(request: web.Request) -> web.Response:
        root = _file(request.path, node)
        return empty(404) if root is None else xml(root, content_type="text/xml")

    return application([web.get("/{path:.*}", serve)])


def _https(port: int, *certificates: str) -> Service[TftpNode]:
    return Service(port, "https", _application, certificates, ciphers=HAPROXY_CIPHERS, ask_client=True)


SERVICES: Final = (
    Service(HTTP_PORT, "http", _application),
    _https(CALLMANAGER_PORT, "CallManager", "CallManager-ECDSA"),
    _https(TOMCAT_PORT, "tomcat", "tomcat-ECDSA"),
)


def _file(path: str, node: TftpNode) -> Element | None:
    if make := _FILES.get(path):
        return make(node)
    match = _DEVICE_FILE.fullmatch(path)
    user = node.cluster.owner(match["device"]) if match else None
    if match is None or user is None:
        return None
    device = next(each for each in node.cluster.devices(user) if each.name == match["device"])
    return _device(device, user, node)


def _device(device: Device, user: str, node: TftpNode) -> Element:
    """Return the file of a phone: its line, and the servers where it registers, this one first."""
    others = (each.name for each in node.cluster.with_role("CUCM Voice/Video"))
    managers = (
        element(
            "member",
            element("callManager", element("processNodeName", name), element("sipPort", "5060")),
            priority=str(priority),
        )
        for priority, name in enumerate(dict.fromkeys((node.address, *others)))
    )
    return element(
        "device",
        element("deviceProtocol", device.protocol),
        element("deviceName", device.name),
        element("callManagerGroup", *managers),
        element("sipLines", element("line", element("name", user), element("proxy", "USECALLMANAGER"))),
    )


def _service_profile(node: TftpNode) -> Element:
    """Return the default service profile, for users without their own."""
    return element(
        "serviceProfile",
        element("name", "SPDefault"),
        element("service", element("type", "tftp"), element("address", node.address)),
    )


def _client_settings(_node: TftpNode) -> Element:
    return element(
        "config",
        element("Policies", element("Telephony_Enabled", "true")),
        element("Directory", element("DirectoryServerType", "UDS")),
        version="1.0",
    )


def _cluster_settings(_node: TftpNode) -> Element:
    return element("globalSettings", version="1.0")


_FILES: Final[dict[str, Callable[[TftpNode], Element]]] = {
    "/SPDefault.cnf.xml": _service_profile,
    JABBER_PROFILE: _client_settings,
    "/jabber-config.xml": _client_settings,
    "/global-settings.xml": _cluster_settings,
}
"""Files that are not of a device."""
