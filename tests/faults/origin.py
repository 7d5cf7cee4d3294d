"""A server in the test's own event loop with a given behaviour, which records the requests it receives."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .client import reset

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


class Exchange:
    """A request that has reached a server, and its connection."""

    def __init__(self, origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self.origin = origin
        self.reader = reader
        self.writer = writer
        self.head = head
        self.path = head.split(b" ", 2)[1].decode("latin-1")

    def field(self, name: str) -> str:
        """Return the value of a field; empty if the request has no such field."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""

    async def body(self) -> bytes:
        """Read the whole body of the request."""
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
        """Send bytes with back-pressure."""
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a reset."""
        reset(self.writer)


Handler = Callable[[Exchange], Awaitable[Any]]


async def answer_ok(exchange: Exchange) -> None:
    """Read the request and respond with 200."""
    await exchange.body()
    await exchange.send(OK)


class Origin:
    """A server. ``handle(exchange)`` answers a request; the connection ends if it closes it or returns True."""

    def __init__(self, handle: Handler, context: ssl.SSLContext | None) -> None:
        self.handle = handle
        self.context = context
        self.scheme = "https" if context else "http"
        self.port = 0
        self.connections = 0
        self.open = 0
        self.requests: list[bytes] = []
        """Request heads, in order of arrival."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        self.connections += 1
        self.open += 1
        try:
            # Many tests are about peers that reset the connection or vanish.
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
    """Run a server; close it and all its connections at the end."""
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
        # asyncio leaks a connection that it has accepted but not yet connected when its server closes (see
        # mocks/listener.py). So stop accepting first.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(2):
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)  # let transports close
