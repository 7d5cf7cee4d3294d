"""No request leaves objects to the garbage collector, because a collection delays every other request."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from mralab import Lab, fault

KINDS = {
    "passed": None,
    "refused by verification": fault.Expire(),
    "no TLS": fault.NotTls(),
    "another TLS version": fault.WrongVersion(),
    "an alert": fault.SendAlert(),
    "a reset during the handshake": fault.ResetAfterCertificate(),
    "a silent server": fault.Stall(),
    "a response cut off": fault.Truncate(),
    "an answer of the server's own": fault.Answer(503),
}


@contextmanager
def uncollected() -> Iterator[list[object]]:
    """Yield a list that at the end has the objects that only the garbage collector would have freed."""
    found: list[object] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def ask(url: str) -> bytes:
    """Send a request, and wait until the proxy has closed the connection."""
    to = urlsplit(url)
    reader, writer = await asyncio.open_connection(to.hostname, to.port)
    writer.write(f"GET {to.path} HTTP/1.1\r\nHost: cucm.steven.lab\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def ask_again(url: str) -> bytes:
    """Send a request that leaves its connection open, so that it is planned; return the whole answer, or nothing."""
    to = urlsplit(url)
    reader, writer = await asyncio.open_connection(to.hostname, to.port)
    writer.write(f"GET {to.path} HTTP/1.1\r\nHost: cucm.steven.lab\r\n\r\n".encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("connections", ["keep-alive", "per-request"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_planned_request_leaves_nothing_to_the_garbage_collector(kind: str, connections: str) -> None:
    injected = KINDS[kind]
    async with Lab(scenario="healthy") as lab:
        lab.proxy.change(upstream={"response_timeout": 0.2, "connect_timeout": 0.5, "connections": connections})
        url = lab.proxy.url(for_="https://cucm.steven.lab:8443/cucm-uds/version")
        for _ in range(2):
            assert b" 200 " in await ask_again(url)
        if injected is not None:
            lab.cucm.inject(injected)
        await ask_again(url)
        with uncollected() as found:
            for _ in range(3):
                await ask_again(url)
            await asyncio.sleep(0)
    ours = Counter(type(one).__name__ for one in found if type(one).__module__.startswith(("mralab.net", "mralab.tls")))
    assert not ours


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_leaves_nothing_to_the_garbage_collector(kind: str) -> None:
    injected = KINDS[kind]
    async with Lab(scenario="healthy") as lab:
        lab.proxy.change(upstream={"response_timeout": 0.2, "connect_timeout": 0.5})
        if injected is not None:
            lab.cucm.inject(injected)
        url = lab.proxy.url(for_="https://cucm.steven.lab:8443/cucm-uds/version")
        await ask(url)
        with uncollected() as found:
            for _ in range(3):
                await ask(url)
            await asyncio.sleep(0)
    ours = Counter(type(one).__name__ for one in found if type(one).__module__.startswith(("mralab.net", "mralab.tls")))
    assert not ours
