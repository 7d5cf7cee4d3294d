"""HTTP, case for case: what a client sends, what the server gets, what the client gets.

As Traffic Server does it (observed on 9.2.9), but for the cases whose name says that safety wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from .conftest import HOST, Lines, Server, read_request

TAIL = "Client-ip: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nVia: http/1.1 vcs[ID] (ATS)\r\n"


class Case(NamedTuple):
    """``T`` in ``sent`` is the token path, ``H`` in ``got`` the server's host and port; ``got`` empty: nothing came."""

    sent: str
    status: str
    got: str = ""


def _get(line: str, fields: str = "", body: str = "") -> str:
    return f"{line}\r\nHost: H\r\n{fields}{TAIL}\r\n{body}"


CASES = {
    "plain": Case(
        "GET T/a?b=c HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\n\r\n",
        "HTTP/1.1 200 ",
        _get("GET /a?b=c HTTP/1.1", "User-Agent: u\r\n"),
    ),
    "absolute form without Host": Case(
        "GET http://127.0.0.1T/a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", _get("GET /a HTTP/1.1")
    ),
    "absolute form of another host": Case(
        "GET http://unmapped.testT/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 Not Found"
    ),
    "ftp": Case("GET ftp://127.0.0.1T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 Not Found"),
    "https on the plain port": Case(
        "GET https://127.0.0.1T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"
    ),
    "CONNECT": Case("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "HTTP/1.1 404 Not Found"),
    "HTTP/9.9": Case("GET T/a HTTP/9.9\r\nHost: h\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"),
    "HTTP/0.9": Case("GET T/a\r\n\r\n", "HTTP/1.0 400 Invalid HTTP Request"),
    "HTTP/1.0": Case(
        "GET T/a HTTP/1.0\r\nHost: h\r\n\r\n", "HTTP/1.0 200 ", _get("GET /a HTTP/1.1").replace("http/1.1", "http/1.0")
    ),
    "leading CRLF": Case("\r\nGET T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.0 400 Invalid HTTP Request"),
    "blank in the target": Case("GET T/a b HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.0 400 Invalid HTTP Request"),
    "missing Host": Case("GET T/a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Host Header Required"),
    "missing Host in 1.0": Case("GET T/a HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Host Header Required"),
    "empty Host": Case("GET T/a HTTP/1.1\r\nHost:\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"),
    "two Hosts": Case("GET T/a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"),
    "NUL in a value": Case("GET T/a HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"),
    "no colon: safety wins": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"
    ),
    "obs-fold: safety wins": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nX: 1\r\n folded\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"
    ),
    "unknown method": Case("FOO T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", _get("FOO /a HTTP/1.1")),
    "denied method": Case("PATCH T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 403 Forbidden"),
    "post": Case(
        "POST T/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 ",
        _get("POST /a HTTP/1.1", "Content-Length: 5\r\n", "hello"),
    ),
    "post, zeros before the length": Case(
        "POST T/a HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\n\r\nhello",
        "HTTP/1.1 200 ",
        _get("POST /a HTTP/1.1", "Content-Length: 5\r\n", "hello"),
    ),
    "post chunked": Case(
        "POST T/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 ",
        f"POST /a HTTP/1.1\r\nHost: H\r\n{TAIL}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    "post with two lengths": Case(
        "POST T/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 400 Invalid HTTP Request",
    ),
    "length and chunked: safety wins": Case(
        "POST T/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 400 Invalid HTTP Request",
    ),
    "negative length": Case(
        "POST T/a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 Invalid HTTP Request"
    ),
    "post without length": Case("POST T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 411 Content Length Required"),
    "hop-by-hop": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nKeep-Alive: 300\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
        "Trailer: X\r\n"
        "Upgrade: foo\r\nProxy-Authorization: Basic eA==\r\nX-ID: 1\r\nCookie: a=b\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nMax-Forwards: 5\r\n\r\n",
        "HTTP/1.1 200 ",
        _get("GET /a HTTP/1.1", "Trailer: X\r\nCookie: a=b\r\nAccept-Encoding: gzip\r\nMax-Forwards: 5\r\n"),
    ),
    "named in Connection: safety wins": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-Stay: 1\r\n\r\n",
        "HTTP/1.1 200 ",
        _get("GET /a HTTP/1.1", "X-Stay: 1\r\n"),
    ),
    "no gzip wanted": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br, gzip;q=0\r\n\r\n", "HTTP/1.1 200 ", _get("GET /a HTTP/1.1")
    ),
    "forwarded before": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.0 other\r\nClient-IP: 9.9.9.9\r\n\r\n",
        "HTTP/1.1 200 ",
        "GET /a HTTP/1.1\r\nHost: H\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n"
        "Via: 1.0 other, http/1.1 vcs[ID] (ATS)\r\nClient-IP: 9.9.9.9\r\n\r\n",
    ),
    "forged under another spelling: safety wins": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\nX_Other: 1\r\n\r\n",
        "HTTP/1.1 200 ",
        _get("GET /a HTTP/1.1", "X_Other: 1\r\n"),
    ),
    "TRACE counts its hops": Case(
        "TRACE T/a HTTP/1.1\r\nHost: h\r\nMax-Forwards: 5\r\n\r\n",
        "HTTP/1.1 200 ",
        _get("TRACE /a HTTP/1.1", "Max-Forwards: 4\r\n"),
    ),
    "TRACE that ends here": Case("TRACE T/a HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n", "HTTP/1.1 200 OK"),
    "OPTIONS that ends here": Case("OPTIONS T/a HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n", "HTTP/1.1 200 OK"),
    "GET counts no hops": Case(
        "GET T/a HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n",
        "HTTP/1.1 200 ",
        _get("GET /a HTTP/1.1", "Max-Forwards: 0\r\n"),
    ),
    "fragment": Case("GET T/a#frag HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", _get("GET /a HTTP/1.1")),
    "empty query": Case("GET T/? HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", _get("GET / HTTP/1.1")),
    "odd escapes stay": Case(
        "GET T/%41/x%20y?x=%zz HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", _get("GET /%41/x%20y?x=%zz HTTP/1.1")
    ),
    "parameters stay": Case("GET T/a;p=1 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", _get("GET /a;p=1 HTTP/1.1")),
    "two slashes before the token": Case(
        "GET /T/a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", _get("GET /a HTTP/1.1")
    ),
    "no such token": Case("GET /nomap/x HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 Not Found on Accelerator"),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_request_passes_as_it_does_through_traffic_server(
    serving: Callable[..., Server], proxying: Callable[..., Any], name: str
) -> None:
    case = CASES[name]
    server = serving(None)
    it: Lines = await proxying(server, upstream={"connections": "keep-alive"})
    token = "/" + it.token(server.port, scheme="http")
    start, _, rest = case.sent.partition("\r\n" if not case.sent.startswith("\r\n") else "\0")
    sent = start.replace("T/", f"{token}/", 1) + (case.sent[len(start) :] if rest or start != case.sent else "")
    answer = await it.raw(sent.encode("latin-1"), eof=True)
    assert answer.split(b"\r\n")[0].decode() == case.status
    got = [_normal(request, server) for request in server.requests]
    assert got == ([case.got] if case.got else [])


