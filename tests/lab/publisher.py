"""A publisher for discovery: a node of the lab with the AXL operations that it needs, independent of the mocks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from aiohttp import web
from cryptography import x509
from defusedxml.ElementTree import fromstring

from mralab.lab.nodes import LabPlan
from mralab.mocks.node import Node, Service
from mralab.mocks.pki import Pki
from mralab.mocks.recipes import reissued

FQDN, IP = "pub.steven.lab", "10.48.36.219"
USER = ("administrator", "cisco123")
VOICE, PRESENCE = "CUCM Voice/Video", "CUCM IM and Presence"


class Publisher(Node):
    """``processnodes``: its System > Server, name -> role; ``expressways``: the entries that Expressway-C wrote."""

    def __init__(self, pki: Pki, *names: str) -> None:
        self.processnodes: Mapping[str, str] = {"cucm.steven.lab": VOICE}
        self.expressways: dict[str, str] = {}
        self.operations: list[str] = []
        self.is_writable = True
        tomcat = reissued(pki["tomcat"], pki["steven-DC-CA"], [x509.DNSName(name) for name in names or (FQDN,)])
        service = Service(8443, "https", _application, ("tomcat",))
        super().__init__({"tomcat": tomcat}, (service,), fqdn=FQDN, ip=IP)


def make(plan: LabPlan) -> Publisher:
    return Publisher(plan.pki)


def _application(node: Publisher) -> web.Application:
    async def axl(request: web.Request) -> web.Response:
        root = fromstring(await request.read())
        operation = next(each for each in root.iter() if "API" in each.tag)
        name = operation.tag.rpartition("}")[2]
        node.operations.append(name)
        if request.headers["Authorization"] != _basic(*USER):
            return web.Response(status=401)
        match name:
            case "listProcessNode":
                role = operation.findtext("searchCriteria/processNodeRole")
                return _response(
                    "".join(
                        f"<processNode><name>{each}</name><processNodeRole>{own}</processNodeRole></processNode>"
                        for each, own in node.processnodes.items()
                        if own == role
                    )
                )
            case "addExpresswayCConfiguration" if not node.is_writable:
                return _fault("User is not authorized", "-1")
            case "addExpresswayCConfiguration":
                host, names = _names(operation[0])
                if host in node.expressways:
                    return _fault("Could not insert new row - duplicate value in a UNIQUE INDEX column.", "-239")
                node.expressways[host] = names
                return _response("")
            case "updateExpresswayCConfiguration":
                host, names = _names(operation)
                node.expressways[host] = names
                return _response("")
        return _fault(f"no operation {name}", "-1")

    async def version(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != _basic(*USER):
            return web.Response(status=401)
        return web.Response(text="<VersionInformation/>", content_type="application/xml")

    app = web.Application()
    app.add_routes([web.post("/axl/", axl), web.get("/vmrest/version", version)])
    return app


def _names(fields: Element) -> tuple[str, str]:
    found: Sequence[str | None] = [
        fields.findtext(name) for name in ("HostNameOrIP", "X509SubjectNameorSubjectAlternateName")
    ]
    return found[0] or "", found[1] or ""


def _response(content: str) -> web.Response:
    return _envelope(f"<response><return>{content}</return></response>", 200)


def _fault(text: str, code: str) -> web.Response:
    error = f"<axlError><axlcode>{code}</axlcode><axlmessage>{text}</axlmessage></axlError>"
    return _envelope(f"<s:Fault><faultstring>{text}</faultstring><detail>{error}</detail></s:Fault>", 500)


def _envelope(content: str, status: int) -> web.Response:
    body = f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{content}</s:Body></s:Envelope>'
    return web.Response(text=body, status=status, content_type="text/xml")


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
