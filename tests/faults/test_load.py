"""Overload: queue and memory are bounded, and the proxy recovers soon after it."""

from __future__ import annotations

import asyncio
import time

from .client import Answer, ask, connected, percentile, read_answer, reset
from .conftest import PATIENCE, Figure, Start, size
from .origin import Exchange, answer_ok, serving

SLOTS, SERVICE = 20, 0.2  # concurrent requests, seconds for each: the capacity is 100 requests a second


async def test_twice_the_capacity(start: Start, figure: Figure) -> None:
    seconds = size(2.0, 10.0)
    rate = 2 * SLOTS / SERVICE
    patience = 1.0

    async def take_time(exchange: Exchange) -> None:
        await asyncio.sleep(SERVICE)
        await answer_ok(exchange)

    async with serving(take_time) as origin:
        it = await start(origin, limits={"connections": SLOTS})
        await it.warm()
        request = it.request(origin, fields="Connection: close\r\n")
        before = it.resident()

        async def one() -> Answer | None:
            async with connected(it.port) as (reader, writer):
                began = time.monotonic()
                writer.write(request)
                try:
                    async with asyncio.timeout(patience):
                        return await read_answer(reader, started=began)
                except TimeoutError:
                    reset(writer)
                    return None

        began = time.monotonic()
        asked: list[asyncio.Task[Answer | None]] = []
        while (
            elapsed := time.monotonic() - began
        ) < seconds:  # open loop: each is sent at its time, independently of the others
            while len(asked) < elapsed * rate:
                asked.append(asyncio.create_task(one()))
            await asyncio.sleep(0.002)
        over = time.monotonic()
        took = 10.0
        async with asyncio.timeout(PATIENCE):  # it recovers
            while took > 2 * SERVICE:
                answer = await ask(it.port, request)
                assert answer.status == 200
                took = answer.seconds
        recovered = time.monotonic() - over
        growth = it.resident() - before
        answers = await asyncio.gather(*asked)
        assert it.complaints() == ""
    served = [answer for answer in answers if answer is not None]
    assert {answer.status for answer in served} == {200}
    # The queue is served in order, so a late client has almost reached its own time limit: few are served, but some.
    assert len(served) > 2 * SLOTS
    assert growth < 8192
    figure(
        "overload, twice the capacity",
        "an answer within the client's patience for as many as there is room for; the others wait until they give up",
        f"{rate:.0f} requests a second for {seconds:g} s, {rate / 2:.0f} possible, patience {patience:g} s: "
        f"{len(served)} of {len(asked)} served (p99 {percentile([one.seconds for one in served]) * 1000:.0f} ms), "
        f"memory +{growth} KB, normal again {recovered:.2f} s after",
    )
