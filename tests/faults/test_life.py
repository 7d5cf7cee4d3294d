"""Signals, reloads, invalid files, and killed processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

from tests.net.conftest import HOST, server_context
from tests.serving import until

from . import process
from .client import NOTHING, Answer, Steady, Stream, ask, connected, read_answer
from .conftest import FULL, PATIENCE, Figure, Start, size
from .origin import Exchange, serving

HEADER = "Url,Deployment,HttpMethods,MatchType,Description\n"


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm(start: Start, figure: Figure, workers: int) -> None:
    seconds = size(1, 5)

    refused = asyncio.Event()
    stopped = 0.0

    async def slow(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
        for piece in range(5):
            await asyncio.sleep(0.1)
            if stopped and piece == 4:
                await refused.wait()  # new clients are refused while these are served
            await exchange.send(bytes(10_000))

    async with serving(slow) as origin:
        it = await start(origin, proxy={"workers": workers})
        request = it.request(origin)
        accepted: list[asyncio.Task[Answer]] = []

        async def one(stream: Stream) -> Answer:
            reader, writer = stream
            writer.write(request)
            try:
                return await read_answer(reader)
            finally:
                writer.transport.abort()

        began = time.monotonic()
        while True:  # 200 a second, open loop
            try:
                stream = await asyncio.open_connection("127.0.0.1", it.port)
            except OSError:
                refused_after = time.monotonic() - stopped
                break
            if not stopped:
                accepted.append(asyncio.create_task(one(stream)))
            else:
                stream[1].transport.abort()
                assert time.monotonic() - stopped < PATIENCE, "it still accepts"
            if not stopped and time.monotonic() - began > seconds:
                await until(lambda: len(origin.requests) == len(accepted))
                stopped = time.monotonic()
                it.signal(signal.SIGTERM)
            await asyncio.sleep(0.005)
        assert stopped
        refused.set()
        code = await it.ended(12)
        ended_after = time.monotonic() - stopped
        answers = await asyncio.gather(*accepted)
        assert it.complaints() == ""
        assert len(it.received()) == len(answers)
    assert code == 0
    assert {(answer.status, len(answer.body), answer.whole) for answer in answers} == {(200, 50_000, True)}
    figure(
        "SIGTERM",
        "every request under way gets its whole answer; new connections are refused",
        f"{workers} worker{'s' * (workers > 1)}, {len(answers)} requests: refused {refused_after * 1000:.0f} ms "
        f"after, exit 0 {ended_after:.2f} s after",
    )


@pytest.mark.parametrize("workers", [1, 2])
async def test_signals_right_after_the_start(start: Start, workers: int) -> None:
    it = await start(proxy={"workers": workers})
    it.signal(signal.SIGHUP)
    it.signal(signal.SIGTERM)
    assert await it.ended() == 0


@pytest.mark.parametrize("connections", ["per-request", "keep-alive"])
async def test_reloads_under_load(start: Start, figure: Figure, connections: str) -> None:
    reloads, every = size((10, 0.0), (100, 0.6))
    async with serving() as origin, serving() as other, contextlib.AsyncExitStack() as clients:
        it = await start(origin, other, upstream={"connections": connections})
        await it.warm()
        both, without = process.rules([origin, other]), process.rules([origin])
        loads = [await clients.enter_async_context(Steady(it.port, it.request(origin), every=0.002)) for _ in range(4)]
        asked = late = 0
        longest = 0.0
        for number in range(reloads):
            began = time.monotonic()
            removed = number % 2 == 0
            (it.folder / "rules.csv").write_text(without if removed else both)
            it.signal(signal.SIGHUP)
            expected = 403 if removed else 200
            async with connected(it.port) as (reader, writer):  # one after the other on one connection
                statuses: list[int] = []
                async with asyncio.timeout(PATIENCE):
                    while not statuses or statuses[-1] != expected:
                        writer.write(it.request(other))
                        statuses.append((await read_answer(reader)).status)
                longest = max(longest, time.monotonic() - began)
                for _ in range(20):
                    writer.write(it.request(other))
                    late += (await read_answer(reader)).status != expected
                asked += len(statuses) + 20
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))
        await clients.aclose()
        assert it.complaints() == ""
    answers = [answer for load in loads for answer in load.answers]
    assert {(answer.status, answer.whole) for answer in answers} == {(200, True)}
    assert late == 0
    figure(
        "SIGHUP reload",
        "no request fails; the removed rule is gone from the next request on",
        f"{connections}, {reloads} reloads: {len(answers)} requests, 0 failed; in force {longest * 1000:.0f} ms after "
        f"the signal at most; {asked} requests of the changing rule, 0 by the old one after the first by the new one",
    )


async def test_reload_reaches_every_worker(start: Start) -> None:
    async with serving() as origin, serving() as other:
        it = await start(origin, other, proxy={"workers": 2})
        await it.warm()
        (it.folder / "rules.csv").write_text(process.rules([origin]))
        it.signal(signal.SIGHUP)
        in_a_row = 0
        async with asyncio.timeout(PATIENCE):
            while in_a_row < 50:
                in_a_row = in_a_row + 1 if (await ask(it.port, it.request(other))).status == 403 else 0
        assert (await ask(it.port, it.request(origin))).status == 200


RUBBISH = {
    "configuration": ("mralab.toml", b"\0\xff[verify\norigin = "),
    "configuration that is empty": ("mralab.toml", b""),
    "configuration with an unknown key": ("mralab.toml", b'[verify]\norigins = "off"\n'),
    "rules": ("rules.csv", b"\x89PNG\r\n\x1a\n\0\0"),
    "rules that are empty": ("rules.csv", b""),
    "trust store": ("ca.pem", random.Random(1).randbytes(2000)),
    "trust store that is empty": ("ca.pem", b""),
    "trust store cut short": ("ca.pem", b"-----BEGIN CERTIFICATE-----\nMIIB"),
    "trust store of keys": ("ca.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    "trust store that is gone": ("ca.pem", None),
}
STARTS = frozenset(("configuration that is empty",))
"""Those that are no mistake where nothing was there before."""
SMALL = ("configuration", "trust store that is empty")
"""Those that a start is tried with in the small version."""


@pytest.mark.parametrize("workers", [1, 2])
async def test_rubbish_in_files(start: Start, figure: Figure, ca: trustme.CA, workers: int) -> None:
    good, bad = server_context(ca.issue_cert(HOST)), server_context(trustme.CA().issue_cert(HOST))
    async with serving(context=good) as origin, serving(context=bad) as unknown:
        it = await start(origin, unknown, proxy={"workers": workers})
        assert (await ask(it.port, it.request(unknown))).status == 502
        for name, (file, rubbish) in RUBBISH.items():
            whole = (it.folder / file).read_bytes()
            before = len(it.complaints())
            if rubbish is None:
                (it.folder / file).unlink()
            else:
                (it.folder / file).write_bytes(rubbish)
            it.signal(signal.SIGHUP)
            await until(lambda before=before: it.complaints()[before:].count("\n") >= 2, 5, name)  # type: ignore[misc]
            complaint = it.complaints()[before:]
            assert "reload refused, the old configuration stays" in complaint, name
            assert file in complaint, name
            for _ in range(2 * workers):
                assert (await ask(it.port, it.request(origin))).status == 200, name
                assert (await ask(it.port, it.request(unknown))).status == 502, name
            if workers == 1 and (FULL or name in SMALL) and name not in STARTS:
                started = await asyncio.to_thread(_start, it.folder)
                assert started.returncode == 2, name
                assert file in started.stderr, name
            (it.folder / file).write_bytes(whole)
        (it.folder / "ca.pem").unlink()
        (it.folder / "ca.pem").mkdir()  # a folder that was emptied
        before = len(it.complaints())
        it.signal(signal.SIGHUP)
        await until(lambda: "no longer holds a certificate" in it.complaints()[before:], 5)
        assert (await ask(it.port, it.request(origin))).status == 200
        it.configure(
            process.tables(proxy={"workers": workers}, trust={"store": ""})
        )  # an explicit empty store trusts nothing
        it.signal(signal.SIGHUP)
        refused = 0
        async with asyncio.timeout(PATIENCE):
            while refused < 4 * workers:
                refused = refused + 1 if (await ask(it.port, it.request(origin))).status == 502 else 0
    figure(
        "configuration or trust store turned to garbage, emptied",
        "reload: the old one stays in force, and standard error says why; start: exit 2",
        f"{workers} worker{'s' * (workers > 1)}: {len(RUBBISH)} of {len(RUBBISH)} kinds refused, an "
        "unknown server never accepted",
    )


def _start(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mralab", "serve", "-c", str(folder / "mralab.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


async def listens(port: int, limit: float) -> float:
    """Return the seconds until a port accepts a connection."""

    def one() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    return await until(one, limit, "listening again")


@pytest.mark.parametrize("workers", [1, 2])
async def test_kill_9_and_restart(start: Start, figure: Figure, workers: int) -> None:
    async with serving() as origin, contextlib.AsyncExitStack() as clients:
        it = await start(origin, proxy={"workers": workers})
        port = it.port
        loads = [
            await clients.enter_async_context(_Patient(it.port, it.numbered(origin, n * 1_000_000))) for n in range(4)
        ]
        await loads[0].asked(size(50, 1000))
        children = it.workers()
        it.process.kill()
        await it.ended()
        # Workers that outlive a killed supervisor must not continue to serve an old configuration on the port.
        await until(lambda: not [pid for pid in children if _runs(pid)], 5, "the workers' end")
        it.configure(process.tables(proxy={"listen": f"127.0.0.1:{port}", "workers": workers}))
        began = time.monotonic()
        async with process.serve(it.folder) as again:
            await listens(port, PATIENCE)
            took = time.monotonic() - began
            await loads[0].asked(50)
            await clients.aclose()
            again.signal(signal.SIGTERM)
            assert await again.ended() == 0
        text = (it.folder / "traffic_server.log").read_bytes()
        records = it.log()
        unread = [record.text for record in records if record.event is None]
        answered = sum(answer.whole for load in loads for answer in load.answers)
    assert {answer.status for load in loads for answer in load.answers} <= {0, 200}
    assert len(unread) <= workers
    assert text.endswith(b"\n")
    assert len({record.pid for record in records}) >= 2
    figure(
        "kill -9 and restart",
        "a cut for those under way; answers again after the restart",
        f"{workers} worker{'s' * (workers > 1)}: listening {took:.2f} s after the start; {answered} answers; "
        f"{len(records)} lines, {len(unread)} of them torn",
    )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class _Patient(Steady):
    """A client that comes back after a refused connection."""

    async def _run(self) -> None:
        while not self._stop:
            try:
                await super()._run()
            except ConnectionError:
                self._take(NOTHING)
                await asyncio.sleep(0.01)


async def test_a_worker_that_dies(start: Start, figure: Figure) -> None:
    async with serving() as origin, contextlib.AsyncExitStack() as clients:
        it = await start(origin, proxy={"workers": 2})
        await until(lambda: len(it.workers()) == 2)
        await it.warm()
        loads = [
            await clients.enter_async_context(_Patient(it.port, it.numbered(origin, n * 1_000_000))) for n in range(8)
        ]
        await loads[0].asked(20)
        victim = it.workers()[0]
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        assert (await ask(it.port, it.request(origin))).status == 200  # the other continues
        await until(lambda: len([pid for pid in it.workers() if pid != victim]) == 2, PATIENCE, "the worker made anew")
        took = time.monotonic() - began
        await loads[0].asked(20)
        await clients.aclose()
        it.signal(signal.SIGTERM)
        assert await it.ended() == 0
        printed = it.complaints()
    lost = sum(not answer.whole for load in loads for answer in load.answers)
    assert lost <= 8
    assert str(victim) in printed
    assert printed.count("\n") == 1
    figure(
        "kill -9 and restart",
        "one of two workers: the other serves, it is started again and standard error says so",
        f"a new worker after {took:.2f} s; {lost} requests cut of {sum(len(load.answers) for load in loads)}",
    )
