"""The table of HTTP cases: requests of a client, the requests that the server receives, and the responses.

Expectations are observations of Traffic Server 9.2.9, except where a case says otherwise.
"""

from __future__ import annotations

import asyncio
import os
import re
from asyncio import StreamReader
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from mralab.core.log.events import Event, RequestReceived, RequestRejected, RequestSent, ResponseSent
from mralab.net.plan import Plans

from .conftest import HOST, RunningProxy, Server, read_request, server_context
from .http_cases import CASES, DATE, NOT_REFUSED, ORACLE, PATHS, UNMAPPED, Answer, Case

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
    """Read the next response as an ``Answer``; ``expected`` determines the length of its body."""
    if expected.line == "RESET":
        with pytest.raises(ConnectionResetError):
            await reader.read()
        return expected
    line, *fields = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
    by_name = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    shown = tuple(_shown(field, expected) for field in fields)
    if expected.title:
        body = (await reader.readexactly(int(by_name["content-length"]))).decode()
        title = re.search("<TITLE>(.*)</TITLE>", body)
        assert title is not None
        assert f"<H1>{title[1]}</H1>" in body
        return Answer(line, shown, title=title[1])
    return Answer(line, shown, (await reader.readexactly(len(expected.body))).decode())


def _shown(field: str, expected: Answer) -> str:
    """Return a field with its variable parts replaced."""
    name, _, value = field.partition(": ")
    if name == "Age" and value.isdigit():
        return "Age: N"
    if name == "Date" and value.endswith(" GMT") and value != DATE:
        return "Date: D"
    return "Content-Length: N" if name == "Content-Length" and "Content-Length: N" in expected.fields else field


MODES: Final = [(name, "on") for name in CASES] + [(name, mode) for name in ORACLE for mode in ("audit", "off")]


class Stage:
    """A proxy in front of the servers of a case, on which the case is played any number of times."""

    def __init__(self, case: Case, proxy: RunningProxy, server: Server, untrusted: Server) -> None:
        token = proxy.token(server.port, scheme="http")
        self._case, self.proxy = case, proxy
        self.servers = (server,) if untrusted is server else (server, untrusted)
        self._marks = {
            "<T>": f"/{token}",
            "<U>": f"/{proxy.token(untrusted.port)}",
            "<A>": f"127.0.0.1:{proxy.port}",
            "<lower>": f"/{token.lower()}",
            "<BIG>": "a" * 140_000,
            "<LONG>": "a" * 60_000,
        }

    @classmethod
    async def build(
        cls,
        case: Case,
        mode: str,
        serving: Callable[..., Server],
        proxying: Callable[..., Any],
        folder: Path,
        connections: str = "keep-alive",
    ) -> Stage:
        """Start servers and proxy."""
        server = untrusted = serving(None, handle=_origin)
        if "<U>" in "".join(case.sent):
            untrusted = serving(server_context(trustme.CA().issue_cert(HOST)), handle=_origin)
        (folder / "cases.csv").write_text(
            f'Url,Deployment,HttpMethods,MatchType,Description\nhttp://{HOST}:{server.port},,"{METHODS}",prefix,\n'
            f'https://{HOST}:{untrusted.port},,"{METHODS}",prefix,\n'
        )
        proxy = await proxying(
            server,
            verify={"origin": mode},
            upstream={"connections": connections, "attempts": 4},
            allow={"rules": "cases.csv"},
        )
        return cls(case, proxy, server, untrusted)

    def filled(self, text: str) -> str:
        return re.sub("<[A-Za-z]+>", lambda mark: self._marks[mark[0]], text)

    async def play(self) -> None:
        """Play the case as one client; its responses must be those of the table."""
        case, proxy = self._case, self.proxy
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
            try:
                waiting = list(case.answers)
                for number, piece in enumerate(case.sent, 1):
                    writer.write(self.filled(piece).encode("latin-1"))
                    while waiting and (number == len(case.sent) or len(case.answers) - len(waiting) < number):
                        assert await _read(reader, waiting[0]) == waiting.pop(0)
                if case.open:
                    writer.write(HOSTLESS)
                    assert await _read(reader, UNMAPPED[0]) == UNMAPPED[0]
                elif case.answers[-1].line != "RESET":
                    assert await reader.read() == b""
            finally:
                writer.close()


