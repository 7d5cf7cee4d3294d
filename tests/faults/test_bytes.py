"""Ambiguous messages and random bytes, from clients and from servers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests.serving import until

from .client import ask, many
from .conftest import Figure, Start, size
from .origin import OK, Exchange, answer_ok, serving
from .process import Serve

SEED = 9112
SMUGGLED = "GET T/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
POST = "POST T/x HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

REQUESTS = {
    "Content-Length and Transfer-Encoding": POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding and Content-Length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + "Content-Length: 0\r\nContent-Length: 38\r\n\r\n",
    "one length twice": POST + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "lengths in a list": POST + "Content-Length: 2, 2\r\n\r\nab",
    "length with a plus": POST + "Content-Length: +2\r\n\r\nab",
    "negative length": POST + "Content-Length: -2\r\n\r\nab",
    "hexadecimal length": POST + "Content-Length: 0x2\r\n\r\nab",
    "empty length": POST + "Content-Length: \r\n\r\n",
    "length beyond 2^63": POST + "Content-Length: 9223372036854775808\r\n\r\n",
    "length beyond 2^64": POST + "Content-Length: 18446744073709551618\r\n\r\nab",
    "digits of another script": POST + "Content-Length: \xb2\r\n\r\nab",
    "underscored length": POST + "Content-Length: 1_0\r\n\r\n0123456789",
    "blank before the colon": POST + "Content-Length : 2\r\n\r\nab",
    "chunked twice": POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": POST + "Transfer-Encoding: identity\r\n\r\n",
    "an unknown coding": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "codings in two fields": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "vertical tab before chunked": POST + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "quoted chunked": POST + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "folded coding": POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "blank before the coding's colon": POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "NUL in the coding's name": POST + "Transfer\0-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": CHUNKED.replace("1.1", "1.0", 1) + "0\r\n\r\n",
    "bare line feeds": "POST T/x HTTP/1.1\nHost: h\nContent-Length: 0\n\n",
    "a bare line feed in a field": POST + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare CR in a field": POST + "X: y\rTransfer-Encoding: chunked\r\n\r\n",
    "NUL in a value": POST + "X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "no colon": POST + "Content-Length\r\n\r\n",
    "no name": POST + ": x\r\n\r\n",
    "a fold": POST + "X: y\r\n Content-Length: 5\r\n\r\n",
    "a first line that is folded": "POST T/x HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n",
    "two Hosts": POST + "Host: other\r\nContent-Length: 0\r\n\r\n",
    "tabs in the request line": "GET\tT/x\tHTTP/1.1\r\nHost: h\r\n\r\n",
    "two blanks in the request line": "GET  T/x HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/0.9": "GET T/x\r\n\r\n",
    "version 1.10": "GET T/x HTTP/1.10\r\nHost: h\r\n\r\n",
    "the other protocol": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "hexadecimal chunk size": CHUNKED + "0x2\r\nab\r\n0\r\n\r\n",
    "chunk size with a plus": CHUNKED + "+2\r\nab\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + "-2\r\nab\r\n0\r\n\r\n",
    "chunk size after a blank": CHUNKED + " 2\r\nab\r\n0\r\n\r\n",
    "chunk size beyond 2^64": CHUNKED + "10000000000000002\r\nab\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + "\r\nab\r\n0\r\n\r\n",
    "chunk size that is none": CHUNKED + "xyz\r\nab\r\n0\r\n\r\n",
    "chunk line that ends in a line feed": CHUNKED + "2\nab\r\n0\r\n\r\n",
    "a line feed in a chunk extension": CHUNKED + "2;a\nb\r\nab\r\n0\r\n\r\n",
    "a CR in a chunk extension": CHUNKED + "2;a\rb\r\nab\r\n0\r\n\r\n",
    "NUL in a chunk extension": CHUNKED + "2;a=\0\r\nab\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + "2\r\nabc\r\n0\r\n\r\n",
    "a chunk that ends in a line feed": CHUNKED + "2\r\nab\n0\r\n\r\n",
    "a trailer without a colon": CHUNKED + "0\r\nnothing\r\n\r\n",
    "NUL in a trailer": CHUNKED + "0\r\nX: a\0b\r\n\r\n",
    "a bare line feed in the trailers": CHUNKED + "0\r\nX: y\n\r\n\r\n",
    "trailers that end in a line feed": CHUNKED + "0\r\n\n",
}


@pytest.mark.parametrize("connections", ["per-request", "keep-alive"])
async def test_ambiguous_requests(start: Start, figure: Figure, connections: str) -> None:
    done: list[str] = []

    async def handle(exchange: Exchange) -> None:
        await answer_ok(exchange)
        done.append(exchange.path)

    async with serving(handle) as origin:
        it = await start(origin, upstream={"connections": connections})
        wrong = {}
        for name, text in REQUESTS.items():
            data = (text + SMUGGLED).replace("T/", it.target(origin, "/")).encode("latin-1")
            answer = await _everything(it, data)
            if not answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 ")) or answer.count(b"\r\nDate: ") != 1 or done:
                wrong[name] = (answer, list(done))
            done.clear()
        assert wrong == {}
        assert not [head for head in origin.requests if b"smuggled" in head]
        assert (await ask(it.port, it.request(origin))).body == b"ok\n"
        assert it.complaints() == ""
    figure(
        "ambiguous framing, either direction",
        "requests: one 400, the connection closed, no server saw a whole request of it",
        f"{len(REQUESTS)} of {len(REQUESTS)} refused ({connections})",
    )


async def _everything(it: Serve, data: bytes) -> bytes:
    """Send bytes and return everything that arrives until the connection ends."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        try:
            writer.write(data)
            return await reader.read()
        finally:
            writer.transport.abort()


