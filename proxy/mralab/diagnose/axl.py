"""AXL: requests, the one for a cluster's nodes among them, and what CUCM's responses mean, without network.

CUCM's Administrative XML interface is SOAP over HTTPS on the publisher: ``POST /axl/`` with the header
``SOAPAction: "CUCM:DB ver=VERSION OPERATION"`` and Basic authentication of a user with the role "Standard AXL API
Access". ``listProcessNode`` with the role "CUCM Voice/Video" lists the cluster's call-processing nodes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape as escape_xml

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ..core.log.escape import escape
from ..core.mra.target import BadHost, canonical_host
from ..errors import MralabError

VERSIONS: Final = ("12.5", "14.0", "15.0", "11.5", "10.5")
"""AXL versions in the order in which they are tried. A CUCM also takes the versions of some releases before its own."""

LARGEST_RESPONSE: Final = 4 << 20
"""Bytes; a cluster has at most a few dozen nodes."""

CALL_PROCESSING: Final = "CUCM Voice/Video"
"""Role of the nodes that clients register with."""
PRESENCE: Final = "CUCM IM and Presence"

_NOT_A_NODE: Final = (
    "EnterpriseWideData"  # the row for settings of the whole cluster (CUCM: run sql select from processnode)
)
_MOST_NODES: Final = 1000
_LONGEST_TEXT: Final = 200
_SUPPORTED: Final = re.compile(r"supported axl versions?\s{0,9}:?\s{0,9}\[?([0-9., ]{1,200})", re.IGNORECASE)
_VERSION: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3})?")
_DUPLICATE: Final = "-239"  # axlcode of the database's "duplicate value in a UNIQUE INDEX column"
_WRONG_VERSION: Final = 599  # CUCM's own status, with "Incorrect axl version. Supported axl versions: [..]"


class AxlError(MralabError):
    """An AXL request failed. The message never contains the password."""


class WrongVersionError(AxlError):
    """The AXL version is not one of this CUCM's; ``supported`` has those that it names."""

    def __init__(self, message: str, supported: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint)
        self.supported = supported


class DuplicateError(AxlError):
    """The object that a request would add is there already."""


class Operation(NamedTuple):
    """One AXL operation: its name, and its content as XML."""

    name: str
    content: str


def list_nodes_operation(role: str = CALL_PROCESSING) -> Operation:
    """Return the operation that lists the nodes with a role."""
    return Operation(
        "listProcessNode",
        f"<searchCriteria><name>%</name><processNodeRole>{escape_xml(role)}</processNodeRole></searchCriteria>"
        "<returnedTags><name/><processNodeRole/></returnedTags>",
    )


def request(host: str, user: str, password: str, version: str, operation: Operation) -> bytes:
    """Return the HTTP request of an operation. ``host`` is the value of the Host field."""
    name, content = operation
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns:ns="http://www.cisco.com/AXL/API/{version}"><soapenv:Body><ns:{name}>'
        f"{content}</ns:{name}></soapenv:Body></soapenv:Envelope>"
    ).encode()
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    head = (
        "POST /axl/ HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Basic {credentials}",
        f'SOAPAction: "CUCM:DB ver={version} {name}"',
        "Content-Type: text/xml; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Accept: text/xml",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode("latin-1") + body


def result(body: bytes, status: int, place: str, user: str) -> Element:
    """Return the XML of a response. Raises ``AxlError`` that says why the operation failed.

    ``place`` (server and port) and ``user`` are for the message.
    """
    if status == 401:
        raise AxlError(f"AXL at {place}: user name or password is wrong, or the user is locked (401)", _USER_HINT)
    if status == 403:
        raise AxlError(f"AXL at {place}: user {user!r} is not authorized (403)", _ROLE_HINT)
    if status == 404:
        raise AxlError(
            f"AXL at {place}: there is no AXL service (404)",
            "pass the publisher's address, and check in Serviceability that its Cisco AXL Web Service is activated",
        )
    text = body.decode("utf-8", "replace")
    supported = _supported(text) if status != 200 else ()
    if status == _WRONG_VERSION or supported:
        known = f"; it supports {', '.join(supported)}" if supported else ""
        raise WrongVersionError(f"AXL at {place}: CUCM does not support this AXL version ({status}){known}", supported)
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reason = "is not XML" if isinstance(error, ParseError) else "has XML that is not accepted"
        raise AxlError(f"AXL at {place}: the response (status {status}) {reason}", _PUBLISHER_HINT) from None
    if (fault := next(_named(root, "Fault"), None)) is not None:
        message = f"AXL at {place}: CUCM reports a fault (status {status}): {_fault_text(fault)}"
        raise DuplicateError(message) if _is_duplicate(fault) else AxlError(message)
    if status != 200:
        raise AxlError(f"AXL at {place}: unexpected status {status}", _PUBLISHER_HINT)
    return root


def node_names(response: Element, place: str, role: str = CALL_PROCESSING) -> tuple[str, ...]:
    """Return the names of the nodes with a role in a response, as hosts. Raises ``AxlError`` if there are none."""
    hosts = hosts_with_role(response, place, role)
    if not hosts:
        raise AxlError(f"AXL at {place}: the response has no node with the role {role}", _PUBLISHER_HINT)
    return hosts


_USER_HINT: Final = "check the user and $MRALAB_AXL_PASSWORD in CUCM: User Management > Application User"
_ROLE_HINT: Final = 'give the user a group with the role "Standard AXL API Access"'
_PUBLISHER_HINT: Final = "is it the publisher of a CUCM cluster? HOST:8443 is usual"


def _supported(text: str) -> tuple[str, ...]:
    """Return the versions that a response names as supported. CUCM prints 14 for 14.0."""
    match = _SUPPORTED.search(text)
    versions = _VERSION.findall(match[1]) if match is not None else []
    return tuple(version if "." in version else f"{version}.0" for version in versions)


def hosts_with_role(response: Element, place: str, role: str) -> tuple[str, ...]:
    """Return the names of the nodes with a role in a response, as hosts; none if there are none.

    Raises ``AxlError`` for a name that cannot be dialled.
    """
    hosts: dict[str, None] = {}
    wrong: list[str] = []
    for node in _named(response, "processNode"):
        fields = {_local(child): (child.text or "").strip() for child in node}
        name = fields.get("name", "")
        if name == _NOT_A_NODE or fields.get("processNodeRole", role) != role:
            continue
        try:
            hosts[canonical_host(f"[{name}]" if ":" in name else name)] = None
        except BadHost as error:
            wrong.append(_printable(str(error)))
        if len(hosts) + len(wrong) > _MOST_NODES:
            raise AxlError(f"AXL at {place}: the response has more than {_MOST_NODES} nodes", _PUBLISHER_HINT)
    if wrong:
        raise AxlError(f"AXL at {place}: a node has a name that cannot be dialled: {wrong[0]}", "see System > Server")
    return tuple(hosts)


def _is_duplicate(fault: Element) -> bool:
    return any(_local(element) == "axlcode" and (element.text or "").strip() == _DUPLICATE for element in fault.iter())


def _fault_text(fault: Element) -> str:
    texts = {_local(element): (element.text or "").strip() for element in fault.iter()}
    return _printable(texts.get("axlmessage") or texts.get("faultstring") or texts.get("message") or "no reason given")


def _printable(text: str) -> str:
    return escape(" ".join(text.split()))[:_LONGEST_TEXT]


def _named(root: Element, name: str) -> Iterator[Element]:
    """Yield the elements with a local name, whatever their namespace: it differs by AXL version."""
    return (element for element in root.iter() if _local(element) == name)


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
