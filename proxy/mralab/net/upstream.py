"""Connections to servers: dialled, verified, and kept for reuse by everything they were verified under."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Final

from .connection import ConnectError, ConnectTimeoutError, ServerConnection
from .stats import Stats
from .tls import TlsClient

_IDLE_SECONDS: Final = 110.0  # a little less than Traffic Server's keep_alive_no_activity_timeout_out, 120
_MAX_IDLE: Final = 256  # connections kept for one server


class Upstream:
    """Dials servers and keeps verified connections for reuse, by everything they were verified under.

    A kept connection is used again only while the certificates it was verified with are still valid: one that expires
    ends with the request that is using it. ``len()`` is how many are kept.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._idle: defaultdict[tuple[object, ...], list[ServerConnection]] = defaultdict(list)
        self._timers: dict[ServerConnection, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def take(self, key: tuple[object, ...]) -> ServerConnection | None:
        """A kept connection for ``key``, or None."""
        kept = self._idle.get(key)
        while kept:
            connection = kept.pop()
            if not kept:
                del self._idle[key]
            self._timers.pop(connection).cancel()
            connection.on_idle_close = None
            if connection.closed:
                continue
            if connection.expires <= time.time():
                connection.close()
                continue
            connection.reused = True
            self._stats.pool_hits += 1
            return connection
        return None

    def keep(self, key: tuple[object, ...], connection: ServerConnection) -> None:
        """Keep a connection whose exchange is over."""
        kept = self._idle[key]
        if connection.closed or len(kept) >= _MAX_IDLE:
            connection.close()
            return
        kept.append(connection)
        connection.on_idle_close = lambda gone: self._forget(key, gone)
        self._timers[connection] = asyncio.get_running_loop().call_later(_IDLE_SECONDS, connection.close)

    def _forget(self, key: tuple[object, ...], connection: ServerConnection) -> None:
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()
        kept = self._idle.get(key)
        if kept and connection in kept:
            kept.remove(connection)
            if not kept:
                del self._idle[key]

    def close_idle(self) -> None:
        """Close every kept connection: the settings they were verified under are no more."""
        for kept in list(self._idle.values()):
            for connection in list(kept):
                connection.close()

    async def connect(
        self,
        tls: TlsClient | None,
        dial: str,
        port: int,
        connect_timeout: float,
        response_timeout: float,
        header_bytes: int,
    ) -> ServerConnection:
        """A new, verified connection. Raises a ``ServerError``; ``connect_timeout`` is for TCP and TLS together."""
        loop = asyncio.get_running_loop()
        connection = ServerConnection(loop, tls, response_timeout, header_bytes, self._stats)
        try:
            async with asyncio.timeout(connect_timeout):
                await loop.create_connection(lambda: connection, dial, port)
                await connection.ready()
        except TimeoutError:
            connection.abort()
            raise ConnectTimeoutError from None
        except OSError as error:
            raise ConnectError(error) from error
        except asyncio.CancelledError:
            connection.abort()
            raise
        return connection
