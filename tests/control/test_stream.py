"""Live events: slow readers, readers that reconnect, and the end of the stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing

from mralab.control.event_stream import MOST_READERS, Message, Stream


async def watch(_: bool) -> None:
    """A ``watch`` function that does nothing."""


async def take(messages: object, count: int) -> list[Message | None]:
    return [await anext(messages) for _ in range(count)]  # type: ignore[call-overload]


async def test_a_slow_reader_loses_events_and_gets_their_number() -> None:
    stream = Stream(watch)
    async with stream.reading() as reader:
        for number in range(1005):
            stream.publish("log", number)
        async with aclosing(reader.messages()) as messages:
            seen = await take(messages, 1001)
            assert [message.data for message in seen if message] == [*map(str, range(1000)), '{"count": 5}']
            assert seen[-1] is not None
            assert (seen[-1].number, seen[-1].kind) == (1005, "missed")
            stream.publish("log", "next")
            assert await take(messages, 1) == [Message(1006, "log", '"next"')]
    stream.close()


async def test_a_reader_that_reconnects_gets_the_kept_events() -> None:
    stream = Stream(watch)
    async with stream.reading():
        for number in range(1, 1003):
            stream.publish("log", number)
    async with stream.reading(after=1000) as reader, aclosing(reader.messages()) as messages:
        assert [message.number for message in await take(messages, 2) if message] == [1001, 1002]
    async with stream.reading(after=1) as reader, aclosing(reader.messages()) as messages:
        seen = await take(messages, 1001)
        assert seen[0] == Message(3, "log", "3")
        assert seen[-1] == Message(1002, "missed", '{"count": 1}')
    async with stream.reading(after=4711) as reader, aclosing(reader.messages(heartbeat=0.01)) as messages:
        assert await take(messages, 1) == [None]
    stream.close()


async def test_events_are_collected_only_while_there_is_a_reader() -> None:
    calls: list[bool] = []

    async def note(on: bool) -> None:
        calls.append(on)

    stream = Stream(note)
    stream.publish("log", "nobody hears this")
    async with stream.reading(), stream.reading():
        assert calls == [True]
    assert stream.active
    async with stream.reading(after=0) as reader, aclosing(reader.messages(heartbeat=0.01)) as messages:
        assert await take(messages, 1) == [None]
    assert calls == [True]
    stream.close()


async def test_closing_the_stream_ends_every_reader() -> None:
    stream = Stream(watch)
    async with stream.reading() as reader:

        async def all_of_it() -> list[Message | None]:
            async with aclosing(reader.messages()) as messages:
                return [message async for message in messages]

        task = asyncio.create_task(all_of_it())
        await asyncio.sleep(0)
        stream.publish("log", 1)
        stream.close()
        async with asyncio.timeout(5):
            assert [json.loads(message.data) for message in await task if message] == [1]


async def test_the_kept_events_are_limited_by_size() -> None:
    stream = Stream(watch)
    async with stream.reading() as reader:
        for _ in range(100):
            stream.publish("log", "x" * (1 << 20))
        async with aclosing(reader.messages(heartbeat=0.05)) as messages:
            sizes = [len(message.data) for message in await take(messages, 18) if message and message.kind == "log"]
            assert sum(sizes) < 18 << 20
        async with stream.reading(after=0) as late, aclosing(late.messages()) as messages:
            first = await take(messages, 1)
            assert first[0] is not None
            assert first[0].number > 80
    stream.close()


async def test_the_number_of_readers_is_limited() -> None:
    stream = Stream(watch)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_READERS):
            assert not stream.full
            await stack.enter_async_context(stream.reading())
        assert stream.full
    assert not stream.full
    stream.close()
