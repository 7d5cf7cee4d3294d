"""SOAP 1.1 and 1.2: requests as bounded, defused XML, responses and faults as elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError, register_namespace

from aiohttp import web
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from .application import xml
from .xmlbody import element


class BadEnvelopeError(Exception):
    """The body of a request is no SOAP envelope with one operation; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of SOAP."""

    namespace: str
    prefix: str
    """Prefix of the namespace; the codes of faults need it."""
    content_type: str


SOAP_11: Final = Version("http://schemas.xmlsoap.org/soap/envelope/", "soapenv", "text/xml")
SOAP_12: Final = Version("http://www.w3.org/2003/05/soap-envelope", "env", "application/soap+xml")
_VERSIONS: Final = {version.namespace: version for version in (SOAP_11, SOAP_12)}
for _version in _VERSIONS.values():
    register_namespace(_version.prefix, _version.namespace)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the element of the operation and the entries of the header."""

    version: Version
    operation: Element
    header: tuple[Element, ...] = ()

    @property
    def name(self) -> str:
        """Name of the operation, without its namespace."""
        return local_name(self.operation)

    @property
    def namespace(self) -> str:
        """Namespace of the operation; empty without one."""
        return namespace(self.operation)


def read_call(body: bytes) -> Call:
    """Return the request in ``body``. Raises ``BadEnvelopeError``. The size of ``body`` is the application's limit."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except DefusedXmlException:
        raise BadEnvelopeError("a document type is not accepted") from None
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that Python does not know
        raise BadEnvelopeError(f"the request is not XML: {error}") from None
    version = _VERSIONS.get(namespace(root))
    if version is None or local_name(root) != "Envelope":
        raise BadEnvelopeError("the request is not a SOAP envelope")
    operations = [each for part in root.findall(f"{{{version.namespace}}}Body") for each in part]
    if len(operations) != 1:
        raise BadEnvelopeError(f"the SOAP body has {len(operations)} operations, not one")
    header = tuple(each for part in root.findall(f"{{{version.namespace}}}Header") for each in part)
    return Call(version, operations[0], header)


def response(version: Version, *content: Element, status: int = 200) -> web.Response:
    """Return a response with an envelope around ``content``."""
    ns = version.namespace
    root = element(f"{{{ns}}}Envelope", element(f"{{{ns}}}Body", *content))
    return xml(root, status=status, content_type=version.content_type)


def fault(version: Version, text: str, detail: Element | None = None, *, status: int = 500) -> web.Response:
    """Return a fault: SOAP 1.1 (section 4.4) from the server, SOAP 1.2 (part 1, 5.4) from the sender."""
    ns = version.namespace
    if version is SOAP_11:
        content = [element("faultcode", f"{version.prefix}:Server"), element("faultstring", text)]
        details = element("detail")
    else:
        reason = element(f"{{{ns}}}Text", text)
        reason.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
        code = element(f"{{{ns}}}Code", element(f"{{{ns}}}Value", f"{version.prefix}:Sender"))
        content = [code, element(f"{{{ns}}}Reason", reason)]
        details = element(f"{{{ns}}}Detail")
    if detail is not None:
        details.append(detail)
        content.append(details)
    return response(version, element(f"{{{ns}}}Fault", *content), status=status)


def namespace(node: Element) -> str:
    """Return the namespace of an element; empty without one."""
    start, closed, _ = str(node.tag).partition("}")
    return start[1:] if closed else ""


def local_name(node: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(node.tag).rpartition("}")[2]


def child(node: Element, name: str) -> Element | None:
    """Return the first child with this local name: clients differ in whether children have a namespace."""
    return next((each for each in node if local_name(each) == name), None)


def text(node: Element, name: str) -> str:
    """Return the text of the child with this local name; empty without one."""
    found = child(node, name)
    return "" if found is None else (found.text or "").strip()
