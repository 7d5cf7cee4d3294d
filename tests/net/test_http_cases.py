"""HTTP, case for case: what a client sends, what the server gets, what the client gets.

As Traffic Server does it (observed on 9.2.9), but for the cases that say otherwise.
"""

from __future__ import annotations

import asyncio
import re
from asyncio import StreamReader
from collections.abc import Callable
from typing import Any, Final

import pytest
import trustme

from .conftest import HOST, RunningProxy, Server, read_request, server_context
from .http_cases import CASES, DATE, NOT_REFUSED, ORACLE, PATHS, UNMAPPED, Answer

HOSTLESS: Final = b"GET /nomap HTTP/1.1\r\nHost: h\r\n\r\n"
METHODS: Final = "GET,HEAD,POST,PUT,FOO,OPTIONS,TRACE,PURGE,get"
ECHO: Final = (
    f"HTTP/1.1 200 OK\r\nServer: origin/1\r\nDate: {DATE}\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
).encode()


def _origin(stream: Any, server: Server) -> None:
    """Answer each request by its path."""

    def expected(head: bytes) -> None:
        if b"expect: 100-continue" in head:
            stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    while request := read_request(stream, expected):
        server.requests.append(request)
        method, path, _ = request.split(b" ", 2)
        answer, ends = PATHS.get(path.decode(), (ECHO, False))
        stream.sendall(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else answer)
        if ends:
            return


async def _read(reader: StreamReader, expected: Answer) -> Answer:
    """The next answer as ``Answer`` has it; how long its body is, ``expected`` tells."""
    if expected.line == "RESET":
        with pytest.raises(ConnectionResetError):
            await reader.read()
        return expected
    line, *fields = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
    told = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    shown = tuple(_shown(field, expected) for field in fields)
    if expected.title:
        body = (await reader.readexactly(int(told["content-length"]))).decode()
        title = re.search("<TITLE>(.*)</TITLE>", body)
        assert title is not None
        assert f"<H1>{title[1]}</H1>" in body
        return Answer(line, shown, title=title[1])
    return Answer(line, shown, (await reader.readexactly(len(expected.body))).decode())


def _shown(field: str, expected: Answer) -> str:
    """A field without what differs from time to time."""
    name, _, value = field.partition(": ")
    if name == "Age" and value.isdigit():
        return "Age: N"
    if name == "Date" and value.endswith(" GMT") and value != DATE:
        return "Date: D"
    return "Content-Length: N" if name == "Content-Length" and "Content-Length: N" in expected.fields else field


MODES: Final = [(name, "on") for name in CASES] + [(name, mode) for name in ORACLE for mode in ("audit", "off")]


@pytest.mark.parametrize(("name", "mode"), MODES)
async def test_a_request_passes_as_it_does_through_traffic_server(
    serving: Callable[..., Server], proxying: Callable[..., Any], tmp_path: Any, name: str, mode: str
) -> None:
    case = CASES[name]
    got_untrusted: tuple[str, ...] = ()
    if mode != "on" and name in NOT_REFUSED:  # the server that nobody trusts answers like any other
        answers, got_untrusted = NOT_REFUSED[name]
        case = case._replace(answers=answers)
    server = serving(None, handle=_origin)
    untrusted = server
    if "<U>" in "".join(case.sent):
        untrusted = serving(server_context(trustme.CA().issue_cert(HOST)), handle=_origin)
    (tmp_path / "cases.csv").write_text(
        f'Url,Deployment,HttpMethods,MatchType,Description\nhttp://{HOST}:{server.port},,"{METHODS}",prefix,\n'
        f'https://{HOST}:{untrusted.port},,"{METHODS}",prefix,\n'
    )
    proxy: RunningProxy = await proxying(
        server,
        verify={"origin": mode},
        upstream={"connections": "keep-alive", "attempts": 4},
        allow={"rules": "cases.csv"},
    )
    token = proxy.token(server.port, scheme="http")
    marks = {
        "<T>": f"/{token}",
        "<U>": f"/{proxy.token(untrusted.port)}",
        "<A>": f"127.0.0.1:{proxy.port}",
        "<lower>": f"/{token.lower()}",
        "<BIG>": "a" * 140_000,
        "<LONG>": "a" * 60_000,
    }

    def filled(text: str) -> str:
        return re.sub("<[A-Za-z]+>", lambda mark: marks[mark[0]], text)

    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        try:
            waiting = list(case.answers)
            for number, piece in enumerate(case.sent, 1):
                writer.write(filled(piece).encode("latin-1"))
                while waiting and (number == len(case.sent) or len(case.answers) - len(waiting) < number):
                    assert await _read(reader, waiting[0]) == waiting.pop(0)
            if case.open:
                writer.write(HOSTLESS)
                assert await _read(reader, UNMAPPED[0]) == UNMAPPED[0]
            elif case.answers[-1].line != "RESET":
                assert await reader.read() == b""
        finally:
            writer.close()
    assert [_normal(request, server) for request in server.requests] == [filled(got) for got in case.got]
    if untrusted is not server:
        assert [_normal(request, untrusted) for request in untrusted.requests] == list(got_untrusted)
        assert untrusted.connections == (1 if got_untrusted else 4)


async def test_a_kept_connection_serves_other_clients_and_other_connections(
    serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(None, handle=_origin)
    proxy: RunningProxy = await proxying(server, upstream={"connections": "keep-alive"})
    paths = ["/0", "/1"]
    for path in paths:
        assert (await proxy.get(server.port, path, scheme="http")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert [request.split()[1].decode() for request in server.requests] == paths
    assert server.connections == 1


def _normal(request: bytes, server: Server) -> str:
    lines = []
    for line in request.decode("latin-1").replace(f"{HOST}:{server.port}", "H").split("\r\n"):
        if line.startswith("TrackingID:"):
            continue
        before, bracket, after = line.partition("vcs[")
        lines.append(f"{before}vcs[ID]{after.partition(']')[2]}" if bracket else line)
    return "\r\n".join(lines)


async def test_trace_gives_back_what_came_but_no_credentials(
    serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    server = serving(None)
    proxy: RunningProxy = await proxying(server)
    headers = "Max-Forwards: 0\r\nX-A: 1\r\nAuthorization: Basic c2VjcmV0\r\nCookie: secret\r\n"
    answer = await proxy.get(server.port, scheme="http", method="TRACE", headers=headers)
    assert b"\r\nContent-Type: message/http\r\n" in answer
    assert b"\r\nX-A: 1\r\n" in answer.partition(b"\r\n\r\n")[2]
    assert b"secret" not in answer
    assert b"c2VjcmV0" not in answer
    options = await proxy.get(server.port, scheme="http", method="OPTIONS", headers="Max-Forwards: 0\r\n")
    assert b"\r\nAllow: CONNECT, DELETE, GET, HEAD, OPTIONS, POST, PURGE, PUT, PUSH, TRACE\r\n" in options
    assert server.connections == 0
