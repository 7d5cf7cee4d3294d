"""Name servers that are slow, fail, or change their answers: a real one on loopback, used by the system's resolver."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from tests.serving import until

from . import process
from .client import Answer, Steady, ask, many
from .conftest import Figure, Start, in_time, size, undisturbed
from .origin import Exchange, serving


class NameServer(asyncio.DatagramProtocol):
    """Answers A queries from ``addresses``; ``slow`` names get nothing, ``failing`` ones SERVFAIL."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name = ".".join(labels).lower()
        question, kind = data[12 : at + 5], struct.unpack("!H", data[at + 1 : at + 3])[0]
        self.asked[name] += 1
        if "slow" in name or self.transport is None:
            return
        code, record = 0, b""
        if "failing" in name:
            code = 2
        elif name not in self.addresses:
            code = 3
        elif kind == 1:
            address = bytes(map(int, self.addresses[name].split(".")))
            record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + address
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, bool(record), 0, 0)
        self.transport.sendto(head + question + record, addr)


@contextlib.asynccontextmanager
async def name_server() -> AsyncIterator[tuple[NameServer, str]]:
    """Run a name server and yield it with its address. Skips the test if port 53 cannot be used."""
    pid = os.getpid()
    address = f"127.53.{pid >> 8 & 255}.{pid & 255 or 1}"
    try:
        transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
            NameServer, local_addr=(address, 53)
        )
    except OSError as error:
        pytest.skip(f"a name server cannot listen on port 53 here: {error.strerror}")
    try:
        yield server, address
    finally:
        transport.close()
        await asyncio.sleep(0)


def asking(folder: Path, address: str) -> tuple[str, ...]:
    """Return a command that runs another with only this server in /etc/resolv.conf. Skips if that is not permitted."""
    (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:3 attempts:1\n")
    command = (
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount --bind "$0" /etc/resolv.conf && exec "$@"',
        str(folder / "resolv.conf"),
    )
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a name server of its own cannot be given to the process here: {tried.stderr.strip()}")
    return command


async def _who(exchange: Exchange) -> None:
    address = exchange.writer.get_extra_info("sockname")[0].encode()
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(address), address))


async def test_names(start: Start, figure: Figure, tmp_path: Path) -> None:
    count, limit = size((20, 1.0), (100, 2.0))
    async with (
        name_server() as (names, address),
        serving(_who, address=("127.0.0.2", 0)) as origin,
        serving(_who, address=("127.0.0.3", origin.port)) as moved,
        serving() as listed,
    ):
        names.addresses = {"changing.example.org": "127.0.0.2"}
        slow = [f"slow{number}.example.org" for number in range(count)]
        failing = [f"failing{number}.example.org" for number in range(count)]
        it = await start(listed, command=asking(tmp_path, address), upstream={"connect_timeout": limit, "attempts": 1})
        more = process.rules([origin], [*slow, *failing, "changing.example.org", "unknown.example.org"])
        (tmp_path / "rules.csv").write_text(process.rules([listed]) + more.partition("\n")[2])
        await it.warm()
        threads = it.threads() + 1  # a reload starts a thread of the event loop's executor, which remains
        it.signal(signal.SIGHUP)

        async def get(name: str) -> Answer:
            target = it.target(origin, host=name)
            return await ask(it.port, f"GET {target} HTTP/1.1\r\nHost: proxy\r\n\r\n".encode())

        in_force = 0
        while in_force < 4:
            in_force = in_force + 1 if (await get("unknown.example.org")).status == 502 else 0
        async with Steady(it.port, it.request(listed)) as idle:
            await idle.asked(50)
        async with Steady(it.port, it.request(listed)) as busy:
            late = await many(count, lambda number: get(slow[number]), count)
            failed = await many(count, lambda number: get(failing[number]), count)
        before = await get("changing.example.org")
        names.addresses["changing.example.org"] = "127.0.0.3"
        after = await get("changing.example.org")
        unknown = await get("unknown.example.org")
        await until(lambda: it.threads() <= threads, 10, "the look-ups' threads")
        assert it.complaints() == ""
        assert moved.port == origin.port
    seconds = [answer.seconds for answer in late]
    assert {answer.head.split(b"\r\n")[0] for answer in (*late, *failed, unknown)} == {
        b"HTTP/1.1 502 Cannot find server."
    }
    in_time(seconds, limit)
    assert (before.body, after.body) == (b"127.0.0.2", b"127.0.0.3")
    undisturbed(busy, idle)
    figure(
        "DNS slow, SERVFAIL, changed",
        "502 Cannot find server. at the limit, or at once; the next request goes to the new address",
        f"{count} slow names, limit {limit:g} s: {min(seconds):.2f} to {max(seconds):.2f} s; {count} failing: at most "
        f"{max(answer.seconds for answer in failed) * 1000:.0f} ms; p99 of listed servers "
        f"{busy.percentile() * 1000:.1f} ms (idle {idle.percentile() * 1000:.1f} ms)",
    )
