"""A listener for mock servers that records what it saw: handshakes, alerts, requests.

TLS runs here on ``ssl.MemoryBIO``, not in asyncio's own TLS transport, for two reasons. A mock must tell how
a handshake ended (the alert that a client sent is the point of many a test), and must itself send the alert
that a real server sends: asyncio drops it and just closes (https://github.com/python/cpython/issues/98078).
The HTTP side is aiohttp's server protocol, which gets this module's transport in place of asyncio's.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, cast

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

from mralab.errors import ListenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from types import TracebackType

    from aiohttp.web_protocol import RequestHandler

    from mralab.lab.pki import Certified

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_READ_SIZE: Final = 65536
_HEAD_BYTES: Final = 131072
_KEPT: Final = 10_000
"""Connections, and requests of a connection, that are remembered: a mock may run under load for days."""


@dataclass(slots=True)
class Seen:
    """What a listener saw of one connection; it grows while the connection lives."""

    peer: str = ""
    """The client's address and port."""
    sni: str = ""
    """The name in the ClientHello; empty without one, as when a client asks for an IP address."""
    handshake: bool = False
    """The TLS handshake was completed."""
    alert: str = ""
    """OpenSSL's reason for the end of TLS, such as ``TLSV1_ALERT_UNKNOWN_CA``; empty where nothing failed."""
    cipher: str = ""
    """The cipher that the server picked, by OpenSSL's name."""
    version: str = ""
    """``TLSv1.2`` or ``TLSv1.3``."""
    certificate: str = ""
    """``rsa`` or ``ec``: which certificate was shown; empty where TLS 1.3 had the choice of both."""
    requests: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """Method and path with query, in order: ``GET /cucm-uds/version``."""
    http_bytes: int = 0
    """Bytes of HTTP received: 0 means that nothing of a request left the client."""


class ServerContext(ssl.SSLContext):
    """A server's ``ssl.SSLContext`` that knows the kinds of certificates loaded into it (``rsa``, ``ec``)."""

    kinds: frozenset[str] = frozenset()


