"""Changes of trust while requests run: a replaced store, and a certificate that expires on a kept connection."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import signal
import time

import pytest
import trustme

from mralab.core.log.events import VerifyFailed
from tests.net.conftest import HOST, server_context
from tests.serving import until

from .client import Steady, ask, connected, read_answer
from .conftest import PATIENCE, Figure, Start, size
from .origin import OK, Exchange, serving


@pytest.mark.parametrize("connections", ["per-request", "keep-alive"])
async def test_store_replaced(start: Start, figure: Figure, ca: trustme.CA, connections: str) -> None:
    swaps = size(4, 50)
    old, new = ca, trustme.CA()
    contexts = [server_context(one.issue_cert(HOST)) for one in (old, new)]
    async with (
        serving(context=contexts[0]) as first,
        serving(context=contexts[1]) as second,
        contextlib.AsyncExitStack() as clients,
    ):
        it = await start(first, second, upstream={"connections": connections, "attempts": 1})
        await it.warm()
        loads = {
            origin: [
                await clients.enter_async_context(Steady(it.port, it.request(origin), every=0.005)) for _ in range(3)
            ]
            for origin in (first, second)
        }
        await loads[first][0].asked(5)
        late, longest = 0, 0.0
        for trusted, refused, authority in itertools.islice(
            itertools.cycle([(second, first, new), (first, second, old)]), swaps
        ):
            authority.cert_pem.write_to_path(str(it.folder / "ca.pem"))
            it.signal(signal.SIGHUP)
            began = time.monotonic()
            async with connected(it.port) as (reader, writer):
                status = 0
                async with asyncio.timeout(PATIENCE):
                    while status != 502:
                        writer.write(it.request(refused))
                        status = (await read_answer(reader)).status
                longest = max(longest, time.monotonic() - began)
                for _ in range(20):
                    writer.write(it.request(refused))
                    late += (await read_answer(reader)).status != 502
                    writer.write(it.request(trusted))
                    late += (await read_answer(reader)).status != 200
        await clients.aclose()
        turns = [
            sum(one.status != other.status for one, other in itertools.pairwise(load.answers))
            for pair in loads.values()
            for load in pair
        ]
        answers = [answer for pair in loads.values() for load in pair for answer in load.answers]
        assert it.complaints() == ""
    assert {answer.status for answer in answers} == {200, 502}
    assert late == 0
    assert max(turns) <= swaps  # exactly one change for each swap
    figure(
        "trust store replaced",
        "the old CA's servers 502 from the next request on, kept connections and sessions included",
        f"{connections}, {swaps} swaps under load ({len(answers)} requests): in force {longest * 1000:.0f} ms after "
        f"the signal at most, 0 of {swaps * 40} requests judged by the old store afterwards",
    )


async def test_certificate_expires_while_pooled(start: Start, figure: Figure, ca: trustme.CA) -> None:
    life = size(2, 10)
    end = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(seconds=life + 1)
    go_on = asyncio.Event()

    async def handle(exchange: Exchange) -> None:
        if exchange.path == "/long":
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlon")
            await go_on.wait()
            await exchange.send(b"ger")
        else:
            await exchange.send(OK)

    async with serving(handle, server_context(ca.issue_cert(HOST, not_after=end))) as origin:
        # One process, because each has its own pool and a request may reach any of them.
        it = await start(origin, proxy={"workers": 1}, upstream={"connections": "keep-alive", "attempts": 1})
        assert (await ask(it.port, it.request(origin))).status == 200
        long = asyncio.create_task(ask(it.port, it.request(origin, "/long")))
        await until(lambda: len(origin.requests) == 2)
        assert origin.connections == 1
        kept = 0
        asked_at = time.time()
        answer = await ask(it.port, it.request(origin))
        while answer.status == 200:
            # In the last second of its validity a certificate is accepted in a handshake, but not on a kept connection.
            assert asked_at < end.timestamp() + 1.1  # time(2), by which OpenSSL judges, is late by up to a timer tick
            kept += time.time() < end.timestamp() and origin.connections == 2
            asked_at = time.time()
            answer = await ask(it.port, it.request(origin))
        refused_after = time.time() - end.timestamp()
        assert answer.status == 502
        go_on.set()
        assert (await long).body == b"longer"  # a request under way is finished
        assert (await ask(it.port, it.request(origin))).status == 502  # and its connection not used again
        await until(lambda: origin.open == 0, 5, "kept connections closed")
        it.signal(signal.SIGTERM)
        assert await it.ended() == 0
        faults = [record.event for record in it.log() if isinstance(record.event, VerifyFailed)]
    assert {fault.error for fault in faults} == {"certificate has expired"}
    assert kept > 10
    assert refused_after >= 0
    figure(
        "certificate expires while its connection is pooled",
        "502 for new requests; a request under way is finished, then the connection is closed",
        f"valid for {life} s: {kept} requests on the kept connection, the first refusal {refused_after:.2f} s "
        "after its end",
    )
