"""Requests through a running proxy, with real sockets and TLS."""

from __future__ import annotations

import asyncio
import base64
import random
import re
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.core.log.events import (
    HandshakeFailed,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.reader import read
from tests.serving import until

from .conftest import HOST, OK, RunningProxy, Server, read_request, server_context

Serving = Callable[..., Server]
Proxying = Callable[..., Any]


@pytest.fixture(params=["per-request", "keep-alive"])
def connections(request: pytest.FixtureRequest) -> str:
    """Run each test of this module in both ways: an exchange decides whether its server connection is kept."""
    return str(request.param)


@pytest.fixture
def good(ca: trustme.CA) -> ssl.SSLContext:
    return server_context(ca.issue_cert(HOST))


async def test_a_verified_server_gets_the_request_and_the_client_its_answer(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, connections: str
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    answer = await proxy.get(server.port, "/cucm-uds/user/emusk/devices?max=100", headers="X-A: 1\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 \r\n")
    assert body == b"ok\n"
    assert server.snis == [HOST]
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"GET /cucm-uds/user/emusk/devices?max=100 HTTP/1.1"
    names = [line.split(b":")[0] for line in lines[1:-2]]
    connection = [] if connections == "keep-alive" else [b"Connection"]
    assert names == [b"Host", b"X-A", b"TrackingID", b"Client-ip", b"X-Forwarded-For", *connection, b"Via"]
    assert lines[1] == f"Host: {HOST}:{server.port}".encode()
    assert await proxy.event_names() == [
        "RequestReceived",
        "RequestAllowed",
        "RequestSent",
        "ResponseReceived",
        "ResponseSent",
    ]
    received = (await proxy.events())[0]
    assert isinstance(received, RequestReceived)
    assert received.start_line.startswith("GET http://vcs_control.steven.lab:8443/")


async def test_an_unknown_ca_is_refused_twice_with_its_alert_and_no_request_is_sent(
    serving: Serving, proxying: Proxying
) -> None:
    server = serving(server_context(trustme.CA().issue_cert(HOST)))
    proxy: RunningProxy = await proxying(server)
    answer = await proxy.get(server.port)
    assert answer.startswith(b"HTTP/1.1 502 connect failed\r\nDate: ")
    assert b"<TITLE>Could Not Connect</TITLE>" in answer
    for _ in range(2):
        assert await asyncio.to_thread(server.ended.acquire, timeout=5)
    assert server.alerts == ["TLSV1_ALERT_UNKNOWN_CA"] * 2
    assert server.requests == []
    assert await proxy.event_names() == [
        "RequestReceived",
        "RequestAllowed",
        "RequestSent",
        "VerifyFailed",
        "HandshakeFailed",
        "RequestSent",
        "VerifyFailed",
        "HandshakeFailed",
        "ResponseSent",
    ]
    failed, handshake = (await proxy.events())[3:5]
    assert isinstance(failed, VerifyFailed)
    assert (failed.error, failed.depth, failed.action) == (
        "unable to get local issuer certificate",
        0,
        "Terminate",
    )
    assert (failed.name, failed.server, failed.ip) == (HOST, HOST, "10.48.36.215")
    assert isinstance(handshake, HandshakeFailed)
    assert handshake.error.endswith("tls_process_server_certificate:certificate verify failed")


async def test_a_wrong_name_is_refused_with_internal_error(
    serving: Serving, proxying: Proxying, ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert("other.steven.lab")))
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 connect failed\r\n")
    for _ in range(2):
        assert await asyncio.to_thread(server.ended.acquire, timeout=5)
    assert server.alerts == ["TLSV1_ALERT_INTERNAL_ERROR"] * 2
    assert isinstance((await proxy.events())[3], NameMismatch)


async def test_a_requested_address_is_not_sent_as_sni_and_must_be_in_the_certificate(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port, host="10.48.36.215")).startswith(b"HTTP/1.1 502 connect failed\r\n")
    assert server.snis == [None, None]
    mismatch = (await proxy.events())[3]
    assert isinstance(mismatch, NameMismatch)
    assert (mismatch.name, mismatch.server, mismatch.ip) == ("10.48.36.215",) * 3


