"""Planned requests for which a connection is made: whatever the server then does, they end as the first one would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import pytest
import trustme

from mralab.core.log.events import ClientGone, ResponseSent
from mralab.core.outcome import Outcome
from mralab.net.plan import Plans
from mralab.tcp import reset
from tests.serving import until

from .conftest import HOST, OK, RunningProxy, Server, read_request, server_context
from .test_http_cases import _timeless, _without_moments
from .test_plan import Answers, answer, client, planned, request, warmed

Serving = Callable[..., Server]
Proxying = Callable[..., Any]


def _read_hello(raw: socket.socket) -> None:
    raw.recv(65536)


def _reset(raw: socket.socket) -> None:
    _read_hello(raw)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _say(data: bytes) -> Callable[[socket.socket], None]:
    def say(raw: socket.socket) -> None:
        _read_hello(raw)
        raw.sendall(data)

    return say


def _hang(raw: socket.socket) -> None:
    while raw.recv(65536):
        """Read on: the server says nothing until the proxy ends the connection."""


def _too_early(stream: Any, server: Server) -> None:
    with contextlib.suppress(OSError):
        stream.sendall(OK)
        read_request(stream)


def _nothing(stream: Any, server: Server) -> None:
    server.requests.append(read_request(stream))


def _half(stream: Any, _: Server) -> None:
    read_request(stream)
    stream.sendall(OK[:-1])


class Change(NamedTuple):
    """What the server does from then on: before TLS, with its certificate, or in place of its response."""

    before_tls: Callable[[socket.socket], None] | None = None
    context: Callable[[trustme.CA], ssl.SSLContext] | None = None
    handle: Callable[[Any, Server], None] | None = None


CHANGES: Final = {
    "unknown CA": Change(context=lambda _: server_context(trustme.CA().issue_cert(HOST))),
    "another name": Change(context=lambda ca: server_context(ca.issue_cert("other.steven.lab"))),
    "both": Change(context=lambda _: server_context(trustme.CA().issue_cert("other.steven.lab"))),
    "closed after the ClientHello": Change(_read_hello),
    "reset after the ClientHello": Change(_reset),
    "garbage": Change(_say(b"HTTP/1.1 400 \r\n\r\n")),
    "an alert": Change(_say(b"\x15\x03\x03\x00\x02\x02\x28")),
    "silent": Change(_hang),
    "response before the request": Change(handle=_too_early),
    "no response": Change(handle=_nothing),
    "hangs": Change(handle=lambda stream, _: _hang(stream)),
    "half a response": Change(handle=_half),
}


async def _ask(proxy: RunningProxy, head: bytes) -> bytes:
    """Return the whole answer to a request on a connection of its own; what there was of it if it is cut off."""
    async with client(proxy) as (reader, writer):
        writer.write(head)
        try:
            data = await answer(reader)
        except asyncio.IncompleteReadError as error:
            data = error.partial
        except ConnectionError:
            return b"RESET"
        return re.sub(rb"\r\nDate: [^\r]*", b"", data)


@pytest.mark.parametrize("mode", ["on", "audit"])
@pytest.mark.parametrize("name", CHANGES)
async def test_a_planned_request_ends_as_one_without_a_plan(
    name: str, mode: str, serving: Serving, proxying: Proxying, ca: trustme.CA
) -> None:
    answers = Answers()
    server = serving(server_context(ca.issue_cert(HOST)), handle=answers)
    proxy: RunningProxy = await proxying(
        server, verify={"origin": mode}, upstream={"attempts": 2, "connect_timeout": 0.4, "response_timeout": 0.4}
    )
    services = proxy.server._services
    assert services is not None
    head = request(proxy, server, "https")
    await warmed(proxy, head)
    change = CHANGES[name]
    server.before_tls = change.before_tls
    server.context = change.context(ca) if change.context is not None else server.context
    server.handle = change.handle or server.handle
    plans, results = services.plans, []
    for used in (Plans(0), plans):
        services.plans = used
        (await proxy.events()).clear()
        os.truncate(proxy.log, 0)
        before, connections, requests = services.stats.snapshot(), server.connections, len(server.requests)
        received = await _ask(proxy, head)
        await until(lambda: not services.stats.servers_open)
        events = [_timeless(event) for event in await proxy.events()]
        after = services.stats.snapshot()
        counts = [after[key] - before[key] for key in ("attempts", "responses_cut", "pool_hits", "server_connections")]
        handshakes = Counter(after["handshakes"]) - Counter(before["handshakes"])
        served = (server.connections - connections, len(server.requests) - requests)
        results.append((received, events, _without_moments(proxy.log.read_text("latin-1")), counts, handshakes, served))
    assert results[0] == results[1]
    assert not services.pool.connecting
    assert len(services.pool) == 0


async def test_a_planned_request_to_a_server_that_is_gone_is_answered_502(serving: Serving, proxying: Proxying) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(contextlib.contextmanager(Server(None).run)())
        proxy: RunningProxy = await proxying(server, upstream={"attempts": 3})
        head = request(proxy, server)
        await warmed(proxy, head)
    assert (await _ask(proxy, head)).startswith(b"HTTP/1.1 502 ")
    names = await proxy.event_names()
    assert names[-6:] == [
        "RequestReceived",
        "RequestAllowed",
        "RequestSent",
        "RequestSent",
        "RequestSent",
        "ResponseSent",
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_known_request_is_planned_on_new_connections(
    scheme: str, serving: Serving, proxying: Proxying, ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)) if scheme == "https" else None)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, scheme)
    await warmed(proxy, head)
    async with client(proxy) as (reader, writer):
        for _ in range(3):
            writer.write(head)
            assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
    assert await planned(proxy) == 4
    assert server.connections == len(server.requests) == 5
    assert (await proxy.metrics("mralab_handshakes_total")) == ({("verified",): 5.0} if scheme == "https" else {})
    sent = [event.outcome for event in await proxy.events() if isinstance(event, ResponseSent)]
    assert sent == [Outcome.PASSED] * 5


class _Shaking:
    """A server that waits in the middle of the handshake until the test lets it go on."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.arrived, self.ended = asyncio.Event(), asyncio.Event()
        self.go_on = threading.Event()

    def __call__(self, raw: socket.socket) -> None:
        raw.recv(65536)
        self.loop.call_soon_threadsafe(self.arrived.set)
        self.go_on.wait(10)
        with contextlib.suppress(OSError):
            raw.recv(65536)
        self.loop.call_soon_threadsafe(self.ended.set)


