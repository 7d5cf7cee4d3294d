"""One connection to a server: TCP, its TLS, and HTTP/1.1 on it, one exchange at a time.

It is usable only after ``Pool.connect`` has returned it, which is after the server was verified. Every way it can
fail is one of the classes of ``failures``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final, cast

from ..core.http.framing import Fields, Malformed, ResponseHead
from ..core.http.response_head import Reply
from ..core.http.response_reader import ResponseReader
from ..core.tls.tlserror import alert_number
from ..tls.openssl import TlsError
from ..tls.verification import TlsClient
from .deadlines import Deadlines
from .failures import ConnectError, HandshakeError, ResponseError
from .stats import Stats
from .steps import Steps, waitable

_MAX_PENDING: Final = 131072  # bytes of a body that wait for the client's head to be written
MOST_CHUNKS: Final = 4096
"""Chunks in bytes read at once, after which reading goes on in the loop's next turn.

libuv reads up to 32 times 256 KB from one socket before it looks at others: of one-byte chunks, a second's work.
"""


class ServerConnection(asyncio.Protocol):
    """One connection to a server. One exchange at a time: ``send`` .. ``response`` .. ``relay``.

    One coroutine waits for what comes (``waiter``): it goes on at the end of the call that brought it.
    """

    __slots__ = (
        "_active",
        "_error",
        "_news",
        "_on_informational",
        "_pending",
        "_reader",
        "_ready",
        "_resting",
        "_silence",
        "_sink",
        "_stats",
        "_transport",
        "closed",
        "dialling",
        "key",
        "on_close",
        "on_writable",
        "paused",
        "reading_paused",
        "reused",
        "tls",
        "uploading",
        "waiter",
    )

    def __init__(
        self,
        tls: TlsClient | None,
        silence: Deadlines[ServerConnection],
        header_bytes: int,
        stats: Stats,
    ) -> None:
        self._silence = silence
        self._stats = stats
        self._transport: asyncio.Transport | None = None
        self._ready = False
        self._error: Exception | None = None
        self._news = False
        self._reader = ResponseReader(header_bytes)
        self._pending = bytearray()
        self._sink: Callable[[bytes], None] | None = None
        self._on_informational: Callable[[ResponseHead], None] | None = None
        self._resting = False
        self._active = False
        self.tls = tls
        self.waiter: Steps | None = None
        self.dialling: Steps | None = None
        """What makes the TCP connection, until it stands."""
        self.key: tuple[object, ...] = ()
        """What another request must share to be served by it."""
        self.closed = False
        self.paused = False
        self.reading_paused = False
        self.reused = False
        self.uploading = False
        """The request's body is not all here: until it is, it is the client whom everybody waits for."""
        self.on_writable: Callable[[bool], None] | None = None
        """Told True when more may be sent, False when it should wait."""
        self.on_close: Callable[[ServerConnection], None] | None = None

    @property
    def ending(self) -> bool:
        """Closed, or about to be: no longer good for another exchange."""
        if self.closed or self._transport is None or self._transport.is_closing():
            return True
        return self.tls is not None and self.tls.closed

    @property
    def complete(self) -> bool:
        """Whether the whole response was received."""
        return self._reader.complete

    @property
    def reusable(self) -> bool:
        """Whether the server keeps the connection open, as far as it has said and sent."""
        return self._reader.reusable

    # -- connecting

    async def ready(self) -> None:
        """Wait for the verified connection. Raises what it failed with: ``ServerError``, but for our own mistakes."""
        while not self._ready:
            if self._error is not None:
                raise self._error
            await waitable(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP stands: start TLS, or be ready."""
        if self.closed:  # given up in this very moment
            cast("asyncio.Transport", transport).abort()
            return
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but inheritance
        self._stats.server_connections += 1
        self._stats.servers_open += 1
        self.dialling = None
        if self.tls is None:
            self._ready = True
            self._wake()
            return
        try:
            self._transport.write(self.tls.start())
        except TlsError as error:  # there is nothing to offer: no cipher of these versions
            self._tls_failed(self.tls, error)
            self._wake()

    def failed(self, error: Exception) -> None:
        """It is not to be had: whoever waits learns it."""
        self._fail(error)
        self._wake()

    def _wake(self) -> None:
        """The last thing that a call does: the waiter may begin another exchange."""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            waiter.resume()

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        self._stats.server_bytes_in += len(data)
        self._news = False
        if self.tls is None:
            self._read(data)
        else:
            self._decrypt(self.tls, data)
        if self._news:
            self._wake()
        if self._active:  # what is over by now, as most are, needs no new limit
            self._silence.begin(self)

    def _decrypt(self, tls: TlsClient, data: bytes) -> None:
        established = tls.established
        try:
            data = tls.receive(data)
        except TlsError as error:
            self._tls_failed(tls, error)
            return
        if not established or not data:  # the handshake's next step, or another handshake's
            outgoing = tls.outgoing()
            if outgoing and self._transport is not None:
                self._transport.write(outgoing)
            if tls.established:
                self._ready = self._news = True
        if data:
            self._read(data)
        if tls.closed and self._transport is not None:
            self._transport.close()

    def _tls_failed(self, tls: TlsClient, error: TlsError) -> None:
        if self._transport is not None:
            self._transport.write(tls.alert())
            self._transport.close()
        if not self._ready:
            # No error in OpenSSL's queue: the server closed the connection, which is not logged.
            self._fail(
                HandshakeError(error, tls.verdict) if error.printed or tls.verdict.faults else ConnectError(None)
            )
            return
        self._fail(self._hangup(tls, error))

    def _hangup(self, tls: TlsClient, error: TlsError) -> ResponseError:
        """Make the failure of an exchange that TLS has ended.

        In TLS 1.3 the server verifies our certificate when the handshake is over for us: an alert before any byte of a
        response is its refusal.
        """
        hangup = ResponseError("hangup", error.reason)
        if not self._response_began() and tls.version == "1.3" and alert_number(error.reason) is not None:
            hangup.tls = error
        return hangup

    def _response_began(self) -> bool:
        """Whether the server has answered on this connection, be it an earlier request or a byte of a head."""
        return self.reused or self._reader.began

    # -- one exchange

    def begin(self, method: bytes, on_informational: Callable[[ResponseHead], None] | None) -> None:
        """A new exchange: what comes from the server from here on answers ``method``. The request is to be sent now."""
        self._reader.begin(method)
        self._on_informational = on_informational
        self._sink = None
        self._pending.clear()
        self._error = None
        self._active = True

    def send(self, data: bytes) -> None:
        """Send plaintext; to a server that has ended the connection, nothing."""
        if self._active:
            self._silence.begin(self)
        if self._transport is None or self.closed or (self.tls is not None and self.tls.closed):
            return
        if self.tls is not None:
            try:
                data = self.tls.send(data)
            except TlsError as error:
                self._tls_failed(self.tls, error)
                self.abort()  # whoever waits learns it from the connection's end
                return
        self._stats.server_bytes_out += len(data)
        self._transport.write(data)

    async def response(self) -> Reply:
        """The final response's head. Raises ``ResponseError``."""
        reader = self._reader
        while reader.reply is None:
            if self._error is not None:
                raise self._error
            await waitable(self)
        return reader.reply

    def relay(self, sink: Callable[[bytes], None]) -> None:
        """Hand the body's bytes to ``sink``: at once what is here, from then on what comes."""
        self._sink = sink
        self.resume_reading()  # it may have been paused while the head was not yet passed on
        if self._pending:
            pending = bytes(self._pending)
            self._pending.clear()
            sink(pending)
        if self.closed and not self.complete:
            self._body_ended(None)

    async def relayed(self) -> Fields:
        """Wait for the body's end, give its trailers. Raises ``ResponseError``."""
        while not self.complete:
            if self._error is not None:
                raise self._error
            await waitable(self)
        return self.end()

    def _read(self, data: bytes) -> None:
        if not self._active:
            self.abort()  # a server that sends something without a request is never used again
            return
        reader = self._reader
        waiting_for_head = reader.reply is None
        try:
            body = reader.receive(data)
        except Malformed as error:
            self._news = True
            self._fail(ResponseError("bad-response", error.reason))
            self.abort()
            return
        if waiting_for_head:
            for head in reader.take_interim():
                if self._on_informational is not None:
                    self._on_informational(head)
        if body:
            if self._sink is not None:
                self._sink(body)
            else:
                self._pending += body
                if len(self._pending) > _MAX_PENDING:
                    self.pause_reading()
        if reader.chunks > MOST_CHUNKS:
            self._rest()
        if reader.complete or (waiting_for_head and reader.reply is not None):
            self._news = True

    def end(self) -> Fields:
        """End the exchange, whose response is complete; return its trailers."""
        self._active = False
        self._sink = None
        self.resume_reading()  # a client that is slow to the end must not slow the next one
        return self._reader.trailers

    def silent_too_long(self) -> None:
        """The response timeout is over: for the first byte, or since the last one."""
        if not self._active:
            return
        if self.reading_paused or self.uploading:
            self._silence.begin(self)  # it is the client that is slow
            return
        self.abort()
        self.failed(ResponseError("response-timeout", "no response in time"))

    def _fail(self, error: Exception) -> None:
        """Note the first of the faults that ended it."""
        self._news = True
        if self._error is None:
            self._error = error

    # -- flow and ends

    def _rest(self) -> None:
        """Take nothing more from the server in this turn of the loop: others' turn first."""
        if not self.reading_paused and self._transport is not None and not self._transport.is_closing():
            self.pause_reading()
            self._resting = True
            asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        if self._resting:  # and the client has not become slow meanwhile
            self.resume_reading()

    def pause_reading(self) -> None:
        """Take nothing more from the server for now."""
        self._resting = False
        if not self.reading_paused and self._transport is not None and not self.closed:
            self.reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking."""
        self._resting = False
        if self.reading_paused and self._transport is not None and not self.closed:
            self.reading_paused = False
            self._silence.begin(self)
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.paused = True
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self.paused = False
        if self._active:
            self._silence.begin(self)
        if self.on_writable is not None:
            self.on_writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: whoever waits for something learns it."""
        if self._transport is None:
            return
        self.closed = True
        self._stats.servers_open -= 1
        self._silence.end(self)
        if not self._ready:
            self._fail(ConnectError(exc if isinstance(exc, OSError) else None))
        elif self._active:
            if exc is not None and self.tls is not None and not self._response_began():
                self._read_last_alert(self.tls, self._transport)
            self._body_ended(exc)
        if self.tls is not None:
            self.tls.free()
        if self.on_close is not None:
            self.on_close(self)
        self._wake()

    def _read_last_alert(self, tls: TlsClient, transport: asyncio.Transport) -> None:
        """Read the alert of a server that has refused our certificate and closed while we were still sending.

        A transport whose write fails reads no more, though the alert is there. Its socket is open until the end of
        ``connection_lost``.
        """
        try:
            while data := os.read(transport.get_extra_info("socket").fileno(), _MAX_PENDING):
                tls.receive(data)
        except OSError:  # nothing there
            return
        except TlsError as error:
            self._fail(self._hangup(tls, error))

    def _body_ended(self, exc: Exception | None) -> None:
        """A body that ends with the connection is whole only after a clean end (RFC 9112 section 9.8)."""
        clean = exc is None and (self.tls is None or self.tls.closed)
        unread = not self._reader.began
        if not self._reader.receive_eof(clean=clean):
            self._fail(ResponseError("hangup", "the server closed the connection", unread=unread))

    def close(self) -> None:
        """End it in good order: close_notify, then FIN."""
        if self._transport is not None and not self._transport.is_closing():
            if self.tls is not None and self.tls.established:
                self._transport.write(self.tls.close())
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self.closed:
            return
        if self._transport is not None:
            self._transport.abort()
            return
        self.closed = True
        if self.dialling is not None:
            self.dialling.interrupt(asyncio.CancelledError())
        if self.tls is not None:
            self.tls.free()
