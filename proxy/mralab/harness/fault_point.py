"""A fault point: ends TLS before somebody else's mock and passes the bytes on, but for the faults that it is given.

``with FaultPoint(dial=("127.0.0.1", 41021), certificate=leaf) as point: point.inject(Stall())``; the proxy then dials
``point.address`` in the mock's place. ``async with`` it, or ``with`` it: it then runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, Self, cast

from ..mocks.connection import Connection, TlsClientConnection
from ..mocks.context import server_context
from ..mocks.faults.armed import Armed
from ..mocks.faults.registry import Fault
from ..mocks.listener import Listener
from ..mocks.recipes import Authority, Presentable, certified
from .sync_facade import Held

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ..mocks.connection import Seen
    from ..mocks.pki import Certified

DIAL_LIMIT: Final = 10.0
"""Seconds that the mock behind may take to accept a connection, TLS included."""


class FaultPoint:
    """Presents ``certificate``, passes what it decrypts on to ``dial`` (host and port), and back.

    ``certificate`` is our ``Certified``, a trustme ``LeafCert``, or PEM with its key; ``issuer`` is the CA that signed
    it, for faults that need it signed anew. With ``tls`` the mock behind is spoken to over TLS, whatever it presents;
    without, in plain text. ``versions`` are the TLS versions offered in front.

    Raises (on entering):
        ListenError: the address cannot be listened on.
    """

    def __init__(
        self,
        dial: tuple[str, int],
        certificate: Presentable,
        *,
        issuer: Authority | Certified | None = None,
        tls: bool = True,
        versions: tuple[str, ...] = ("1.2",),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.certificate = certified(certificate, issuer)
        self._dial = dial
        self._context = _unverified() if tls else None
        self._behind: set[Connection] = set()
        self._listener = Listener(self._relay, server_context(self.certificate, tls=versions), host, port)
        self._dialling: set[asyncio.Task[None]] = set()
        self._held: Held | None = None

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; no connection is left, in front or behind."""
        await self._listener.__aexit__(kind, error, traceback)
        for task in tuple(self._dialling):
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        await asyncio.gather(*(connection.abort() for connection in tuple(self._behind)))

    def __enter__(self) -> Self:
        """Start to listen, in a thread of its own."""
        self._held = Held(self, "mralab-fault-point")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop and end the thread."""
        held, self._held = self._held, None
        if held is not None:
            held.leave()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: what the proxy is to dial."""
        return self._listener.host, self._listener.port

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listener.port

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The latest connections, oldest first: SNI, alert, faults met."""
        return self._listener.seen

    def inject(self, fault: Fault, times: int | None = None) -> Armed:
        """Let the next ``times`` connections meet a fault, or all until it is lifted; faults add up.

        Raises:
            MralabError: the fault cannot be had here, such as an expired certificate without its issuer.
        """
        return self._listener.inject(fault, times)

    def lift_faults(self) -> None:
        """Lift every fault."""
        self._listener.lift_faults()

    def _relay(self) -> asyncio.Protocol:
        return _Front(self._dial_for)

    def _dial_for(self, front: _Front, name: str) -> asyncio.Task[None]:
        """Connect to the mock behind for a client that asked for ``name``."""
        task = asyncio.get_running_loop().create_task(self._connect(front, name))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        return task

    async def _connect(self, front: _Front, name: str) -> None:
        def connection() -> Connection:
            back = _Back(front)
            if self._context is None:
                return Connection(self._behind, back)
            return TlsClientConnection(self._behind, back, self._context, name)

        try:
            async with asyncio.timeout(DIAL_LIMIT):
                _, made = await asyncio.get_running_loop().create_connection(connection, *self._dial)
                await made.settled
        except (OSError, TimeoutError):
            front.cut()  # as a client of the mock itself would see it: a connection without an answer


class _Front(asyncio.Protocol):
    """The client's side of a relay. Nothing is read before the mock is there to take it."""

    def __init__(self, dial: Callable[[_Front, str], asyncio.Task[None]]) -> None:
        self._dial = dial
        self.transport: asyncio.Transport | None = None
        self.back: asyncio.Transport | None = None
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        connection = self.transport.get_protocol()
        self._dialling = self._dial(self, connection.seen.sni if isinstance(connection, Connection) else "")
        self.transport.pause_reading()

    def connected(self, back: asyncio.Transport) -> None:
        """The mock is there."""
        if self.transport is None:
            back.abort()
            return
        self.back = back
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.back is not None:
            self.back.write(data)

    def pause_writing(self) -> None:
        if self.back is not None:
            self.back.pause_reading()

    def resume_writing(self) -> None:
        if self.back is not None:
            self.back.resume_reading()

    def cut(self) -> None:
        """No answer will come."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._dialling is not None:
            self._dialling.cancel()
        if self.back is not None:
            self.back.abort()


class _Back(asyncio.Protocol):
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
            self._front.cut()
        elif self._front.transport is not None:
            self._front.transport.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