EVIL = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil\n"
ANSWER = "HTTP/1.1 200 OK\r\n"
IN_CHUNKS = ANSWER + "Transfer-Encoding: chunked\r\n\r\n"

RESPONSES = {
    "Content-Length and Transfer-Encoding": ANSWER + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": ANSWER + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "lengths in a list": ANSWER + "Content-Length: 2, 5\r\n\r\nab",
    "negative length": ANSWER + "Content-Length: -2\r\n\r\nab",
    "length with a plus": ANSWER + "Content-Length: +2\r\n\r\nab",
    "length beyond 2^63": ANSWER + "Content-Length: 9223372036854775808\r\n\r\nab",
    "length beyond 2^64": ANSWER + "Content-Length: 18446744073709551618\r\n\r\nab",
    "blank before the colon": ANSWER + "Content-Length : 2\r\n\r\nab",
    "an unknown coding": ANSWER + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": ANSWER + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": ANSWER + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": IN_CHUNKS.replace("1.1", "1.0", 1) + "0\r\n\r\n",
    "bare line feeds": "HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
    "a bare CR in a field": ANSWER + "X: a\rSet-Cookie: evil\r\nContent-Length: 2\r\n\r\nab",
    "NUL in a value": ANSWER + "X: a\0b\r\nContent-Length: 2\r\n\r\nab",
    "a fold": ANSWER + "X: y\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nab",
    "no colon": ANSWER + "nothing\r\nContent-Length: 2\r\n\r\nab",
    "101 that nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a status of four digits": "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nab",
    "a status of two digits": "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nab",
    "status 099": "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nab",
    "another version": "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "hexadecimal chunk size": IN_CHUNKS + "0x2\r\nab\r\n0\r\n\r\n",
    "negative chunk size": IN_CHUNKS + "-2\r\nab\r\n0\r\n\r\n",
    "chunk size beyond 2^64": IN_CHUNKS + "10000000000000002\r\nab\r\n0\r\n\r\n",
    "chunk line that ends in a line feed": IN_CHUNKS + "2\nab\r\n0\r\n\r\n",
    "a chunk longer than it says": IN_CHUNKS + "2\r\nabc\r\n0\r\n\r\n",
    "NUL in a trailer": IN_CHUNKS + "0\r\nX: a\0b\r\n\r\n",
    "a trailer without a colon": IN_CHUNKS + "0\r\nnothing\r\n\r\n",
}
PARTED = {
    "more than it says": ANSWER + "Content-Length: 2\r\n\r\nab",
    "more after the last chunk": IN_CHUNKS + "2\r\nab\r\n0\r\n\r\n",
    "a body with 204": "HTTP/1.1 204 No Content\r\n\r\n",
    "a body with 304": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
}
"""Answers that are good as far as they go: what follows them is never anybody's."""


async def test_ambiguous_responses(start: Start, figure: Figure) -> None:
    async def handle(exchange: Exchange) -> None:
        name = exchange.field("X-Case")
        data = {**RESPONSES, **PARTED}.get(name)
        await exchange.send(OK if data is None else (data + EVIL).encode("latin-1"))

    async with serving(handle) as origin:
        it = await start(origin, upstream={"connections": "keep-alive"})
        wrong = {}
        for name in {**RESPONSES, **PARTED}:
            answer = await ask(it.port, it.request(origin, fields=f"X-Case: {name}\r\n"))
            after = await ask(it.port, it.request(origin))
            refused = answer.status == 502 or not answer.whole
            if after.body != b"ok\n" or b"evil" in answer.head + answer.body or refused == (name in PARTED):
                wrong[name] = (answer, after)
        assert wrong == {}
        assert it.complaints() == ""
    figure(
        "ambiguous framing, either direction",
        "responses: 502, or a cut where the body had begun; what follows an answer reaches nobody",
        f"{len(RESPONSES)} of {len(RESPONSES)} refused, {len(PARTED)} of {len(PARTED)} parted from what followed",
    )