@pytest.mark.parametrize(("ip_san", "status"), [("accept", b"200"), ("ignore", b"502")])
async def test_an_address_in_an_ip_san_counts_only_if_configured(
    serving: Serving, proxying: Proxying, ca: trustme.CA, ip_san: str, status: bytes
) -> None:
    server = serving(server_context(ca.issue_cert("10.48.36.215")))
    proxy: RunningProxy = await proxying(server, verify={"ip_san": ip_san})
    assert (await proxy.get(server.port, host="10.48.36.215")).split()[1] == status


async def test_before_x14_2_nothing_is_verified_and_nothing_logged(serving: Serving, proxying: Proxying) -> None:
    server = serving(server_context(trustme.CA().issue_cert("other.steven.lab")))
    proxy: RunningProxy = await proxying(server, release="X14.0.7")
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert await proxy.event_names() == [
        "RequestReceived",
        "RequestAllowed",
        "RequestSent",
        "ResponseReceived",
        "ResponseSent",
    ]


async def test_audit_logs_every_fault_of_one_handshake_and_the_request_continues(
    serving: Serving, proxying: Proxying
) -> None:
    server = serving(server_context(trustme.CA().issue_cert("other.steven.lab"), chain=False))
    proxy: RunningProxy = await proxying(server, verify={"origin": "audit"})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    faults = [event for event in await proxy.events() if isinstance(event, (VerifyFailed, NameMismatch))]
    assert [getattr(fault, "error", "name") for fault in faults] == [
        "unable to get local issuer certificate",
        "unable to verify the first certificate",
        "name",
    ]
    assert {fault.action for fault in faults} == {"Continue"}
    assert server.connections == 1


async def test_a_trusted_certificate_applies_from_the_next_request_on(serving: Serving, proxying: Proxying) -> None:
    other = trustme.CA()
    server = serving(server_context(other.issue_cert(HOST)))
    proxy: RunningProxy = await proxying(server, upstream={"connections": "keep-alive"})
    pem = other.cert_pem.bytes()
    assert (await proxy.get(server.port)).split()[1] == b"502"
    await proxy.trust(pem)
    assert (await proxy.get(server.port)).split()[1] == b"200"
    await proxy.distrust(pem)
    assert (await proxy.get(server.port)).split()[1] == b"502"