def _normal(request: bytes, server: Server) -> str:
    lines = []
    for line in request.decode("latin-1").replace(f"{HOST}:{server.port}", "H").split("\r\n"):
        if line.startswith("TrackingID:"):
            continue
        before, bracket, after = line.partition("vcs[")
        lines.append(f"{before}vcs[ID]{after.partition(']')[2]}" if bracket else line)
    return "\r\n".join(lines)


RESPONSES = {
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\nX-T: t\r\n\r\n",
        ["Date", "Age", "Transfer-Encoding: chunked", "Connection: close", "Server"],
        b"5\r\nabcde\r\n0\r\nX-T: t\r\n\r\n",
    ),
    "until close": (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil-eof",
        ["Content-Type: text/plain", "Date", "Age", "Transfer-Encoding: chunked", "Connection: close", "Server"],
        b"9\r\nuntil-eof\r\n0\r\n\r\n",
    ),
    "304": (
        b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
        ['ETag: "x"', "Date", "Age", "Connection: close", "Server"],
        b"",
    ),
    "100 before": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ["Content-Length: 2", "Date", "Age", "Connection: close", "Server"],
        b"hi",
    ),
    "no reason": (
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
        ["Content-Length: 2", "Date", "Age", "Connection: close", "Server"],
        b"hi",
    ),
    "hop-by-hop": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: origin\r\nKeep-Alive: 300\r\nTrailer: X\r\n"
        b"Proxy-Authenticate: x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nhi",
        [
            "Content-Length: 2",
            "Server",
            "Trailer: X",
            "Set-Cookie: a=b",
            "Set-Cookie: c=d",
            "Date",
            "Age",
            "Connection: close",
        ],
        b"hi",
    ),
}


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_response_passes_as_it_does_through_traffic_server(
    serving: Callable[..., Server], proxying: Callable[..., Any], name: str
) -> None:
    response, expected, body = RESPONSES[name]

    def answer(stream: Any, server: Server) -> None:
        server.requests.append(read_request(stream))
        stream.sendall(response)

    server = serving(None, handle=answer)
    it: Lines = await proxying(server)
    got = await it.get(server.port, scheme="http")
    head, _, rest = got.partition(b"\r\n\r\n")
    fields = [
        line.partition(":")[0] if line.startswith(("Date", "Age", "Server")) else line
        for line in head.decode().split("\r\n")[1:]
    ]
    assert fields == expected
    assert rest == body


async def test_trace_gives_back_what_came_but_no_credentials(
    serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(None)
    it: Lines = await proxying(server)
    headers = "Max-Forwards: 0\r\nX-A: 1\r\nAuthorization: Basic c2VjcmV0\r\nCookie: secret\r\n"
    answer = await it.get(server.port, scheme="http", method="TRACE", headers=headers)
    assert b"\r\nContent-Type: message/http\r\n" in answer
    assert b"\r\nX-A: 1\r\n" in answer.partition(b"\r\n\r\n")[2]
    assert b"secret" not in answer
    assert b"c2VjcmV0" not in answer
    options = await it.get(server.port, scheme="http", method="OPTIONS", headers="Max-Forwards: 0\r\n")
    assert b"\r\nAllow: CONNECT, DELETE, GET, HEAD, OPTIONS, POST, PURGE, PUT, PUSH, TRACE\r\n" in options
    assert server.connections == 0
