"""Clients of the soak: their kinds, and a record of what each received."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from typing import NamedTuple

from tests.faults.client import NOTHING, Answer, Stream, connected, read_answer, reset
from tests.faults.origin import Origin
from tests.faults.process import Serve

from .servers import CUT, EXPECTED, KIND, WHOLE, Servers, body_of

PATIENCE = 20.0
"""Seconds for an answer: longer than any limit of the proxy."""
STAYS, LEAVES = "stays", "leaves"


class Asked(NamedTuple):
    """One request: ``where`` it was sent (plain, secure, sometimes, never, denied), and the expected result."""

    name: str
    where: str
    behaviour: str
    size: int
    method: str
    stays: str
    data: bytes
    body: bytes


class Ledger:
    """Every request that was sent completely, and what its client received."""

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}
        self.answers: dict[str, Answer] = {}
        self.rejected: Counter[int] = Counter()
        """Answers for what was no request."""
        self.wrong: list[str] = []

    def take(self, asked: Asked, answer: Answer) -> None:
        """Record a response and its differences from the expected one."""
        self.answers[asked.name] = answer
        if (problem := _problem(asked, answer)) and len(self.wrong) < 20:
            self.wrong.append(f"{asked.method} {asked.where} {asked.name}/{asked.behaviour}/{asked.size}: {problem}")


def _problem(asked: Asked, answer: Answer) -> str:
    served = f"\r\nX-Served: {asked.name}\r\n".encode() in answer.head
    received = f"{answer.status}, {len(answer.body)} bytes, {'complete' if answer.whole else 'truncated'}"
    if asked.where == "denied":
        return "" if answer.status == 403 and answer.whole else f"403 expected: {received}"
    if asked.where == "never" or (asked.where == "sometimes" and answer.status == 502):
        return "" if answer.status == 502 and not served else f"502 expected: {received}"
    expected = EXPECTED[asked.behaviour]
    if expected == WHOLE:
        bodiless = asked.method == "HEAD" or asked.behaviour == "empty"
        body = b"" if bodiless else body_of(int(asked.name.split(".")[1]), asked.size)
        whole = answer.whole and served and answer.status in (200, 204) and answer.body == body
        got = f"\r\nX-Got: {len(asked.body)}\r\n".encode() in answer.head
        return "" if whole and got else f"a complete response expected: {received}"
    if expected == CUT:
        return "" if not answer.whole and answer.status in (0, 200) else f"a truncated response expected: {received}"
    return "" if answer.status in (502, 504) and not served else f"502 or 504 expected: {received}"


class Client:
    """A random client: one kind after the other until it is stopped. Only ``rnd`` decides what it does."""

    def __init__(
        self, phase: int, numbers: itertools.count[int], it: Serve, servers: Servers, ledger: Ledger, rnd: random.Random
    ) -> None:
        self._phase = phase
        self._numbers = numbers
        self._it = it
        self._servers = servers
        self._ledger = ledger
        self._rnd = rnd

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop``."""
        kinds = (
            [self._keep] * 8
            + [self._pipeline] * 3
            + [self._upload] * 3
            + [self._half_close, self._drip, self._expect, self._read_slowly, self._rubbish, self._leave_early]
            + [self._leave_in_head, self._leave_in_upload, self._leave_in_download]
        )
        while not stop.is_set():
            kind = self._rnd.choice(kinds)
            try:
                async with asyncio.timeout(3 * PATIENCE):  # the soak ends even if a request hangs
                    await kind()
            except TimeoutError:
                self._ledger.wrong.append(f"a client hangs: {kind.__name__}")

    def _ask(
        self, stays: str = STAYS, *, kind: bool = False, method: str = "", body: bytes = b"", fields: str = ""
    ) -> Asked:
        rnd = self._rnd
        method = method or rnd.choice(("GET", "GET", "GET", "HEAD", "OPTIONS"))
        where = rnd.choices(("plain", "secure", "sometimes", "never", "denied"), (6, 5, 2, 0 if kind else 1, 1))[0]
        servers = self._servers
        origin: Origin = {
            "plain": servers.plain,
            "secure": servers.secure,
            "sometimes": servers.sometimes,
            "never": rnd.choice(servers.never),
            "denied": servers.plain,
        }[where]
        # A response to HEAD has no body that a server could truncate; the fault would break the connection instead.
        good = where != "sometimes" and not kind and method != "HEAD" and rnd.random() < 0.3
        behaviour = rnd.choice(tuple(EXPECTED) if good else KIND)
        size = rnd.choice((0, 1, 100, 5000, 60_000)) if rnd.random() < 0.97 else 1_500_000
        name = f"{self._phase}.{next(self._numbers)}.{stays[0]}"
        host = {"host": "denied.steven.lab"} if where == "denied" else {}
        target = self._it.target(origin, f"/{name}/{behaviour}/{size}", **host)
        head = f"{method} {target} HTTP/1.1\r\nHost: proxy\r\nTrackingID: {name}\r\n{fields}\r\n"
        asked = Asked(name, where, behaviour, size, method, stays, head.encode(), body)
        self._ledger.asked[name] = asked
        return asked

    async def _read(self, stream: Stream, asked: Asked) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await read_answer(stream[0], bodiless=asked.method == "HEAD")
        except TimeoutError:
            self._ledger.wrong.append(f"{asked.name}/{asked.behaviour}: nothing for {PATIENCE:g} s")
            answer = NOTHING
        self._ledger.take(asked, answer)
        return answer

    async def _pause(self, most: float) -> None:
        await asyncio.sleep(self._rnd.random() * most)

    # -- clients that stay

    async def _keep(self) -> None:
        """Send a few requests, one after the other, while the connection is kept."""
        async with connected(self._it.port) as stream:
            for _ in range(self._rnd.randint(1, 6)):
                asked = self._ask()
                stream[1].write(asked.data)
                answer = await self._read(stream, asked)
                if not answer.whole or b"\r\nConnection: close" in answer.head or b"HTTP/1.0" in answer.head:
                    return
                await self._pause(0.01)

    async def _pipeline(self) -> None:
        async with connected(self._it.port) as stream:
            several = [self._ask(kind=True) for _ in range(self._rnd.randint(2, 8))]
            stream[1].write(b"".join(asked.data for asked in several))
            for asked in several:
                await self._read(stream, asked)

    async def _half_close(self) -> None:
        async with connected(self._it.port) as stream:
            asked = self._ask()
            stream[1].write(asked.data)
            stream[1].write_eof()
            await self._read(stream, asked)

    async def _drip(self) -> None:
        async with connected(self._it.port) as stream:
            asked = self._ask()
            step = self._rnd.randint(20, 80)
            for at in range(0, len(asked.data), step):
                if stream[1].is_closing():
                    break
                stream[1].write(asked.data[at : at + step])
                await self._pause(0.02)
            await self._read(stream, asked)

    async def _upload(self) -> None:
        body = self._rnd.randbytes(self._rnd.choice((0, 1, 3000, 200_000)))
        chunked = self._rnd.random() < 0.5
        fields = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {len(body)}\r\n"
        async with connected(self._it.port) as stream:
            asked = self._ask(kind=True, method=self._rnd.choice(("POST", "PUT")), body=body, fields=fields)
            stream[1].write(asked.data)
            for at in range(0, len(body), 50_000):
                if stream[1].is_closing():
                    break
                piece = body[at : at + 50_000]
                stream[1].write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                await self._pause(0.01)
            if chunked:
                stream[1].write(b"0\r\n\r\n")
            await self._read(stream, asked)

    async def _expect(self) -> None:
        body = self._rnd.randbytes(3000)
        fields = "Content-Length: 3000\r\nExpect: 100-continue\r\n"
        async with connected(self._it.port) as stream:
            asked = self._ask(kind=True, method="POST", body=body, fields=fields)
            stream[1].write(asked.data)
            try:
                first = await stream[0].readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                self._ledger.take(asked, NOTHING)
                return
            if first.startswith(b"HTTP/1.1 100 "):
                stream[1].write(body)
                await self._read(stream, asked)
            else:
                self._ledger.take(asked, Answer(int(first[9:12]), first, b"", whole=True, seconds=0))

    async def _read_slowly(self) -> None:
        async with connected(self._it.port) as stream:
            asked = self._ask()
            stream[1].write(asked.data)
            await self._pause(0.5)
            await self._read(stream, asked)

    async def _rubbish(self) -> None:
        """Send bytes that are not a request; the proxy must respond with 400 or close the connection."""
        data = self._rnd.choice(
            (
                b"GET / HTTP/1.1\nHost: h\n\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                self._rnd.randbytes(200) + b"\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
            )
        )
        async with connected(self._it.port) as (reader, writer):
            writer.write(data)
            self._ledger.rejected[(await read_answer(reader)).status] += 1

    # -- clients that leave

    def _go(self, writer: asyncio.StreamWriter) -> None:
        if self._rnd.random() < 0.5:
            reset(writer)

    async def _leave_early(self) -> None:
        async with connected(self._it.port) as (_, writer):
            writer.write(self._ask(LEAVES).data)
            await self._pause(0.02)
            self._go(writer)

    async def _leave_in_head(self) -> None:
        async with connected(self._it.port) as (_, writer):
            writer.write(b"GET /half HTTP/1.1\r\nHo")
            await self._pause(0.05)
            self._go(writer)

    async def _leave_in_upload(self) -> None:
        async with connected(self._it.port) as (_, writer):
            asked = self._ask(LEAVES, kind=True, method="POST", fields="Content-Length: 900000\r\n")
            writer.write(asked.data + bytes(self._rnd.randint(0, 300_000)))
            await self._pause(0.05)
            self._go(writer)

    async def _leave_in_download(self) -> None:
        async with connected(self._it.port) as (reader, writer):
            writer.write(self._ask(LEAVES, kind=True, method="GET").data)
            with contextlib.suppress(ConnectionError):
                await reader.read(500)
            self._go(writer)
