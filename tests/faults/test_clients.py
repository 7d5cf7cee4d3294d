"""Clients that are slow, numerous, or disconnect early."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from typing import Any

import pytest

from tests.serving import until

from .client import Steady, Stream, ask, connected, gone, many, read_answer, reset
from .conftest import FULL, PATIENCE, Figure, Start, in_time, size, undisturbed
from .origin import OK, Exchange, answer_ok, serving
from .process import Serve

LENGTH = 1 << 30


async def drip(port: int, start: bytes, every: float) -> tuple[float, bytes]:
    """Send ``start``, then a byte at a time; return the time until the connection ended, and the response."""
    async with connected(port) as (reader, writer):
        began = time.monotonic()
        writer.write(start)
        end = asyncio.create_task(reader.read())
        while not (await asyncio.wait([end], timeout=every))[0]:
            writer.write(b"a")
        return time.monotonic() - began, b"" if end.exception() else end.result()


@pytest.mark.parametrize("part", ["head", "body"])
async def test_slowloris(start: Start, figure: Figure, part: str) -> None:
    clients, limit, every = size((100, 2.0, 0.3), (1000, 30.0, 5.0))
    async with serving() as origin:
        it = await start(origin, limits={"header_timeout": limit, "idle_timeout": limit})
        async with Steady(it.port, it.request(origin)) as idle:
            await idle.asked(50)
        fields = "Content-Length: 1000000\r\n" if part == "body" else "X-Slow: "
        method = "POST" if part == "body" else "GET"
        slow = it.request(origin, fields=fields, method=method)
        slow = slow.removesuffix(b"\r\n") if part == "head" else slow
        async with Steady(it.port, it.request(origin)) as busy:
            ends = await many(clients, lambda _: drip(it.port, slow, every), clients)
    seconds = [end for end, _ in ends]
    assert {got[:12] for _, got in ends} == {b"HTTP/1.1 408"}
    in_time(seconds, limit)
    undisturbed(busy, idle)
    figure(
        "slowloris, slow body",
        f"slow {part}: 408 at its limit; the other clients are answered",
        f"{clients} clients, a byte every {every:g} s, limit {limit:g} s: closed after {min(seconds):.2f} to "
        f"{max(seconds):.2f} s; p99 of the others {busy.percentile() * 1000:.1f} ms (idle "
        f"{idle.percentile() * 1000:.1f} ms)",
    )


async def test_a_client_that_does_not_read(start: Start, figure: Figure) -> None:
    clients, limit = size((10, 2.0), (100, 10.0))
    ends: list[float] = []

    async def pour(exchange: Exchange) -> None:
        moved = time.monotonic()
        try:
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LENGTH)
            while True:
                await exchange.send(bytes(1 << 16))
                moved = time.monotonic()
        finally:
            ends.append(time.monotonic() - moved)

    async with serving(pour) as origin:
        it = await start(origin, limits={"idle_timeout": limit})
        before = it.resident()

        async def stare(_: int) -> None:
            async with connected(it.port) as (reader, writer):
                reader._transport.pause_reading()  # type: ignore[attr-defined] # a stream's reader reads ahead
                writer.write(it.request(origin))
                await until(lambda: len(ends) == clients, limit + PATIENCE, "the servers' connections closed")

        await many(clients, stare)
        growth = (it.resident() - before) / clients
    # Counted from the last byte that the server could send, which is later than the last one that the client read.
    assert min(ends) > limit * 0.75
    assert not FULL or max(ends) <= limit * 1.1
    assert growth < 1024
    figure(
        "slowloris, slow body",
        "response not read: a reset at the limit, the connection to the server closed",
        f"{clients} clients, limit {limit:g} s: closed after {min(ends):.2f} to {max(ends):.2f} s; "
        f"{growth:.0f} KB held for each",
    )


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_a_body_larger_than_memory(start: Start, figure: Figure, direction: str) -> None:
    length, block = size(256 << 20, 10 << 30), bytes(1 << 18)
    received = 0

    async def handle(exchange: Exchange) -> None:
        nonlocal received
        if direction == "up":
            while received < length and (piece := await exchange.reader.read(1 << 18)):
                received += len(piece)
            await exchange.send(OK)
            return
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        for _ in range(length // len(block)):
            await exchange.send(block)

    async with serving(handle) as origin:
        it = await start(origin)
        began = time.monotonic()
        async with connected(it.port) as (reader, writer):
            if direction == "down":
                writer.write(it.request(origin))
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
                while received < length and (piece := await reader.read(1 << 18)):
                    received += len(piece)
            else:
                writer.write(it.request(origin, fields=f"Content-Length: {length}\r\n", method="POST"))
                for _ in range(length // len(block)):
                    writer.write(block)
                    await writer.drain()
                assert (await read_answer(reader)).status == 200
        peak, processes = it.peak(), len(it.pids())
    assert received == length
    assert peak < 64 * 1024 * processes
    figure(
        "10 GB through 64 MB",
        f"{direction}: every byte",
        f"{length >> 20} MB in {time.monotonic() - began:.1f} s, at most {peak >> 10} MB resident",
    )


async def test_idle_clients(start: Start, figure: Figure) -> None:
    clients, limit = size((500, 2.0), (10_000, 40.0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < clients * 1.5:
        pytest.skip(f"{most} descriptors at most: too few for {clients} clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    async with serving() as origin:
        it = await start(origin, proxy={"workers": 2}, limits={"idle_timeout": limit, "connections": clients + 2000})
        async with Steady(it.port, it.request(origin), every=0) as warm:
            await warm.asked(200)
        before = it.resident()
        held = 0
        all_there = asyncio.Event()
        door = asyncio.Semaphore(50)

        async def hold(_: int) -> tuple[float, float]:
            """Return the time from the request and from its response to the end: the proxy's limit began between."""
            nonlocal held
            async with contextlib.AsyncExitStack() as stack:
                async with door:
                    reader, writer = await stack.enter_async_context(connected(it.port))
                    asked = time.monotonic()
                    writer.write(it.request(origin))
                    assert (await read_answer(reader)).whole
                answered = time.monotonic()
                held += 1
                if held == clients:
                    all_there.set()
                await gone(reader)
                return time.monotonic() - asked, time.monotonic() - answered

        holding = asyncio.create_task(many(clients, hold, clients))
        await asyncio.wait([holding, asyncio.create_task(all_there.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert not holding.done()
        growth = (it.resident() - before) / clients
        async with Steady(it.port, it.request(origin)) as busy:
            await busy.asked(50)
        assert {answer.status for answer in busy.answers} == {200}
        since_request, seconds = zip(*await holding, strict=True)
    in_time([min(since_request), max(seconds)], limit)
    assert growth <= 12
    figure(
        "10 000 idle keep-alive clients",
        "new requests are answered; idle connections are closed at the limit",
        f"{clients} clients: {growth:.1f} KB resident each; p99 of new requests {busy.percentile() * 1000:.1f} ms; "
        f"closed {min(seconds):.2f} to {max(seconds):.2f} s after their last answer (limit {limit:g} s)",
    )


async def processor_share(it: Serve, seconds: float = 0.5) -> float:
    """Return the share of a processor that it uses while idle."""
    before = it.processor()
    await asyncio.sleep(seconds)
    return (it.processor() - before) / seconds


async def recovery(it: Serve, request: bytes) -> float:
    """Return the seconds until a new client gets a response."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while (await ask(it.port, request)).status != 200:
            pass
    return time.monotonic() - began


@pytest.mark.parametrize("workers", [1, 2])
async def test_few_descriptors(start: Start, figure: Figure, workers: int) -> None:
    clients = 400
    async with serving() as origin:
        it = await start(origin, command=("sh", "-c", 'ulimit -n 256; exec "$@"', "sh"), proxy={"workers": workers})
        streams: list[Stream] = [await asyncio.open_connection("127.0.0.1", it.port) for _ in range(clients)]
        answered: list[asyncio.Task[Any]] = []
        for reader, writer in streams:
            writer.write(it.request(origin))
            answered.append(asyncio.create_task(read_answer(reader)))
        room = 96 * workers  # (256 - 64) / 2 in each process: each client may need a server
        await until(lambda: sum(task.done() for task in answered) >= room)
        share = await processor_share(it)
        served = sum(task.done() for task in answered)
        assert all(task.result().status == 200 for task in answered if task.done())
        assert served == room
        for _, writer in streams[: clients // 2]:  # clients in the backlog are accepted as others leave
            writer.transport.abort()
        await until(lambda: sum(task.done() for task in answered[clients // 2 :]) >= room)
        for _, writer in streams:
            writer.transport.abort()
        seconds = await recovery(it, it.request(origin))
        await asyncio.gather(*answered)
        assert it.process.poll() is None
    assert share < 0.2
    figure(
        "descriptor exhaustion",
        "as many are served as there is room for; the rest wait in the backlog",
        f"{workers} worker{'s' * (workers > 1)}, 256 descriptors each, {clients} connections: {served} served at once, "
        f"processor {share:.0%} meanwhile; "
        f"a new client answered {seconds * 1000:.0f} ms after they had gone",
    )


async def test_no_descriptor_at_all(start: Start, figure: Figure) -> None:
    async with serving() as origin:
        it = await start(origin)
        async with Steady(it.port, it.request(origin)) as warm:
            await warm.asked(5)
        soft, hard = resource.prlimit(it.pid, resource.RLIMIT_NOFILE)
        serving_pids = it.workers() or [it.pid]
        few = {pid: it.descriptors(pid) + 10 for pid in serving_pids}
        for pid in serving_pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (few[pid], hard))
        answers = [asyncio.create_task(ask(it.port, it.request(origin), 20)) for _ in range(20)]
        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(_hold_a_while(it.port))
            await until(lambda: all(it.descriptors(pid) >= few[pid] - 1 for pid in serving_pids))
            share = await processor_share(it)
        seconds = await recovery(it, it.request(origin))
        statuses = {answer.status for answer in await asyncio.gather(*answers)}
        for pid in serving_pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert statuses <= {200, 502}
    assert share < 0.2
    figure(
        "descriptor exhaustion",
        "none left at all: 200 or 502; new connections wait",
        f"processor {share:.0%} meanwhile; a new client answered {seconds * 1000:.0f} ms after the others had gone",
    )


async def _hold_a_while(port: int) -> None:
    async with connected(port):
        await asyncio.sleep(1)


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_clients_gone_in_the_middle_of_a_body(start: Start, figure: Figure, direction: str) -> None:
    clients = size(50, 1000)
    left: dict[str, float] = {}
    noticed: dict[str, float] = {}

    async def handle(exchange: Exchange) -> None:
        try:
            if direction == "up":
                await exchange.body()
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LENGTH)
            while not exchange.reader.at_eof():
                await exchange.send(bytes(1 << 14))
        finally:
            noticed[exchange.path] = time.monotonic()

    async with serving(handle) as origin:
        it = await start(origin)
        await it.warm()
        descriptors = it.descriptors()

        async def vanish(number: int) -> None:
            path = f"/{number}"
            async with connected(it.port) as (reader, writer):
                if direction == "up":
                    writer.write(
                        it.request(origin, path, f"Content-Length: {LENGTH}\r\n", bytes(100_000), method="POST")
                    )
                    await writer.drain()
                    await until(lambda: any(path.encode() + b" " in head for head in origin.requests[-200:]))
                else:
                    writer.write(it.request(origin, path))
                    await reader.readexactly(20_000)
                left[path] = time.monotonic()
                if number % 2:
                    reset(writer)
                elif direction == "up":
                    writer.write_eof()
                    await gone(reader)

        await many(clients, vanish, 20)
        await until(lambda: len(noticed) == clients, PATIENCE, "all servers' connections closed")
        await until(lambda: it.descriptors() <= descriptors, PATIENCE, "descriptors given back")
        assert it.complaints() == ""
    worst = max(noticed[path] - left[path] for path in left)
    figure(
        "client gone mid-body",
        f"{direction}: the server's connection ends too; nothing on standard error",
        f"{clients} clients: server connections closed within {worst * 1000:.0f} ms",
    )


async def test_answer_is_whole_for_those_who_stay(start: Start) -> None:
    """Check the measurement itself: how the other tests distinguish complete responses from truncated ones."""

    async def handle(exchange: Exchange) -> bool:
        await (answer_ok(exchange) if exchange.path == "/whole" else exchange.send(OK[:-1]))
        return True

    async with serving(handle) as origin:
        it = await start(origin)
        assert (await ask(it.port, it.request(origin, "/whole")))[2:4] == (b"ok\n", True)
        cut = await ask(it.port, it.request(origin, "/cut"))
        assert (cut.status, cut.whole) == (200, False)