@pytest.mark.parametrize(
    ("name", "before", "reason", "line"),
    [
        ("closes", lambda sock: None, b"connect failed", None),
        (
            "not TLS",
            lambda sock: (sock.recv(4096), sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")),
            b"connect failed",
            "error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
        ),
        (
            "alert",
            lambda sock: (sock.recv(4096), sock.sendall(b"\x15\x03\x03\x00\x02\x02\x28")),
            b"connect failed",
            "error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure",
        ),
    ],
)
async def test_a_server_that_does_not_speak_tls_is_a_502(
    serving: Serving,
    proxying: Proxying,
    good: ssl.SSLContext,
    name: str,
    before: Any,
    reason: bytes,
    line: str | None,
) -> None:
    server = serving(good, before_tls=before)
    proxy: RunningProxy = await proxying(server)
    status_line = (await proxy.get(server.port)).split(b"\r\n")[0]
    assert status_line in (b"HTTP/1.1 502 " + reason, b"HTTP/1.1 502 Connection reset by peer")
    errors = {event.error for event in await proxy.events() if isinstance(event, HandshakeFailed)}
    assert errors == ({line} if line else set())
    assert server.connections == 2


async def test_a_server_that_does_not_listen_is_a_502(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    with socket.socket() as bound:  # nobody else can listen there meanwhile
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        proxy: RunningProxy = await proxying(Server(None, port=port))
        assert (await proxy.get(port)).startswith(b"HTTP/1.1 502 connect failed\r\n")
        assert sum(isinstance(event, RequestSent) for event in await proxy.events()) == 2


async def test_a_silent_handshake_is_a_502_in_time(serving: Serving, proxying: Proxying, good: ssl.SSLContext) -> None:
    server = serving(good, before_tls=lambda sock: [None for _ in iter(lambda: sock.recv(4096), b"")])
    proxy: RunningProxy = await proxying(server, upstream={"connect_timeout": 0.3})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 internal error - server connection terminated\r\n")
    assert server.connections == 2


@pytest.mark.parametrize(("method", "attempts"), [("GET", 2), ("POST", 1)])
async def test_a_silent_server_is_a_504_in_time_and_only_a_safe_request_is_repeated(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, method: str, attempts: int
) -> None:
    def silent(stream: Any, server: Server) -> None:
        server.requests.append(read_request(stream))
        stream.recv(1)

    server = serving(good, handle=silent)
    proxy: RunningProxy = await proxying(server, upstream={"response_timeout": 0.3})
    headers = "Content-Length: 2\r\n" if method == "POST" else ""
    answer = await proxy.get(server.port, method=method, headers=headers, body=b"hi" if method == "POST" else b"")
    assert answer.startswith(b"HTTP/1.1 504 Connection Timed Out\r\n")
    assert len(server.requests) == attempts


@pytest.mark.parametrize(
    ("response", "status_line"),
    [
        (b"", b"HTTP/1.1 502 Server Hangup"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 502 Server Hangup"),
        (b"\x00\x01garbage no http here\r\n\r\n", b"HTTP/1.1 502 Invalid HTTP Response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 502 Invalid HTTP Response",
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 502 Invalid HTTP Response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 40, b"HTTP/1.1 502 Invalid HTTP Response"),
    ],
)
async def test_an_invalid_response_is_a_502(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, response: bytes, status_line: bytes
) -> None:
    def rubbish(stream: Any, server: Server) -> None:
        server.requests.append(read_request(stream))
        stream.sendall(response)

    server = serving(good, handle=rubbish)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port)).split(b"\r\n")[0] == status_line


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n",
    ],
)
async def test_a_truncated_body_never_ends_cleanly(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, response: bytes
) -> None:
    def short(stream: Any, server: Server) -> None:
        server.requests.append(read_request(stream))
        stream.sendall(response)

    server = serving(good, handle=short)
    proxy: RunningProxy = await proxying(server)
    answer = await proxy.get(server.port)
    assert not answer.endswith(b"0\r\n\r\n")
    assert answer == b"RESET" or not answer.startswith(b"HTTP/1.1 502")
    assert len(server.requests) == 1


async def test_bodies_of_every_framing_arrive_whole(serving: Serving, proxying: Proxying, good: ssl.SSLContext) -> None:
    def echo(stream: Any, server: Server) -> None:
        request = read_request(stream)
        server.requests.append(request)
        body = request.partition(b"\r\n\r\n")[2]
        stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)  # until close

    server = serving(good, handle=echo)
    proxy: RunningProxy = await proxying(server)
    body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    answer = await proxy.get(server.port, method="POST", headers="Transfer-Encoding: chunked\r\n", body=body)
    assert server.requests[0].endswith(b"\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
    head, _, echoed = answer.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"abc" in echoed
    assert echoed.endswith(b"\r\n0\r\n\r\n")


async def test_plain_http_servers_are_reached_without_tls(serving: Serving, proxying: Proxying) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port, scheme="http")).startswith(b"HTTP/1.1 200 \r\n")


async def test_absolute_form_as_from_expressway_e_works(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    url = f"http://vcs_control.steven.lab:8443/{proxy.token(server.port)}/cucm-uds/version"
    answer = await proxy.raw(f"GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 \r\n")
    received = (await proxy.events())[0]
    assert isinstance(received, RequestReceived)
    assert received.start_line == f"GET {url} HTTP/1.1"


async def test_a_url_outside_the_allow_list_is_403_and_dials_nothing(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port, host="elsewhere.steven.lab")).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert (await proxy.get(server.port, method="PATCH")).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert server.connections == 0
    assert (await proxy.event_names())[:3] == ["RequestReceived", "RequestDenied", "ResponseSent"]


