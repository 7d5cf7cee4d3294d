"""``[limits]``: what happens when each is reached, and afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import HOST, OK, RunningProxy, Server, read_request, server_context

Proxying = Callable[..., Any]
Serving = Callable[..., Server]


@pytest.fixture
def context(ca: Any) -> ssl.SSLContext:
    return server_context(ca.issue_cert(HOST))


async def connect(proxy: RunningProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(proxy.host, proxy.port)


async def rest(reader: asyncio.StreamReader, limit: float = 10) -> bytes:
    """Return what arrives until the end of the connection; ``RESET`` is appended for a reset."""
    data = b""
    async with asyncio.timeout(limit):
        try:
            while piece := await reader.read(65536):
                data += piece
        except ConnectionError:
            data += b"RESET"
    return data


def request(proxy: RunningProxy, port: int, fields: str = "", method: str = "GET") -> bytes:
    return f"{method} /{proxy.token(port)}/a HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode()


async def test_a_head_of_the_limit_is_accepted_and_one_byte_more_is_refused(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    server = serving(context)
    proxy = await proxying(server, limits={"header_bytes": 4096})
    start = request(proxy, server.port, "Connection: close\r\n")
    for size, status in ((4096, b"200 "), (4097, b"400 Invalid HTTP Request")):
        fill = size - len(start) - len("X: \r\n")
        head = request(proxy, server.port, f"Connection: close\r\nX: {'x' * fill}\r\n")
        assert len(head) == size
        assert (await proxy.raw(head)).startswith(b"HTTP/1.1 " + status)
    assert len(server.requests) == 1


async def test_a_head_that_never_ends_is_refused_at_the_limit_not_after_the_timeout(proxying: Proxying) -> None:
    proxy = await proxying(limits={"header_bytes": 4096, "header_timeout": 100.0})  # ``raw`` waits 20 s
    answer = await proxy.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 1000)
    assert answer.startswith(b"HTTP/1.1 400 Invalid HTTP Request")


async def test_a_servers_head_has_the_same_limit(context: ssl.SSLContext, serving: Serving, proxying: Proxying) -> None:
    def answer(stream: Any, server: Server) -> None:
        read_request(stream)
        size = int(server.requests.pop())
        filler = size - len(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n")
        with contextlib.suppress(OSError):
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %b\r\n\r\n" % (b"x" * filler))

    server = serving(context, handle=answer)
    proxy = await proxying(server, limits={"header_bytes": 4096}, upstream={"attempts": 1})
    server.requests.append(b"4096")
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 200 OK")
    server.requests.append(b"4097")
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 Invalid HTTP Response")


async def test_a_connection_above_the_limit_waits_until_another_ends(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    server = serving(context)
    proxy = await proxying(server, limits={"connections": 2})
    held = [await connect(proxy) for _ in range(2)]
    for reader, writer in held:
        writer.write(request(proxy, server.port))
        assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200 ")
    reader, writer = await connect(proxy)  # the kernel accepts it
    writer.write(request(proxy, server.port, "Connection: close\r\n"))
    waiting = asyncio.create_task(rest(reader))
    for held_reader, held_writer in held:  # accepted connections are not affected
        held_writer.write(request(proxy, server.port))
        await held_reader.readuntil(b"ok\n")
    assert not waiting.done()
    assert await proxy.metrics("mralab_client_connections_open") == {(): 2}
    held[0][1].close()
    assert (await waiting).startswith(b"HTTP/1.1 200 ")
    for _, each in [*held, (reader, writer)]:
        each.close()


async def test_the_limit_on_connections_can_be_raised_while_they_wait(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    server = serving(context)
    proxy = await proxying(server, limits={"connections": 1})
    held = await connect(proxy)
    reader, writer = await connect(proxy)
    writer.write(request(proxy, server.port, "Connection: close\r\n"))
    await proxy.change(limits={"connections": 2})
    assert (await rest(reader)).startswith(b"HTTP/1.1 200 ")
    for _, each in [held, (reader, writer)]:
        each.close()


async def test_a_silent_client_is_disconnected_without_a_response(proxying: Proxying) -> None:
    proxy = await proxying(limits={"idle_timeout": 0.3, "header_timeout": 20.0})
    started = time.monotonic()
    reader, writer = await connect(proxy)
    assert await rest(reader) == b""
    assert time.monotonic() - started > 0.25
    assert await proxy.events() == []
    writer.close()


async def test_a_client_may_be_idle_between_requests_until_the_limit(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    server = serving(context)
    proxy = await proxying(server, limits={"idle_timeout": 0.3})
    reader, writer = await connect(proxy)
    writer.write(request(proxy, server.port))
    await reader.readuntil(b"ok\n")
    started = time.monotonic()
    assert await rest(reader) == b""
    assert time.monotonic() - started > 0.25
    writer.close()


@pytest.mark.parametrize(
    "start", [b"G", b"GET /a HTTP/1.1\r\nHost: h\r\n", b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r"]
)
async def test_a_head_that_arrives_slowly_must_be_complete_in_time(start: bytes, proxying: Proxying) -> None:
    proxy = await proxying(limits={"header_timeout": 0.4, "idle_timeout": 20.0})
    started = time.monotonic()
    reader, writer = await connect(proxy)
    writer.write(start)
    answer = asyncio.create_task(rest(reader))
    trickle = b"x" if start == b"G" else b"X: y\r\n" if start.endswith(b"h\r\n") else b""
    while not answer.done():
        with contextlib.suppress(ConnectionError):
            writer.write(trickle)
        await asyncio.wait([answer], timeout=0.05)
    assert (await answer).startswith(b"HTTP/1.1 408 Inactive Timeout\r\n")
    assert time.monotonic() - started > 0.35
    assert await proxy.event_names() == ["RequestRejected", "ResponseSent"]
    writer.close()


@pytest.mark.parametrize("trickle", [b"", b"x"])
async def test_a_body_that_stops_is_answered_408(
    trickle: bytes, context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    server = serving(context)
    proxy = await proxying(server, limits={"idle_timeout": 0.4}, upstream={"response_timeout": 20.0})
    started = time.monotonic()
    reader, writer = await connect(proxy)
    writer.write(request(proxy, server.port, "Content-Length: 100000\r\n", "POST") + b"begin")
    answer = asyncio.create_task(rest(reader))
    while not answer.done():
        with contextlib.suppress(ConnectionError):
            writer.write(trickle)
        await asyncio.wait([answer], timeout=0.05)
    assert (await answer).startswith(b"HTTP/1.1 408 Inactive Timeout\r\n")
    assert time.monotonic() - started > 0.35
    assert await asyncio.to_thread(server.ended.acquire, timeout=5)  # the server's connection is closed
    assert await proxy.metrics("mralab_requests_total") == {("408", "malformed"): 1}
    writer.close()


async def test_a_slow_body_that_continues_may_take_longer_than_any_timeout(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    server = serving(context)
    proxy = await proxying(server, limits={"idle_timeout": 0.3}, upstream={"response_timeout": 0.3})
    reader, writer = await connect(proxy)
    writer.write(request(proxy, server.port, "Content-Length: 20480\r\nConnection: close\r\n", "POST"))
    for _ in range(20):
        writer.write(b"x" * 1024)
        await asyncio.sleep(0.05)
    assert (await rest(reader)).startswith(b"HTTP/1.1 200 ")
    assert server.requests[0].endswith(b"\r\n\r\n" + b"x" * 20480)
    writer.close()


async def test_a_server_that_does_not_read_a_body_does_not_time_out_the_client(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    size = 8 << 20

    def slow(stream: Any, server: Server) -> None:
        data = stream.recv(1)
        time.sleep(1.0)  # the server waits more than twice as long as a client may
        while len(data) < size and (piece := stream.recv(1 << 20)):
            data += piece
        stream.sendall(OK)

    server = serving(context, handle=slow)
    proxy = await proxying(server, limits={"idle_timeout": 0.4})
    reader, writer = await connect(proxy)
    writer.write(request(proxy, server.port, f"Content-Length: {size}\r\nConnection: close\r\n", "POST"))
    writer.write(bytes(size))
    assert (await rest(reader)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_client_that_waits_for_its_second_response_is_not_idle(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    slow = threading.Event()

    def second_is_slow(stream: Any, _: Server) -> None:
        while read_request(stream):
            if slow.is_set():
                time.sleep(1.0)  # more than twice as long as a client may be idle
            slow.set()
            stream.sendall(OK)

    server = serving(context, handle=second_is_slow)
    proxy = await proxying(server, limits={"idle_timeout": 0.4})
    reader, writer = await connect(proxy)
    for _ in range(2):
        writer.write(request(proxy, server.port))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(3) == b"ok\n"
    assert await asyncio.wait_for(reader.read(), 10) == b""  # now it was
    writer.close()


async def test_a_client_that_does_not_read_is_disconnected_with_its_server(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    def endless(stream: Any, server: Server) -> None:
        read_request(stream)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                stream.sendall(bytes(1 << 20))

    server = serving(context, handle=endless)
    proxy = await proxying(server, limits={"idle_timeout": 0.4})
    reader, writer = await connect(proxy)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request(proxy, server.port))
    assert await asyncio.to_thread(server.ended.acquire, timeout=10)
    assert await proxy.metrics("mralab_responses_cut_total") == {(): 1}
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert (await rest(reader)).endswith(b"RESET")
    writer.close()


async def test_changed_limits_apply_to_waiting_clients(proxying: Proxying) -> None:
    proxy = await proxying(limits={"idle_timeout": 100.0, "header_timeout": 100.0})
    silent, partial = await connect(proxy), await connect(proxy)
    partial[1].write(b"GET ")
    await asyncio.sleep(0.05)
    await proxy.change(limits={"idle_timeout": 0.2, "header_timeout": 0.2})
    assert await rest(silent[0]) == b""
    assert (await rest(partial[0])).startswith(b"HTTP/1.1 408 ")
    for _, writer in (silent, partial):
        writer.close()


async def test_a_client_that_waits_for_100_continue_is_not_timed_out(
    context: ssl.SSLContext, serving: Serving, proxying: Proxying
) -> None:
    def hang(stream: Any, server: Server) -> None:
        while stream.recv(65536):
            pass  # the server reads the head and does not respond

    server = serving(context, handle=hang)
    proxy = await proxying(server, limits={"idle_timeout": 20.0}, upstream={"response_timeout": 0.3})
    reader, writer = await connect(proxy)
    writer.write(request(proxy, server.port, "Content-Length: 5\r\nExpect: 100-continue\r\n", "POST"))
    assert (await reader.readline()) == b"HTTP/1.1 504 Connection Timed Out\r\n"
    writer.close()
