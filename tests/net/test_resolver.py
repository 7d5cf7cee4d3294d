"""Addresses of servers: [hosts], IP addresses, DNS; a slow name server delays only its own names."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mralab.config import HostEntry
from mralab.net.resolver import Resolver, ServerAddress, UnknownHostError, listed


class NameServer:
    """Replaces the system's resolver: its answers, names for which it hangs until ``go``, and the queries so far."""

    def __init__(self) -> None:
        self.addresses = {"cucm.steven.lab": "127.0.0.1"}
        self.hanging: set[str] = set()
        self.go = threading.Event()
        self.queries: list[str] = []

    def getaddrinfo(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.queries.append(host)
        if host in self.hanging:
            assert self.go.wait(10)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.addresses[host], 0))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.go.set()
    for thread in threading.enumerate():
        if thread.name == "mralab-dns":
            thread.join(5)


def test_the_table_and_addresses_need_no_dns(names: NameServer) -> None:
    hosts = {"cucm.steven.lab": HostEntry(ip="10.48.36.215", dial="127.0.48.215", ports={8443: 41021})}
    assert listed(hosts, "cucm.steven.lab", 8443) == ServerAddress("10.48.36.215", "127.0.48.215", 41021)
    assert listed(hosts, "cucm.steven.lab", 6972) == ServerAddress("10.48.36.215", "127.0.48.215", 6972)
    assert listed(hosts, "::1", 8443) == ServerAddress("::1", "::1", 8443)
    assert names.queries == []


async def test_a_name_is_looked_up_each_time_so_a_change_applies_at_once(names: NameServer) -> None:
    resolver = Resolver(asyncio.get_running_loop())
    assert (await resolver.look_up("cucm.steven.lab", 8443, 5)).dial == "127.0.0.1"
    names.addresses["cucm.steven.lab"] = "127.0.0.2"
    assert (await resolver.look_up("cucm.steven.lab", 8443, 5)).dial == "127.0.0.2"
    del names.addresses["cucm.steven.lab"]
    with pytest.raises(UnknownHostError):
        await resolver.look_up("cucm.steven.lab", 8443, 5)


async def test_a_slow_name_delays_no_other_and_is_looked_up_once(names: NameServer) -> None:
    resolver = Resolver(asyncio.get_running_loop())
    names.hanging.add("slow.steven.lab")
    names.addresses["slow.steven.lab"] = "127.0.0.3"
    waiting = [asyncio.create_task(resolver.look_up("slow.steven.lab", 8443, 20)) for _ in range(100)]
    assert (await resolver.look_up("cucm.steven.lab", 8443, 5)).dial == "127.0.0.1"
    names.go.set()
    assert {place.dial for place in await asyncio.gather(*waiting)} == {"127.0.0.3"}
    assert names.queries.count("slow.steven.lab") == 1


async def test_it_gives_up_at_the_limit(names: NameServer) -> None:
    resolver = Resolver(asyncio.get_running_loop())
    names.hanging.add("slow.steven.lab")
    with pytest.raises(UnknownHostError):
        await resolver.look_up("slow.steven.lab", 8443, 0.05)


async def test_names_that_hang_are_bounded(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mralab.net.resolver._MOST_LOOKUPS", 3)
    resolver = Resolver(asyncio.get_running_loop())
    slow = [f"{number}.steven.lab" for number in range(3)]
    names.hanging.update(slow)
    waiting = [asyncio.create_task(resolver.look_up(name, 8443, 20)) for name in slow]
    await asyncio.sleep(0)
    with pytest.raises(UnknownHostError):
        await resolver.look_up("cucm.steven.lab", 8443, 5)
    names.go.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, UnknownHostError) for result in results)
