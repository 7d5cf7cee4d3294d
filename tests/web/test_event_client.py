"""Live events are followed across a proxy's restarts."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from mralab.errors import MralabError
from mralab.web.client import Admin
from mralab.web.event_client import EventParser, LiveEvent, follow

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: follows\n\n"


def event(number: int, **data: object) -> bytes:
    return f"id: {number}\nevent: log\ndata: {json.dumps(data)}\n\n".encode()


def test_events_come_in_pieces_of_any_size() -> None:
    stream = b": follows\n\n" + event(1, line="a: b") + b": still here\n\n" + event(2, line="\n\n")
    parser = EventParser()
    found = [each for at in range(len(stream)) for each in parser.feed(stream[at : at + 1])]
    assert found == EventParser().feed(stream)
    assert found == [LiveEvent("log", {"line": "a: b"}, 1), LiveEvent("log", {"line": "\n\n"}, 2)]


async def test_a_proxy_that_ends_is_gone_and_the_next_one_is_back() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HEAD + event(len(asked), line=str(len(asked))))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    kinds: list[str] = []
    lines: list[str] = []
    async with aclosing(follow("127.0.0.1", port)) as events:
        async for each in events:
            if each is None:
                continue
            kinds.append(each.kind)
            lines += [each.data["line"]] if each.kind == "log" else []
            if len(lines) == 2 and server.is_serving():
                server.close()
            if len(lines) == 2 and each.kind == "gone":  # another process, on the same port
                server = await asyncio.start_server(serve, "127.0.0.1", port)
            if len(lines) == 3:
                break
    server.close()
    assert kinds == ["follows", "log", "gone", "back", "log", "gone", "back", "log"]
    assert lines == ["1", "2", "3"]
    assert b"Last-Event-ID: 1\r\n" in asked[1]


@pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"9" * 5000], ids=["cut", "deep", "long number"])
async def test_a_stream_that_cannot_be_read_is_gone_and_not_tried_again_at_once(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    between: list[float] = []

    async def sleep(seconds: float) -> None:
        between.append(seconds)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"event: x\ndata: " + data + b"\n\n")
        await writer.drain()
        writer.close()

    monkeypatch.setattr("mralab.web.event_client.asyncio.sleep", sleep)
    kinds: list[str] = []
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
        aclosing(follow("127.0.0.1", server.sockets[0].getsockname()[1])) as events,
    ):
        while len(kinds) < 5:
            each = await anext(events)
            kinds += [each.kind] if each is not None else []
    assert kinds == ["follows", "gone", "back", "gone", "back"]
    assert between == [0.5, 0.5]


async def test_an_answer_that_is_nested_too_deeply_is_none() -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"[" * 100_000)
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        remote = Admin(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(MralabError, match="does not answer as a control API does"):
            await asyncio.to_thread(remote.request, "GET", "/api/config")


async def test_the_first_attempt_must_succeed() -> None:
    async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(MralabError, match="does not answer as a control API does"):
            await anext(follow("127.0.0.1", port))
    with pytest.raises(MralabError, match="no control API at"):
        await anext(follow("127.0.0.1", port))


async def test_a_refusal_has_the_proxy_s_reason_and_hint() -> None:
    body = json.dumps({"error": {"problems": ["32 readers are connected, the limit"], "hint": "disconnect one"}})

    async def full(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 503 X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        writer.close()

    async with await asyncio.start_server(full, "127.0.0.1", 0) as server:
        with pytest.raises(MralabError, match="32 readers are connected"):
            await anext(follow("127.0.0.1", server.sockets[0].getsockname()[1]))
