"""Follow ``GET /api/events`` of a running proxy, also across its restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import aiohttp

from ..core.hostport import host_port
from ..errors import InputError, MralabError
from .client import token_headers

_COLLECTED: Final = 0.2  # seconds for the lines that belong together
_SILENT: Final = 40.0  # seconds; the proxy sends a comment every 15
_BETWEEN: Final = 0.5  # seconds between two attempts to connect again
_LONGEST: Final = 64 << 20  # bytes of one event


class LiveEvent(NamedTuple):
    """One event. ``kind`` is the proxy's, or ``follows``, ``gone`` and ``back`` for the connection to it."""

    kind: str
    data: dict[str, Any]
    number: int | None = None


class EventParser:
    """Parses server-sent events as the control API writes them: ``id``, ``event`` and one line of ``data``."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LiveEvent]:
        """Return the events that these bytes complete. Raises ``ValueError`` if they are none."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > _LONGEST:
            raise ValueError("an event is too long")
        return [event for block in blocks if (event := _event(block)) is not None]


def _event(block: bytes) -> LiveEvent | None:
    """Return the event of one block; None for a comment."""
    fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
    if b"data" not in fields:
        return None
    try:
        data = json.loads(fields[b"data"])
    except RecursionError:
        raise ValueError("an event is nested too deeply") from None
    number = fields.get(b"id", b"")
    return LiveEvent(
        fields.get(b"event", b"message").decode(),
        data if isinstance(data, dict) else {"data": data},
        int(number) if number.isdigit() else None,
    )


async def follow(host: str, port: int) -> AsyncGenerator[LiveEvent | None]:
    """Yield ``follows`` and then events as they happen, and None 0.2 seconds after the first event since the last None.

    If the proxy goes away, yields ``gone`` with the reason, tries again until it answers, and yields ``back``. Raises
    ``MralabError`` if no proxy answers the first time, or if one refuses.
    """
    last: int | None = None
    is_first, is_gone = True, False
    while True:
        try:
            async with aclosing(_connected(host, port, last)) as events:
                async for event in events:
                    if event is not None and event.kind == "connected":
                        if is_first or is_gone:
                            yield LiveEvent("follows" if is_first else "back", {"admin": host_port(host, port)})
                        is_first = is_gone = False
                        continue
                    yield event
                    last = event.number if event is not None and event.number is not None else last
            reason = "the proxy ended the connection"
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            if is_first:
                where = host_port(host, port)
                raise MralabError(f"no control API at {where}: {reason}", "is the proxy running?") from error
            if is_gone:
                last = None  # another process, which counts from 1
        if not is_gone:
            is_gone = True
            yield LiveEvent("gone", {"reason": reason})
        await asyncio.sleep(_BETWEEN)  # always: a server may accept each connection and end it at once


async def _connected(host: str, port: int, last: int | None) -> AsyncGenerator[LiveEvent | None]:
    """Yield ``connected`` and the events of one connection."""
    headers = token_headers()
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    limits = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=_SILENT)
    async with (
        aiohttp.ClientSession(timeout=limits) as session,
        session.get(f"http://{host_port(host, port)}/api/events", headers=headers) as response,
    ):
        if response.status != 200:
            raise await _refusal(response)
        yield LiveEvent("connected", {})
        parser = EventParser()
        waiting: asyncio.Task[bytes] | None = None
        now = asyncio.get_running_loop().time
        due: float | None = None
        try:
            while True:
                waiting = waiting or asyncio.create_task(response.content.readany())
                await asyncio.wait((waiting,), timeout=None if due is None else max(0.0, due - now()))
                if due is not None and now() >= due:
                    due = None
                    yield None
                if not waiting.done():
                    continue
                data, waiting = waiting.result(), None
                if not data:
                    return
                for event in parser.feed(data):
                    due = due or now() + _COLLECTED
                    yield event
        finally:
            if waiting is not None:
                waiting.cancel()


async def _refusal(response: aiohttp.ClientResponse) -> MralabError:
    """Return the error of an answer that is no stream."""
    try:
        error = (await response.json())["error"]
        return InputError(error["problems"], error["hint"])
    except (ValueError, KeyError, TypeError, RecursionError, aiohttp.ClientError):
        return MralabError(f"{response.host} does not answer as a control API does (status {response.status})")
