"""Servers of the soak: the path of each request, ``/ID/BEHAVIOUR/SIZE``, determines the behaviour of the server.

``EXPECTED`` has the result of each behaviour for a client that stays connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

import trustme

from tests.faults.origin import Exchange, Origin, serving
from tests.net.conftest import HOST, server_context

WHOLE, CUT, NONE = "whole", "cut", "none"
EXPECTED = {
    "length": WHOLE,
    "chunked": WHOLE,
    "close": WHOLE,
    "informational": WHOLE,
    "slow": WHOLE,
    "empty": WHOLE,
    "reset": CUT,
    "truncate": CUT,
    "stall": CUT,
    "reset-early": NONE,
    "hangup": NONE,
    "hang": NONE,
    "rubbish": NONE,
    "switch": NONE,
}
KIND = tuple(name for name in EXPECTED if name in ("length", "chunked", "informational", "empty"))
"""Behaviours that leave the client's connection open."""


def body_of(number: int, size: int) -> bytes:
    """Return the body of a request; all requests have different ones."""
    piece = b"%012d\n" % number
    return (piece * (size // len(piece) + 1))[:size]


class Seen:
    """Record of the servers: how often each request arrived, with any result."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    async def handle(self, exchange: Exchange) -> bool | None:
        """Behave as the path determines."""
        _, name, behaviour, size = exchange.path.split("/")
        self.requests[name] += 1
        if exchange.field("Expect"):
            await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        got = len(await exchange.body())
        body = body_of(int(name.split(".")[1]), int(size))
        if exchange.head.startswith(b"HEAD "):
            body = b""
        fields = b"X-Served: %s\r\nX-Got: %d\r\n" % (name.encode(), got)
        return await _BEHAVIOURS[behaviour](exchange, fields, body)


def _head(fields: bytes, more: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + fields + more + b"\r\n"


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


async def _send_length(exchange: Exchange, fields: bytes, body: bytes) -> None:
    await exchange.send(_head(fields, _length(body)) + body)


async def _send_chunked(exchange: Exchange, fields: bytes, body: bytes) -> None:
    await exchange.send(_head(fields, b"Transfer-Encoding: chunked\r\n"))
    if exchange.head.startswith(b"HEAD "):
        return
    for at in range(0, len(body), 7000):
        piece = body[at : at + 7000]
        await exchange.send(b"%x;n=v\r\n%s\r\n" % (len(piece), piece))
    await exchange.send(b"0\r\nX-Trailer: t\r\n\r\n")


async def _send_close(exchange: Exchange, fields: bytes, body: bytes) -> bool:
    await exchange.send(_head(fields, b"") + body)
    return True


async def _send_informational(exchange: Exchange, fields: bytes, body: bytes) -> None:
    for _ in range(3):
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    await _send_length(exchange, fields, body)


async def _send_slowly(exchange: Exchange, fields: bytes, body: bytes) -> None:
    data = _head(fields, _length(body)) + body
    step = len(data) // 6 + 1
    for at in range(0, len(data), step):
        await exchange.send(data[at : at + step])
        await asyncio.sleep(0.05)


async def _send_empty(exchange: Exchange, fields: bytes, _: bytes) -> None:
    await exchange.send(b"HTTP/1.1 204 No Content\r\n" + fields + b"\r\n")


async def _send_half(exchange: Exchange, fields: bytes, body: bytes) -> None:
    await exchange.send(_head(fields, b"Content-Length: %d\r\n" % (len(body) + 5000)) + body)


async def _reset(exchange: Exchange, fields: bytes, body: bytes) -> None:
    await _send_half(exchange, fields, body)
    exchange.reset()


async def _truncate(exchange: Exchange, fields: bytes, body: bytes) -> bool:
    await _send_half(exchange, fields, body)
    return True


async def _stall(exchange: Exchange, fields: bytes, body: bytes) -> None:
    await _send_half(exchange, fields, body)
    await exchange.reader.read()


async def _reset_early(exchange: Exchange, _: bytes, __: bytes) -> None:
    exchange.reset()


async def _hang_up(_: Exchange, __: bytes, ___: bytes) -> bool:
    return True


async def _hang(exchange: Exchange, _: bytes, __: bytes) -> None:
    await exchange.reader.read()


async def _rubbish(exchange: Exchange, fields: bytes, body: bytes) -> bool:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + fields + b"\r\n" + body)
    return True


async def _switch(exchange: Exchange, fields: bytes, _: bytes) -> bool:
    await exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n" + fields + b"\r\n")
    return True


_BEHAVIOURS = {
    "length": _send_length,
    "chunked": _send_chunked,
    "close": _send_close,
    "informational": _send_informational,
    "slow": _send_slowly,
    "empty": _send_empty,
    "reset": _reset,
    "truncate": _truncate,
    "stall": _stall,
    "reset-early": _reset_early,
    "hangup": _hang_up,
    "hang": _hang,
    "rubbish": _rubbish,
    "switch": _switch,
}


class Servers(NamedTuple):
    """Servers that can be reached, one that is trusted now and then, and those that no request may ever reach."""

    plain: Origin
    secure: Origin
    sometimes: Origin
    never: tuple[Origin, ...]


@contextlib.asynccontextmanager
async def servers(seen: Seen, trusted: trustme.CA, sometimes: trustme.CA) -> AsyncIterator[Servers]:
    """Run all servers until the end of the block."""
    good = server_context(trusted.issue_cert(HOST))
    async with contextlib.AsyncExitStack() as stack:

        async def one(context: ssl.SSLContext | None) -> Origin:
            return await stack.enter_async_context(serving(seen.handle, context))

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await reader.read(100)
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()

        never = [
            await one(server_context(trusted.issue_cert("another.steven.lab"))),
            await one(server_context(trustme.CA().issue_cert(HOST))),
        ]
        for handle in (refuse, deaf):
            server = await stack.enter_async_context(await asyncio.start_server(handle, "127.0.0.1", 0))
            origin = Origin(seen.handle, good)
            origin.port = server.sockets[0].getsockname()[1]
            never.append(origin)
        yield Servers(
            await one(None),
            await one(good),
            await one(server_context(sometimes.issue_cert(HOST))),
            tuple(never),
        )
