"""Clients: send a request, read the response, and note whether it was complete and how long it took."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    """A response. ``status`` is 0 if none arrived; ``whole``: the body ended as its framing says, not by a cut."""

    status: int
    head: bytes
    body: bytes
    whole: bool
    seconds: float


NOTHING = Answer(0, b"", b"", whole=False, seconds=0.0)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Stream]:
    """Open a connection to the proxy; abort it at the end if it is still open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 21)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset."""
    sock: Any = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # the other side has closed it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_answer(reader: asyncio.StreamReader, *, bodiless: bool = False, started: float | None = None) -> Answer:
    """Read the next final response on a connection, as far as it arrives."""
    started = time.monotonic() if started is None else started
    status, head = 0, b""
    try:
        while status < 200:
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
    except (asyncio.IncompleteReadError, ConnectionError):
        return NOTHING._replace(seconds=time.monotonic() - started)
    body, whole = await _body(reader, head.lower(), bodiless=bodiless or status in (204, 304))
    return Answer(status, head, body, whole, time.monotonic() - started)


async def _body(reader: asyncio.StreamReader, head: bytes, *, bodiless: bool) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    try:
        if bodiless:
            return b"", True
        if b"\r\ntransfer-encoding: chunked" in head:
            while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
                pieces.append(await reader.readexactly(size))
                await reader.readexactly(2)
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
        elif b"\r\ncontent-length:" in head:
            pieces.append(await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])))
        else:
            while piece := await reader.read(65536):
                pieces.append(piece)
    except asyncio.IncompleteReadError as error:
        return b"".join((*pieces, error.partial)), False
    except ConnectionError:
        return b"".join(pieces), False
    return b"".join(pieces), True


async def ask(port: int, request: bytes, limit: float = 30.0) -> Answer:
    """Send a request on a connection of its own and return the response."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(limit), connected(port) as (reader, writer):
            writer.write(request)
            return await read_answer(reader, bodiless=request.startswith(b"HEAD "), started=started)
    except ConnectionError:
        return NOTHING._replace(seconds=time.monotonic() - started)


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has ended the connection."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


async def many(count: int, one: Callable[[int], Any], at_once: int = 100) -> list[Any]:
    """Await ``one(number)`` for numbers below ``count``, ``at_once`` of them concurrently; return results in order."""
    results: list[Any] = [None] * count
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            results[number] = await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, count)):
            group.create_task(work())
    return results


class Steady:
    """A client that sends request after request on a kept connection during ``async with``, and keeps the responses."""

    def __init__(self, port: int, request: Callable[[int], bytes] | bytes, every: float = 0.01) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._request = request if callable(request) else (lambda _: request)
        self._every = every
        self._stop = False
        self._wanted = 0
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Steady:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        if self._task is not None:
            await self._task

    async def asked(self, more: int) -> None:
        """Wait for that many more responses."""
        self._wanted = len(self.answers) + more
        self._enough.clear()
        enough = asyncio.create_task(self._enough.wait())
        assert self._task is not None
        await asyncio.wait([enough, self._task], return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()

    def _take(self, answer: Answer) -> None:
        self.answers.append(answer)
        if len(self.answers) >= self._wanted:
            self._enough.set()

    async def _run(self) -> None:
        number = 0
        while not self._stop:
            async with connected(self._port) as (reader, writer):
                whole = True
                while whole and not self._stop:
                    writer.write(self._request(number))
                    number += 1
                    answer = await read_answer(reader)
                    self._take(answer)
                    whole = answer.whole and b"\r\nConnection: close" not in answer.head
                    await asyncio.sleep(self._every)

    def percentile(self, share: float = 0.99) -> float:
        """Return the seconds within which ``share`` of the responses arrived."""
        return percentile([answer.seconds for answer in self.answers], share)


def percentile(seconds: list[float], share: float = 0.99) -> float:
    """Return the value that ``share`` of them do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
