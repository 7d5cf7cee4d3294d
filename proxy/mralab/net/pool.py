"""Connections to servers: dialled, verified, and kept for reuse under the key they were verified for."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from ..tls.verification import TlsClient
from .deadlines import Deadlines
from .failures import ConnectError, ConnectTimeoutError
from .server_connection import ServerConnection
from .stats import Stats
from .steps import Steps

Tapping = Callable[[asyncio.Protocol], asyncio.Protocol]
"""Returns the protocol to dial with: one that captures the connection and passes everything on to it."""

_IDLE_SECONDS: Final = 110.0  # a little less than Traffic Server's keep_alive_no_activity_timeout_out, 120
_MAX_IDLE: Final = 256  # connections kept for one server


class Pool:
    """Dial servers, and keep verified connections for reuse by requests with the same key.

    A kept connection is reused only while the certificates it was verified with are valid: if one expires, the
    connection ends after the request that is using it. ``len()`` is the number of kept connections.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, stats: Stats, connect_timeout: float, response_timeout: float
    ) -> None:
        self._loop = loop
        self._stats = stats
        self.silence: Deadlines[ServerConnection] = Deadlines(
            loop, response_timeout, lambda connection: connection.silent_too_long()
        )
        """How long a server may send nothing."""
        self.connecting: Deadlines[ServerConnection] = Deadlines(
            loop, connect_timeout, lambda connection: connection.failed(ConnectTimeoutError())
        )
        """How long TCP connect and TLS handshake may take together."""
        self._unused: Deadlines[ServerConnection] = Deadlines(loop, _IDLE_SECONDS, self._unused_too_long)
        self._idle: defaultdict[tuple[object, ...], list[ServerConnection]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, key: tuple[object, ...]) -> ServerConnection | None:
        """Return a kept connection for ``key``, or None."""
        kept = self._idle.get(key)
        while kept:
            connection = kept.pop()
            if not kept:
                del self._idle[key]
            if connection.ending:
                continue
            if connection.tls is not None and connection.tls.expires <= time.time():
                connection.close()
                continue
            connection.reused = True
            self._stats.pool_hits += 1
            return connection
        return None

    def keep(self, connection: ServerConnection) -> None:
        """Keep a connection whose exchange is over for requests with its ``key``."""
        kept = self._idle[connection.key]
        if connection.closed or len(kept) >= _MAX_IDLE:
            connection.close()
            return
        kept.append(connection)
        connection.on_close = self._forget
        self._unused.begin(connection)

    def _forget(self, connection: ServerConnection) -> None:
        self._unused.end(connection)
        kept = self._idle.get(connection.key)
        if kept and connection in kept:
            kept.remove(connection)
            if not kept:
                del self._idle[connection.key]

    def _unused_too_long(self, connection: ServerConnection) -> None:
        """Close a connection that was kept too long ago, unless it is in use."""
        if connection in self._idle.get(connection.key, ()):
            connection.close()

    def close_idle(self) -> None:
        """Close every kept connection: they were verified under settings that are no longer in force."""
        for kept in list(self._idle.values()):
            for connection in list(kept):
                connection.close()

    def close(self) -> None:
        """Close every kept connection and end all time limits."""
        self.close_idle()
        self.silence.close()
        self.connecting.close()
        self._unused.close()

    def new(self, tls: TlsClient | None, header_bytes: int, key: tuple[object, ...]) -> ServerConnection:
        """Return a connection that ``dial`` makes. Requests with the same ``key`` may reuse it."""
        connection = ServerConnection(tls, self.silence, header_bytes, self._stats)
        connection.key = key
        return connection

    def dial(self, connection: ServerConnection, dial: str, port: int, tap: Tapping | None = None) -> None:
        """Begin to connect, captured by ``tap`` if there is one. The connection is usable once it is ``verified``."""
        protocol = connection if tap is None else tap(connection)
        connection.dialling = Steps(self._dial(connection, protocol, dial, port))
        self.connecting.begin(connection)
        connection.dialling.resume()

    async def verified(self, connection: ServerConnection) -> None:
        """Wait until a new connection is verified. Raises ``ServerError``."""
        try:
            await connection.ready()
        except BaseException:  # cancellation included: a client that is gone must not leave a half-open connection
            connection.abort()
            raise
        finally:
            self.connecting.end(connection)

    async def _dial(self, connection: ServerConnection, protocol: asyncio.Protocol, dial: str, port: int) -> None:
        try:
            await self._loop.create_connection(lambda: protocol, dial, port)
        except OSError as error:
            connection.failed(ConnectError(error))
        except asyncio.CancelledError:
            return
        except Exception as error:  # unexpected: raised by the request that waits for the connection
            connection.failed(error)
