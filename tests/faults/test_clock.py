"""Steps of the clock: time limits are not affected, and timestamps follow."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mralab.config import from_mapping
from mralab.core.log.events import RequestReceived
from mralab.core.mra.target import Target, encode
from mralab.net.traffic_server import TrafficServer
from tests.net.conftest import HOST
from tests.serving import until

from . import process
from .client import ask, connected, gone, read_answer
from .conftest import PATIENCE, Figure, Start, in_time
from .origin import Exchange, Origin, answer_ok, serving

HOUR, DAY = 3600, 86400
STEPS = (DAY, -HOUR)
LIMIT = 1.5
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


async def _server(exchange: Exchange) -> None:
    if exchange.path == "/hang":
        await exchange.reader.read()
    await answer_ok(exchange)


def _target(origin: Origin, path: str) -> bytes:
    target = encode(Target("steven.lab", "http", HOST, origin.port))
    return f"GET /{target}{path} HTTP/1.1\r\nHost: proxy\r\n\r\n".encode()


async def steps(
    port: int, origin: Origin, step: Callable[[float], None], stamp: Callable[[], Awaitable[float]]
) -> list[float]:
    """Let clients wait for each time limit while the clock steps; return how long they waited."""
    waited: list[float] = []

    async def idle() -> None:
        async with connected(port) as (reader, writer):
            writer.write(_target(origin, "/x"))
            assert (await read_answer(reader)).whole
            began = time.monotonic()
            await gone(reader)
            waited.append(time.monotonic() - began)

    async def slow_head() -> None:
        async with connected(port) as (reader, writer):
            began = time.monotonic()
            writer.write(b"GET / HT")
            assert (await read_answer(reader)).status == 408
            waited.append(time.monotonic() - began)

    async def hang() -> None:
        answer = await ask(port, _target(origin, "/hang"))
        assert answer.status == 504
        waited.append(answer.seconds)

    for seconds in STEPS:
        async with asyncio.TaskGroup() as group:
            for one in (idle, slow_head, hang):
                group.create_task(one())
            before = await ask(port, _target(origin, "/x"))
            step(seconds)
            after = await ask(port, _target(origin, "/x"))
            assert after.status == 200
            # Far less than a step, but enough for a slow machine.
            assert abs(_date(after.head) - _date(before.head) - seconds) < PATIENCE
            assert abs(await stamp() - _date(after.head)) < PATIENCE
    return waited


def _date(head: bytes) -> float:
    (line,) = [line for line in head.decode().split("\r\n") if line.startswith("Date: ")]
    return email.utils.parsedate_to_datetime(line[6:]).timestamp()


TIMES = {
    "limits": {"idle_timeout": LIMIT, "header_timeout": LIMIT},
    "upstream": {"response_timeout": LIMIT, "attempts": 1, "connections": "keep-alive"},
}


def _kept(waited: list[float], figure: Figure, how: str) -> None:
    in_time(waited, LIMIT)
    figure(
        "clock steps a day, an hour",
        "every answer and every limit on time; Date and the log's stamps follow",
        f"{how}, a day forward, an hour back: limits of {LIMIT:g} s kept at {min(waited):.2f} to {max(waited):.2f} s",
    )


async def test_the_system_s_clock_steps(start: Start, figure: Figure, tmp_path: Path) -> None:
    found = [library for pattern in LIBRARIES for library in sorted(Path("/").glob(pattern[1:]))]
    if not found:
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    offset = tmp_path / "offset"
    total = 0.0

    def step(seconds: float) -> None:
        nonlocal total
        total += seconds
        (tmp_path / "next").write_text(f"{total:+.0f}\n")
        (tmp_path / "next").rename(offset)

    step(0)
    fake = {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    async with serving(_server) as origin:
        it = await start(origin, environment=fake, **TIMES)

        async def stamp() -> float:
            def stamps() -> list[float]:
                received = (one for one in it.log() if isinstance(one.event, RequestReceived))
                return [one.at for one in received if "/stamp" in one.text]

            before = len(stamps())
            await ask(it.port, _target(origin, "/stamp"))
            await until(lambda: len(stamps()) > before)
            return stamps()[-1]

        waited = await steps(it.port, origin, step, stamp)
    _kept(waited, figure, "libfaketime under the process")


async def test_time_in_the_process_steps(tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    real, total = time.time, 0.0
    stamps: list[float] = []

    def step(seconds: float) -> None:
        nonlocal total
        total += seconds

    monkeypatch.setattr(time, "time", lambda: real() + total)
    async with serving(_server) as origin:
        (tmp_path / "rules.csv").write_text(process.rules([origin]))
        config = from_mapping(process.tables(trust={"store": ""}, **TIMES), tmp_path)

        def note(event: object) -> None:
            if isinstance(event, RequestReceived):
                stamps.append(event.at)

        async def stamp() -> float:
            return stamps[-1]

        async with TrafficServer(config, listener=note) as proxy:
            waited = await steps(proxy.port, origin, step, stamp)
    _kept(waited, figure, "time.time in the process")
