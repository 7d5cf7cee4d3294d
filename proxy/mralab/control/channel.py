"""What two of our processes say to each other: JSON over a socket pair, questions and answers both ways.

A message is four bytes of length, then JSON: ``{"ask": name, "id": n, "with": ..}``, ``{"answer": .., "id": n}``,
``{"error": text, "id": n}`` or ``{"tell": name, "with": ..}``. Questions are answered in the order in which they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..errors import MralabError

_MAX_MESSAGE: Final = 256 << 20
_MAX_WAITING: Final = (
    4 << 20
)  # bytes that the other end has not taken, after which nothing that may be left out is sent

_log = logging.getLogger(__name__)

Respond = Callable[[str, Any], Awaitable[Any]]
Hear = Callable[[str, Any], None]


class ChannelError(MralabError):
    """The other process ended, or failed at what it was asked."""


class Channel:
    """One end. ``answer(name, params)`` answers questions, ``told(name, params)`` hears what needs no answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Respond, told: Hear) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._told = told
        self._ids = itertools.count(1)
        self._open: dict[int, asyncio.Future[Any]] = {}
        self.closed = asyncio.Event()
        """The other end is gone."""
        self._task = asyncio.create_task(self._run())

    async def ask(self, name: str, params: Any = None, *, seconds: float, must: bool = False) -> Any:
        """The other end's answer.

        Raises ``TimeoutError`` where none comes in time, ``ChannelError``. A question that ``must`` arrive waits at
        the other end however long that does not listen; others are not even sent to one that has fallen far behind.
        """
        if self.closed.is_set():
            raise ChannelError("the process has ended")
        if not must and self._behind():
            raise TimeoutError
        number = next(self._ids)
        future = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"ask": name, "id": number, "with": params})
            async with asyncio.timeout(seconds):
                return await future
        finally:
            self._open.pop(number, None)

    def tell(self, name: str, params: Any = None) -> bool:
        """Say something. False: the other end is too slow, it was left out."""
        if self.closed.is_set() or self._behind():
            return False
        self._send({"tell": name, "with": params})
        return True

    async def close(self) -> None:
        """Send what is left and close this end."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        self._task.cancel()
        await asyncio.wait([self._task])

    def _behind(self) -> bool:
        return self._writer.transport.get_write_buffer_size() > _MAX_WAITING

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode()
        self._writer.write(len(data).to_bytes(4, "big") + data)

    async def _run(self) -> None:
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                if size > _MAX_MESSAGE:
                    break
                await self._take(json.loads(await self._reader.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other process has ended: that is how an end is told
        finally:
            self.closed.set()
            for future in self._open.values():
                if not future.done():
                    future.set_exception(ChannelError("the process has ended"))

    async def _take(self, message: dict[str, Any]) -> None:
        if "tell" in message:
            self._told(message["tell"], message["with"])
        elif "ask" in message:
            try:
                reply = {"answer": await self._answer(message["ask"], message["with"]), "id": message["id"]}
            except MralabError as error:
                reply = {"error": str(error), "id": message["id"]}
            except Exception as error:  # the asker is told, the process and what it serves live on
                _log.exception("%s could not be answered", message["ask"])
                reply = {"error": f"{type(error).__name__}: {error}", "id": message["id"]}
            self._send(reply)
        elif (future := self._open.get(message["id"])) is not None and not future.done():
            if "error" in message:
                future.set_exception(ChannelError(message["error"]))
            else:
                future.set_result(message["answer"])


async def open_channel(sock: socket.socket, answer: Respond, told: Hear) -> Channel:
    """The end of a socket pair as a channel."""
    sock.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    return Channel(reader, writer, answer, told)
