"""A relay: terminates TLS in front of another mock, passes the decrypted bytes on, and meets faults like any listener.

``mralab.FaultPoint`` is its Python face, ``control.fault_points`` the one for other languages.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, Self, cast

from .connection import Connection, TlsClientConnection
from .context import server_context
from .listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from .pki import Certified

DIAL_LIMIT: Final = 10.0
"""Seconds that the mock may take to accept a connection, TLS included."""


class Relay:
    """Present ``certificate``, and relay decrypted bytes to ``dial`` (host and port) and back.

    Use it in an ``async with`` statement; ``listener`` injects faults and records connections. With ``tls`` the
    connection to the mock uses TLS and accepts any certificate; without, it is plain text. ``versions`` are the TLS
    versions offered to clients.

    Raises (on entering):
        ListenError: listening on the address fails.
    """

    def __init__(
        self,
        dial: tuple[str, int],
        certificate: Certified,
        *,
        tls: bool = True,
        versions: Sequence[str] = ("1.2",),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.listener = Listener(self._relay, server_context(certificate, tls=versions), host, port)
        self._dial = dial
        self._backend_context = _unverified() if tls else None
        self._backend_connections: set[Connection] = set()
        self._dialling: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start listening."""
        await self.listener.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and close the connections on both sides."""
        await self.listener.__aexit__(None, None, None)
        for task in tuple(self._dialling):
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        await asyncio.gather(*(connection.abort() for connection in tuple(self._backend_connections)))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on, for the proxy to dial."""
        return self.listener.host, self.listener.port

    def _relay(self) -> asyncio.Protocol:
        return _Front(self._dial_for)

    def _dial_for(self, front: _Front, name: str) -> asyncio.Task[None]:
        """Start to connect to the mock for a client that sent ``name`` as SNI."""
        task = asyncio.get_running_loop().create_task(self._connect(front, name))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        return task

    async def _connect(self, front: _Front, name: str) -> None:
        def make_connection() -> Connection:
            backend = _Backend(front)
            if self._backend_context is None:
                return Connection(self._backend_connections, backend)
            return TlsClientConnection(self._backend_connections, backend, self._backend_context, name)

        try:
            async with asyncio.timeout(DIAL_LIMIT):
                _, connected = await asyncio.get_running_loop().create_connection(make_connection, *self._dial)
                await connected.settled
        except (OSError, TimeoutError):
            front.abort()  # as without a fault point: the connection ends without a response


class _Front(asyncio.Protocol):
    """The client's side of a relay. Reading is paused until the mock is connected."""

    def __init__(self, dial: Callable[[_Front, str], asyncio.Task[None]]) -> None:
        self._dial = dial
        self.transport: asyncio.Transport | None = None
        self.backend: asyncio.Transport | None = None
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        connection = self.transport.get_protocol()
        self._dialling = self._dial(self, connection.seen.sni if isinstance(connection, Connection) else "")
        self.transport.pause_reading()

    def connected(self, backend: asyncio.Transport) -> None:
        """Resume reading: the mock is connected."""
        if self.transport is None:
            backend.abort()
            return
        self.backend = backend
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.backend is not None:
            self.backend.write(data)

    def pause_writing(self) -> None:
        if self.backend is not None:
            self.backend.pause_reading()

    def resume_writing(self) -> None:
        if self.backend is not None:
            self.backend.resume_reading()

    def abort(self) -> None:
        """Abort the client's connection."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._dialling is not None:
            self._dialling.cancel()
        if self.backend is not None:
            self.backend.abort()


class _Backend(asyncio.Protocol):
    """The mock's side of a relay."""

    def __init__(self, front: _Front) -> None:
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._front.connected(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if self._front.transport is not None:
            self._front.transport.write(data)

    def pause_writing(self) -> None:
        if self._front.transport is not None:
            self._front.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._front.transport is not None:
            self._front.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._front.abort()
        elif self._front.transport is not None:
            self._front.transport.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
