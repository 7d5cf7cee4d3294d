"""A server in the test's own process that does as it is told, and knows what it has seen."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .client import reset

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


class Exchange:
    """One request that has reached a server, and the connection it came on."""

    def __init__(self, origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self.origin = origin
        self.reader = reader
        self.writer = writer
        self.head = head
        self.path = head.split(b" ", 2)[1].decode("latin-1")

    def field(self, name: str) -> str:
        """A field's value, empty where there is none."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""

    async def body(self) -> bytes:
        """The request's body, whole."""
        if self.field("Transfer-Encoding"):
            body = b""
            while (size := int(await self.reader.readuntil(b"\r\n"), 16)) > 0:
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            while await self.reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return body
        return await self.reader.readexactly(int(self.field("Content-Length") or 0))

    async def send(self, data: bytes) -> None:
        """Send bytes, no faster than they are taken."""
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a reset."""
        reset(self.writer)


Handler = Callable[[Exchange], Awaitable[Any]]


async def answer_ok(exchange: Exchange) -> None:
    """Take the request, answer 200."""
    await exchange.body()
    await exchange.send(OK)


class Origin:
    """``handle(exchange)`` answers one request; the connection goes on unless it closed it or returned True."""

    def __init__(self, handle: Handler, context: ssl.SSLContext | None) -> None:
        self.handle = handle
        self.context = context
        self.scheme = "https" if context else "http"
        self.port = 0
        self.connections = 0
        self.open = 0
        self.requests: list[bytes] = []
        """Heads, in the order in which they came."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        self.connections += 1
        self.open += 1
        try:
            # A peer that resets, or that vanishes in the middle: what half of these tests are about.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    self.requests.append(head)
                    if await self.handle(Exchange(self, reader, writer, head)) or writer.is_closing():
                        break
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def serving(
    handle: Handler = answer_ok,
    context: ssl.SSLContext | None = None,
    address: tuple[str, int] = ("127.0.0.1", 0),
) -> AsyncIterator[Origin]:
    """A server that ends with the test, with all its connections."""
    origin = Origin(handle, context)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(origin.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(
        connected, *address, ssl=context, backlog=4096, limit=1 << 17, ssl_shutdown_timeout=0.5 if context else None
    )
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)  # transports say goodbye
