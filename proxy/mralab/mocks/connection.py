"""One connection of a mock: TLS over TCP, the record of what it did, and the faults that it meets.

TLS runs on ``ssl.MemoryBIO``, not in asyncio's TLS transport, for three reasons:

- A mock must report how a handshake ended: many tests check the alert that the client sent.
- It must send the alert that a real server sends. asyncio drops it and only closes
  (https://github.com/python/cpython/issues/98078).
- asyncio and uvloop lose unread bytes when a server closes while its client has paused reading.

The application protocol (aiohttp's server protocol, a relay) gets this module's transport in place of asyncio's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from .context import ServerContext
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .effect import Effect

_READ_SIZE: Final = 65536
MAX_SEEN: Final = 10_000
"""Limit of connections kept by a listener, and of requests kept by a connection: a mock may run under load for days."""


@dataclass(slots=True)
class Seen:
    """Record of one connection, updated while the connection is open."""

    sni: str = ""
    """The server name in the ClientHello; empty without one, as when the client connects to an IP address."""
    handshake: bool = False
    """Whether the TLS handshake was completed."""
    alert: str = ""
    """OpenSSL's reason for the end of TLS, such as ``TLSV1_ALERT_UNKNOWN_CA``; empty if nothing failed."""
    cipher: str = ""
    """OpenSSL's name of the cipher that the server selected."""
    version: str = ""
    """``TLSv1.2`` or ``TLSv1.3``."""
    certificate: str = ""
    """Certificate presented, ``rsa`` or ``ec``; empty if TLS 1.3 could choose between both."""
    requests: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_SEEN))
    """Method and path with query, in order: ``GET /cucm-uds/version``."""
    http_bytes: int = 0
    """Bytes of HTTP received: 0 means that the client sent no part of a request."""
    faults: tuple[str, ...] = ()
    """Names of the faults that the connection met."""


class Connection(asyncio.Protocol):
    """A plain connection: passes everything to the application protocol and records it."""

    def __init__(self, connections: set[Connection], application: asyncio.Protocol) -> None:
        self.seen = Seen()
        self._connections = connections
        self._application = application
        self._raw: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = loop.create_future()
        self.settled: asyncio.Future[None] = loop.create_future()
        """Done once HTTP can start, or once the connection is closed."""
        self._started = False
        self._aborted = False

    def abort(self) -> asyncio.Future[None]:
        """Close the connection at once and return a future, which is done when it is closed."""
        self._aborted = True
        if self._raw is not None:
            self._raw.abort()
        return self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start TLS, or HTTP if there is no TLS."""
        self._raw = cast("asyncio.Transport", transport)
        self._connections.add(self)
        if self._aborted:
            self._raw.abort()
        else:
            self._open(self._raw)

    def _open(self, raw: asyncio.Transport) -> None:
        self.start_application(raw)

    def start_application(self, transport: asyncio.Transport) -> None:
        """Connect the application protocol to ``transport``."""
        self._started = True
        self.settled.set_result(None)
        self._application.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        self.deliver(data)

    def deliver(self, data: bytes) -> None:
        """Pass bytes of HTTP to the application protocol."""
        self.seen.http_bytes += len(data)
        self._application.data_received(data)

    def pause_writing(self) -> None:
        """Pause the application protocol: the write buffer is full."""
        if self._started:
            self._application.pause_writing()

    def resume_writing(self) -> None:
        """Resume the application protocol."""
        if self._started:
            self._application.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the application protocol and complete both futures."""
        self._connections.discard(self)
        self._application.connection_lost(exc)
        for future in (self.settled, self._closed):
            if not future.done():
                future.set_result(None)