async def test_a_client_that_disconnects_during_the_handshake_ends_its_server_connection(
    serving: Serving, proxying: Proxying, ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    await warmed(proxy, head)
    server.before_tls = shaking = _Shaking()
    async with client(proxy) as (_, writer):
        writer.write(head)
        await shaking.arrived.wait()
        reset(cast("asyncio.Transport", writer.transport))
        shaking.go_on.set()
        await shaking.ended.wait()
    await until(lambda: not proxy.server.stats.servers_open)
    assert [type(event) for event in (await proxy.events())[-1:]] == [ClientGone]
    services = proxy.server._services
    assert services is not None
    assert not services.pool.connecting


@pytest.mark.parametrize("what", ["client half-closes", "proxy stops", "policy changes"])
async def test_a_request_whose_connection_is_being_made_is_answered(
    what: str, serving: Serving, proxying: Proxying, ca: trustme.CA
) -> None:
    context = server_context(ca.issue_cert(HOST))
    server = serving(context)
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    await warmed(proxy, head)
    loop = asyncio.get_running_loop()
    arrived, go_on = asyncio.Event(), threading.Event()

    def slow(raw: socket.socket) -> None:
        raw.recv(1, socket.MSG_PEEK)
        loop.call_soon_threadsafe(arrived.set)
        go_on.wait(10)
        with context.wrap_socket(raw, server_side=True) as stream:
            server.requests.append(read_request(stream))
            stream.sendall(OK)
            stream.unwrap()

    server.before_tls = slow
    async with client(proxy) as (reader, writer):
        writer.write(head)
        await arrived.wait()
        stopping = None
        if what == "client half-closes":
            writer.write_eof()
            services = proxy.server._services
            assert services is not None
            await until(lambda: any(getattr(each, "_eof", False) for each in services.clients))
        elif what == "proxy stops":
            stopping = asyncio.create_task(proxy.server.stop())
            await asyncio.sleep(0)
        else:
            await proxy.change(upstream={"connections": "keep-alive"})
        go_on.set()
        received = await answer(reader)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert (b"\r\nConnection: close\r\n" in received) == (what != "policy changes")
        if stopping is not None:
            await stopping
    assert len(server.requests) == 3


async def test_connections_of_planned_requests_are_captured(
    serving: Serving, proxying: Proxying, ca: trustme.CA
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy: RunningProxy = await proxying(server)
    head = request(proxy, server, "https")
    await warmed(proxy, head)
    services = proxy.server._services
    assert services is not None
    async with client(proxy) as (reader, writer):
        writer.write(head)
        await answer(reader)
        services.capture = capture = _Captured()  # type: ignore[assignment]
        writer.write(head)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200 ")
    assert capture.servers == 1


class _Captured:
    """Counts the connections that it is asked to capture."""

    def __init__(self) -> None:
        self.servers = 0

    def secret(self, line: bytes) -> None:
        """Take a line of the key log."""

    def server(self, connection: asyncio.Protocol, ip: str, port: int) -> asyncio.Protocol:
        self.servers += 1
        return connection
