"""Listeners for mock servers, which record handshakes, alerts and requests, and fail on demand.

``Listener`` serves any protocol over TLS or plain TCP. ``TlsListener`` serves an aiohttp application.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Self

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

from ..errors import ListenError, MralabError
from .connection import MAX_SEEN, Connection, Seen, TlsConnection
from .context import ServerContext, TlsOffer, server_context
from .faults.armed import Armed, Faults
from .faults.registry import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["Listener", "Seen", "ServerContext", "TlsListener", "VerbatimResponse", "server_context"]

_HEAD_BYTES: Final = 131072


class Listener:
    """Accept connections for ``make_protocol()``, over TLS, or over plain TCP if ``context`` is None.

    Use it in an ``async with`` statement. ``context`` may be replaced at any time; the next connection uses the new
    one. ``port`` 0 takes any free port, which ``port`` then holds.

    Raises (on entering):
        ListenError: listening on the address fails.
    """

    def __init__(
        self,
        make_protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.context = context
        self.host = host
        self.port = port
        self._make_protocol = make_protocol
        self._faults = Faults()
        self._seen: deque[Seen] = deque(maxlen=MAX_SEEN)
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def __aenter__(self) -> Self:
        """Start listening."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connect, self.host, self.port)
        except OSError as error:
            raise ListenError(
                f"{self.host}:{self.port}: cannot listen: {error.strerror or error}",
                "choose another address, or port 0 for any free port",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and close every connection; all are closed when this returns."""
        server, self._server = self._server, None
        if server is None:
            return
        # asyncio leaks a connection that it has accepted but not yet connected when its server closes (a transport that
        # nothing closes). So stop accepting first; it connects accepted ones in two turns of its loop.
        loop = asyncio.get_running_loop()
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
        for _ in range(2):
            await asyncio.sleep(0)
        server.close()
        await self._close_gracefully()
        remaining = [connection.abort() for connection in tuple(self._connections)]
        await asyncio.gather(*remaining)
        await server.wait_closed()

    async def _close_gracefully(self) -> None:
        """Let connections finish, for a short time. The default closes them at once."""

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The latest connections, oldest first."""
        return tuple(self._seen)

    async def settled(self) -> None:
        """Wait until no handshake is under way; ``seen`` then has the result of each.

        A client that connects and sends nothing keeps this waiting until it closes.
        """
        while pending := [each.settled for each in self._connections if not each.settled.done()]:
            await asyncio.wait(pending)

    def inject(self, fault: Fault, times: int | None = None) -> Armed:
        """Inject a fault into the next ``times`` connections, or into all until it is lifted. Faults add up.

        Raises:
            MralabError: the fault is not possible here, such as an expired certificate without its issuer's key.
        """
        return self._faults.arm(fault, self._offer, times)

    @property
    def armed(self) -> tuple[Armed, ...]:
        """The faults in force, each with the number of connections that have met it."""
        return self._faults.armed

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in force, in the order in which they were injected."""
        return self._faults.in_force

    @property
    def offer(self) -> TlsOffer:
        """The handshake offer of the next connection, with the faults in force."""
        offer = self._offer
        for fault in self.faults:
            offer = fault.change_offer(offer)
        return offer

    def lift_faults(self) -> None:
        """Lift every fault."""
        self._faults.lift()

    @property
    def _offer(self) -> TlsOffer:
        if not isinstance(self.context, ServerContext):
            raise MralabError(f"{self.host}:{self.port}: faults need a TLS listener made with server_context()")
        return self.context.offer

    def _connect(self) -> Connection:
        connection: Connection
        if self.context is None:
            connection = Connection(self._connections, self._make_protocol())
        elif faults := self._faults.next():
            offer = self._offer
            for armed in faults:
                offer = armed.change_offer(offer)
            context = self.context if offer == self._offer else offer.context()
            effects = [armed.effect for armed in faults]
            connection = TlsConnection(self._connections, self._make_protocol(), context, effects)
            connection.seen.faults = tuple(armed.fault.name for armed in faults)
        else:
            connection = TlsConnection(self._connections, self._make_protocol(), self.context)
        self._seen.append(connection.seen)
        if self._server is None:  # accepted while the listener closes
            connection.abort()
        return connection


class TlsListener(Listener):
    """Serve an aiohttp application; arguments as for ``Listener``."""

    def __init__(
        self,
        app: web.Application,
        context: ssl.SSLContext | None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if _remove_headers not in app.on_response_prepare:
            app.on_response_prepare.append(_remove_headers)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,  # a relay stops when its client has closed
            shutdown_timeout=0.1,
            auto_decompress=False,  # bodies are recorded and relayed unchanged
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
        )
        super().__init__(self._http, context, host, port)

    def _http(self) -> asyncio.Protocol:
        make: Any = self._runner.server
        protocol: asyncio.Protocol = make()
        return protocol

    async def __aenter__(self) -> Self:
        """Start listening."""
        await self._runner.setup()
        if (server := self._runner.server) is not None:
            # Not a middleware: aiohttp caches applications with middlewares, and so everything that they reference.
            server.request_handler = _recording(server.request_handler)
        try:
            return await super().__aenter__()
        except BaseException:  # clean up also when the start is cancelled
            await self._runner.cleanup()
            raise

    async def _close_gracefully(self) -> None:
        await self._runner.cleanup()  # closes idle connections, and busy ones after the timeout


class VerbatimResponse(web.StreamResponse):
    """Another server's response: its headers are sent unchanged, and aiohttp adds none."""

    def __init__(self, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(status=status, reason=reason)
        for name, value in headers:
            self.headers.add(name, value)
        self.absent = [name for name in ("Server", "Date", "Content-Type") if name not in self.headers]


_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _recording(handler: _Handler) -> _Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        connection = None if request.transport is None else request.transport.get_protocol()
        if isinstance(connection, Connection):
            connection.seen.requests.append(f"{request.method} {request.raw_path}")
        return await handler(request)

    return handle


async def _remove_headers(_request: web.Request, response: web.StreamResponse) -> None:
    if isinstance(response, VerbatimResponse):
        for name in response.absent:
            response.headers.pop(name, None)
    elif response.headers.get("Server") == SERVER_SOFTWARE:
        del response.headers["Server"]  # aiohttp's default would reveal the mock
