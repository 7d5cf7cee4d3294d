"""Ports of CUCM and Unity Connection whose content is not public: their certificates are there, every path is 404.

CUCM: 9443 (contact search) and 9444 (headset metrics), behind HAProxy. Unity Connection: 7443 and, without TLS, 7080
(message waiting), behind Jetty. Ports and servers: CUCM Security Guide 12.5(1)SU5, "Cipher Management"; Unity
Connection Security Guide 15; Expressway IP Port Usage X15.0. That 9443 and 9444 present tomcat is inferred. A request
that the certificate does not stop gets an honest 404, which the log shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .application import application
from .node import Service
from .tftp import HAPROXY_CIPHERS

if TYPE_CHECKING:
    from aiohttp import web

CONTACT_SEARCH_PORT: Final = 9443
HEADSET_PORT: Final = 9444
MESSAGE_WAITING_PORT: Final = 7443
PLAIN_MESSAGE_WAITING_PORT: Final = 7080


def nothing(_node: object) -> web.Application:
    """Return an application that answers every request with 404."""
    return application()


CUCM_SERVICES: Final = tuple(
    Service(port, "https", nothing, ("tomcat", "tomcat-ECDSA"), ciphers=HAPROXY_CIPHERS)
    for port in (CONTACT_SEARCH_PORT, HEADSET_PORT)
)
UNITY_SERVICES: Final = (
    Service(PLAIN_MESSAGE_WAITING_PORT, "http", nothing),
    Service(MESSAGE_WAITING_PORT, "https", nothing, ("tomcat",)),
)