class TlsConnection(Connection):
    """A server's TLS connection; the application protocol is connected after the handshake."""

    def __init__(
        self,
        connections: set[Connection],
        application: asyncio.Protocol,
        context: ssl.SSLContext,
        faults: Sequence[Callable[[], Effect]] = (),
    ) -> None:
        super().__init__(connections, application)
        self._context = context
        self._faults = faults
        self._tls: TlsTransport | None = None

    def _open(self, raw: asyncio.Transport) -> None:
        effects = [make() for make in self._faults]
        self._tls = TlsTransport(Wire(raw, self), self, self._context, effects)

    def data_received(self, data: bytes) -> None:
        """Decrypt bytes from the client."""
        if self._tls is not None:
            self._tls.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End TLS and the effects of faults."""
        if self._tls is not None:
            self._tls.end()
        self._tls = None
        super().connection_lost(exc)


class TlsClientConnection(TlsConnection):
    """A client's TLS connection; ``name`` goes into the SNI (empty: no SNI)."""

    def __init__(
        self, connections: set[Connection], application: asyncio.Protocol, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(connections, application, context)
        self._name = name

    def _open(self, raw: asyncio.Transport) -> None:
        wire = Wire(raw, self)
        try:
            self._tls = TlsTransport(wire, self, self._context, (), self._name)
        except ValueError:  # Python's ssl refuses this name as SNI
            self._tls = TlsTransport(wire, self, self._context, (), "")
        self._tls.feed(b"")  # the ClientHello


class _SslObject(ssl.SSLObject):
    """An ``SSLObject`` that keeps the SNI of its ClientHello, even if the handshake fails later."""

    sni = ""


def _record_sni(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(connection, _SslObject):
        connection.sni = name or ""


class TlsTransport(asyncio.Transport):
    """Transport of the application protocol: encrypts, decrypts, and sends every alert of OpenSSL."""

    def __init__(
        self,
        wire: Wire,
        connection: TlsConnection,
        context: ssl.SSLContext,
        effects: Sequence[Effect],
        server_name: str | None = None,
    ) -> None:
        """``server_name`` makes this the client's side: the SNI to send, or empty. None: the server's side."""
        super().__init__()
        self.wire = wire
        self._connection = connection
        self._context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context.sslobject_class = _SslObject
        if server_name is None:
            context.sni_callback = _record_sni
        tls = context.wrap_bio(self._incoming, self._outgoing, server_name is None, server_name or None)
        self._ssl = cast("_SslObject", tls)
        self._cipher_id = 0
        self._paused = False
        self._closing = False
        self._effects = effects
        for effect in effects:
            effect.link = self

    def receive(self, data: bytes) -> None:
        """Process bytes from the wire, effects of faults first."""
        for effect in self._effects:
            data = effect.received(data)
        if data:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Decrypt and process bytes that the effects have already seen."""
        if not self._closing:
            self._incoming.write(data)
            self._advance()

    def respond(self, data: bytes) -> None:
        """Send a fault's own response and end the connection."""
        with suppress(ssl.SSLError):
            self._ssl.write(data)
            self._closing = True
            self._ssl.unwrap()
        self._flush()
        self.wire.finish()

    def end(self) -> None:
        """Stop; the connection is closed."""
        self._closing = True
        self.wire.end()
        for effect in self._effects:
            effect.end()

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
                for effect in self._effects:
                    data = effect.request(data)
                if data:
                    self._connection.deliver(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            seen.alert = error.reason or str(error)
            self._flush()  # OpenSSL's alert for the client, if this side found the error
            self._closing = True
            self.wire.close()
        self._flush()

    def _handshake(self, seen: Seen) -> None:
        try:
            self._ssl.do_handshake()
        finally:
            self._flush()
            seen.sni = self._ssl.sni
            self._record_choice(seen)
        seen.handshake = True
        self._connection.start_application(self)

    def _record_choice(self, seen: Seen) -> None:
        if seen.cipher or not self._cipher_id:
            return
        names = (each["name"] for each in self._context.get_ciphers() if each["id"] & 0xFFFF == self._cipher_id)
        seen.cipher = next(names, f"0x{self._cipher_id:04X}")
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
        for effect in self._effects:
            data = effect.sent(data)
        if data:
            self.wire.write(data)

    # -- asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send."""
        view = memoryview(data).cast("B")
        if self._effects:
            response = bytes(view)
            for effect in self._effects:
                response = effect.response(response)
            view = memoryview(response)
        while view and not self._closing:
            view = view[self._ssl.write(view) :]
            self._flush()

    def close(self) -> None:
        """Send close_notify, and close once everything is written."""
        if self._closing:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # raised because the client's close_notify is missing; no need to wait for it
            self._ssl.unwrap()
        self._flush()
        self.wire.close()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        self.wire.abort()

    def is_closing(self) -> bool:
        """Return whether nothing more is written."""
        return self._closing or self.wire.raw.is_closing()

    def pause_reading(self) -> None:
        """Stop reading from the client until ``resume_reading``."""
        if not self._paused:
            self._paused = True
            self.wire.raw.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        if self._paused and not self.is_closing():
            self._paused = False
            self.wire.raw.resume_reading()
            asyncio.get_running_loop().call_soon(self.feed, b"")  # process what is already received or decrypted

    def is_reading(self) -> bool:
        """Return whether bytes are read from the client."""
        return not self._paused and not self.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the TCP transport."""
        self.wire.raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that are not yet in the kernel."""
        return self.wire.unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits of the TCP transport."""
        return self.wire.raw.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        """Return False: TLS has no half-close here."""
        return False

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the connection, which reads."""
        return self._connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about TLS, or else about the TCP transport."""
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
                return self.wire.raw.get_extra_info(name, default)


def _chosen_cipher(flight: bytes) -> int:
    """Return the cipher suite in a server's first flight; 0 if it is not a ServerHello.

    RFC 5246 6.2.1 and 7.4.1.3: record type, version, length; handshake type, length; version, random, session
    id, cipher suite. ``SSLObject.cipher()`` returns None until the end of a TLS 1.2 handshake.
    """
    if len(flight) < 46 or flight[0] != 22 or flight[5] != 2:
        return 0
    after_session_id = 44 + flight[43]
    return int.from_bytes(flight[after_session_id : after_session_id + 2], "big")
