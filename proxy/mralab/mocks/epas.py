"""Mock of EPASSoap, the SOAP service that clients log in to on an IM and Presence node: ``/EPASSoap/service`` on 8443.

URIs, SOAP 1.2, the operations and ``login-resp/success``: Cisco 221845 and Cisco's description of the Client
Configuration Web Service, by which login alone is on the URI without a version. Emulated, not observed: element names
within ``success`` other than the session key's and the one-time password's, the form and the codes of faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from xml.etree.ElementTree import register_namespace

from aiohttp import web

from . import soap
from .application import empty
from .authorization import is_password
from .cluster import Cluster
from .tokens import Tokens
from .xmlbody import element

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

VERSIONS: Final = ("v70", "v80", "v105", "latest")
NAMESPACE: Final = "urn:cisco:epas:soap"
_PATH: Final = "/EPASSoap/service"
register_namespace("epas", NAMESPACE)


class EpasNode(Protocol):
    """What EPASSoap needs from its node."""

    cluster: Cluster
    sessions: Tokens
    """Session keys."""
    one_time_passwords: Tokens
    """Passwords for XMPP."""


class EpasError(Exception):
    """An operation failed. ``code`` tells clients the reason."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def routes(node: EpasNode) -> list[web.RouteDef]:
    """Return the routes of EPASSoap."""
    epas = _Epas(node)
    return [web.post(f"{_PATH}/{{version}}", epas.call_operation), web.post(_PATH, epas.call_operation)]


class _Epas:
    """EPASSoap of one node."""

    def __init__(self, node: EpasNode) -> None:
        self._node = node

    async def call_operation(self, request: web.Request) -> web.Response:
        version = request.match_info.get("version", "")
        if version and version not in VERSIONS:
            return empty(404)
        body = await request.read()
        try:
            call = soap.read_call(body)
        except soap.BadEnvelopeError as error:
            return _fault(soap.SOAP_12, EpasError("invalid-request", str(error)))
        try:
            return soap.response(call.version, self._result(call, version))
        except EpasError as error:
            return _fault(call.version, error)

    def _result(self, call: soap.Call, version: str) -> Element:
        operation = _OPERATIONS.get(call.name)
        if operation is None:
            known = ", ".join(_OPERATIONS)
            raise EpasError("unknown-operation", f"{call.name} is not an operation of this mock; it has {known}")
        if not version and call.name != "login":
            raise EpasError("unknown-operation", f"{call.name} needs a version in the URI: {', '.join(VERSIONS)}")
        success = _element("success", *operation(self._node, call))
        return _element(f"{call.name}-resp", success)


def _login(node: EpasNode, call: soap.Call) -> list[Element]:
    """Return a session key. ``force="true"`` ends the user's other sessions."""
    user, password = soap.text(call.operation, "username"), soap.text(call.operation, "password")
    # Clients log in with the JID, too: the name with the presence domain.
    name = user.removesuffix(f"@{node.cluster.domain}")
    if not is_password(node.cluster.users, name, password):
        raise EpasError("authentication-failed", f"User name or password of {user} is wrong")
    if not node.cluster.person(name).im_and_presence:
        raise EpasError("not-enabled", f"{name} is not enabled for IM and Presence")
    if call.operation.get("force") == "true":
        node.sessions.revoke_user(name)
    versions = (_element("version", version) for version in VERSIONS)
    return [_element("session-key", node.sessions.issue(name)), _element("service-versions", *versions)]


def _logout(node: EpasNode, call: soap.Call) -> list[Element]:
    _session(node, call)
    node.sessions.revoke(_session_key(call))
    return []


def _all_config(node: EpasNode, call: soap.Call) -> list[Element]:
    user = _session(node, call)
    cluster = node.cluster
    managers = [each.name for each in cluster.with_role("CUCM Voice/Video")]
    presence = [each.name for each in cluster.with_role("CUCM IM and Presence")]
    properties = {
        "Presence.Domain": cluster.domain,
        "Presence.JID": f"{user}@{cluster.domain}",
        "Presence.Primary.Address": presence[0],
        "CallControl.Primary.Address": managers[0] if managers else "",
        "CallControl.Backup1.Address": managers[1] if len(managers) > 1 else "",
    }
    return [_property(name, value) for name, value in properties.items()]


def _one_time_password(node: EpasNode, call: soap.Call) -> list[Element]:
    return [_element("password", node.one_time_passwords.issue(_session(node, call)))]


_OPERATIONS: Final[dict[str, Callable[[EpasNode, soap.Call], list[Element]]]] = {
    "login": _login,
    "logout": _logout,
    "get-all-config": _all_config,
    "get-onetime-password": _one_time_password,
}


def _session(node: EpasNode, call: soap.Call) -> str:
    """Return the user of the request's session. Raises ``EpasError`` without one."""
    user = node.sessions.user(_session_key(call))
    if user is None:
        raise EpasError("invalid-session", "The session key is missing, unknown or has ended")
    return user


def _session_key(call: soap.Call) -> str:
    key = next((each for each in call.header if soap.local_name(each) == "session-key"), None)
    return "" if key is None else (key.text or "").strip()


def _fault(version: soap.Version, error: EpasError) -> web.Response:
    return soap.fault(version, error.text, _element("error", error.text, code=error.code))


def _property(name: str, value: str) -> Element:
    result = _element("property", value)
    result.set("name", name)
    return result


def _element(tag: str, *content: Element | str, **attributes: str) -> Element:
    return element(f"{{{NAMESPACE}}}{tag}", *content, **attributes)