class Mutations:
    """Messages with random changes, reproducible by their seed."""

    def __init__(self, models: list[bytes], seed: int) -> None:
        self._models = models
        self._random = random.Random(seed)

    def one(self) -> bytes:
        """Return a message with a few changes."""
        rnd = self._random
        data = bytearray(rnd.choice(self._models))
        for _ in range(rnd.choice((1, 1, 2, 3, 8))):
            at = rnd.randrange(len(data) + 1)
            to = min(len(data), at + rnd.choice((1, 1, 2, 8, 40)))
            kind = rnd.randrange(6)
            if kind == 0 and at < len(data):
                data[at] ^= 1 << rnd.randrange(8)
            elif kind == 1:
                data[at:at] = rnd.randbytes(rnd.choice((1, 1, 4)))
            elif kind == 2:
                del data[at:to]
            elif kind == 3:
                data[at:at] = data[at:to]
            elif kind == 4:
                data[at:at] = rnd.choice((b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0", b"\r\n\r\n", b"%00", b";"))
            else:
                data += rnd.choice(self._models)[at:to]
        return bytes(data)


class _Once(asyncio.Protocol):
    """Sends bytes once; the result, at the end of the connection, is the beginning of the response."""

    def __init__(self, data: bytes, ended: asyncio.Future[bytes]) -> None:
        self._data = data
        self._ended = ended
        self._start = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._data)
        transport.write_eof()

    def data_received(self, data: bytes) -> None:
        if len(self._start) < 12:
            self._start += data[:12]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(self._start[9:12] if exc is None or self._start else b"cut")


async def _send_once(port: int, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _Once(data, ended), "127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            return await ended
    except TimeoutError:
        raise AssertionError(f"stuck: {data!r}") from None
    finally:
        transport.abort()


@pytest.mark.parametrize("side", ["requests", "responses"])
async def test_random_bytes(start: Start, figure: Figure, side: str) -> None:
    count = size(1500, 1_000_000 if side == "requests" else 100_000)
    responses = Mutations(
        [text.encode("latin-1") for text in (*PARTED.values(), *RESPONSES.values(), OK.decode())], SEED
    )

    async def handle(exchange: Exchange) -> bool | None:
        if side == "requests":
            await answer_ok(exchange)
            return None
        await exchange.send(responses.one())
        return True

    async with serving(handle) as origin:
        timeouts = {"response_timeout": 2.0, "attempts": 1}
        it = await start(origin, upstream=timeouts, limits={"idle_timeout": 2.0, "header_timeout": 2.0})
        await it.warm()
        descriptors = it.descriptors()
        valid = [text.replace("T/", it.target(origin, "/")).encode("latin-1") for text in REQUESTS.values()]
        valid += [it.request(origin, f"/{n}?a=b", "Content-Length: 2\r\n", b"ab", method="PUT") for n in range(9)]
        valid += [it.request(origin, "/a/../b;c", "Cookie: a=b\r\nAccept: */*\r\n") for _ in range(20)]
        requests = Mutations(valid, SEED)
        statuses: Counter[bytes] = Counter()

        async def one(_: int) -> None:
            data = requests.one() if side == "requests" else it.request(origin)
            statuses[await _send_once(it.port, data)] += 1

        await many(count // 4, one, 32)
        before = it.resident()
        await many(count - count // 4, one, 32)
        growth = it.resident() - before
        await until(lambda: origin.open == 0 and it.descriptors() <= descriptors, 10, "everything closed")
        await it.warm()  # it still answers
        assert it.complaints() == ""
    assert growth < 4096
    shown = ", ".join(f"{count} {status.decode() or 'nothing'}" for status, count in statuses.most_common())
    figure(
        "random bytes",
        f"mutated {side}: each brings the client an answer or the end of the connection",
        f"{count} (seed {SEED}): {shown}; memory +{growth} KB over the last three quarters",
    )


def test_mutations_are_the_same_for_a_seed() -> None:
    models: list[Any] = [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"]
    first, second = Mutations(models, 1), Mutations(models, 1)
    assert [first.one() for _ in range(100)] == [second.one() for _ in range(100)]
    assert len({Mutations(models, seed).one() for seed in range(100)}) > 50
