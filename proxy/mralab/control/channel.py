"""Messages between two mralab processes: JSON over a socket pair, with requests and replies in both directions.

A message is a length of four bytes, then JSON:

- a request: ``{"request": name, "id": n, "params": ..}``
- its reply: ``{"result": .., "id": n}`` or ``{"error": text, "id": n}``
- a notification, which has no reply: ``{"notification": name, "params": ..}``

Requests are answered in the order in which they are received.
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
_MAX_UNREAD: Final = 4 << 20  # bytes that the other end has not read, above which optional messages are not sent

_log = logging.getLogger(__name__)

Respond = Callable[[str, Any], Awaitable[Any]]
OnNotification = Callable[[str, Any], None]


class ChannelError(MralabError):
    """The other process has ended, or failed to answer a request."""


class Channel:
    """One end of a socket pair.

    ``answer(name, params)`` is awaited for each request and returns its result; ``on_notification(name, params)`` is
    called for each notification.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Respond,
        on_notification: OnNotification,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._on_notification = on_notification
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self.closed = asyncio.Event()
        """Set once the other end is closed."""
        self._task = asyncio.create_task(self._run())

    async def request(self, name: str, params: Any = None, *, seconds: float, required: bool = False) -> Any:
        """Send a request and return its result. Raises ``TimeoutError`` or ``ChannelError``.

        A ``required`` request is sent even if the other end is far behind in reading. Others are not sent then.
        """
        if self.closed.is_set():
            raise ChannelError("the process has ended")
        if not required and self._behind():
            raise TimeoutError
        number = next(self._ids)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"request": name, "id": number, "params": params})
            async with asyncio.timeout(seconds):
                return await future
        finally:
            self._pending.pop(number, None)

    def notify(self, name: str, params: Any = None) -> bool:
        """Send a notification. Return False if it was not sent because the other end is too slow or closed."""
        if self.closed.is_set() or self._behind():
            return False
        self._send({"notification": name, "params": params})
        return True

    async def close(self) -> None:
        """Send what is buffered and close this end."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        self._task.cancel()
        await asyncio.wait([self._task])

    def _behind(self) -> bool:
        return self._writer.transport.get_write_buffer_size() > _MAX_UNREAD

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode()
        self._writer.write(len(data).to_bytes(4, "big") + data)

    async def _run(self) -> None:
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                if size > _MAX_MESSAGE:
                    break
                await self._handle(json.loads(await self._reader.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other process has ended
        finally:
            self.closed.set()
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(ChannelError("the process has ended"))

    async def _handle(self, message: dict[str, Any]) -> None:
        if "notification" in message:
            self._on_notification(message["notification"], message["params"])
        elif "request" in message:
            try:
                result = await self._answer(message["request"], message["params"])
                reply = {"result": result, "id": message["id"]}
            except MralabError as error:
                reply = {"error": str(error), "id": message["id"]}
            except Exception as error:  # the caller gets the error; this process goes on serving
                _log.exception("%s could not be answered", message["request"])
                reply = {"error": f"{type(error).__name__}: {error}", "id": message["id"]}
            self._send(reply)
        elif (future := self._pending.get(message["id"])) is not None and not future.done():
            if "error" in message:
                future.set_exception(ChannelError(message["error"]))
            else:
                future.set_result(message["result"])


async def open_channel(sock: socket.socket, answer: Respond, on_notification: OnNotification) -> Channel:
    """Return a channel on one end of a socket pair."""
    sock.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    return Channel(reader, writer, answer, on_notification)