@pytest.mark.parametrize("path", ["/", "/nonsense/x", "/" + base64.b64encode(b"steven.lab").decode() + "/x"])
async def test_a_damaged_token_is_404_and_the_log_has_the_reason(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, path: str
) -> None:
    proxy: RunningProxy = await proxying(serving(good))
    answer = await proxy.raw(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 Not Found on Accelerator\r\n")
    denied = (await proxy.events())[1]
    assert isinstance(denied, RequestDenied)
    assert denied.detail == "Invalid token"
    assert denied.reason


@pytest.mark.parametrize(
    "data",
    [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00", b"GET / HTTP/1.1\nHost: x\n\n", b"\x00" * 100],
)
async def test_an_invalid_request_is_400_at_once_and_the_proxy_continues(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, data: bytes
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.raw(data)).split(b"\r\n")[0] == b"HTTP/1.0 400 Invalid HTTP Request"
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert isinstance((await proxy.events())[0], RequestRejected)


async def test_pipelined_requests_are_answered_in_order(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    token = proxy.token(server.port)
    requests = [f"GET /{token}/{n} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for n in range(3)]
    last = f"GET /{token}/3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
    answer = await proxy.raw(b"".join(requests) + last)
    assert answer.count(b"HTTP/1.1 200 \r\n") == 4
    assert [request.split()[1] for request in server.requests] == [b"/0", b"/1", b"/2", b"/3"]


async def test_a_client_that_does_not_read_gets_no_further_responses_until_it_reads(
    serving: Serving, proxying: Proxying
) -> None:
    """Otherwise one pipelining client could fill the memory with responses."""
    count, response = 150, b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + bytes(50000)

    def large(stream: Any, server: Server) -> None:
        while request := read_request(stream):
            server.requests.append(request)
            stream.sendall(response)

    def served() -> int:
        return sum(b" /same " in request for request in server.requests)

    server = serving(None, handle=large)
    proxy: RunningProxy = await proxying(server)
    head = f"GET /{proxy.token(server.port, scheme='http')}/same HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.setblocking(False)
        await loop.sock_connect(client, (proxy.host, proxy.port))
        sending = asyncio.create_task(loop.sock_sendall(client, head * count))
        services = proxy.server._services
        assert services is not None
        await until(lambda: any(getattr(each, "paused", False) for each in services.clients))
        before = served()
        for _ in range(20):
            await proxy.get(server.port, "/other", scheme="http")
        assert served() <= before + 1
        bodies = 0
        async with asyncio.timeout(60):
            while bodies < count * 50000:
                bodies += (await loop.sock_recv(client, 1 << 20)).count(b"\0")
        await sending
        assert served() == count


@pytest.mark.parametrize("body", [b"", b"0123456789"], ids=["GET", "POST"])
async def test_requests_that_wait_for_their_turn_are_not_all_held_in_memory(
    body: bytes, serving: Serving, proxying: Proxying
) -> None:
    count = 500
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    method = f"POST /{{}} HTTP/1.1\r\nContent-Length: {len(body)}" if body else "GET /{} HTTP/1.1"
    start = method.format(f"{proxy.token(server.port, scheme='http')}/a")
    request = f"{start}\r\nHost: h\r\nX: {'x' * 8000}\r\n\r\n".encode() + body
    services = proxy.server._services
    assert services is not None
    largest, received = 0, b""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(request * count)
        while received.count(b"\r\n\r\n") < count:
            received += await reader.read(65536)
            largest = max(largest, *(len(getattr(each, "_buffer", b"")) for each in services.clients))
        writer.close()
    assert len(server.requests) == count
    assert largest < 1_000_000


async def test_a_half_closed_client_still_gets_its_answer(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    request = f"GET /{proxy.token(server.port)}/x HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    assert (await proxy.raw(request, eof=True)).startswith(b"HTTP/1.1 200 \r\n")


GET = "GET <T> HTTP/1.1\r\nHost: h\r\n\r\n"
POST = "POST <T> HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
CHUNKED = "POST <T> HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (GET * 3, "200 200 200"),
        (f"{POST}abc{GET}", "200 200"),
        (f"{GET}{POST}abc", "200 200"),
        (f"{GET}{CHUNKED}3\r\nabc\r\n0\r\n\r\n{GET}", "200 200 200"),
        (f"{GET}GET /nomap HTTP/1.1\r\nHost: h\r\n\r\n{GET}", "200 404 200"),
        (GET * 2 + "GET <T> HT", "200 200"),
        (GET + "GET <T> HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET, "200 200"),
        (f"{CHUNKED}zz\r\n\r\n{GET}", "400"),
        (f"{GET}GARBAGE\r\n\r\n{GET}", "200 400"),
        (f"{GET}{CHUNKED}zz\r\n\r\n{GET}", "200 400"),
        (f"{GET}{POST}ab", "200"),
    ],
    ids=[
        "gets",
        "body-first",
        "body-last",
        "chunks",
        "unmapped",
        "part",
        "close",
        "bad-first",
        "garbage",
        "bad-chunk",
        "part-body",
    ],
)
async def test_a_half_closed_client_gets_the_answers_of_all_requests_that_it_sent(
    serving: Serving, proxying: Proxying, sent: str, answers: str
) -> None:
    """As Traffic Server 9.2.9 does. A request that is not complete has no answer."""
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    received = await proxy.raw(sent.replace("<T>", f"/{proxy.token(server.port, scheme='http')}/x").encode(), eof=True)
    heads = re.findall(rb"HTTP/1\.[01] (\d+) [^\r]*\r\n(.*?)\r\n\r\n", received, re.DOTALL)
    assert b" ".join(status for status, _ in heads).decode() == answers
    if not sent.endswith(("HT", "ab")):  # else there is a head, or its beginning, which cannot be answered
        assert [b"Connection: keep-alive" in fields for _, fields in heads] == [True] * (len(heads) - 1) + [False]


@pytest.mark.parametrize("warm", [False, True], ids=["ordinary", "planned"])
async def test_requests_wait_for_their_turn_after_the_client_has_ended_its_side(
    serving: Serving, proxying: Proxying, warm: bool
) -> None:
    ended = threading.Event()

    def answer_after_the_end(stream: Any, server: Server) -> None:
        while request := read_request(stream):
            server.requests.append(request)
            if b"/slow" in request:
                assert ended.wait(10)
            stream.sendall(OK)

    server = serving(None, handle=answer_after_the_end)
    proxy: RunningProxy = await proxying(server)
    token = proxy.token(server.port, scheme="http")
    slow, quick = (f"GET /{token}/{name} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for name in ("slow", "quick"))
    if warm:
        ended.set()
        for head in (slow, quick, slow, quick):
            assert await proxy.raw(head, eof=True)
        ended.clear()
        server.requests.clear()
    services = proxy.server._services
    assert services is not None
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(slow)
        await until(lambda: len(server.requests) == 1)
        writer.write(quick * 2)
        writer.write_eof()
        await until(lambda: any(getattr(each, "_eof", False) for each in services.clients))
        ended.set()
        assert (await reader.read()).count(b"HTTP/1.1 200 ") == 3
        writer.close()
    assert not services.clients


async def test_a_half_closed_client_that_reads_late_gets_every_answer(serving: Serving, proxying: Proxying) -> None:
    count, response = 150, b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + bytes(50000)

    def large(stream: Any, server: Server) -> None:
        while request := read_request(stream):
            server.requests.append(request)
            stream.sendall(response)

    server = serving(None, handle=large)
    proxy: RunningProxy = await proxying(server)
    head = f"GET /{proxy.token(server.port, scheme='http')}/same HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    services = proxy.server._services
    assert services is not None
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.setblocking(False)
        await loop.sock_connect(client, (proxy.host, proxy.port))
        await loop.sock_sendall(client, head * count)
        await until(lambda: any(getattr(each, "paused", False) for each in services.clients))
        client.shutdown(socket.SHUT_WR)
        await until(lambda: any(getattr(each, "_eof", False) for each in services.clients))
        bodies = 0
        async with asyncio.timeout(60):
            while data := await loop.sock_recv(client, 1 << 20):
                bodies += data.count(b"\0")
    assert bodies == count * 50000


async def test_a_proxy_that_was_idle_still_finishes_requests_when_it_stops(
    serving: Serving, proxying: Proxying
) -> None:
    arrived, go = threading.Event(), threading.Event()

    def late(stream: Any, server: Server) -> None:
        while b"/slow" in read_request(stream):
            arrived.set()
            go.wait(10)
            stream.sendall(OK)
        stream.sendall(OK)

    server = serving(None, handle=late)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port, "/first", scheme="http")).startswith(b"HTTP/1.1 200 \r\n")
    services = proxy.server._services
    assert services is not None
    await until(lambda: not services.clients)
    waiting = asyncio.create_task(proxy.get(server.port, "/slow", scheme="http"))
    await until(arrived.is_set)
    stopping = asyncio.create_task(proxy.server.stop())
    for _ in range(50):  # iterations of the event loop in which it could end the request
        await asyncio.sleep(0)
    assert not stopping.done()
    go.set()
    assert (await waiting).startswith(b"HTTP/1.1 200 \r\n")
    await stopping


async def test_kept_connections_are_used_again(serving: Serving, proxying: Proxying, good: ssl.SSLContext) -> None:
    def many(stream: Any, server: Server) -> None:
        while request := read_request(stream):
            server.requests.append(request)
            stream.sendall(OK)

    server = serving(good, handle=many)
    proxy: RunningProxy = await proxying(server, upstream={"connections": "keep-alive"})
    for _ in range(3):
        assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 \r\n")
    assert len(server.requests) == 3
    assert server.connections == 1
    assert b"\r\nConnection:" not in server.requests[0]


@pytest.mark.parametrize("size", [1, 16384, 16385, 65536, 262144, (3 << 20) + 7])
async def test_a_body_arrives_whole_in_either_direction(
    size: int, serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    """Sizes around that of a TLS record and of one read, and larger ones."""

    def echo(stream: Any, _: Server) -> None:
        body = read_request(stream).partition(b"\r\n\r\n")[2]
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = serving(good, handle=echo)
    proxy: RunningProxy = await proxying(server)
    body = random.Random(size).randbytes(size)
    answer = await proxy.get(server.port, method="POST", headers=f"Content-Length: {size}\r\n", body=body)
    assert answer.partition(b"\r\n\r\n")[2] == body


async def test_head_has_no_body_and_http_1_0_gets_http_1_0(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    def head(stream: Any, server: Server) -> None:
        server.requests.append(read_request(stream))
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")

    server = serving(good, handle=head)
    proxy: RunningProxy = await proxying(server)
    answer = await proxy.get(server.port, method="HEAD")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 3\r\n" in answer
    old = await proxy.raw(f"HEAD /{proxy.token(server.port)}/x HTTP/1.0\r\nHost: h\r\n\r\n".encode())
    assert old.startswith(b"HTTP/1.0 200 OK\r\n")
    denied = await proxy.raw(b"HEAD /x HTTP/1.0\r\nHost: h\r\n\r\n")
    assert denied.startswith(b"HTTP/1.0 404 Not Found on Accelerator\r\n")
    assert denied.endswith(b"\r\n\r\n")
    assert b"\r\nConnection:" not in denied


async def test_the_log_file_has_every_line(serving: Serving, proxying: Proxying, good: ssl.SSLContext) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    await proxy.get(server.port)
    events = await proxy.events()
    assert len(proxy.log.read_text().splitlines()) == len(events) == 5
    assert isinstance(events[-1], ResponseSent)


async def test_odd_bytes_in_a_tracking_id_or_user_break_nothing(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    user = base64.b64encode(b'a"\r\nb\xff:c').decode()
    raw = f"GET /{proxy.token(server.port)}/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n".encode()
    raw += b'TrackingID: \xff"x\r\nAuthorization: Basic ' + user.encode() + b"\r\n\r\n"
    assert (await proxy.raw(raw)).startswith(b"HTTP/1.1 200 ")
    assert b'\r\nTrackingID: \xff"x\r\n' in server.requests[0]
    await proxy.events()
    lines = proxy.log.read_text("ascii").splitlines()
    assert len(lines) == 5
    logged = [record.event for record in read(lines)]
    assert isinstance(logged[1], RequestAllowed)
    assert logged[1].username == 'a"\r\nb\xff'


@pytest.mark.parametrize("named", ["Authorization", "X-Forwarded-For", "Host", "Via", "Content-Length"])
async def test_connection_cannot_remove_fields_for_routing_or_framing(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, named: str
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    headers = f"Connection: {named}\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: Basic eA==\r\nContent-Length: 2\r\n"
    assert (await proxy.get(server.port, method="POST", headers=headers, body=b"hi")).startswith(b"HTTP/1.1 200 ")
    request = server.requests[0]
    assert (b"\r\nAuthorization:" in request) == (named != "Authorization")
    assert b"\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" in request
    assert request.count(b"\r\nContent-Length: 2\r\n") == 1
    assert b"\r\nVia: http/1.1 vcs[" in request
    assert f"\r\nHost: {HOST}:{server.port}\r\n".encode() in request


async def test_a_request_that_has_passed_this_proxy_before_is_refused(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    await proxy.get(server.port)
    via = next(line for line in server.requests[0].decode().split("\r\n") if line.startswith("Via:"))
    assert (await proxy.get(server.port, headers=f"{via}\r\n")).startswith(b"HTTP/1.1 400 Cycle Detected\r\n")
    assert len(server.requests) == 1


@pytest.mark.parametrize("path", ["/%2e%2e/x", "/a/../../x", "/..%2fx", "/a%00b/../x", "//x", "/..;/x"])
async def test_a_path_with_two_readings_must_be_allowed_in_each(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, tmp_path: Path, path: str
) -> None:
    server = serving(good)
    (tmp_path / "narrow.csv").write_text(
        f"Url,Deployment,HttpMethods,MatchType,Description\nhttps://{HOST}:{server.port}/cucm-uds/,,GET,prefix,\n"
    )
    proxy: RunningProxy = await proxying(server, allow={"rules": "narrow.csv"})
    assert (await proxy.get(server.port, "/cucm-uds/version")).startswith(b"HTTP/1.1 200 ")
    assert (await proxy.get(server.port, "/cucm-uds" + path)).startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 200 "))
    crossing = await proxy.get(server.port, "/cucm-uds/.." + path)
    assert crossing.startswith(b"HTTP/1.1 403 ")


async def test_a_client_that_disconnects_ends_its_server_connection(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    def endless(stream: Any, server: Server) -> None:
        read_request(stream)
        stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            stream.sendall(b"x" * 65536)

    server = serving(good, handle=endless)
    proxy: RunningProxy = await proxying(server)
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    writer.write(f"GET /{proxy.token(server.port)}/x HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)


@pytest.mark.parametrize("late", [False, True])
async def test_a_body_with_invalid_framing_is_400_and_never_complete_for_the_server(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext, late: bool
) -> None:
    bodies: list[bytes] = []

    def collect(stream: Any, server: Server) -> None:
        data = b""
        while not data.endswith(b"0\r\n\r\n") and (piece := stream.recv(65536)):
            data += piece
        bodies.append(data)
        stream.sendall(OK)

    server = serving(good, handle=collect)
    proxy: RunningProxy = await proxying(server)
    head = f"POST /{proxy.token(server.port)}/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    good_part, bad_part = b"3\r\nabc\r\n", b"zz\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(head + good_part + (b"" if late else bad_part))
        if late:
            await asyncio.to_thread(lambda: [None for _ in iter(lambda: server.connections, 1)])
            writer.write(bad_part)
        answer = await reader.read()
        writer.close()
        assert await asyncio.to_thread(server.ended.acquire, timeout=5)
    assert answer.startswith(b"HTTP/1.1 400 Invalid HTTP Request\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not any(body.endswith(b"0\r\n\r\n") for body in bodies)


async def test_a_client_that_ends_within_its_body_is_disconnected_with_its_server(
    serving: Serving, proxying: Proxying, good: ssl.SSLContext
) -> None:
    server = serving(good)
    proxy: RunningProxy = await proxying(server)
    request = f"POST /{proxy.token(server.port)}/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhi".encode()
    assert await proxy.raw(request, eof=True) in (b"", b"RESET")
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)
