import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from defusedxml.ElementTree import fromstring
from yarl import URL

from mralab.mocks.cucm import Cucm
from mralab.mocks.edge import Edge
from mralab.mocks.listener import TlsListener

from .relay import USERS, at, basic, token

EMUSK = basic("emusk")
NOWHERE = ("127.0.0.1", 1)


@asynccontextmanager
async def edge(cucm: Cucm, proxy: tuple[str, int] = NOWHERE) -> AsyncIterator[str]:
    async with Edge(lambda: proxy, cucm=cucm, users=USERS) as running:
        yield f"http://127.0.0.1:{running.port}"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


CONFIG = f"/{token('steven.lab')}/get_edge_config"


@pytest.mark.parametrize("path", [CONFIG, CONFIG + "/", CONFIG + "?service_name=_cisco-uds"])
async def test_the_answer_names_cucm_as_advertised(cucm: Cucm, session: aiohttp.ClientSession, path: str) -> None:
    cucm.advertise = "ip"
    async with edge(cucm) as url, session.get(url + path, headers=EMUSK) as response:
        assert response.status == 200
        answer = fromstring(await response.read())
    assert answer.tag == "getEdgeConfigResponse"
    assert at(answer, "edgeConfig/userUdsServer/server/address").text == "10.48.36.215"
    services = {at(each, "name").text: each for each in answer.iterfind("serviceConfig/service")}
    assert at(services["_cisco-uds"], "server/address").text == "cucm.steven.lab"
    assert at(services["tftpServer"], "address").text == "10.48.36.215"
    assert str(at(answer, "edgeConfig/sipRequest/route").text).startswith("<sip:")


async def test_a_service_that_dns_does_not_have_is_a_name_error(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with edge(cucm) as url, session.get(url + CONFIG + "?service_name=%3Cx", headers=EMUSK) as response:
        service = at(fromstring(await response.read()), "serviceConfig/service")
    assert [each.text for each in service] == ["<x", "NameError"]


async def test_a_wrong_password_is_the_edges_401(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with edge(cucm) as url, session.get(url + CONFIG) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="Cisco-Edge"'
        assert response.headers["Server"] == "CE_C ECS"


async def test_another_domain_is_forbidden(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with edge(cucm) as url:
        other = f"{url}/{token('other.lab')}/get_edge_config"
        async with session.get(other, headers=EMUSK) as response:
            assert (response.status, response.headers["Server"]) == (403, "CE_E")


async def test_everything_else_goes_to_the_proxy_as_it_is(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    got: list[tuple[str, str, dict[str, str], bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got.append((request.method, request.raw_path, headers, await request.read()))
        response = web.Response(status=207, reason="As It Is", body=b"\x1f\x8bnot really gzip")
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Server"] = "somebody"
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", answer)
    body = b"x" * 3_000_000
    async with TlsListener(app, None) as proxy, edge(cucm, ("127.0.0.1", proxy.port)) as url:
        asked = URL(f"{url}/!not-a-token!/a%3Db/..//c?q=%3D&max=100", encoded=True)
        headers = {"TrackingID": "1-2", "Connection": "keep-alive", "Content-Encoding": "x"}
        async with session.post(asked, data=io.BytesIO(body), headers=headers) as response:
            assert (response.status, response.reason) == (207, "As It Is")
            assert await response.read() == b"\x1f\x8bnot really gzip"
            assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
            assert response.headers["Server"] == "somebody"
        odd = URL(f"{url}/%40%40/get_edge_config", encoded=True)
        async with session.get(odd, headers=EMUSK) as response:
            assert response.status == 207
    method, path, sent, received = got[0]
    assert method == "POST"
    assert path == "http://vcs_control.steven.lab:8443/!not-a-token!/a%3Db/..//c?q=%3D&max=100"
    assert sent["host"] == "vcs_control.steven.lab:8443"
    assert (sent["trackingid"], sent["content-encoding"]) == ("1-2", "x")
    assert sent["content-length"] == str(len(body))
    assert received == body
    assert got[1][1] == "http://vcs_control.steven.lab:8443/%40%40/get_edge_config"


async def test_an_answer_that_breaks_off_breaks_off(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TlsListener(app, None) as proxy, edge(cucm, ("127.0.0.1", proxy.port)) as url:
        with pytest.raises(aiohttp.ClientError):
            async with session.get(f"{url}/x") as response:
                await response.read()


async def test_no_proxy_is_a_502(cucm: Cucm, session: aiohttp.ClientSession) -> None:
    async with edge(cucm) as url, session.get(f"{url}/x") as response:
        assert (response.status, response.reason) == (502, "Next Hop Connection Failed")
