"""One connection to a server: TCP, its TLS, and HTTP/1.1 on it, one exchange at a time.

A new connection is usable once it is ``ready``, which is after the server was verified. Each kind of failure is a class
of ``failures``.
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
from ..tcp import fin_received
from ..tls.openssl import TlsError
from ..tls.verification import TlsClient
from .consumer import Consumer
from .deadlines import Deadlines
from .failures import ConnectError, HandshakeError, ResponseError
from .stats import Stats
from .steps import Steps, waitable

_MAX_PENDING: Final = 131072  # bytes of a body held until the response head is written to the client
MOST_CHUNKS: Final = 4096
"""Chunks in the bytes of one read after which reading continues in the next turn of the event loop.

libuv reads up to 32 times 256 KB from one socket before it serves others: with one-byte chunks, a second's work.
"""


class ServerConnection(asyncio.Protocol):
    """One connection to a server. One exchange at a time: ``begin``, ``send``, ``response``, ``relay``.

    One coroutine (``waiter``) waits for changes. It resumes at the end of the callback that made the change.
    """

    __slots__ = (
        "_error",
        "_on_informational",
        "_pending",
        "_reader",
        "_ready",
        "_resting",
        "_silence",
        "_sink",
        "_stats",
        "_transport",
        "_wake_due",
        "active",
        "closed",
        "consumer",
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
        self._wake_due = False
        self._reader = ResponseReader(header_bytes)
        self._pending = bytearray()
        self._sink: Callable[[bytes], None] | None = None
        self._on_informational: Callable[[ResponseHead], None] | None = None
        self._resting = False
        self.tls = tls
        self.active = False
        """There is an exchange: it has begun and has not ended."""
        self.consumer: Consumer | None = None
        """Serves the request, unless a coroutine does."""
        self.waiter: Steps | None = None
        self.dialling: Steps | None = None
        """Makes the TCP connection; None once it is made."""
        self.key: tuple[object, ...] = ()
        """Requests with the same key may reuse the connection."""
        self.closed = False
        self.paused = False
        self.reading_paused = False
        self.reused = False
        self.uploading = False
        """The request's body is incomplete: the proxy waits for the client, so the server has no time limit."""
        self.on_writable: Callable[[bool], None] | None = None
        """Called with True when more may be sent, with False when the sender should wait."""
        self.on_close: Callable[[ServerConnection], None] | None = None

    @property
    def ending(self) -> bool:
        """Whether the connection is closed or closing, so that it cannot serve another exchange."""
        if self.closed or self._transport is None or self._transport.is_closing():
            return True
        return self.tls is not None and self.tls.endpoint.closed

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
        """Wait until the connection is verified. Raises ``ServerError``; any other exception is a bug in mralab."""
        while not self._ready:
            if self._error is not None:
                raise self._take(self._error)
            await waitable(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start TLS; without TLS, the connection is ready."""
        if self.closed:  # aborted while the connection was being made
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
        except TlsError as error:  # nothing to offer: no cipher fits the TLS versions
            self._tls_failed(self.tls, error)
            self._wake()

    def _take(self, error: Exception) -> Exception:
        """Return the failure to raise, and forget it.

        Its traceback will refer to this connection. If the connection referred to it as well, both would wait for the
        garbage collector, which then costs a refused handshake a tenth of its time.
        """
        self._error = None
        return error

    def failed(self, error: Exception) -> None:
        """Record a failure and resume the waiter, which raises it."""
        self._fail(error)
        del error  # its traceback will refer to this frame (since Python 3.12)
        self._wake()

    def _wake(self) -> None:
        """Resume the waiter. Call this last: the waiter may begin another exchange."""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            waiter.resume()
        elif self._ready and self.consumer is not None:
            self.consumer.ready()

    def data_received(self, data: bytes) -> None:
        """Process bytes from the server."""
        self._stats.server_bytes_in += len(data)
        self._wake_due = False
        tls = self.tls
        if tls is None:
            self._read(data)
        elif tls.established:
            try:
                data = tls.endpoint.receive(data)
            except TlsError as error:
                self._tls_failed(tls, error)
            else:
                consumer = self.consumer
                if consumer is not None and data and not tls.endpoint.closed:  # ``_read``, without its call
                    self.consumer = None
                    if consumer.receive(data):
                        return
                self._decrypted(tls, data)
        else:
            self._shake_hands(tls, data)
            if self._wake_due:
                self._wake()
            return
        if self._wake_due:
            self._wake()
        if self.active:  # most exchanges are over by now and need no new limit
            self._silence.begin(self)

    def _shake_hands(self, tls: TlsClient, data: bytes) -> None:
        try:
            data = tls.receive(data)
        except TlsError as error:
            self._tls_failed(tls, error)
            return
        self._answer(tls)
        if tls.established:
            self._ready = self._wake_due = True
        if data:
            self._read(data)
        if tls.endpoint.closed:
            self.close()

    def _decrypted(self, tls: TlsClient, data: bytes) -> None:
        if data:
            self._read(data)
        else:  # a message such as a key update
            self._answer(tls)
        if tls.endpoint.closed:
            self.close()

    def _answer(self, tls: TlsClient) -> None:
        """Send what OpenSSL has to send by itself."""
        outgoing = tls.endpoint.take()
        if outgoing and self._transport is not None:
            self._transport.write(outgoing)

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
        """Return the failure of an exchange that was ended by TLS.

        In TLS 1.3 the server verifies our certificate after our side of the handshake is complete: an alert before the
        first byte of a response is its refusal.
        """
        hangup = ResponseError("hangup", error.reason)
        if not self._response_began() and tls.version == "1.3" and alert_number(error.reason) is not None:
            hangup.tls = error
        return hangup

    def _response_began(self) -> bool:
        """Return whether the server has sent a response on this connection, or the first byte of one."""
        return self.reused or self._reader.began

    # -- one exchange

    def _hand_over(self) -> None:
        """Let a coroutine wait for what comes next."""
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            consumer.hand_over()

    def begin(self, method: bytes, on_informational: Callable[[ResponseHead], None] | None) -> None:
        """Begin an exchange for a request with this method. Send the request next."""
        self._reader.begin(method)
        self._on_informational = on_informational
        self._sink = None
        self._pending.clear()
        self._error = None
        self.active = True

    def send(self, data: bytes) -> None:
        """Send plaintext. Do nothing if the server has ended the connection."""
        if self.active:
            self._silence.begin(self)
        transport, tls = self._transport, self.tls
        if transport is None or self.closed:
            return
        if tls is not None:
            endpoint = tls.endpoint
            if endpoint.closed:
                return
            try:
                data = endpoint.send(data)
            except TlsError as error:
                self._tls_failed(tls, error)
                self.abort()  # connection_lost then resumes the waiter
                return
        self._stats.server_bytes_out += len(data)
        transport.write(data)

    async def response(self) -> Reply:
        """Wait for the final response's head and return it. Raises ``ResponseError``."""
        reader = self._reader
        while reader.reply is None:
            if self._error is not None:
                raise self._take(self._error)
            await waitable(self)
        return reader.reply

    def relay(self, sink: Callable[[bytes], None]) -> None:
        """Pass the body to ``sink``: first the bytes already received, then further bytes as they are received."""
        self._sink = sink
        self.resume_reading()  # a full buffer before the head was passed on may have paused it
        if self._pending:
            pending = bytes(self._pending)
            self._pending.clear()
            sink(pending)
        if self.closed and not self.complete:
            self._body_ended(None)

    async def relayed(self) -> Fields:
        """Wait for the end of the body and return its trailers. Raises ``ResponseError``."""
        while not self.complete:
            if self._error is not None:
                raise self._take(self._error)
            await waitable(self)
        return self.end()

    def _read(self, data: bytes) -> None:
        if not self.active:
            self.abort()  # bytes without a request: the connection must not be reused
            return
        consumer = self.consumer
        if consumer is not None:
            self.consumer = None
            if consumer.receive(data):
                return
        reader = self._reader
        waiting_for_head = reader.reply is None
        try:
            body = reader.receive(data)
        except Malformed as error:
            self._wake_due = True
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
            self._wake_due = True

    def end(self) -> Fields:
        """End an exchange whose body is complete, and return its trailers."""
        self.active = False
        self._sink = None
        self.resume_reading()  # a slow client may have paused it, which must not affect the next exchange
        return self._reader.trailers

    def silent_too_long(self) -> None:
        """Fail the exchange: the server has sent nothing for the response timeout."""
        if not self.active:
            return
        if self.reading_paused or self.uploading:
            self._silence.begin(self)  # the client is slow, not the server
            return
        self.abort()
        self.failed(ResponseError("response-timeout", "no response in time"))

    def _fail(self, error: Exception) -> None:
        """Record a failure. The first one is kept."""
        self._hand_over()
        self._wake_due = True
        if self._error is None:
            self._error = error

    # -- flow control and closing

    def _rest(self) -> None:
        """Read nothing more from the server in this turn of the event loop, so that other connections get theirs."""
        if not self.reading_paused and self._transport is not None and not self._transport.is_closing():
            self.pause_reading()
            self._resting = True
            asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        if self._resting:  # unless a slow client has paused it meanwhile
            self.resume_reading()

    def pause_reading(self) -> None:
        """Stop reading from the server for now."""
        self._resting = False
        if not self.reading_paused and self._transport is not None and not self.closed:
            self.reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the server again."""
        self._resting = False
        if self.reading_paused and self._transport is not None and not self.closed:
            self.reading_paused = False
            self._silence.begin(self)
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Pause the sender: the transport's buffer is full."""
        self.paused = True
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """Resume the sender: the transport's buffer has room again."""
        self.paused = False
        if self.active:
            self._silence.begin(self)
        if self.on_writable is not None:
            self.on_writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Record how the connection ended, free its memory and resume the waiter."""
        if self._transport is None:
            return
        self.closed = True
        self._hand_over()
        self._stats.servers_open -= 1
        self._silence.end(self)
        if not self._ready:
            self._fail(ConnectError(exc if isinstance(exc, OSError) else None))
        elif self.active:
            if exc is not None and self.tls is not None and not self._response_began():
                self._read_last_alert(self.tls, self._transport)
            self._body_ended(exc)
        if self.tls is not None:
            self.tls.free()
        if self.on_close is not None:
            self.on_close(self)
        self._wake()

    def _read_last_alert(self, tls: TlsClient, transport: asyncio.Transport) -> None:
        """Read the alert of a server that refused our certificate and closed the connection during our upload.

        A transport whose write fails stops reading, although the alert has arrived. Its socket is open until the end
        of ``connection_lost``.
        """
        try:
            while data := os.read(transport.get_extra_info("socket").fileno(), _MAX_PENDING):
                tls.receive(data)
        except OSError:  # no alert
            return
        except TlsError as error:
            self._fail(self._hangup(tls, error))

    def _body_ended(self, exc: Exception | None) -> None:
        """Complete or fail the body: only a clean end of the connection completes it (RFC 9112 section 9.8)."""
        clean = exc is None and (self.tls is None or self.tls.endpoint.closed)
        unread = not self._reader.began
        if not self._reader.receive_eof(clean=clean):
            self._fail(ResponseError("hangup", "the server closed the connection", unread=unread))

    def close(self) -> None:
        """Close the connection cleanly: close_notify, then FIN.

        A server that has ended its side too would answer close_notify with a reset. It gets none from Traffic Server
        either (SSLNetVConnection.cc, do_io_close).
        """
        transport, tls = self._transport, self.tls
        if transport is not None and not transport.is_closing():
            if tls is not None and tls.established and not (tls.endpoint.closed and fin_received(transport)):
                transport.write(tls.close())
            transport.close()

    def abort(self) -> None:
        """End the connection now."""
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