def server_context(
    *certified: Certified,
    tls: Sequence[str] = ("1.2",),
    ask_client: Iterable[Certified] = (),
    ciphers: str = "",
) -> ServerContext:
    """Build a server's TLS context that shows one of the ``certified``: at most one RSA and one EC.

    ``tls`` are the versions offered, ``"1.2"`` and ``"1.3"``. With ``ask_client`` the server sends a
    CertificateRequest and goes on without a client certificate; one that is sent must come from these CAs.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    versions = [_VERSIONS[version] for version in tls]
    context.minimum_version, context.maximum_version = min(versions), max(versions)
    # The client's order of ciphers decides which certificate is shown; Python sets the server's by default.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if ciphers:
        context.set_ciphers(ciphers)
    for each in certified:
        # load_cert_chain reads files only: this one is its owner's (0600) and is gone at once.
        with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
            file.write(each.key_pem + each.chain_pem)
            file.flush()
            context.load_cert_chain(file.name)
    context.kinds = frozenset(each.kind for each in certified)
    if authorities := "".join(each.pem for each in ask_client):
        context.load_verify_locations(cadata=authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class TlsListener:
    """Serves an aiohttp application over TLS, or over plain TCP with ``context`` None.

    ``context`` may be replaced at any time: the next connection uses the new one. ``port`` 0 takes any free
    port; ``port`` then tells which.

    Raises (on entering):
        ListenError: the address cannot be listened on.
    """

    def __init__(
        self,
        app: web.Application,
        context: ssl.SSLContext | None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.context = context
        self.host = host
        self.port = port
        self._seen: deque[Seen] = deque(maxlen=_KEPT)
        if _record_request not in app.middlewares:
            app.middlewares.insert(0, _record_request)
            app.on_response_prepare.append(_take_out)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,  # a relay whose client has gone has nobody to relay for
            shutdown_timeout=0.1,
            auto_decompress=False,  # bodies are shown and relayed as they are
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
        )
        self._server: asyncio.Server | None = None
        self._make_http: Callable[[], RequestHandler] | None = None
        self._connections: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self._runner.setup()
        self._make_http = self._runner.server
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connect, self.host, self.port)
        except OSError as error:
            await self._runner.cleanup()
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
        """Stop to listen and end every connection; none is left when this returns."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        await self._runner.cleanup()  # closes idle connections, lets go of busy ones after the timeout
        remaining = [connection.abort() for connection in tuple(self._connections)]
        await asyncio.gather(*remaining)
        await server.wait_closed()

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The latest connections, oldest first."""
        return tuple(self._seen)

    async def settled(self) -> None:
        """Wait until no handshake is under way: how each ended is then in ``seen``.

        A client that connects and says nothing keeps this waiting until it goes.
        """
        while pending := [each.settled for each in self._connections if not each.settled.done()]:
            await asyncio.wait(pending)

    def _connect(self) -> _Connection:
        assert self._make_http is not None  # noqa: S101 - set on entering, before anything can connect
        connection: _Connection
        if self.context is None:
            connection = _Connection(self._connections, self._make_http())
        else:
            connection = _TlsConnection(self._connections, self._make_http(), self.context)
        self._seen.append(connection.seen)
        return connection


class VerbatimResponse(web.StreamResponse):
    """Another server's answer: its headers go out as given, aiohttp adds none of its own."""

    def __init__(self, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(status=status, reason=reason)
        for name, value in headers:
            self.headers.add(name, value)
        self.absent = [name for name in ("Server", "Date", "Content-Type") if name not in self.headers]


@web.middleware
async def _record_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    connection = None if request.transport is None else request.transport.get_protocol()
    if isinstance(connection, _Connection):
        connection.seen.requests.append(f"{request.method} {request.raw_path}")
    return await handler(request)


async def _take_out(_request: web.Request, response: web.StreamResponse) -> None:
    if isinstance(response, VerbatimResponse):
        for name in response.absent:
            response.headers.pop(name, None)
    elif response.headers.get("Server") == SERVER_SOFTWARE:
        del response.headers["Server"]  # no mock says that it is one


class _Connection(asyncio.Protocol):
    """A plain connection: hands everything to the HTTP protocol and counts."""

    def __init__(self, connections: set[_Connection], http: RequestHandler) -> None:
        self.seen = Seen()
        self._connections = connections
        self._http = http
        self._raw: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = loop.create_future()
        self.settled: asyncio.Future[None] = loop.create_future()
        """Done once HTTP may begin, or never will."""

    def abort(self) -> asyncio.Future[None]:
        """Cut the connection; the future is done once nothing of it is left."""
        if self._raw is not None:
            self._raw.abort()
        return self._gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        self._connections.add(self)
        if peer := transport.get_extra_info("peername"):
            self.seen.peer = f"{peer[0]}:{peer[1]}"
        self._open(self._raw)

    def _open(self, raw: asyncio.Transport) -> None:
        self._begin(raw)

    def _begin(self, transport: asyncio.Transport) -> None:
        self.settled.set_result(None)
        self._http.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.deliver(data)

    def deliver(self, data: bytes) -> None:
        """Hand bytes of HTTP over."""
        self.seen.http_bytes += len(data)
        self._http.data_received(data)

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._http.connection_lost(exc)
        for future in (self.settled, self._gone):
            if not future.done():
                future.set_result(None)


class _TlsConnection(_Connection):
    """A connection that is TLS: the HTTP protocol is told of it once the handshake is done."""

    def __init__(self, connections: set[_Connection], http: RequestHandler, context: ssl.SSLContext) -> None:
        super().__init__(connections, http)
        self._context = context
        self._tls: _TlsTransport | None = None

    def _open(self, raw: asyncio.Transport) -> None:
        self._tls = _TlsTransport(raw, self, self._context)

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            self._tls.feed(data)

    def established(self, transport: _TlsTransport) -> None:
        """The handshake is done: HTTP may begin."""
        self._begin(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tls = None
        super().connection_lost(exc)


class _SslObject(ssl.SSLObject):
    """Remembers the name of its ClientHello, also when the handshake fails later."""

    sni = ""


def _note_sni(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(connection, _SslObject):
        connection.sni = name or ""


class _TlsTransport(asyncio.Transport):
    """What the HTTP protocol writes to: encrypts, decrypts, and sends every alert there is to send."""

    def __init__(self, raw: asyncio.Transport, connection: _TlsConnection, context: ssl.SSLContext) -> None:
        super().__init__()
        self._raw = raw
        self._connection = connection
        self._context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context.sslobject_class = _SslObject
        context.sni_callback = _note_sni
        self._ssl = cast("_SslObject", context.wrap_bio(self._incoming, self._outgoing, server_side=True))
        self._cipher_id = 0
        self._paused = False
        self._closing = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        if not self._closing:
            self._incoming.write(data)
            self._advance()

    def _advance(self) -> None:
        seen = self._connection.seen
        try:
            if not seen.handshake:
                self._handshake(seen)
            while not (self._paused or self._closing):
                data = self._ssl.read(_READ_SIZE)
                if not data:  # close_notify
                    self.close()
                    return
                self._connection.deliver(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            seen.alert = error.reason or str(error)
            self._flush()  # the alert that OpenSSL has for the client, if the fault was seen here
            self._closing = True
            self._raw.close()
        self._flush()

    def _handshake(self, seen: Seen) -> None:
        try:
            self._ssl.do_handshake()
        finally:
            self._flush()
            seen.sni = self._ssl.sni
            self._note_choice(seen)
        seen.handshake = True
        self._connection.established(self)

    def _note_choice(self, seen: Seen) -> None:
        if seen.cipher or not self._cipher_id:
            return
        named = (each["name"] for each in self._context.get_ciphers() if each["id"] & 0xFFFF == self._cipher_id)
        seen.cipher = next(named, f"0x{self._cipher_id:04X}")
        seen.version = "TLSv1.3" if self._cipher_id >> 8 == 0x13 else "TLSv1.2"
        kinds = self._context.kinds if isinstance(self._context, ServerContext) else frozenset()
        if seen.version == "TLSv1.2":
            seen.certificate = "ec" if "ECDSA" in seen.cipher else "rsa"
        elif len(kinds) == 1:
            (seen.certificate,) = kinds

    def _flush(self) -> None:
        data = self._outgoing.read()
        if not data:
            return
        self._cipher_id = self._cipher_id or _chosen_cipher(data)
        if not self._raw.is_closing():
            self._raw.write(data)

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        view = memoryview(data).cast("B")
        while view and not self._closing:
            view = view[self._ssl.write(view) :]
            self._flush()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # it wants the client's close_notify too, which nobody waits for
            self._ssl.unwrap()
        self._flush()
        self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self.is_closing():
            self._paused = False
            self._raw.resume_reading()
            asyncio.get_running_loop().call_soon(self.feed, b"")  # what was decrypted or received before

    def is_reading(self) -> bool:
        return not self._paused and not self.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._raw.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        return False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "ssl_object":
                return self._ssl
            case "sslcontext":
                return self._context
            case "cipher":
                return self._ssl.cipher()
            case "peercert":
                return self._ssl.getpeercert()
            case _:
                return self._raw.get_extra_info(name, default)


def _chosen_cipher(flight: bytes) -> int:
    """The cipher suite in a server's first flight; 0 if it is no ServerHello.

    RFC 5246 6.2.1 and 7.4.1.3: record type, version, length; handshake type, length; version, random, session
    id, cipher suite. ``SSLObject.cipher()`` does not tell it before the end of a TLS 1.2 handshake.
    """
    if len(flight) < 46 or flight[0] != 22 or flight[5] != 2:
        return 0
    after_session_id = 44 + flight[43]
    return int.from_bytes(flight[after_session_id : after_session_id + 2], "big")
