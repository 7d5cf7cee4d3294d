"""Node types are lists of services, whose rows give port, scheme, certificates and faults."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from mralab.errors import MralabError
from mralab.mocks.faults.answer import Answer
from mralab.mocks.faults.expire import Expire
from mralab.mocks.faults.stall import Stall
from mralab.mocks.node import Node, Service
from mralab.mocks.pki import Pki, mint


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint()


def application(node: Node) -> web.Application:
    """Answer every request with the node's address."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=node.address)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


SERVICES = (
    Service(80, "http", application),
    Service(443, "https", application, ("tomcat",)),
    Service(5061, "https", application, ("CallManager", "CallManager-ECDSA"), ask_client=True),
)


@pytest.fixture
async def node(pki: Pki) -> AsyncIterator[Node]:
    async with Node(pki, SERVICES, fqdn="imp.steven.lab", ip="10.48.36.216") as running:
        yield running


async def fetch(url: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        response.raise_for_status()
        return await response.text()


async def test_each_service_answers_on_a_port_of_its_own(node: Node) -> None:
    assert list(node.ports) == [80, 443, 5061]
    assert [url.partition(":")[0] for url in node.urls.values()] == ["http", "https", "https"]
    assert {await fetch(url) for url in node.urls.values()} == {"imp.steven.lab"}


@pytest.mark.parametrize(("port", "purposes"), [(443, {"tomcat"}), (5061, {"CallManager", "CallManager-ECDSA"})])
async def test_a_service_presents_the_certificates_of_its_row(node: Node, port: int, purposes: set[str]) -> None:
    await fetch(node.urls[port])
    assert node.presented_purpose(port) in purposes
    assert node.presented(port) is node.certificate(node.presented_purpose(port))


async def test_an_installed_certificate_is_presented_from_the_next_connection(node: Node, pki: Pki) -> None:
    node.install("tomcat", pki["tomcat-ECDSA"])
    await fetch(node.urls[443])
    assert node.listener(443).seen[-1].cipher.startswith("ECDHE-ECDSA")
    assert node.presented(443) is pki["tomcat-ECDSA"]


async def test_faults_are_those_of_a_port(node: Node) -> None:
    node.inject(Answer(503))
    node.inject(Stall(), 5061)
    assert (node.faults(80), node.faults(443), node.faults(5061)) == ((), (Answer(503),), (Stall(),))
    assert node.faults(1) == ()
    with pytest.raises(aiohttp.ClientResponseError, match="503"):
        await fetch(node.urls[443])
    node.lift_faults(443)
    assert (node.faults(443), node.faults(5061)) == ((), (Stall(),))
    assert await fetch(node.urls[443]) == "imp.steven.lab"
    node.lift_faults()
    assert node.faults(5061) == ()


async def test_a_fault_that_is_over_is_not_in_force(node: Node) -> None:
    node.inject(Answer(503), 443, times=1)
    with pytest.raises(aiohttp.ClientResponseError, match="503"):
        await fetch(node.urls[443])
    assert node.faults(443) == ()


async def test_a_plain_port_has_no_certificate_and_no_faults(node: Node) -> None:
    with pytest.raises(MralabError, match="has no TLS port 80; it has 443, 5061") as caught:
        node.presented(80)
    assert str(caught.value).startswith("imp.steven.lab: ")
    with pytest.raises(MralabError, match="has no TLS port 80"):
        node.inject(Stall(), 80)


async def test_what_is_installed_before_the_start_is_presented_and_takes_no_context_until_then(pki: Pki) -> None:
    node = Node(pki, SERVICES, fqdn="imp.steven.lab", ip="10.48.36.216")
    node.install("tomcat", pki["tomcat-ECDSA"])
    node.serve(5061, "tomcat")
    assert [node.listener(port).context for port in node.tls_ports] == [None, None]
    async with node:
        for port in node.tls_ports:
            await fetch(node.urls[port])
            assert node.listener(port).seen[-1].cipher.startswith("ECDHE-ECDSA")
            assert node.presented(port) is pki["tomcat-ECDSA"]


async def test_a_change_of_one_port_leaves_the_context_of_the_others(node: Node) -> None:
    kept, changed = (node.listener(port).context for port in (443, 5061))
    node.serve(5061, "tomcat")
    assert node.listener(443).context is kept
    assert node.listener(5061).context is not changed


async def test_ports_with_the_same_offer_have_one_context(pki: Pki) -> None:
    services = (*SERVICES, Service(8443, "https", application, ("tomcat",)))
    async with Node(pki, services, fqdn="imp.steven.lab", ip="10.48.36.216") as node:
        for versions in (("1.2",), ("1.2", "1.3")):
            node.tls = versions
            assert node.listener(8443).context is node.listener(443).context
            assert node.listener(5061).context is not node.listener(443).context  # it sends a CertificateRequest
        node.inject(Expire(), 8443)
        assert node.listener(8443).offer.certified != (pki["tomcat"],)
        assert node.listener(443).offer.certified == (pki["tomcat"],)
        node.serve(8443, "tomcat-ECDSA")
        assert node.listener(8443).context is not node.listener(443).context
        node.lift_faults()
        for port, kind in ((443, "rsa"), (8443, "ec")):
            await fetch(node.urls[port])
            assert node.listener(port).seen[-1].certificate == kind
