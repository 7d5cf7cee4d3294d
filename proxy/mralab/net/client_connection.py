"""The client side: HTTP/1.1 on asyncio.Protocol, one request after the other, with flow control.

A connection is in one of three states: reading a head, serving a request (``transaction.run`` has it), or lingering
(everything is said, what still comes is thrown away so that the client gets to read the answer).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from ..core.http.error_pages import ANSWERS, Answer, render, render_last_hop
from ..core.http.framing import Body, Fields, Malformed, RequestHead, body_reader, check_partial
from ..core.log.events import ClientGone, RequestRejected, ResponseSent
from ..core.mra.route import Route
from ..core.outcome import Outcome
from . import exchange as transaction
from .client_limits import PROGRESS
from .deadlines import Deadlines
from .server_connection import MOST_CHUNKS
from .steps import Steps

if TYPE_CHECKING:
    from .traffic_server import Services

_BODY_BUFFER: Final = 65536  # bytes of a body held before its server is there


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_body_end",
        "_body_error",
        "_body_moved",
        "_body_sink",
        "_buffer",
        "_checked",
        "_eof",
        "_lingering",
        "_reading_paused",
        "_resting",
        "_steps",
        "_taken",
        "_waiting",
        "_written",
        "body",
        "ip",
        "minor",
        "on_writable",
        "outcome",
        "paused",
        "port",
        "responded",
        "route",
        "services",
        "status",
        "transport",
        "txn",
    )

    def __init__(self, services: Services) -> None:
        self.services = services
        self.transport: asyncio.Transport | None = None
        self.ip = ""
        self.port = 0
        self.minor = 1
        self.route: Route | None = None
        """The request's that is being served."""
        self.body: Body | None = None
        """The reader of the request's body while it is not all here."""
        self.responded = False
        """The final response has begun."""
        self.status = 0
        """The final response's status, 0 before it."""
        self.outcome = Outcome.PENDING
        """What became of the request."""
        self.txn = 0
        """The number of the request that is being served, 0 before it has one."""
        self.paused = False
        self.on_writable: Callable[[bool], None] | None = None
        """Told True when the client takes more of the response, False when it is slow."""
        self._buffer = bytearray()
        self._checked = 0
        self._body_sink: Callable[[bytes], None] | None = None
        self._body_end: Callable[[Fields], None] | None = None
        self._body_error: Malformed | None = None
        self._body_moved = 0
        self._steps: Steps | None = None
        self._waiting: Deadlines[ClientConnection] | None = None
        self._written = 0
        self._taken = 0
        self._eof = False
        self._lingering = False
        self._reading_paused = False
        self._resting = False

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but inheritance
        peer: Any = transport.get_extra_info("peername")
        if peer:
            self.ip, self.port = str(peer[0]), int(peer[1])
        self.services.arrive(self)
        self._wait(self.services.limits.silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: so is what was done for it."""
        self.transport = None
        self.services.leave(self)
        self._stop_waiting()
        self.services.limits.unread.end(self)
        if self._steps is not None:
            self._steps.interrupt(asyncio.CancelledError())

    def eof_received(self) -> bool:
        """The client has nothing more to send. One whose request is whole still gets its answer (half-close)."""
        self._eof = True
        if self._steps is None or self._lingering:
            return False
        return self.body is None or self._body_sink is None  # what is still in the buffer may be the rest of it

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self.services.stats.client_bytes_in += len(data)
        if self._lingering:
            return
        self._buffer += data
        if self._steps is None:
            self._next_request()
        elif self._body_sink is not None:
            self._pump()
        elif len(self._buffer) > _BODY_BUFFER:
            self._pause_reading()

    def _next_request(self) -> None:
        buffer, limits = self._buffer, self.services.limits
        end = buffer.find(b"\r\n\r\n", max(0, self._checked - 3)) + 4
        try:
            if end > limits.header_bytes or (end < 4 and len(buffer) > limits.header_bytes):
                raise Malformed(f"the request's head is larger than {limits.header_bytes} bytes")
            if end < 4:
                check_partial(buffer, self._checked)
                if self._checked == 0:
                    self._wait(limits.head)
                self._checked = len(buffer)
                return
            self._checked = 0
            if end == len(buffer):  # the rule: one request, and nothing behind it
                data = bytes(buffer)
                buffer.clear()
            else:
                data = bytes(buffer[:end])
                del buffer[:end]
            route = self.services.routes.find(data, self.ip)
        except Malformed as error:
            self.txn = 0
            self._refuse(error)
            self.services.stats.served(self.status, Outcome.MALFORMED, 0.0)
            return
        if self._waiting is not limits.idle:  # that one begins anew after the answer, or is none meanwhile
            self._stop_waiting()
        self.responded = False
        self.status = self.txn = 0
        self.outcome = Outcome.PENDING
        self.route = route
        self.minor = route.head.minor
        self.body = None if route.framing.empty else body_reader(route.framing)
        self._steps = Steps(self._serve(route))
        self._steps.go_on()

    def _refuse(self, error: Malformed) -> None:
        """Bytes that are no request: say so, to the client and in the log, and be done with it."""
        services = self.services
        txn = self.txn or services.next_txn()
        self.outcome = Outcome.MALFORMED
        services.tell(RequestRejected(time.time(), self.ip, self.port, error.reason, txn))
        head = error.head or (self.route.head if self.route is not None else None)
        if head is not None:
            self.minor = head.minor
        elif not error.line:
            self.minor = 0  # Traffic Server: a request line it cannot read is answered as HTTP/1.0's
        self.answer(ANSWERS[error.answer], head, txn, error.reason)
        self._linger()

    # -- serving one request

    async def _serve(self, route: Route) -> None:
        keep = False
        loop, stats = self.services.loop, self.services.stats
        started = loop.time()
        try:
            keep = await transaction.run(self, route)
        except asyncio.CancelledError:
            if self._body_error is None or self.transport is None:
                if not self.responded:
                    self.outcome = Outcome.ABANDONED
                    self.services.note(ClientGone(time.time(), self.txn))
                return
            if self.responded:
                self.truncate()
            else:
                self._refuse(self._body_error)
            return
        except Exception as error:
            context = {"message": "mralab: a request failed in the proxy itself", "exception": error}
            loop.call_exception_handler(context)
            self.truncate()
            return
        finally:
            self._steps = None
            self.on_writable = None
            if self._body_sink is not None:
                self._body_sink = self._body_end = None
                self.services.limits.body.end(self)
            stats.served(self.status, self.outcome, loop.time() - started)
        self._served(keep)

    def _served(self, keep: bool) -> None:
        if self.transport is None:
            return
        if not keep or self._eof or self.services.draining:
            self._linger()
            return
        self.route = None
        self._resume_reading()
        if self._buffer:
            self.services.loop.call_soon(self._go_on)  # others' turn first
        else:
            self._wait(self.services.limits.idle)

    def _go_on(self) -> None:
        """Take the next request of a client that did not wait for its answers."""
        if self._steps is None and self._buffer and self.transport is not None and not self._lingering:
            self._next_request()

    def keeps_alive(self) -> bool:
        """Whether the connection may serve another request after this one."""
        route = self.route
        return (
            route is not None
            and route.keeps_alive
            and self.body is None
            and not self._eof
            and not self.services.draining
        )

    def start_body(self, sink: Callable[[bytes], None], end: Callable[[Fields], None]) -> None:
        """Hand the request's body to ``sink`` as it comes, its trailers to ``end``."""
        self._body_sink = sink
        self._body_end = end
        self._body_moved = 0
        self.services.limits.body.begin(self)
        self._pump()
        if self._eof and self.body is not None:
            self.abort()  # it ended in the middle of its body
            return
        self._resume_reading()

    def _pump(self) -> None:
        reader, sink, end = self.body, self._body_sink, self._body_end
        if reader is None or sink is None or end is None:
            if len(self._buffer) > _BODY_BUFFER:
                self._pause_reading()
            return
        data = bytes(self._buffer)
        self._buffer.clear()
        if not data:
            return
        self._body_moved += len(data)
        try:
            piece = reader.feed(data)
        except Malformed as error:
            self._spoil_body(error)
            return
        if piece:
            sink(piece)
        if reader.chunks > MOST_CHUNKS:
            self._rest()
        if reader.done:
            self._buffer += reader.rest
            self.body = None
            self.services.limits.body.end(self)
            end(reader.trailers)

    def _spoil_body(self, error: Malformed) -> None:
        """The rest of the request's body is not to be had: what is done for it ends, with ``error`` as its answer."""
        self._body_error = error
        if self._steps is not None:
            self._steps.interrupt(asyncio.CancelledError())

    # -- answering

    def write(self, data: bytes) -> None:
        """Send bytes to the client, if it is still there."""
        if self.transport is not None:
            self._written += len(data)
            self.services.stats.client_bytes_out += len(data)
            self.transport.write(data)

    def answer(self, answer: Answer, head: RequestHead | None, txn: int, because: str = "") -> bool:
        """Send an answer of the proxy's own, ``because`` of what happened; return whether the connection goes on."""
        now = time.time()
        keep = not answer.close and self.keeps_alive()
        data, start_line = render(answer, now=now, asked=head, minor=self.minor, keep_alive=keep)
        self.status = answer.status
        self._say(data, start_line, now, txn, because)
        return keep

    def answer_last_hop(self, head: RequestHead, txn: int) -> bool:
        """Answer a TRACE or OPTIONS that goes no further. Whether the connection goes on."""
        now = time.time()
        keep = self.keeps_alive()
        data, start_line = render_last_hop(head, now=now, keep_alive=keep)
        self.status = 200
        self.outcome = Outcome.PASSED
        self._say(data, start_line, now, txn, "")
        return keep

    def _say(self, data: bytes, start_line: str, now: float, txn: int, because: str) -> None:
        self.responded = True
        self.write(data)
        self.services.tell(ResponseSent(now, txn, self.ip, self.port, start_line, (), self.outcome, because))

    def truncate(self) -> None:
        """End the connection so that nobody takes what was sent for a whole response: with a reset."""
        if self.transport is not None:
            self.services.stats.responses_cut += 1
            reset(self.transport)

    # -- flow and time

    def pause_reading(self, writable: bool) -> None:
        """The server's side of the flow: stop reading while the server is not writable."""
        if writable:
            self._resume_reading()
        else:
            self._pause_reading()

    def _rest(self) -> None:
        """Take nothing more from the client in this turn of the loop (``MOST_CHUNKS`` says why)."""
        if not self._reading_paused and self.transport is not None and not self.transport.is_closing():
            self._pause_reading()
            self._resting = True
            self.services.loop.call_soon(self._rested)

    def _rested(self) -> None:
        if self._resting:  # and the server has not become slow meanwhile
            self._resume_reading()

    def _pause_reading(self) -> None:
        self._resting = False
        if not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        self._resting = False
        if self._reading_paused and self.transport is not None:
            self._reading_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client is slow."""
        self.paused = True
        self._watch_reader()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.paused = False
        self.services.limits.unread.end(self)
        if self.on_writable is not None:
            self.on_writable(True)

    def _watch_reader(self) -> None:
        """Hold the client to taking what waits for it."""
        if self.transport is not None:
            self._taken = self._written - self.transport.get_write_buffer_size()
            self.services.limits.unread.begin(self)

    def reads_too_slowly(self) -> None:
        """The time in which the client had to take something is over."""
        if self.transport is None:
            return
        if self._written - self.transport.get_write_buffer_size() - self._taken >= PROGRESS:
            self._watch_reader()
        else:
            self.truncate()

    def body_too_slow(self) -> None:
        """The time in which the request's body had to move is over."""
        if self.body is None:
            return
        if self._body_moved >= PROGRESS or self._reading_paused:
            self._body_moved = 0
            self.services.limits.body.begin(self)
        else:
            self._spoil_body(Malformed("the body did not come in time", "client-timeout"))

    def head_too_slow(self) -> None:
        """The time for the request's head is over."""
        self._waiting = None
        self.txn = 0
        self._refuse(Malformed("the head did not come in time", "client-timeout"))
        self.services.stats.served(self.status, Outcome.MALFORMED, 0.0)

    def silent_too_long(self) -> None:
        """Nothing was asked for too long: nothing needs to be said."""
        self._waiting = None
        if self._steps is None:
            self._close()

    def lingered_long_enough(self) -> None:
        """Nobody reads any more: an end is an end."""
        self._waiting = None
        self.abort()

    def drain(self) -> None:
        """The proxy stops: end now if nothing is being served, after the answer otherwise."""
        if self._steps is None:
            self._close()

    def abort(self) -> None:
        """End at once."""
        if self.transport is not None:
            self.transport.abort()

    def _wait(self, limit: Deadlines[ClientConnection]) -> None:
        if self._waiting is not limit:
            self._stop_waiting()
            self._waiting = limit
        limit.begin(self)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.end(self)
            self._waiting = None

    def _linger(self) -> None:
        """Close, but let the client read first: what it still sends is thrown away for a moment (RFC 9112 9.6)."""
        if self.transport is None:
            return
        if self._eof or (self.body is None and not self._buffer and not self._reading_paused):
            self._close()
            return
        self._lingering = True
        self._buffer.clear()
        self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait(self.services.limits.linger)

    def _close(self) -> None:
        """Close in good order: what waits to be sent is sent first, if the client takes it."""
        if self.transport is not None:
            self.transport.close()
            if self.transport is not None and self.transport.get_write_buffer_size():
                self._watch_reader()


def reset(transport: asyncio.Transport) -> None:
    """Close a TCP connection with RST: the peer cannot mistake it for an end."""
    sock: Any = transport.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:  # closed meanwhile: there is nobody left to be misled
            return
    transport.abort()
