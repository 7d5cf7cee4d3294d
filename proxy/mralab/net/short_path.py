"""The short path: a request whose head has a plan, on a kept connection, with a response that arrives whole.

``begin`` does for such a request what ``Exchange.run`` does until the request is sent, and ``receive`` what it does
with the response, without a coroutine: nothing has to wait in between, the server's connection calls ``receive`` with
the first bytes that it gets. What a plan does not foresee (no kept connection; a response in pieces, chunked, invalid,
late or none; a client that is gone; a proxy that stops) is left to an ``Exchange``, from the start or from "request
sent" on, which is the only point at which a request changes over. So the short path knows no failures.

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

_Sent = tuple[PlannedClient, ServerConnection, Plan, int, str, float]
"""Client, server's connection and plan of a request that was sent; its number, TrackingID and time."""


class ShortPath:
    """The planned request that a client connection is serving. There is one for each connection, used again."""

    __slots__ = ("_sent", "_services")

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sent: _Sent | None = None

    def begin(self, client: PlannedClient, plan: Plan) -> bool:
        """Send a request of a client that has sent nothing after it. If False, nothing was done."""
        services = self._services
        port = plan.address.port
        if services.draining or port in services.own.by_port or port in CONTROL.by_port:
            return False
        connection = services.pool.take(plan.key)
        if connection is None:
            return False
        lines = plan.lines or plan.prepare()
        stats = services.stats
        stats.attempts += 1
        stats.begun = txn = stats.begun + 1
        now = time.time()
        data = plan.wire
        if data:
            tracking_id, text = plan.tracking_id, plan.tracking_text
        else:
            tracking_id = text = next(tracking_ids)
            request = plan.request
            data = request.before_tracking_id + text.encode() + request.after_tracking_id
        self._sent = sent = (client, connection, plan, txn, tracking_id, services.loop.time())
        writer, millisecond = services.writer, int(now * 1000 + 0.5)
        if millisecond != writer.millisecond:
            writer.tick(millisecond)
        try:
            services.log(write_request(writer.prefix, writer.utc, plan.pieces, txn, text, client.port), REQUEST_LINES)
            for listener in services.brief_listeners:
                listener(BriefRequest(lines, now, txn, tracking_id, client.port))
            connection.active = True
            connection.consumer = self
            connection.send(data)
        except Exception as error:
            self._fail(sent, 0, error)
        return True

    def receive(self, data: bytes) -> bool:
        """Take the first bytes of the response (``server_connection.Consumer``)."""
        sent = self._sent
        if sent is None:
            return False
        client, connection, plan, txn, _, started = sent
        services, now = self._services, time.time()
        reply = plan.reply
        if reply is None or reply.size != len(data) or reply.second != int(now) or not data.startswith(reply.head):
            reply = plan.read(data, now)
        if reply is None or services.draining:
            self.hand_over()
            return False
        _, length, _, _, rewritten, status, lines, pieces, _ = reply
        tls = connection.tls
        outcome = _PASSED if tls is None or not tls.verdict.faults else _TOLERATED
        writer, millisecond = services.writer, int(now * 1000 + 0.5)
        if millisecond != writer.millisecond:
            writer.tick(millisecond)
        try:
            services.log(write_response(writer.prefix, writer.utc, pieces, txn, client.port), RESPONSE_LINES)
            for listener in services.brief_listeners:
                listener(BriefResponse(lines, now, txn, client.port, outcome))
            client.write(rewritten + data[length:])
        except Exception as error:
            self._fail(sent, status, error)
            return True
        self._sent = None
        connection.active = False
        if services.policy is plan.policy:
            services.pool.keep(connection)
        else:
            connection.close()
        stats = services.stats
        stats.planned += 1
        stats.served(status, outcome, services.loop.time() - started)
        client.served(True)
        return True

    def hand_over(self) -> None:
        """Let an exchange serve the request from here (``server_connection.Consumer``)."""
        self._continue()

    def interrupt(self, error: BaseException) -> None:
        """Raise ``error`` in the exchange that serves the request from here, as ``Steps.interrupt`` does."""
        steps = self._continue()
        if steps is not None:
            steps.interrupt(error)

    def _continue(self) -> Steps | None:
        sent, self._sent = self._sent, None
        if sent is None:
            return None
        client, connection, plan, txn, tracking_id, started = sent
        connection.consumer = None
        exchange = Exchange(client, self._services, plan.route, plan.policy)
        return client.hand_over(
            exchange, exchange.resume(plan.request, plan.address, txn, tracking_id, connection), started
        )

    def _fail(self, sent: _Sent, status: int, error: Exception) -> None:
        """End a request that failed in the proxy itself, as a failing exchange does."""
        client, connection, _, _, _, started = sent
        self._sent = None
        connection.consumer = None
        connection.active = False
        connection.abort()
        services = self._services
        services.stats.served(status, Outcome.FAILED, services.loop.time() - started)
        client.fail(error)
