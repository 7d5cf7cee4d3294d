"""One connection of a mock: TLS over TCP, what was seen of it, and the faults that it meets.

TLS runs here on ``ssl.MemoryBIO``, not in asyncio's own TLS transport, for three reasons. A mock must tell how
a handshake ended (the alert that a client sent is the point of many a test), and must itself send the alert
that a real server sends: asyncio drops it and just closes (https://github.com/python/cpython/issues/98078).
And asyncio and uvloop lose what is not read yet when a server closes while its client has paused reading.
What speaks above TLS (aiohttp's server protocol, a relay) gets this module's transport in place of asyncio's.
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
KEPT: Final = 10_000
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
    requests: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Method and path with query, in order: ``GET /cucm-uds/version``."""
    http_bytes: int = 0
    """Bytes of HTTP received: 0 means that nothing of a request left the client."""
    faults: tuple[str, ...] = ()
    """The faults that it met, by their names."""


class Connection(asyncio.Protocol):
    """A plain connection: hands everything to the protocol above (``above``) and counts."""

    def __init__(self, connections: set[Connection], above: asyncio.Protocol) -> None:
        self.seen = Seen()
        self._connections = connections
        self._above = above
        self._raw: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = loop.create_future()
        self.settled: asyncio.Future[None] = loop.create_future()
        """Done once HTTP may begin, or never will."""
        self._begun = False

    def abort(self) -> asyncio.Future[None]:
        """Cut the connection; the future is done once nothing of it is left."""
        if self._raw is not None:
            self._raw.abort()
        return self._gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is here."""
        self._raw = cast("asyncio.Transport", transport)
        self._connections.add(self)
        if peer := transport.get_extra_info("peername"):
            self.seen.peer = f"{peer[0]}:{peer[1]}"
        self._open(self._raw)

    def _open(self, raw: asyncio.Transport) -> None:
        self.begin(raw)

    def begin(self, transport: asyncio.Transport) -> None:
        """HTTP may begin, over this transport."""
        self._begun = True
        self.settled.set_result(None)
        self._above.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.deliver(data)

    def deliver(self, data: bytes) -> None:
        """Hand bytes of HTTP over."""
        self.seen.http_bytes += len(data)
        self._above.data_received(data)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        if self._begun:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._begun:
            self._above.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._connections.discard(self)
        self._above.connection_lost(exc)
        for future in (self.settled, self._gone):
            if not future.done():
                future.set_result(None)


class TlsConnection(Connection):
    """A server's connection that is TLS: the protocol above is told of it once the handshake is done."""

    def __init__(
        self,
        connections: set[Connection],
        above: asyncio.Protocol,
        context: ssl.SSLContext,
        faults: Sequence[Callable[[], Effect]] = (),
    ) -> None:
        super().__init__(connections, above)
        self._context = context
        self._faults = faults
        self._tls: TlsTransport | None = None

    def _open(self, raw: asyncio.Transport) -> None:
        effects = [make() for make in self._faults]
        self._tls = TlsTransport(Wire(raw, self), self, self._context, effects)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._tls is not None:
            self._tls.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._tls is not None:
            self._tls.end()
        self._tls = None
        super().connection_lost(exc)


