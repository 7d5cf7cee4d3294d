"""One connection to a server: TCP, its TLS, and HTTP/1.1 on it, one exchange at a time.

It is usable only after ``Upstream.connect`` has returned it, which is after the server was verified. Every way it can
fail is one of the ``ServerError`` classes, each with the answer that a client gets for it and whether the request may
be tried again (Traffic Server 8.1.11, HttpTransact.cc:3487-3591 and is_request_retryable).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from ..core.answers import ANSWERS, Answer, connection_error
from ..core.framing import Body, Fields, Malformed, ResponseHead, body_reader
from ..core.reply import Reply, read_reply
from .deadlines import Deadlines
from .openssl import TlsError
from .stats import Stats
from .tls import TlsClient

if TYPE_CHECKING:
    from ..core.verdict import Verdict

_MAX_PENDING: Final = 131072  # bytes of a body that wait for the client's head to be written
_MAX_INFORMATIONAL: Final = 16


class ServerError(Exception):
    """A server that could not be used: the answer for it, and whether anything of the request may have arrived."""

    sent = False
    refused = False
    """It was verification that ended it."""

    def __init__(self, answer: Answer, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer


class ConnectError(ServerError):
    """No TCP connection, or one that ended or broke during the TLS handshake."""

    def __init__(self, error: OSError | None) -> None:
        super().__init__(connection_error(error), str(error or "closed during the handshake"))


class ConnectTimeoutError(ServerError):
    """TCP and TLS together took longer than ``connect_timeout``."""

    def __init__(self) -> None:
        super().__init__(ANSWERS["connect-timeout"], "connect timeout")


class HandshakeError(ServerError):
    """OpenSSL ended the handshake: ``reason`` is its text, ``verdict`` what verification had found."""

    def __init__(self, reason: str, verdict: Verdict) -> None:
        super().__init__(ANSWERS["connect-failed"], reason)
        self.reason = reason
        self.verdict = verdict
        self.refused = verdict.refused


class ResponseError(ServerError):
    """The server got (some of) the request and did not answer it: hangup, rubbish or silence."""

    sent = True

    def __init__(self, answer: str, reason: str, *, unread: bool = False) -> None:
        super().__init__(ANSWERS[answer], reason)
        self.unread = unread
        """The connection ended before a byte of a response came: a kept one may have been closed all along."""


class ServerConnection(asyncio.Protocol):
    """One connection to a server. One exchange at a time: ``send`` .. ``response`` .. ``relay``."""

    __slots__ = (
        "_active",
        "_buffer",
        "_checked",
        "_finished",
        "_head",
        "_header_bytes",
        "_informational",
        "_loop",
        "_method",
        "_on_informational",
        "_pending",
        "_reader",
        "_ready",
        "_silence",
        "_sink",
        "_stats",
        "_transport",
        "closed",
        "on_idle_close",
        "on_writable",
        "paused",
        "reading_paused",
        "reusable",
        "reused",
        "tls",
        "uploading",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tls: TlsClient | None,
        silence: Deadlines[ServerConnection],
        header_bytes: int,
        stats: Stats,
    ) -> None:
        self._loop = loop
        self._silence = silence
        self._header_bytes = header_bytes
        self._stats = stats
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[None] = loop.create_future()
        self._head: asyncio.Future[Reply] | None = None
        self._finished: asyncio.Future[None] | None = None
        self._buffer = bytearray()
        self._checked = 0
        self._pending = b""
        self._reader: Body | None = None
        self._sink: Callable[[bytes], None] | None = None
        self._method = b""
        self._on_informational: Callable[[ResponseHead], None] | None = None
        self._informational = 0
        self._active = False
        self.tls = tls
        self.closed = False
        self.paused = False
        self.reading_paused = False
        self.reusable = False
        self.reused = False
        self.uploading = False
        """The request's body is not all here: until it is, it is the client whom everybody waits for."""
        self.on_writable: Callable[[bool], None] | None = None
        """Told True when more may be sent, False when it should wait."""
        self.on_idle_close: Callable[[ServerConnection], None] | None = None

    @property
    def expires(self) -> float:
        """When the first of the certificates it was verified with expires, in seconds since the epoch."""
        return math.inf if self.tls is None else self.tls.expires

    @property
    def ending(self) -> bool:
        """Closed, or about to be: no longer good for another exchange."""
        if self.closed or self._transport is None or self._transport.is_closing():
            return True
        return self.tls is not None and self.tls.closed

    # -- connecting

    async def ready(self) -> None:
        """Wait for the verified connection. Raises ``ConnectError`` or ``HandshakeError``."""
        await self._ready

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP stands: start TLS, or be ready."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but inheritance
        self._stats.server_connections += 1
        self._stats.servers_open += 1
        if self.tls is None:
            self._ready.set_result(None)
        else:
            self._transport.write(self.tls.start())

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        self._stats.server_bytes_in += len(data)
        tls = self.tls
        if tls is None:
            self._read(data)
            return
        established = tls.established
        try:
            data = tls.receive(data)
        except TlsError as error:
            self._tls_failed(tls, error)
            return
        if not established or not data:  # the handshake's next step, or the answer to a KeyUpdate
            outgoing = tls.outgoing()
            if outgoing and self._transport is not None:
                self._transport.write(outgoing)
            if tls.established and not self._ready.done():
                self._ready.set_result(None)
        if data:
            self._read(data)
        if tls.closed and self._transport is not None:
            self._transport.close()

    def _tls_failed(self, tls: TlsClient, error: TlsError) -> None:
        if self._transport is not None:
            self._transport.write(tls.alert())
            self._transport.close()
        if not self._ready.done():
            self._ready.set_exception(HandshakeError(error.reason, tls.verdict))
            self._ready.exception()  # told: a client that is gone meanwhile does not ask any more
        self._fail(ResponseError("hangup", error.reason))

    # -- one exchange

    def begin(self, method: bytes, on_informational: Callable[[ResponseHead], None] | None) -> None:
        """A new exchange: what comes from the server from here on answers ``method``."""
        self._method = method
        self._on_informational = on_informational
        self._informational = 0
        self._reader = None
        self._sink = None
        self._pending = b""
        self.reusable = False
        self._active = True
        self._head = self._loop.create_future()
        self._finished = None
        self._silence.begin(self)

    def send(self, data: bytes) -> None:
        """Send plaintext; to a server that has ended the connection, nothing."""
        if self._transport is None or self.closed or (self.tls is not None and self.tls.closed):
            return
        if self._active:
            self._silence.begin(self)
        if self.tls is not None:
            try:
                data = self.tls.send(data)
            except TlsError as error:
                self._tls_failed(self.tls, error)
                return
        self._stats.server_bytes_out += len(data)
        self._transport.write(data)

    async def response(self) -> Reply:
        """The final response's head. Raises ``ResponseError``."""
        assert self._head is not None  # noqa: S101 - begin() came first
        return await self._head

    def relay(self, sink: Callable[[bytes], None]) -> None:
        """Hand the body's bytes to ``sink``: at once what is here, from then on what comes."""
        assert self._reader is not None  # noqa: S101 - response() came first
        self._sink = sink
        self.resume_reading()  # what came before the head was passed on may have been enough for then
        pending, self._pending = self._pending, b""
        if not self._reader.done:
            self._finished = self._loop.create_future()
            if pending:
                self._feed(pending)
            if self.closed and not self._finished.done():
                self._body_ended(None)

    @property
    def complete(self) -> bool:
        """The response's body is all here."""
        return self._finished is None or self._finished.done()

    async def relayed(self) -> Fields:
        """Wait for the body's end, give its trailers. Raises ``ResponseError``."""
        reader = self._reader
        assert reader is not None  # noqa: S101 - relay() came first
        if self._finished is not None:
            await self._finished
        self._end_exchange()
        return reader.trailers

    def _read(self, data: bytes) -> None:
        if self._active:
            self._silence.begin(self)
        if self._sink is not None:
            self._feed(data)
        elif self._reader is not None:
            self._pending += data
            if len(self._pending) > _MAX_PENDING:
                self.pause_reading()
        elif self._active:
            self._read_head(data)
        else:
            self.abort()  # it speaks unasked: never reused

    def _read_head(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while self._reader is None:
            end = buffer.find(b"\r\n\r\n", max(0, self._checked - 3)) + 4
            if end < 4 or end > self._header_bytes:
                self._checked = len(buffer)
                if self._checked > self._header_bytes or not b"HTTP/1.".startswith(buffer[:7]):
                    self._fail(ResponseError("bad-response", "no HTTP/1.1 response head"))
                    self.abort()
                return
            head = bytes(buffer[:end])
            del buffer[:end]
            self._checked = 0
            try:
                self._take_head(read_reply(head, self._method))
            except Malformed as error:
                self._fail(ResponseError("bad-response", error.reason))
                self.abort()
                return
        self._pending = bytes(buffer)
        buffer.clear()

    def _take_head(self, reply: Reply) -> None:
        head = reply.head
        if head.status < 200:
            self._informational += 1
            if head.status == 101:
                raise Malformed("101 Switching Protocols that nobody asked for")
            if self._informational > _MAX_INFORMATIONAL:
                raise Malformed("too many 1xx responses")
            if self._on_informational is not None:
                self._on_informational(head)
            return
        self._reader = body_reader(reply.framing)
        self.reusable = reply.reusable
        if self._head is not None and not self._head.done():
            self._head.set_result(reply)

    def _feed(self, data: bytes) -> None:
        reader, sink = self._reader, self._sink
        if reader is None or sink is None or reader.done:
            self.reusable = False  # more than was announced
            return
        try:
            body = reader.feed(data)
        except Malformed as error:
            self._fail(ResponseError("bad-response", error.reason))
            self.abort()
            return
        if body:
            sink(body)
        if reader.done:
            if reader.rest:
                self.reusable = False
            if self._finished is not None and not self._finished.done():
                self._finished.set_result(None)

    def _end_exchange(self) -> None:
        if self._reader is not None and (self._reader.rest or self._pending):
            self.reusable = False
        self._active = False
        self._sink = None
        self._reader = None
        self._buffer.clear()
        self._checked = 0
        self.resume_reading()  # a client that is slow with the end is no business of the next one's
        self._silence.end(self)

    def silent_too_long(self) -> None:
        """The response timeout is over: for the first byte, or since the last one."""
        if self.reading_paused or self.uploading:
            self._silence.begin(self)  # it is the client that is slow
            return
        self._fail(ResponseError("response-timeout", "no response in time"))
        self.abort()

    def _fail(self, error: ResponseError) -> None:
        for future in (self._head, self._finished):
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # told; whoever waits hears it too

    # -- flow and ends

    def pause_reading(self) -> None:
        """Take nothing more from the server for now."""
        if not self.reading_paused and self._transport is not None and not self.closed:
            self.reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking."""
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
        self.closed = True
        self._stats.servers_open -= 1
        if not self._ready.done():
            self._ready.set_exception(ConnectError(exc if isinstance(exc, OSError) else None))
            self._ready.exception()
        if self._active:
            self._body_ended(exc)
        self._silence.end(self)
        if self.tls is not None:
            self.tls.free()
        if self.on_idle_close is not None:
            self.on_idle_close(self)

    def _body_ended(self, exc: Exception | None) -> None:
        """A body that ends with the connection is whole only after a clean end (RFC 9112 section 9.8)."""
        clean = exc is None and (self.tls is None or self.tls.closed)
        if clean and self._reader is not None and self._reader.feed_eof():
            if self._finished is not None and not self._finished.done():
                self._finished.set_result(None)
            return
        unread = self._reader is None and not self._buffer and not self._informational
        self._fail(ResponseError("hangup", "the server closed the connection", unread=unread))

    def close(self) -> None:
        """End it in good order: close_notify, then FIN."""
        if self._transport is not None and not self.closed:
            if self.tls is not None and self.tls.established:
                self._transport.write(self.tls.close())
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None and not self.closed:
            self._transport.abort()
