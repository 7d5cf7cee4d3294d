"""Preflight's new connections: even intervals, and at most 16 at once."""

from __future__ import annotations

import asyncio

from mralab.config import from_mapping
from mralab.diagnose.pace import Pace
from mralab.diagnose.preflight import Address, check
from mralab.tls.trust_store import TrustStore


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_at_most_twenty_connections_begin_in_any_second() -> None:
    clock = Clock()
    pace = Pace(clock=lambda: clock.now, sleep=clock.sleep)
    turns = []
    for number in range(100):
        if number == 50:
            clock.now += 5  # idle time does not allow more connections later
        await pace.turn()
        turns.append(clock.now)
    assert turns[0] == 100.0
    assert all(later - earlier > 0.999 for earlier, later in zip(turns, turns[20:], strict=False))


async def test_turns_that_are_taken_at_once_wait_for_each_other() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 6))

    pace = Pace(10, clock=lambda: 7.0, sleep=sleep)
    await asyncio.gather(*(pace.turn() for _ in range(4)))
    assert waits == [0.1, 0.2, 0.3]


async def test_sixteen_servers_at_once_with_one_connection_for_each_preference() -> None:
    connections: list[int] = []
    current = most = 0
    full = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal current, most
        current += 1
        most = max(most, current)
        connections.append(writer.get_extra_info("sockname")[1])
        if current == 16:
            full.set()
        await full.wait()
        current -= 1
        writer.close()

    names = [f"s{number}.test" for number in range(40)]
    turns = 0

    class Counting(Pace):
        async def turn(self) -> None:
            nonlocal turns
            turns += 1

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = from_mapping({"hosts": {name: {"dial": "127.0.0.1", "ports": {8443: port}} for name in names}})
        checks = await check([Address(name, 8443) for name in names], config, TrustStore(), pace=Counting())
    assert (most, len(connections), turns) == (16, 80, 80)
    assert {one.state for one in checks} == {"not-asked"}
