"""The client side: HTTP/1.1 on asyncio.Protocol, one request after the other, with flow control.

A connection is in one of three states: reading a head, serving a request (its ``Exchange`` runs), or lingering (the
response is complete; what the client still sends is discarded, so that it can read the response).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from ..core.http.framing import Body, Fields, Malformed, body_reader, check_partial
from ..core.outcome import Outcome
from ..tcp import reset
from .client_limits import PROGRESS, Limited
from .deadlines import Deadlines
from .exchange import Exchange, reject
from .plan import LARGEST_HEAD, Plan
from .server_connection import MOST_CHUNKS
from .services import Services
from .short_path import ShortPath
from .steps import Interrupted, Steps

_BODY_BUFFER: Final = 65536  # bytes held of a body until its server is connected, and of the requests that follow


class _BodyUnreadable(Interrupted):
    """The rest of the request's body cannot be read."""

    def __init__(self, error: Malformed) -> None:
        super().__init__(error.reason)
        self.error = error


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_body_end",
        "_body_moved",
        "_body_sink",
        "_buffer",
        "_checked",
        "_eof",
        "_lingering",
        "_minor",
        "_reading_paused",
        "_resting",
        "_services",
        "_short_path",
        "_steps",
        "_taken",
        "_transport",
        "_waiting",
        "_written",
        "body",
        "ip",
        "on_writable",
        "paused",
        "port",
    )

    def __init__(self, services: Services) -> None:
        self._services = services
        self._transport: asyncio.Transport | None = None
        self.ip = ""
        self.port = 0
        self.body: Body | None = None
        self.paused = False
        self.on_writable: Callable[[bool], None] | None = None
        self._minor = 1
        """The HTTP/1.x version of the latest request."""
        self._buffer = bytearray()
        self._checked = 0
        self._body_sink: Callable[[bytes], None] | None = None
        self._body_end: Callable[[Fields], None] | None = None
        self._body_moved = 0
        self._steps: Steps | ShortPath | None = None
        """The work on the current request."""
        self._short_path = ShortPath(services)
        self._waiting: Deadlines[Limited] | None = None
        self._written = 0
        self._taken = 0
        self._eof = False
        self._lingering = False
        self._reading_paused = False
        self._resting = False

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the client and start its first time limit."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but inheritance
        peer: Any = transport.get_extra_info("peername")
        if peer:
            self.ip, self.port = str(peer[0]), int(peer[1])
        self._services.arrive(self)
        self._wait(self._services.limits.silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request that is being served."""
        self._transport = None
        self._services.leave(self)
        self._stop_waiting()
        self._services.limits.unread.end(self)
        if self._steps is not None:
            self._steps.interrupt(Interrupted())

    def eof_received(self) -> bool:
        """Keep a half-closed connection open for the requests that are complete: the client still gets its responses.

        Those that wait for their turn are served too, as Traffic Server does (observed on 9.2.9).
        """
        self._eof = True
        if self._lingering:
            return False
        if self._steps is None:  # a turn of the loop, or a client that has to read first, is between two requests
            return self._has_head()
        if self._steps is self._short_path:  # which assumes that the connection goes on
            self._short_path.hand_over()
        return self.body is None or self._body_sink is None  # the buffer may hold the rest of the body

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        services = self._services
        services.stats.client_bytes_in += len(data)
        if self._lingering:
            return
        if self._steps is None and not self._buffer and not self.paused and len(data) <= LARGEST_HEAD:
            plan = services.plans.known.get((self.ip, data))
            if plan is not None:  # ``_begin_planned``, without its call
                self._steps = self._short_path
                if self._short_path.begin(self, plan):
                    self._minor = plan.minor
                    return
                self._steps = None
        self._buffer += data
        if self._steps is None:
            self._next_request()
        elif self._body_sink is not None:
            self._pump()
        elif len(self._buffer) > _BODY_BUFFER:
            self._pause_reading()

    def _next_request(self) -> None:
        if self.paused:
            # The client does not read its responses: serving more requests would fill the memory with them.
            self._stop_waiting()  # the limit for slow readers runs
            if len(self._buffer) > _BODY_BUFFER:
                self._pause_reading()
            return
        buffer, limits = self._buffer, self._services.limits
        end = buffer.find(b"\r\n\r\n", max(0, self._checked - 3)) + 4
        try:
            if end > limits.header_bytes or (end < 4 and len(buffer) > limits.header_bytes):
                raise Malformed(f"the request's head is larger than {limits.header_bytes} bytes")
            if end < 4:
                check_partial(buffer, self._checked)
                if self._checked == 0:
                    self._wait(limits.head)
                self._checked = len(buffer)
                self._read_on()
                return
            self._checked = 0
            if end == len(buffer):  # the common case: one request and nothing after it
                data = bytes(buffer)
                buffer.clear()
            else:
                data = bytes(buffer[:end])
                del buffer[:end]
            plan = self._services.plans.known.get((self.ip, data))
            route = self._services.routes.find(data, self.ip) if plan is None else plan.route
        except Malformed as error:
            self._reject(error)
            return
        if self._waiting is not limits.idle:  # the idle limit restarts after the response and has no effect before
            self._stop_waiting()
        if plan is not None and not self._eof and self._begin_planned(plan):
            return
        self._minor = route.head.minor
        self.body = None if route.framing.empty else body_reader(route.framing)
        services = self._services
        exchange = Exchange(self, services, route, services.policy)
        self._steps = steps = Steps(self._serve(exchange, exchange.run(), services.loop.time()))
        steps.resume()

    def hand_over(self, exchange: Exchange, work: Coroutine[Any, Any, bool], started: float) -> Steps:
        """Continue a request of the short path with an exchange, begun at ``started`` by the loop's clock."""
        self._stop_waiting()
        self._steps = steps = Steps(self._serve(exchange, work, started))
        steps.resume()
        return steps

    def _begin_planned(self, plan: Plan) -> bool:
        """Serve a request by its plan; return whether it is served.

        A limit that runs meanwhile must be one that has no effect during a request: ``silent`` or ``idle``.
        """
        self._steps = self._short_path
        if self._short_path.begin(self, plan):
            self._minor = plan.minor
            return True
        self._steps = None
        return False

    def _reject(self, error: Malformed) -> None:
        """Answer bytes that are not a valid request, and end the connection."""
        status = reject(self, self._services, error, self._minor)
        self._services.stats.served(status, Outcome.MALFORMED, 0.0)
        self._linger()

    # -- serving one request

    async def _serve(self, exchange: Exchange, work: Coroutine[Any, Any, bool], started: float) -> None:
        """Serve a request by ``work``, a coroutine of its exchange, and continue with the next one."""
        keep = False
        loop, stats = self._services.loop, self._services.stats
        try:
            keep = await work
        except _BodyUnreadable as interruption:
            self._end_unreadable(exchange, interruption.error)
            return
        except (Interrupted, asyncio.CancelledError):  # the client is gone, or the loop ends
            if not exchange.responded:
                exchange.abandon()
            return
        except Exception as error:
            exchange.outcome = Outcome.FAILED
            self.fail(error)
            return
        finally:
            self._steps = None
            self.on_writable = None
            if self._body_sink is not None:
                self._body_sink = self._body_end = None
                self._services.limits.body.end(self)
            stats.served(exchange.status, exchange.outcome, loop.time() - started)
        self.served(keep)

    def fail(self, error: Exception) -> None:
        """Report a bug in mralab that has ended a request, and end the connection."""
        self._steps = None
        context = {"message": "mralab: a request failed in the proxy itself", "exception": error}
        self._services.loop.call_exception_handler(context)
        self.truncate()

    def _end_unreadable(self, exchange: Exchange, error: Malformed) -> None:
        """End an exchange whose request body cannot be read."""
        if self._transport is None:
            if not exchange.responded:
                exchange.abandon()
        elif exchange.responded:
            self.truncate()
        else:
            exchange.reject(error)
            self._linger()

    def served(self, keep: bool) -> None:
        """Continue after a response; with ``keep`` the connection can serve another request."""
        self._steps = None
        if self._transport is None:
            return
        if not keep or self._services.draining or (self._eof and not self._has_head()):
            self._linger()
            return
        if len(self._buffer) > _BODY_BUFFER:
            self._pause_reading()
        elif self._reading_paused:
            self._resume_reading()
        idle = self._services.limits.idle
        if self._buffer:
            self._services.loop.call_soon(self._resume)  # give other connections a turn first
        elif self._waiting is idle:
            idle.begin(self)
        else:
            self._wait(idle)

    def _resume(self) -> None:
        """Serve the next request of a client that pipelines."""
        if self._steps is None and self._buffer and self._transport is not None and not self._lingering:
            self._next_request()

    def can_continue(self) -> bool:
        """Return whether the connection can serve another request after this one."""
        return self.body is None and not self._services.draining and (not self._eof or self._has_head())

    def _has_head(self) -> bool:
        """Return whether the head of another request is buffered. After EOF, no other follows."""
        return b"\r\n\r\n" in self._buffer

    def start_body(self, sink: Callable[[bytes], None], end: Callable[[Fields], None]) -> None:
        """Pass the request's body to ``sink`` as it is received, and its trailers to ``end``."""
        self._body_sink = sink
        self._body_end = end
        self._body_moved = 0
        self._services.limits.body.begin(self)
        is_valid = self._pump()
        if self._eof and self.body is not None and is_valid:  # the client sent EOF in the middle of the body
            if self._steps is not None:
                self._steps.interrupt(Interrupted())
            self._close()  # responses to requests before this one may still be on their way
            return
        self._resume_reading()

    def _pump(self) -> bool:
        """Pass on what is buffered of the body; return False if it is not valid, which ends the exchange."""
        reader, sink, end = self.body, self._body_sink, self._body_end
        if reader is None or sink is None or end is None:
            if len(self._buffer) > _BODY_BUFFER:
                self._pause_reading()
            return True
        data = bytes(self._buffer)
        self._buffer.clear()
        if not data:
            return True
        self._body_moved += len(data)
        try:
            piece = reader.feed(data)
        except Malformed as error:
            self._spoil_body(error)
            return False
        if piece:
            sink(piece)
        if reader.chunks > MOST_CHUNKS:
            self._rest()
        if reader.done:
            self._buffer += reader.rest
            self.body = None
            self._services.limits.body.end(self)
            end(reader.trailers)
        return True

    def _spoil_body(self, error: Malformed) -> None:
        """Interrupt the exchange because the rest of the body cannot be read; ``error`` decides its answer."""
        if self._steps is not None:
            self._steps.interrupt(_BodyUnreadable(error))

    # -- writing

    def write(self, data: bytes) -> None:
        """Send bytes to the client, if it is still connected."""
        transport = self._transport
        if transport is not None:
            size = len(data)
            self._written += size
            self._services.stats.client_bytes_out += size
            transport.write(data)

    def truncate(self) -> None:
        """End the connection with a reset, so that the client does not take what was sent for a complete response."""
        if self._transport is not None:
            self._services.stats.responses_cut += 1
            reset(self._transport)

    # -- flow control and time limits

    def pause_reading(self, writable: bool) -> None:
        """Stop reading while the server is not ``writable``."""
        if writable:
            self._resume_reading()
        else:
            self._pause_reading()

    def _rest(self) -> None:
        """Take nothing more from the client in this turn of the loop (``MOST_CHUNKS`` says why)."""
        if not self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._pause_reading()
            self._resting = True
            self._services.loop.call_soon(self._rested)

    def _rested(self) -> None:
        if self._resting:  # and the server has not become slow meanwhile
            self._resume_reading()

    def _pause_reading(self) -> None:
        self._resting = False
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        """Read again, unless so much is buffered that it is served first: a client may pipeline without end."""
        self._resting = False
        if len(self._buffer) <= _BODY_BUFFER:
            self._read_on()

    def _read_on(self) -> None:
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Start the limit for slow readers and pause the server."""
        self.paused = True
        self._watch_reader()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """End the limit for slow readers and resume the server."""
        self.paused = False
        self._services.limits.unread.end(self)
        if self.on_writable is not None:
            self.on_writable(True)
        if self._steps is None and self._buffer:
            self._services.loop.call_soon(self._resume)

    def _watch_reader(self) -> None:
        """Start the time in which the client must read ``PROGRESS`` bytes of what is buffered for it."""
        if self._transport is not None:
            self._taken = self._written - self._transport.get_write_buffer_size()
            self._services.limits.unread.begin(self)

    def reads_too_slowly(self) -> None:
        """Cut off a client that has not read enough in time."""
        if self._transport is None:
            return
        if self._written - self._transport.get_write_buffer_size() - self._taken >= PROGRESS:
            self._watch_reader()
        else:
            self.truncate()

    def body_too_slow(self) -> None:
        """End a request whose body has not made enough progress in time."""
        if self.body is None:
            return
        if self._body_moved >= PROGRESS or self._reading_paused:
            self._body_moved = 0
            self._services.limits.body.begin(self)
        else:
            self._spoil_body(Malformed("the body did not come in time", "client-timeout"))

    def head_too_slow(self) -> None:
        """Answer 408: the request's head is not complete in time."""
        self._waiting = None
        self._reject(Malformed("the head did not come in time", "client-timeout"))

    def silent_too_long(self) -> None:
        """Close an idle connection. There is no request to answer."""
        self._waiting = None
        if self._steps is None:
            self._close()

    def lingered_long_enough(self) -> None:
        """Abort: the client had time to read the response."""
        self._waiting = None
        self.abort()

    def drain(self) -> None:
        """End the connection after the response to the current request, or now if there is none."""
        if self._steps is None:
            self._close()

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _wait(self, limit: Deadlines[Limited]) -> None:
        if self._waiting is not limit:
            self._stop_waiting()
            self._waiting = limit
        limit.begin(self)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.end(self)
            self._waiting = None

    def _linger(self) -> None:
        """Close, but give the client time to read: discard what it still sends for a moment (RFC 9112 section 9.6)."""
        if self._transport is None:
            return
        if self._eof or (self.body is None and not self._buffer and not self._reading_paused):
            self._close()
            return
        self._lingering = True
        self._buffer.clear()
        self._resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(self._services.limits.linger)

    def _close(self) -> None:
        """Close after sending what is buffered, if the client reads it in time."""
        if self._transport is not None:
            self._transport.close()
            if self._transport is not None and self._transport.get_write_buffer_size():
                self._watch_reader()
