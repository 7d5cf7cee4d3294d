"""A server connection between exchanges: reading resumes after a pause, and a connection that ends is not reused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mralab.net.deadlines import Deadlines
from mralab.net.failures import ResponseError
from mralab.net.pool import Pool
from mralab.net.server_connection import MOST_CHUNKS, ServerConnection
from mralab.net.stats import Stats


class Transport:
    """The part of a transport that a connection uses."""

    def __init__(self) -> None:
        self.reading = True
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes) -> None:
        """Discard the data."""

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True


@pytest.fixture
async def connection() -> ServerConnection:
    loop = asyncio.get_running_loop()
    silence: Deadlines[ServerConnection] = Deadlines(loop, 30.0, lambda _: None)
    return ServerConnection(None, silence, 131072, Stats())


def answer(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length


async def test_a_client_slow_at_the_end_of_a_body_does_not_stop_the_next_exchange(connection: ServerConnection) -> None:
    transport: Any = Transport()
    connection.connection_made(transport)
    connection.begin(b"GET", None)
    connection.data_received(answer(1000) + bytes(1000))
    await connection.response()
    connection.relay(lambda _: connection.pause_reading())  # the client stops reading and is then detached
    await connection.relayed()
    connection.begin(b"GET", None)
    assert transport.reading
    connection.connection_lost(None)


async def test_a_body_that_comes_before_its_head_is_passed_on_is_read_to_its_end(connection: ServerConnection) -> None:
    transport: Any = Transport()
    connection.connection_made(transport)
    connection.begin(b"GET", None)
    connection.data_received(answer(300_000) + bytes(100_000))
    connection.data_received(bytes(100_000))
    assert not transport.reading  # enough for now
    await connection.response()
    got: list[bytes] = []
    connection.relay(got.append)
    assert transport.reading
    connection.data_received(bytes(100_000))
    await connection.relayed()
    assert sum(map(len, got)) == 300_000
    connection.connection_lost(None)


async def test_a_slow_client_keeps_the_server_waiting(connection: ServerConnection) -> None:
    transport: Any = Transport()
    connection.connection_made(transport)
    connection.begin(b"GET", None)
    connection.data_received(answer(300_000) + bytes(100_000))
    connection.data_received(bytes(100_000))
    await connection.response()
    connection.relay(lambda _: connection.pause_reading())
    assert not transport.reading
    connection.resume_reading()
    connection.data_received(bytes(100_000))
    await connection.relayed()
    connection.connection_lost(None)


async def test_a_kept_connection_is_not_reused_once_it_is_ending(connection: ServerConnection) -> None:
    transport: Any = Transport()
    connection.connection_made(transport)
    upstream = Pool(asyncio.get_running_loop(), Stats(), 30.0, 30.0)
    connection.key = ("key",)
    upstream.keep(connection)
    upstream.close_idle()  # a reload, between two steps of a request
    assert upstream.take(("key",)) is None
    connection.connection_lost(None)
    upstream.close()


CHUNKS = b"1\r\na\r\n" * (MOST_CHUNKS + 1)


async def receiving_chunks(connection: ServerConnection, transport: Any) -> list[bytes]:
    connection.connection_made(transport)
    connection.begin(b"GET", None)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await connection.response()
    got: list[bytes] = []
    connection.relay(got.append)
    connection.data_received(CHUNKS)
    return got


async def test_other_connections_get_their_turn_between_many_chunks(connection: ServerConnection) -> None:
    transport: Any = Transport()
    got = await receiving_chunks(connection, transport)
    assert not transport.reading
    await asyncio.sleep(0)
    assert transport.reading
    connection.data_received(b"0\r\n\r\n")
    await connection.relayed()
    assert b"".join(got) == b"a" * (MOST_CHUNKS + 1)
    connection.connection_lost(None)


async def test_many_chunks_stop_when_the_client_becomes_slow(connection: ServerConnection) -> None:
    transport: Any = Transport()
    await receiving_chunks(connection, transport)
    connection.pause_reading()
    await asyncio.sleep(0)
    assert not transport.reading
    connection.resume_reading()
    assert transport.reading
    connection.connection_lost(None)


async def test_informational_responses_share_one_limit_of_bytes(connection: ServerConnection) -> None:
    transport: Any = Transport()
    connection.connection_made(transport)
    connection.begin(b"GET", None)
    early = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 60_000 + b"\r\n\r\n"
    connection.data_received(early)
    connection.data_received(early)
    assert not transport.closing
    connection.data_received(early)
    with pytest.raises(ResponseError):
        await connection.response()
    connection.connection_lost(None)
