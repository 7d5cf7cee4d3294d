"""The short path: a request whose head has a plan, with a response that arrives whole.

``begin``, ``ready`` and ``receive`` do for such a request what ``Exchange.run`` does, without a coroutine: the server's
connection calls ``ready`` once it is verified, unless it was kept, and ``receive`` with the first bytes that it gets.
What a plan does not foresee (a server that cannot be reached, or whose certificate has a fault; a response in pieces,
chunked, invalid, late or none; a client that is gone; a proxy that stops) is left to an ``Exchange``, which takes over
at one of two points: while the connection is made, or after the request was sent. So the short path knows no failures.

The lines of a request are in the log when it is sent, those of the response when it is: a server that hangs is visible.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, Protocol

from ..core.log.planned import (
    REQUEST_LINES,
    RESPONSE_LINES,
    BriefRequest,
    BriefResponse,
    write_request,
    write_response,
)
from ..core.outcome import Outcome
from .client import Client
from .endpoints import CONTROL
from .exchange import Exchange
from .plan import Plan
from .server_connection import ServerConnection
from .services import Services
from .steps import Steps
from .tracking_ids import tracking_ids


class PlannedClient(Client, Protocol):
    """The client side of the short path: that of an exchange, and how a request begins and ends."""

    def hand_over(self, exchange: Exchange, work: Coroutine[Any, Any, bool], started: float) -> Steps:
        """Continue the request with an exchange, begun at ``started`` by the loop's clock."""

    def served(self, keep: bool) -> None:
        """Continue after the response; with ``keep`` the connection can serve another request."""

    def fail(self, error: Exception) -> None:
        """Report a bug in mralab that has ended the request, and end the connection."""


_PASSED, _TOLERATED = Outcome.PASSED, Outcome.TOLERATED  # an enumeration's attributes are slow to read

_Begun = tuple[PlannedClient, ServerConnection, Plan, int, str, bytes, float]
"""Client, server's connection and plan of a request that was begun; its number, TrackingID, bytes and time."""


class ShortPath:
    """The planned request that a client connection is serving. There is one for each connection, used again."""

    __slots__ = ("_begun", "_services")

    def __init__(self, services: Services) -> None:
        self._services = services
        self._begun: _Begun | None = None

    def begin(self, client: PlannedClient, plan: Plan) -> bool:
        """Begin a request of a client that has sent nothing after it. If False, nothing was done."""
        services = self._services
        port = plan.address.port
        if services.draining or port in services.own.by_port or port in CONTROL.by_port:
            return False
        kept = services.pool.take(plan.key)
        if kept is None and services.capture is not None:
            return False
        connection = kept or self._connection(plan)
        lines = plan.lines or plan.prepare()
        stats = services.stats
        stats.begun = txn = stats.begun + 1
        now = time.time()
        data = plan.wire
        if data:
            tracking_id, text = plan.tracking_id, plan.tracking_text
        else:
            tracking_id = text = next(tracking_ids)
            request = plan.request
            data = request.before_tracking_id + text.encode() + request.after_tracking_id
        self._begun = begun = (client, connection, plan, txn, tracking_id, data, services.loop.time())
        writer, millisecond = services.writer, int(now * 1000 + 0.5)
        if millisecond != writer.millisecond:
            writer.tick(millisecond)
        try:
            services.log(write_request(writer, plan.pieces, txn, text, client.port), REQUEST_LINES)
            for listener in services.brief_listeners:
                listener(BriefRequest(lines, now, txn, tracking_id, client.port))
            stats.attempts += 1
            connection.consumer = self
            if kept is None:
                services.pool.dial(connection, plan.address.dial, port)
            else:
                connection.active = True
                connection.send(data)
        except Exception as error:
            self._fail(begun, 0, error)
        return True

    def _connection(self, plan: Plan) -> ServerConnection:
        target = plan.request.target
        tls = plan.policy.tls.connect(target.host) if target.scheme == "https" else None
        return self._services.pool.new(tls, self._services.limits.header_bytes, plan.key)

    def ready(self) -> None:
        """Send the request over its new connection (``consumer.Consumer``)."""
        begun = self._begun
        if begun is None:
            return
        services, connection, tls = self._services, begun[1], begun[1].tls
        if tls is not None:
            if tls.verdict.faults:  # an exchange writes their lines
                self.hand_over()
                return
            services.stats.handshakes[tls.verdict.outcome] += 1
        services.pool.connecting.end(connection)
        connection.active = True
        try:
            connection.send(begun[5])
        except Exception as error:
            self._fail(begun, 0, error)

    def receive(self, data: bytes) -> bool:
        """Take the first bytes of the response (``consumer.Consumer``)."""
        begun = self._begun
        if begun is None:
            return False
        client, connection, plan, txn, _, _, started = begun
        services, now = self._services, time.time()
        reply = plan.reply
        if reply is None or reply.size != len(data) or reply.second != int(now) or not data.startswith(reply.head):
            reply = plan.read(data, now)
        if reply is None or services.draining:
            self.hand_over()
            return False
        _, length, _, _, rewritten, status, reusable, lines, pieces, _ = reply
        tls = connection.tls
        outcome = _PASSED if tls is None or not tls.verdict.faults else _TOLERATED
        writer, millisecond = services.writer, int(now * 1000 + 0.5)
        if millisecond != writer.millisecond:
            writer.tick(millisecond)
        try:
            services.log(write_response(writer, pieces, txn, client.port), RESPONSE_LINES)
            for listener in services.brief_listeners:
                listener(BriefResponse(lines, now, txn, client.port, outcome))
            client.write(rewritten + data[length:])
        except Exception as error:
            self._fail(begun, status, error)
            return True
        self._begun = None
        connection.active = False
        if reusable and plan.policy.keep_alive and services.policy is plan.policy:
            services.pool.keep(connection)
        else:
            connection.close()
        stats = services.stats
        stats.planned += 1
        stats.served(status, outcome, services.loop.time() - started)
        client.served(True)
        return True

    def hand_over(self) -> None:
        """Let an exchange serve the request from here (``consumer.Consumer``)."""
        self._continue()

    def interrupt(self, error: BaseException) -> None:
        """Raise ``error`` in the exchange that serves the request from here, as ``Steps.interrupt`` does."""
        steps = self._continue()
        if steps is not None:
            steps.interrupt(error)

    def _continue(self) -> Steps | None:
        begun, self._begun = self._begun, None
        if begun is None:
            return None
        client, connection, plan, txn, tracking_id, _, started = begun
        connection.consumer = None
        exchange = Exchange(client, self._services, plan.route, plan.policy)
        return client.hand_over(
            exchange, exchange.resume(plan.request, plan.address, txn, tracking_id, connection), started
        )

    def _fail(self, begun: _Begun, status: int, error: Exception) -> None:
        """End a request that failed in the proxy itself, as a failing exchange does.

        That is most often a listener that fails, with which the log has all lines of this step already.
        """
        client, connection, started = begun[0], begun[1], begun[-1]
        self._begun = None
        services = self._services
        connection.consumer = None
        if connection.reused and not connection.active:  # nothing was sent over it
            services.pool.keep(connection)
        else:
            connection.active = False
            connection.abort()
            services.pool.connecting.end(connection)
        services.stats.served(status, Outcome.FAILED, services.loop.time() - started)
        client.fail(error)
