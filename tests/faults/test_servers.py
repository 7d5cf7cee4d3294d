"""Servers that reset, truncate, hang, or send invalid responses."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import time
from collections.abc import AsyncIterator

import pytest
import trustme

from tests.net.conftest import HOST, server_context
from tests.serving import until

from .client import Answer, Steady, ask, connected, many, read_answer, reset
from .conftest import Figure, Start, in_time, size, undisturbed
from .origin import Exchange, Origin, answer_ok, serving

HALF = bytes(50_000)


async def _reset(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HALF)
    exchange.reset()


async def _cut(exchange: Exchange) -> bool:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HALF)
    return True


async def _cut_chunks(exchange: Exchange) -> bool:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + HALF + b"\r\n")
    return True


async def _cut_until_close(exchange: Exchange) -> None:
    """Send a body that ends with the connection, without close_notify."""
    await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n" + HALF)
    exchange.writer.transport.abort()


async def _reset_in_head(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.reset()


CUTS = {
    "a reset": _reset,
    "a cut of a known length": _cut,
    "a cut between chunks": _cut_chunks,
    "TLS cut before its end": _cut_until_close,
    "a reset in the head": _reset_in_head,
}


@pytest.mark.parametrize("name", CUTS)
async def test_reset_or_cut_mid_body(start: Start, figure: Figure, ca: trustme.CA, name: str) -> None:
    count = size(50, 1000)
    context = server_context(ca.issue_cert(HOST)) if name.startswith("TLS") else None
    async with serving(CUTS[name], context) as origin:
        it = await start(origin)
        await it.warm()
        descriptors = it.descriptors()
        answers: list[Answer] = await many(count, lambda number: ask(it.port, it.request(origin, f"/{number}")), 25)
        await until(lambda: origin.open == 0 and it.descriptors() <= descriptors, 5, "everything closed")
        await until(lambda: it.numbers() >= set(range(count)), 5, "every request in the log")
        assert it.complaints() == ""
    assert not [answer for answer in answers if answer.whole and answer.status != 502]
    statuses = {answer.status for answer in answers}
    assert statuses <= {0, 200, 502}
    figure(
        "server reset or cut mid-body",
        f"{name}: " + ("502" if statuses == {502} else "a cut"),
        f"{count}: none taken as complete, all in the log, nothing left open",
    )


@contextlib.asynccontextmanager
async def deaf() -> AsyncIterator[Origin]:
    """Run a server that does not answer SYNs, because its accept queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        origin = Origin(_forever, None)
        origin.port = listener.getsockname()[1]
        yield origin


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[Origin]:
    """Run a server that accepts connections and never sends a byte of TLS."""
    async with serving(_forever) as origin:
        origin.scheme = "https"
        yield origin


async def _forever(exchange: Exchange) -> None:
    await exchange.reader.read()


async def _half(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HALF)
    await _forever(exchange)


HANGS = {
    "SYN": (deaf, 502),
    "TLS": (silent, 502),
    "head": (lambda: serving(_forever), 504),
    "body": (lambda: serving(_half), 200),
}


@pytest.mark.parametrize("stage", HANGS)
async def test_hanging_servers(start: Start, figure: Figure, stage: str) -> None:
    count, limit = size((25, 1.0), (100, 5.0))
    hanging, status = HANGS[stage]
    async with hanging() as origin, serving() as other:
        it = await start(origin, other, upstream={"connect_timeout": limit, "response_timeout": limit, "attempts": 1})
        await it.warm()
        descriptors = it.descriptors()
        async with Steady(it.port, it.request(other)) as idle:
            await idle.asked(50)
        async with Steady(it.port, it.request(other)) as busy:
            answers: list[Answer] = await many(count, lambda _: ask(it.port, it.request(origin)), count)
        await until(lambda: it.descriptors() <= descriptors, 5, "everything closed")
    seconds = [answer.seconds for answer in answers]
    assert {answer.status for answer in answers} == {status}
    assert {answer.whole for answer in answers} == {status != 200}
    in_time(seconds, limit)
    undisturbed(busy, idle)
    figure(
        "server hangs at SYN, TLS, head, body",
        f"{stage}: " + (f"{status} at the limit" if status != 200 else "a cut at the limit"),
        f"{count} at once, limit {limit:g} s: {min(seconds):.2f} to {max(seconds):.2f} s; p99 of other servers "
        f"{busy.percentile() * 1000:.1f} ms (idle {idle.percentile() * 1000:.1f} ms)",
    )


async def _pour(exchange: Exchange, start: bytes, piece: bytes, times: int = 1 << 30) -> None:
    await exchange.send(start)
    for _ in range(times):
        await exchange.send(piece)


