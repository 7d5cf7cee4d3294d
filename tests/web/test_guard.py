"""Access to the control API: other origins, other machines and ambiguous requests are refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest
from multidict import CIMultiDict

from mralab.net.endpoints import CONTROL, ListeningAddress
from mralab.web.guard import AmbiguousError, ForbiddenError, MediaTypeError, Received, check, check_body, is_json
from tests.net.conftest import Server, connections, proxying, serving  # fixtures
from tests.net.running_proxy import RunningProxy

from .conftest import Administered

__all__ = ["connections", "proxying", "serving"]

ME = "127.0.0.1:41235"


async def raw(admin: Administered, request: bytes, count: int = 1) -> list[tuple[int, bytes]]:
    """Send bytes to the control API; return status and body of its first ``count`` answers."""
    host, _, port = admin.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.replace(b"ME", admin.address.encode()))
    answers = []
    async with asyncio.timeout(10):
        for _ in range(count):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
            answers.append((int(head.split(b" ")[1]), await reader.readexactly(size)))
    writer.close()
    return answers


async def status_of(admin: Administered, request: bytes) -> int:
    ((status, _),) = await raw(admin, request)
    return status


def received(method: str = "GET", target: str = "/api/log", peer: str = "127.0.0.1", **fields: str) -> Received:
    headers = CIMultiDict({"Host": ME})
    headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    return Received(method, target, headers, peer)


CHANGE = b'{"verify": {"origin": "off"}}'
JSON = b"Content-Type: application/json\r\n"
BODY = b"Content-Length: %d\r\n\r\n%b" % (len(CHANGE), CHANGE)


REFUSED: list[tuple[bytes, int]] = [
    # absolute-form
    (b"GET http://evil.test/api/log HTTP/1.1\r\nHost: ME\r\n", 403),
    (b"GET https://ME/api/log HTTP/1.1\r\nHost: ME\r\n", 403),
    (b"GET http://user@ME/api/log HTTP/1.1\r\nHost: ME\r\n", 403),
    (b"GET http://localhost/api/log HTTP/1.1\r\nHost: ME\r\n", 403),
    (b"GET //evil.test/api/log HTTP/1.1\r\nHost: ME\r\n", 400),
    (b"GET //ME/api/log HTTP/1.1\r\nHost: ME\r\n", 400),
    (b"CONNECT ME HTTP/1.1\r\nHost: ME\r\n", 400),
    (b"OPTIONS * HTTP/1.1\r\nHost: ME\r\n", 404),
    # Host
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nHost: evil.test\r\n", 400),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nHost: ME\r\n", 400),
    (b"GET /api/log HTTP/1.1\r\nHost: evil.test\r\nHost: ME\r\n", 400),
    (b"GET /api/log HTTP/1.1\r\nHost: user@ME\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: localhost.\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME, evil.test\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: \r\n", 403),
    (b"GET /api/log HTTP/1.0\r\n", 403),
    # Origin and other fields of browsers
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nOrigin: http://ME\r\nOrigin: http://evil.test\r\n", 400),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nOrigin: http://ME\r\norigin: http://ME\r\n", 400),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nOrigin: http://ME http://evil.test\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nOrigin: null\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nOrigin: \r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 400),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nSec-Fetch-Site: none, cross-site\r\n", 403),
    (b"OPTIONS /api/config HTTP/1.1\r\nHost: ME\r\nOrigin: http://evil.test\r\n"
     b"Access-Control-Request-Method: PATCH\r\n", 403),
    (b"OPTIONS /api/config HTTP/1.1\r\nHost: ME\r\nAccess-Control-Request-Method: PATCH\r\n", 405),
    # through a proxy
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nVia: http/1.1 vcs\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX-Forwarded-For: 127.0.0.1\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX-Forwarded-Host: evil.test\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nForwarded: for=1.2.3.4\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nclient-IP: 127.0.0.1\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nProxy-Connection: close\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX_Forwarded_For: 127.0.0.1\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nForwarded-For: 127.0.0.1\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX-Forwarded: for=1.2.3.4\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX-Original-URL: /api/reset\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX-Rewrite-URL: /api/reset\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nX-Envoy-External-Address: 1.2.3.4\r\n", 403),
    # a page that is recognizable only by its Referer
    (b"POST /api/reset HTTP/1.1\r\nHost: ME\r\nReferer: http://evil.test/\r\nContent-Length: 0\r\n", 403),
    (b"GET /api/events HTTP/1.1\r\nHost: ME\r\nReferer: http://ME.evil.test/\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nReferer: about:blank\r\n", 403),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nReferer: http://ME/\r\nReferer: http://evil.test/\r\n", 400),
    # another method
    (b"POST /api/reset HTTP/1.1\r\nHost: ME\r\nX-HTTP-Method-Override: PATCH\r\nContent-Length: 0\r\n", 400),
    (b"GET /api/config HTTP/1.1\r\nHost: ME\r\nX-Method-Override: PATCH\r\n", 400),
    # bodies
    (b"POST /api/reset HTTP/1.1\r\nHost: ME\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n", 415),
    (b"POST /api/reset HTTP/1.1\r\nHost: ME\r\nContent-Type: multipart/form-data; boundary=x\r\n"
     b"Content-Length: 0\r\n", 415),
    (b"POST /api/reset HTTP/1.1\r\nHost: ME\r\nContent-Type: Text/Plain; application/json\r\n", 415),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\nContent-Type: text/plain\r\n" + JSON + BODY, 400),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\nContent-Type: application/json, text/plain\r\n" + BODY, 415),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\nContent-Type: application/json; charset=utf-16\r\n" + BODY, 415),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + BODY, 415),
    (b"PUT /api/nothing HTTP/1.1\r\nHost: ME\r\nContent-Type: text/plain\r\n" + BODY, 415),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\n" + JSON + BODY, 400),
    (b"GET /api/log HTTP/1.1\r\nHost: ME\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", 400),
    # framing that two readers see differently
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Transfer-Encoding: chunked\r\n" + BODY, 400),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Content-Length: 0\r\n" + BODY, 400),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n", 400),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Content-Encoding: gzip\r\n" + BODY, 415),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Content-Encoding: deflate\r\n" + BODY, 415),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Content-Encoding: br\r\n" + BODY, 415),
    (b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n0\r\n", 400),
    # parameters
    (b"GET /api/log?most=1&most=2 HTTP/1.1\r\nHost: ME\r\n", 400),
    (b"GET /api/findings?most=1 HTTP/1.1\r\nHost: ME\r\n", 400),
    (b"POST /api/reset?_method=PATCH HTTP/1.1\r\nHost: ME\r\nContent-Length: 0\r\n", 400),
    (b"GET /api/log#x HTTP/1.1\r\nHost: ME\r\n", 400),
]  # fmt: skip


async def test_ambiguous_requests_are_refused(admin: Administered) -> None:
    wrong = {}
    for request, status in REFUSED:
        ends = b"" if b"\r\n\r\n" in request and not request.endswith(b"0\r\n") else b"\r\n"
        if (found := await status_of(admin, request + ends)) != status:
            wrong[request] = (found, status)
    assert wrong == {}
    assert (await admin.ask("GET", "/api/config"))[1]["verify"]["origin"] == "on"


async def test_a_body_other_than_json_is_refused_on_routes_without_a_body(admin: Administered) -> None:
    for path in ("/api/reset", "/api/diagnostic-logging/start", "/api/diagnostic-logging/stop"):
        for media_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""):
            head = f"POST {path} HTTP/1.1\r\nHost: ME\r\nContent-Length: 3\r\nContent-Type: {media_type}"
            ((status, answer),) = await raw(admin, f"{head}\r\n\r\na=b".encode())
            assert status == 415, (path, media_type)
            error = json.loads(answer)["error"]
            assert "Content-Type" in error["message"]
            assert "application/json" in error["hint"]


async def test_a_json_body_is_refused_on_routes_without_a_body(admin: Administered) -> None:
    status, answer = await admin.ask("POST", "/api/reset", {"release": "X14.0.7", "verify": {}})
    assert (status, answer["error"]["problems"]) == (
        400,
        ["release: unknown key; /api/reset takes no body", "verify: unknown key; /api/reset takes no body"],
    )
    assert (await admin.ask("POST", "/api/reset", {}))[0] == 200


async def test_absolute_urls_and_common_clients_are_served(admin: Administered) -> None:
    for head in (
        b"GET http://ME/api/log?most=1 HTTP/1.1\r\nHost: ME\r\n",
        b"GET HTTP://ME/api/log HTTP/1.1\r\nHost: ME\r\nConnection: close\r\n",
        b"GET /api/log HTTP/1.0\r\nHost: ME\r\n",
        b"GET /api/log HTTP/1.1\r\nHost: ME\r\nContent-Length: 0\r\n",
        b"GET /api/log HTTP/1.1\r\nHost: ME\r\nContent-Type: application/json\r\n",
        b"POST /api/reset HTTP/1.1\r\nHost: ME\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n",
        b"POST /api/reset HTTP/1.1\r\nHost: ME\r\n",
        b"GET /api/log HTTP/1.1\r\nHost: ME\r\nReferer: http://ME/api/openapi.json\r\n",
        b"GET /api/log HTTP/1.1\r\nHost: ME\r\nContent-Encoding: identity\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: ME\r\nAccept-Encoding: gzip\r\nUser-Agent: Prometheus\r\n",
    ):
        assert await status_of(admin, head + b"\r\n") == 200, head
    change = b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\nContent-Type: Application/JSON;charset=UTF-8\r\n"
    assert await status_of(admin, change + BODY) == 200


async def test_each_request_of_a_pipeline_is_checked(admin: Administered) -> None:
    good = b"GET /api/log?most=1 HTTP/1.1\r\nHost: ME\r\n\r\n"
    bad = b"PATCH /api/config HTTP/1.1\r\nHost: ME\r\nOrigin: http://evil.test\r\n" + JSON + BODY
    answers = await raw(admin, good + bad + good, 3)
    assert [status for status, _ in answers] == [200, 403, 200]
    assert (await admin.ask("GET", "/api/config"))[1]["verify"]["origin"] == "on"


@pytest.mark.parametrize(
    ("peer", "right"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.48.36.46", False),
        ("::ffff:10.48.36.46", False),
        ("fe80::1%lo", False),
        ("", False),
    ],
)
def test_a_sender_on_another_machine_is_refused_whatever_its_host_field(peer: str, right: bool) -> None:
    if right:
        check(received(peer=peer))
        return
    with pytest.raises(ForbiddenError) as caught:
        check(received(peer=peer))
    assert caught.value.code == "peer-not-loopback"


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"Via": "1.1 x"}, ForbiddenError, "through-a-proxy"),
        ({"x_real_ip": "1.2.3.4"}, ForbiddenError, "through-a-proxy"),
        ({"X_Forwarded_Anything": ""}, ForbiddenError, "through-a-proxy"),
        ({"X_HTTP_Method": "PUT"}, AmbiguousError, "ambiguous"),
        ({"Content_Length": "00"}, None, ""),
        ({"Content_Length": "01"}, AmbiguousError, "ambiguous"),
    ],
)
def test_codes(fields: dict[str, str], kind: Any, code: str) -> None:
    request = received(**fields)
    if kind is None:
        check(request)
        check_body(request)
        return
    with pytest.raises(kind) as caught:
        check(request)
        check_body(request)
    assert caught.value.code == code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"])
def test_every_method_that_changes_something_needs_json(method: str) -> None:
    with pytest.raises(MediaTypeError):
        check_body(received(method, Content_Length="3", Content_Type="text/xml"))
    check_body(received(method, Content_Length="3", Content_Type="application/json"))


@pytest.mark.parametrize(
    ("media_type", "right"),
    [
        ("application/json", True),
        ("APPLICATION/json ; Charset=\"UTF-8\"", True),
        ("application/json; charset=utf-8; charset=utf-16", False),
        ("application/json; charset=latin-1", False),
        ("application/json; charset = utf-16", False),
        ("application/json; charset*=utf-16''x", False),
        ("application/problem+json", False),
        ("application/jsonx", False),
        ("", False),
    ],
)  # fmt: skip
def test_which_content_types_are_json(media_type: str, right: bool) -> None:
    assert is_json(media_type) == right


async def test_a_request_through_a_proxy_of_another_process_is_refused(
    admin: Administered, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    """A token directs the proxy to the API's address, so the proxy writes a valid Host itself."""
    proxy: RunningProxy = await proxying(
        serving(None), allow={"everything": True}, hosts={"localhost": {"dial": "127.0.0.1"}}
    )
    port = int(admin.address.rpartition(":")[2])
    CONTROL.remove(
        ListeningAddress(IPv4Address("127.0.0.1"), port, wildcard=False, versions=frozenset({4}))
    )  # another's
    answer = await proxy.get(port, "/api/trust", host="localhost", scheme="http")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"came through a proxy" in answer


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GET", {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"}),  # the address was typed
        ("GET", {"Sec_Fetch_Site": "same-origin", "Referer": f"http://{ME}/"}),
        ("PATCH", {"Sec_Fetch_Site": "same-origin", "Origin": f"http://{ME}"}),
    ],
)
def test_the_page_itself_may_use_the_api(method: str, fields: dict[str, str]) -> None:
    check(received(method, "/", **fields))


@pytest.mark.parametrize("origin", ["null", "http://127.0.0.1:1", f"https://{ME}", "http://evil.test"])
def test_a_page_of_another_origin_may_not(origin: str) -> None:
    with pytest.raises(ForbiddenError):
        check(received("PATCH", "/api/config", Origin=origin))