@pytest.mark.parametrize(("name", "mode"), MODES)
async def test_a_request_passes_as_it_does_through_traffic_server(
    serving: Callable[..., Server], proxying: Callable[..., Any], tmp_path: Any, name: str, mode: str
) -> None:
    case = CASES[name]
    got_untrusted: tuple[str, ...] = ()
    if mode != "on" and name in NOT_REFUSED:  # the untrusted server responds like the others
        answers, got_untrusted = NOT_REFUSED[name]
        case = case._replace(answers=answers)
    stage = await Stage.build(case, mode, serving, proxying, tmp_path)
    await stage.play()
    server, *untrusted = stage.servers
    assert [_normal(request, server) for request in server.requests] == [stage.filled(got) for got in case.got]
    for other in untrusted:
        assert [_normal(request, other) for request in other.requests] == list(got_untrusted)
        assert other.connections == (1 if got_untrusted else 4)


REPEATED: Final = [(name, "on") for name in CASES] + [(name, "audit") for name in NOT_REFUSED]
PLANNED: Final = {
    "plain-get",
    "HEAD",
    "204",
    "resp-304",
    "absolute-form",
    "HTTP/1.0 keep-alive",
    "pipelined",
    "options",
}
"""Some of the cases with a plan."""


@pytest.mark.parametrize("connections", ["keep-alive", "per-request"])
@pytest.mark.parametrize(("name", "mode"), REPEATED)
async def test_a_request_that_is_known_passes_as_the_first_did(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    tmp_path: Path,
    name: str,
    mode: str,
    connections: str,
) -> None:
    """Cold, then warm: responses, requests, log lines and events are the same, with a plan or without."""
    case = CASES[name]
    if mode != "on" and name in NOT_REFUSED:
        case = case._replace(answers=NOT_REFUSED[name][0])
    stage = await Stage.build(case, mode, serving, proxying, tmp_path, connections)
    services = stage.proxy.server._services
    assert services is not None
    rounds = []
    for plans in (Plans(0), Plans(0), Plans(), None):
        services.plans = plans or services.plans
        await stage.play()
        events = await stage.proxy.events()
        log = stage.proxy.log.read_text("latin-1")
        requests = [_normal(request, server) for server in stage.servers for request in server.requests]
        rounds.append(([_timeless(event) for event in events], _without_moments(log), requests))
        events.clear()
        os.truncate(stage.proxy.log, 0)
        for server in stage.servers:
            server.requests.clear()
    dialled, cold, learnt, warm = rounds
    assert cold == dialled or (mode, connections) == ("audit", "keep-alive")  # a tolerated fault is logged once
    assert learnt == cold
    assert warm == cold
    if name in PLANNED and (mode == "audit") == (name in NOT_REFUSED):
        assert await stage.proxy.metrics("mralab_requests_planned_total")


def _timeless(event: Event) -> Event:
    """Return an event without the values that differ between requests."""
    values: dict[str, Any] = {"at": 0.0, "txn": 0}
    if isinstance(event, RequestReceived | RequestSent):
        assert event.tracking_id
        values["tracking_id"] = "" if re.fullmatch(UUID, event.tracking_id) else event.tracking_id
    if isinstance(event, RequestReceived | RequestRejected):
        values["src_port"] = 0
    if isinstance(event, ResponseSent):
        values["dst_port"] = 0
    return event._replace(**values)


UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def _without_moments(log: str) -> str:
    log = re.sub(r"(?m)^\S+ ", "", log)
    log = re.sub(r'UTCTime="[^"]*"|Txn-id="\d+"|(?<=TrackingID=")' + UUID, "", log)
    return re.sub(r'(?<=Src-ip="127.0.0.1" Src-port=")\d+|(?<=Dst-ip="127.0.0.1" Dst-port=")\d+', "", log)


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


async def test_trace_returns_the_request_without_credentials(
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