HEADS = {
    "10 000 fields": lambda it: _pour(it, b"HTTP/1.1 200 OK\r\n", b"X-Field: value-of-it\r\n" * 10_000 + b"\r\n", 1),
    "a field of 1 MB": lambda it: _pour(it, b"HTTP/1.1 200 OK\r\nX: ", bytes([97]) * (1 << 20) + b"\r\n\r\n", 1),
    "a head without end": lambda it: _pour(it, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "a line without end": lambda it: _pour(it, b"HTTP/1.1 200 ", b"a" * 10_000),
    "1xx without end": lambda it: _pour(it, b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100),
    "100 Continue without end": lambda it: _pour(it, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "no HTTP": lambda it: _pour(it, b"", b"\0\xff" * 5000),
}


@pytest.mark.parametrize("name", HEADS)
async def test_hostile_response_heads(start: Start, figure: Figure, name: str) -> None:
    count = size(10, 200)
    async with serving(HEADS[name]) as origin:
        it = await start(
            origin, upstream={"response_timeout": 100.0}
        )  # ``ask`` waits 30 s, so no head ran into a timeout
        await it.warm()
        await many(
            count, lambda _: ask(it.port, it.request(origin)), 5
        )  # after this, the allocator keeps no more memory for such heads
        before, used = it.resident(), it.processor()
        answers: list[Answer] = await many(count, lambda _: ask(it.port, it.request(origin)), 5)
        growth = it.resident() - before
        used = (it.processor() - used) / count
        await until(lambda: origin.open == 0, 5, "the servers' connections closed")
    seconds = max(answer.seconds for answer in answers)
    assert {answer.status for answer in answers} == {502}
    assert growth < 16 * 1024
    figure(
        "hostile response head",
        f"{name}: 502",
        f"{count}: at most {seconds * 1000:.0f} ms, {used * 1000:.1f} ms of processor each; "
        f"memory {growth:+} KB after as many before",
    )


async def test_attempts_each_have_the_whole_limit(start: Start) -> None:
    async with silent() as origin:
        it = await start(origin, upstream={"connect_timeout": 0.5, "attempts": 2})
        began = time.monotonic()
        assert (await asyncio.create_task(ask(it.port, it.request(origin)))).status == 502
        assert time.monotonic() - began >= 0.9
        assert origin.connections == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_answer_before_the_request_s_body_is_there(
    start: Start, figure: Figure, ca: trustme.CA, scheme: str
) -> None:
    count = size(20, 500)
    context = server_context(ca.issue_cert(HOST)) if scheme == "https" else None

    async def hasty(exchange: Exchange) -> bool:
        await exchange.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        return True

    async with serving(hasty, context) as origin:
        it = await start(origin)

        async def upload(number: int) -> int:
            async with connected(it.port) as (reader, writer):
                answer = asyncio.create_task(read_answer(reader))
                writer.write(it.request(origin, f"/{number}", "Content-Length: 1000000\r\n", method="POST"))
                for _ in range(20):
                    if writer.is_closing():
                        break
                    writer.write(bytes(50_000))
                    await asyncio.sleep(0.001)
                return (await answer).status

        statuses = await many(count, upload, 5)
        await until(lambda: origin.open == 0, 5, "the servers' connections closed")
        assert it.complaints() == ""
    assert set(statuses) <= {0, 413, 502}
    assert statuses.count(413) > count / 2
    figure(
        "server reset or cut mid-body",
        f"an answer while the request's body still comes ({scheme}): the answer, or a cut",
        f"{count}: {statuses.count(413)} answers, {count - statuses.count(413)} cut; nothing on standard error",
    )


async def test_kept_connections_that_servers_end(start: Start, figure: Figure, ca: trustme.CA) -> None:
    """A kept connection that its server is about to close is either still usable or not used, and never an error."""
    count = size(400, 20_000)

    async def fickle(exchange: Exchange) -> bool:
        await answer_ok(exchange)
        await asyncio.sleep(random.random() * 0.004)
        return random.random() < 0.5

    async with serving(fickle, server_context(ca.issue_cert(HOST))) as origin:
        it = await start(origin, upstream={"connections": "keep-alive"})
        async with contextlib.AsyncExitStack() as clients:
            loads = [
                await clients.enter_async_context(Steady(it.port, it.request(origin), every=0.001)) for _ in range(8)
            ]
            await loads[0].asked(count // 8)
        assert it.complaints() == ""
    answers = [answer for load in loads for answer in load.answers]
    assert {(answer.status, answer.whole) for answer in answers} == {(200, True)}
    figure(
        "server reset or cut mid-body",
        "kept connections that servers end at any moment: every request is answered",
        f"{len(answers)} requests over {origin.connections} connections",
    )


async def test_clients_gone_during_a_handshake(start: Start, figure: Figure, ca: trustme.CA) -> None:
    count = size(300, 5000)
    context = server_context(trustme.CA().issue_cert(HOST))
    async with serving(context=context) as origin:
        it = await start(origin)
        await it.warm()
        descriptors = it.descriptors()

        async def leave(_: int) -> None:
            async with connected(it.port) as (_reader, writer):
                writer.write(it.request(origin))
                await asyncio.sleep(random.random() * 0.02)
                reset(writer)

        await many(count, leave, 10)
        await until(lambda: it.descriptors() <= descriptors, 5, "everything closed")
        it.signal(signal.SIGTERM)
        assert await it.ended() == 0
        assert it.complaints() == ""
    figure(
        "client gone mid-body",
        "gone during the server's handshake: that ends too; nothing on standard error",
        f"{count} clients: nothing left open",
    )
