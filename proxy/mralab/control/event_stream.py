"""Live events for readers of ``GET /api/events``.

Events are numbered and kept for a while. A slow reader does not delay them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

_KEPT: Final = 1000  # events kept for a reader that reconnects
_QUEUED: Final = 1000  # events that are queued for a slow reader
_KEPT_TEXT: Final = 16 << 20  # characters of events that are kept, or queued for a slow reader
MOST_READERS: Final = 32
"""Each event is sent to each reader, in the process that may serve the traffic: many readers would slow it down."""
_LINGER: Final = 30.0  # seconds that events are collected after the last reader has left, in case it reconnects
_HEARTBEAT: Final = 15.0


class Message(NamedTuple):
    """One event: its number, its kind, and its data as JSON."""

    number: int
    kind: str
    data: str

    def encode(self) -> bytes:
        """Return the bytes to send (HTML Standard, section 9.2)."""
        return f"id: {self.number}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()


class EventReader:
    """One reader's bounded queue. Events that do not fit are counted and reported once there is room."""

    def __init__(self) -> None:
        self._queue: deque[Message] = deque()
        self._text = 0
        self._missed = 0
        self._latest = 0
        self._more = asyncio.Event()
        self._ended = False

    def put(self, message: Message) -> None:
        """Queue an event."""
        self._latest = message.number
        if len(self._queue) >= _QUEUED or self._text > _KEPT_TEXT:
            self.miss(1)
        else:
            self._queue.append(message)
            self._text += len(message.data)
        self._more.set()

    def miss(self, count: int) -> None:
        """Count events that the reader will not get."""
        self._missed += count
        self._more.set()

    def end(self) -> None:
        """End the stream."""
        self._ended = True
        self._more.set()

    async def messages(self, heartbeat: float = _HEARTBEAT) -> AsyncGenerator[Message | None]:
        """Yield events as they are published, and None after ``heartbeat`` seconds without one.

        A ``missed`` event counts those that a reader lost because it was slow or reconnected late.
        """
        while not self._ended:
            self._more.clear()
            if not self._queue and not self._missed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(heartbeat):
                        await self._more.wait()
                if not self._more.is_set():
                    yield None
            while self._queue:
                message = self._queue.popleft()
                self._text -= len(message.data)
                yield message
            if self._missed:
                missed, self._missed = self._missed, 0
                yield Message(self._latest, "missed", json.dumps({"count": missed}))


class Stream:
    """``publish`` sends an event to all readers.

    ``watch(True)`` is awaited before the first reader starts, ``watch(False)`` after the last one has left.
    """

    def __init__(self, watch: Callable[[bool], Awaitable[None]]) -> None:
        self._watch = watch
        self._readers: set[EventReader] = set()
        self._kept: deque[Message] = deque()
        self._kept_text = 0
        self._number = 0
        self._lingering: asyncio.Task[None] | None = None
        self._closed = False
        self.active = False
        """Whether events are collected: there is a reader, or the last one left less than 30 seconds ago."""

    def publish(self, kind: str, data: Any) -> None:
        """Send an event to all readers."""
        if not self.active:
            return
        self._number += 1
        message = Message(self._number, kind, json.dumps(data))
        self._kept.append(message)
        self._kept_text += len(message.data)
        while len(self._kept) > _KEPT or self._kept_text > _KEPT_TEXT:
            self._kept_text -= len(self._kept.popleft().data)
        for reader in self._readers:
            reader.put(message)

    @property
    def full(self) -> bool:
        """Whether the largest number of readers is reached."""
        return len(self._readers) >= MOST_READERS

    @contextlib.asynccontextmanager
    async def reading(self, after: int | None = None) -> AsyncIterator[EventReader]:
        """Yield a reader of the events from now on, preceded by the kept ones numbered above ``after``."""
        reader = EventReader()
        if after is not None and after <= self._number:
            oldest = self._kept[0].number if self._kept else self._number + 1
            reader.miss(max(0, oldest - 1 - after))
            for message in self._kept:
                if message.number > after:
                    reader.put(message)
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self._readers.add(reader)
        try:
            if not self.active:
                self.active = True
                await self._watch(True)
            yield reader
        finally:
            self._readers.discard(reader)
            if not self._readers and not self._closed:
                self._lingering = asyncio.create_task(self._linger())

    def close(self) -> None:
        """End every reader's stream."""
        self._closed = True
        if self._lingering is not None:
            self._lingering.cancel()
        for reader in self._readers:
            reader.end()

    async def _linger(self) -> None:
        await asyncio.sleep(_LINGER)
        self.active = False
        await self._watch(False)