class TlsClientConnection(TlsConnection):
    """A client's connection that is TLS, to a server that it asks for by ``name`` (empty: without SNI)."""

    def __init__(
        self, connections: set[Connection], above: asyncio.Protocol, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(connections, above, context)
        self._name = name

    def _open(self, raw: asyncio.Transport) -> None:
        wire = Wire(raw, self)
        try:
            self._tls = TlsTransport(wire, self, self._context, (), self._name)
        except ValueError:  # no name that Python's ssl would ask for
            self._tls = TlsTransport(wire, self, self._context, (), "")
        self._tls.feed(b"")  # the ClientHello


class _SslObject(ssl.SSLObject):
    """Remembers the name of its ClientHello, also when the handshake fails later."""

    sni = ""


def _note_sni(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(connection, _SslObject):
        connection.sni = name or ""


class TlsTransport(asyncio.Transport):
    """What the protocol above writes to: encrypts, decrypts, and sends every alert there is to send."""

    def __init__(
        self,
        wire: Wire,
        connection: TlsConnection,
        context: ssl.SSLContext,
        effects: Sequence[Effect],
        ask_for: str | None = None,
    ) -> None:
        """``ask_for``: the name of the server that this is the client of; None: this is the server."""
        super().__init__()
        self.wire = wire
        self._connection = connection
        self._context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context.sslobject_class = _SslObject
        if ask_for is None:
            context.sni_callback = _note_sni
        tls = context.wrap_bio(self._incoming, self._outgoing, ask_for is None, ask_for or None)
        self._ssl = cast("_SslObject", tls)
        self._cipher_id = 0
        self._paused = False
        self._closing = False
        self._effects = effects
        for effect in effects:
            effect.link = self

    def receive(self, data: bytes) -> None:
        """Take bytes from the wire."""
        for effect in self._effects:
            data = effect.received(data)
        if data:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take bytes past the faults."""
        if not self._closing:
            self._incoming.write(data)
            self._advance()

    def respond(self, data: bytes) -> None:
        """Send an answer of a fault's own and end the connection."""
        with suppress(ssl.SSLError):
            self._ssl.write(data)
            self._closing = True
            self._ssl.unwrap()
        self._flush()
        self.wire.finish()

    def end(self) -> None:
        """The connection is gone."""
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
            self._flush()  # the alert that OpenSSL has for the client, if the fault was seen here
            self._closing = True
            self.wire.close()
        self._flush()

    def _handshake(self, seen: Seen) -> None:
        try:
            self._ssl.do_handshake()
        finally:
            self._flush()
            seen.sni = self._ssl.sni
            self._note_choice(seen)
        seen.handshake = True
        self._connection.begin(self)

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
        for effect in self._effects:
            data = effect.sent(data)
        if data:
            self.wire.write(data)

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send."""
        view = memoryview(data).cast("B")
        if self._effects:
            left = bytes(view)
            for effect in self._effects:
                left = effect.response(left)
            view = memoryview(left)
        while view and not self._closing:
            view = view[self._ssl.write(view) :]
            self._flush()

    def close(self) -> None:
        """Send close_notify and close once all is written."""
        if self._closing:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # it wants the client's close_notify too, which nobody waits for
            self._ssl.unwrap()
        self._flush()
        self.wire.close()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        self.wire.abort()

    def is_closing(self) -> bool:
        """Nothing is written any more."""
        return self._closing or self.wire.raw.is_closing()

    def pause_reading(self) -> None:
        """Take no more from the client for now."""
        if not self._paused:
            self._paused = True
            self.wire.raw.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self._paused and not self.is_closing():
            self._paused = False
            self.wire.raw.resume_reading()
            asyncio.get_running_loop().call_soon(self.feed, b"")  # what was decrypted or received before

    def is_reading(self) -> bool:
        """Bytes are taken from the client."""
        return not self._paused and not self.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the TCP transport's limits."""
        self.wire.raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes that are not yet in the kernel."""
        return self.wire.waiting

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The TCP transport's limits."""
        return self.wire.raw.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        """TLS has no half-close here."""
        return False

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The connection that reads."""
        return self._connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What TLS knows, or else the TCP transport."""
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
    """The cipher suite in a server's first flight; 0 if it is no ServerHello.

    RFC 5246 6.2.1 and 7.4.1.3: record type, version, length; handshake type, length; version, random, session
    id, cipher suite. ``SSLObject.cipher()`` does not tell it before the end of a TLS 1.2 handshake.
    """
    if len(flight) < 46 or flight[0] != 22 or flight[5] != 2:
        return 0
    after_session_id = 44 + flight[43]
    return int.from_bytes(flight[after_session_id : after_session_id + 2], "big")
