"""Mock of CUCM's AXL, as far as discovery and common clients go: SOAP 1.1 at ``/axl/`` on 8443 and 443.

Operations and their fields: CUCM AXL schema, as clients use it. Faults have the form of real ones (``axlError`` with
``axlcode``, ``axlmessage`` and ``request``), and status 599 answers an unknown version, as CUCM does. Emulated, not
observed: the realm, the fault with status 403, the sentences of faults other than "Item not valid", the page for GET.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from . import soap
from .application import challenge
from .authorization import CUCM_REALM, authenticated
from .axl_objects import OPERATIONS, AxlError
from .cluster import STANDARD_AXL, Cluster
from .xmlbody import element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

VERSIONS: Final = ("11.5", "12.0", "12.5", "14.0")
"""Versions that a CUCM 14 accepts: its own and those of some releases before it."""
_NAMESPACE: Final = "http://www.cisco.com/AXL/API/"
_ACTION: Final = re.compile(r'"?CUCM:DB ver=(?P<version>[0-9]{1,3}\.[0-9]{1,3})(?: [A-Za-z]{1,100})?"?')


class AxlNode(Protocol):
    """What AXL needs from its node."""

    cluster: Cluster


def routes(node: AxlNode) -> list[web.RouteDef]:
    """Return the routes of AXL."""
    axl = _Axl(node)
    return [
        route for path in ("/axl/", "/axl") for route in (web.get(path, axl.page), web.post(path, axl.call_operation))
    ]


class _Axl:
    """AXL of one node."""

    def __init__(self, node: AxlNode) -> None:
        self._node = node

    async def page(self, request: web.Request) -> web.Response:
        """Answer what a client requests to test its password."""
        return self._refusal(request, "") or web.Response(text="Cisco CallManager: AXL Web Service\n", reason="")

    async def call_operation(self, request: web.Request) -> web.Response:
        """Answer one SOAP request."""
        body = await request.read()
        try:
            call = soap.read_call(body)
        except soap.BadEnvelopeError as error:
            return self._refusal(request, "") or _fault("", AxlError(str(error)))
        if refusal := self._refusal(request, call.name):
            return refusal
        version = _version(request, call)
        if version not in VERSIONS:
            return _wrong_version()
        operation = OPERATIONS.get(call.name)
        if operation is None:
            known = ", ".join(sorted(OPERATIONS))
            return _fault(call.name, AxlError(f"{call.name} is not an operation of this mock; it has {known}"))
        try:
            result = operation(self._node.cluster, call.operation)
        except AxlError as fault:
            return _fault(call.name, fault)
        return soap.response(soap.SOAP_11, element(f"{{{_NAMESPACE}{version}}}{call.name}Response", result))

    def _refusal(self, request: web.Request, operation: str) -> web.Response | None:
        """Return 401 without a right password, 403 without the role, else None."""
        cluster = self._node.cluster
        user = authenticated(request, cluster.everyone)
        if user is None:
            return challenge(CUCM_REALM)
        if not cluster.has_role(user, STANDARD_AXL):
            fault = AxlError(f'User {user} is not authorized: it needs the role "{STANDARD_AXL}"')
            return _fault(operation, fault, status=403)
        return None


def _version(request: web.Request, call: soap.Call) -> str:
    """Return the version of the operation's namespace, else that of the SOAPAction."""
    if call.namespace.startswith(_NAMESPACE):
        return call.namespace.removeprefix(_NAMESPACE)
    action = _ACTION.fullmatch(request.headers.get("SOAPAction", ""))
    return "" if action is None else action["version"]


def _wrong_version() -> web.Response:
    text = f"Incorrect axl version. Supported axl versions: [{', '.join(VERSIONS)}]"
    return web.Response(text=text, status=599, reason="")


def _fault(operation: str, fault: AxlError, *, status: int = 500) -> web.Response:
    return soap.fault(soap.SOAP_11, fault.text, _detail(operation, fault), status=status)


def _detail(operation: str, fault: AxlError) -> Element:
    return element(
        "axlError",
        element("axlcode", str(fault.code)),
        element("axlmessage", fault.text),
        element("request", operation),
    )
