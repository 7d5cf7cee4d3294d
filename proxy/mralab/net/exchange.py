"""One request's way through the proxy, from its head to its outcome.

A parsed head -> the routing decision (``core.mra.route``) -> a verified connection or a verdict (``pool``, ``tls``) ->
the rewritten head -> the relay with back-pressure -> the client. Each step emits an event. Nothing of the request
leaves before the server is verified.
"""

from __future__ import annotations

import time

from ..core.http.error_pages import ERROR_PAGES, ErrorPage, render, render_last_hop
from ..core.http.framing import Fields, Malformed, RequestHead, ResponseHead, chunk, last_chunk
from ..core.http.response_head import ForwardedResponse, forward_response
from ..core.http.rewrite import informational_head, trailer_fields
from ..core.log.events import (
    ClientGone,
    HandshakeFailed,
    Headers,
    NameMismatch,
    RequestAllowed,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.mra.route import Denial, ForwardedRequest, Route, leads_back
from ..core.outcome import Outcome
from ..core.tls.tlserror import error_string
from ..core.tls.verdict import Verdict, error_text
from ..tls.openssl import TlsError
from ..tls.verification import TlsClient
from .capture import Capture
from .chains import shared_chain
from .client import Client
from .endpoints import CONTROL
from .failures import HandshakeError, ResponseError, ServerError, attempts_left
from .policy import Policy
from .pool import Tapping
from .resolver import ServerAddress, UnknownHostError, listed
from .server_connection import ServerConnection
from .services import Services
from .tracking_ids import tracking_ids


class Exchange:
    """One request and its response, with all that is known about them.

    ``responded``: the final response has begun; ``status`` is its status, 0 before. ``outcome`` is the request's
    outcome so far. ``txn`` is the number that the log shows, 0 before the exchange has one.
    """

    __slots__ = ("_client", "_policy", "_services", "_tracking_id", "outcome", "responded", "route", "status", "txn")

    def __init__(self, client: Client, services: Services, route: Route, policy: Policy) -> None:
        self._client = client
        self._services = services
        self._policy = policy
        self._tracking_id = ""
        self.route = route
        self.txn = 0
        self.responded = False
        self.status = 0
        self.outcome = Outcome.PENDING

    # -- the path of a request

    async def run(self) -> bool:
        """Serve the request; return whether the client's connection can serve another one."""
        services, policy, route = self._services, self._policy, self.route
        self.txn = services.next_txn()
        self._tracking_id = route.tracking_id or next(tracking_ids)
        now = time.time()
        self._emit_received(now)
        request = route.outcome
        if isinstance(request, Denial):
            return self._deny(request, now)
        services.emit(RequestAllowed(now, *request.permission.fields(route.method), self.txn))
        if request.answer:
            return self._answer(ERROR_PAGES[request.answer], Outcome.MALFORMED)
        if request.last_hop:
            return self._answer_last_hop()
        target = request.target
        address = listed(policy.hosts, target.host, target.port)
        if address is None:
            try:
                address = await services.resolver.look_up(target.host, target.port, policy.connect_timeout)
            except UnknownHostError:
                return self._answer(ERROR_PAGES["no-name"], Outcome.FAILED, "the name has no address")
        if services.own.reached_by(address.dial, address.port) or CONTROL.reached_by(address.dial, address.port):
            return self._deny(leads_back(request.permission), time.time())
        return await self._attempts(request, address)

    async def resume(
        self, request: ForwardedRequest, address: ServerAddress, txn: int, tracking_id: str, begun: ServerConnection
    ) -> bool:
        """Serve a request that the short path has begun with, over the connection ``begun``; return as ``run``."""
        self.txn = txn
        self._tracking_id = tracking_id
        return await self._attempts(request, address, begun)

    async def _attempts(
        self, request: ForwardedRequest, address: ServerAddress, begun: ServerConnection | None = None
    ) -> bool:
        """Try as often as the policy and the failures allow; answer with the last failure. Return as ``run``.

        ``begun`` is the first attempt's connection if there is one: not verified yet, or the request was sent over it.

        There is no pause between attempts (Traffic Server 8.1.11, HttpTransact.cc:3487-3591).
        The loop ends: a stale connection costs no attempt, but each has left the pool for good.
        """
        left = self._policy.attempts
        while True:
            try:
                return await self._attempt(request, address, begun)
            except ServerError as failure:
                begun = None
                if self.responded:
                    self._client.truncate()
                    return False
                left = attempts_left(left, failure, repeatable=self.route.repeatable)
                if left == 0:
                    outcome = Outcome.REFUSED if failure.refused else Outcome.FAILED
                    return self._answer(failure.answer, outcome, failure.reason)

    async def _attempt(self, request: ForwardedRequest, address: ServerAddress, begun: ServerConnection | None) -> bool:
        """Send the request over one connection, unless it was, and relay the response. Raises ``ServerError``."""
        connection = begun or self._connect(request, address)
        sent = connection.active
        if not sent and not connection.reused:
            await self._verify(request, address, connection)
        try:
            connection.begin(self.route.head.method, self._informational)
            if not sent:
                self._send(request, connection)
            return await self._respond(request, address, connection)
        except ResponseError as error:
            connection.abort()
            error.stale = connection.reused and error.unread
            if error.tls is not None:  # emulated: Traffic Server was not seen to log an alert after the handshake
                self._emit_failed(request, error.tls)
            raise
        except BaseException:  # usually a cancellation: the client is gone, so close its server's connection
            connection.abort()
            raise

    def _connect(self, request: ForwardedRequest, address: ServerAddress) -> ServerConnection:
        """Return a connection: from the pool, or a new one that is not verified yet."""
        services, policy, target = self._services, self._policy, request.target
        self._emit_sent(request, address)
        services.stats.attempts += 1
        # A kept connection must have been verified under these settings, for this host.
        key = (policy.generation, target.scheme, target.host, address.dial, address.port)
        if policy.keep_alive and (kept := services.pool.take(key)) is not None:
            return kept
        tls = policy.tls.connect(target.host) if target.scheme == "https" else None
        tap = None if services.capture is None else self._tap(services.capture, tls, address.ip, target.port)
        connection = services.pool.new(tls, services.limits.header_bytes, key)
        services.pool.dial(connection, address.dial, address.port, tap)
        return connection

    async def _verify(self, request: ForwardedRequest, address: ServerAddress, connection: ServerConnection) -> None:
        """Wait until a new connection is verified. Raises ``ServerError``."""
        services, tls = self._services, connection.tls
        try:
            await services.pool.verified(connection)
        except HandshakeError as error:
            services.stats.handshakes["refused" if error.refused else "failed"] += 1
            self._emit_faults(request, address, error.verdict)
            self._emit_failed(request, error.tls)
            raise
        if tls is not None:
            services.stats.handshakes[tls.verdict.outcome] += 1
            self._emit_faults(request, address, tls.verdict)

    def _tap(self, capture: Capture, tls: TlsClient | None, ip: str, port: int) -> Tapping:
        """Return what captures a new connection to a server that the log shows as ``ip`` and ``port``."""
        if tls is not None:
            self._policy.tls.log_secrets(tls, capture.secret)
        return lambda connection: capture.server(connection, ip, port)

    def _send(self, request: ForwardedRequest, connection: ServerConnection) -> None:
        connection.send(request.wire(self._tracking_id.encode("latin-1")))
        if self._client.body is not None:
            self._send_body(connection)

    async def _respond(self, request: ForwardedRequest, address: ServerAddress, connection: ServerConnection) -> bool:
        """Relay the response. Return as ``run``. Raises ``ResponseError``."""
        client, policy, route, services = self._client, self._policy, self.route, self._services
        reply = await connection.response()

        now = time.time()
        headers = _logged(reply.head.fields) if policy.debug else ()
        services.emit(ResponseReceived(now, self.txn, address.ip, request.target.port, reply.start_line, headers))
        response = forward_response(
            reply,
            minor=route.head.minor,
            keep_alive=route.keeps_alive and client.can_continue(),
            connection=route.connection_field,
            now=now,
        )
        tolerated = connection.tls is not None and connection.tls.verdict.faults
        self._begin_response(reply.head.status, Outcome.TOLERATED if tolerated else Outcome.PASSED)
        headers = _logged(response.fields) if policy.debug else ()
        services.emit(ResponseSent(now, self.txn, client.ip, client.port, response.start_line, headers, self.outcome))
        await self._relay(connection, response)
        connection.on_writable = None
        is_last = client.body is not None or services.policy is not policy
        if policy.keep_alive and connection.reusable and not is_last:
            services.pool.keep(connection)
        else:
            connection.close()
        if not is_last:
            services.plans.learn(client.ip, policy, route, connection.key)
        return response.keep_alive and client.body is None

    async def _relay(self, connection: ServerConnection, response: ForwardedResponse) -> None:
        """Pass the response on as it is received, no faster than the client reads it. Raises ``ResponseError``."""
        client, chunked = self._client, response.chunked
        buffered: list[bytes] = []  # body bytes already received; sent in the same write as the head
        connection.relay(buffered.append)
        if connection.complete:
            trailers = connection.end()
            if chunked:
                buffered = [*map(chunk, buffered), last_chunk(trailer_fields(trailers))]
            client.write(b"".join((response.data, *buffered)))
            return
        client.write(b"".join((response.data, *(map(chunk, buffered) if chunked else buffered))))
        connection.relay((lambda piece: client.write(chunk(piece))) if chunked else client.write)
        client.on_writable = lambda writable: connection.resume_reading() if writable else connection.pause_reading()
        if client.paused:
            connection.pause_reading()
        trailers = await connection.relayed()
        client.on_writable = None
        if chunked:
            client.write(last_chunk(trailer_fields(trailers)))

    def _send_body(self, connection: ServerConnection) -> None:
        """Pass the request's body on as it is received, no faster than the server reads it."""
        client, chunked = self._client, self.route.framing.chunked

        def send(piece: bytes) -> None:
            connection.uploading = True
            connection.send(chunk(piece) if chunked else piece)

        def end(trailers: Fields) -> None:
            connection.uploading = False
            if chunked:
                connection.send(last_chunk(trailer_fields(trailers)))

        # While the client waits for 100 Continue, the server's time limit runs.
        connection.uploading = not self.route.wants_continue
        connection.on_writable = client.pause_reading
        client.start_body(send, end)

    def _informational(self, early: ResponseHead) -> None:
        """Pass a 100 Continue on to a client that waits for it."""
        if early.status == 100 and self.route.wants_continue and not self.responded:
            self._client.write(informational_head(early, time.time()))

    # -- the proxy's own answers

    def reject(self, error: Malformed) -> None:
        """Answer a request whose body cannot be read."""
        self.outcome = Outcome.MALFORMED
        self.status = reject(self._client, self._services, error, self.route.head.minor, self.route.head, self.txn)
        self.responded = True

    def abandon(self) -> None:
        """Record that the client disconnected before its response began."""
        self.outcome = Outcome.ABANDONED
        self._services.emit_unlogged(ClientGone(time.time(), self.txn))

    def _deny(self, denial: Denial, now: float) -> bool:
        self._services.emit(denial.event(now, self.route.method, self.txn))
        return self._answer(ERROR_PAGES[denial.answer], Outcome.DENIED)

    def _answer(self, answer: ErrorPage, outcome: Outcome, reason: str = "") -> bool:
        """Send one of the proxy's own answers; return whether the client's connection can serve another request."""
        head, client, now = self.route.head, self._client, time.time()
        keep = not answer.close and self.route.keeps_alive and client.can_continue()
        data, start_line = render(answer, now=now, request=head, minor=head.minor, keep_alive=keep)
        self._begin_response(answer.status, outcome)
        client.write(data)
        self._emit_answer(now, start_line, reason)
        return keep

    def _answer_last_hop(self) -> bool:
        """Answer a TRACE or OPTIONS whose Max-Forwards ends here; return as ``_answer``."""
        now = time.time()
        keep = self.route.keeps_alive and self._client.can_continue()
        data, start_line = render_last_hop(self.route.head, now=now, keep_alive=keep)
        self._begin_response(200, Outcome.PASSED)
        self._client.write(data)
        self._emit_answer(now, start_line, "")
        return keep

    def _begin_response(self, status: int, outcome: Outcome) -> None:
        self.responded = True
        self.status = status
        self.outcome = outcome

    # -- events

    def _emit_received(self, now: float) -> None:
        route, client = self.route, self._client
        headers = _logged(route.head.fields) if self._policy.debug else ()
        self._services.emit(
            RequestReceived(now, self.txn, self._tracking_id, client.ip, client.port, route.start_line, headers)
        )

    def _emit_sent(self, request: ForwardedRequest, address: ServerAddress) -> None:
        headers: Headers = ()
        if self._policy.debug:
            headers = _logged(request.fields_sent(self._tracking_id.encode("latin-1")))
        port, dial = request.target.port, address.text
        self._services.emit(
            RequestSent(time.time(), self.txn, self._tracking_id, address.ip, port, request.line, headers, dial)
        )

    def _emit_answer(self, now: float, start_line: str, reason: str) -> None:
        client = self._client
        self._services.emit(ResponseSent(now, self.txn, client.ip, client.port, start_line, (), self.outcome, reason))

    def _emit_faults(self, request: ForwardedRequest, address: ServerAddress, verdict: Verdict) -> None:
        services, host, ip = self._services, request.target.host, address.ip
        chain = shared_chain(verdict.presented) if verdict.faults else ()
        for fault in verdict.faults:
            now = time.time()
            if fault.number is None:
                services.emit(NameMismatch(now, services.et_net, host, verdict.action, host, ip, self.txn, chain))
            else:
                text = error_text(fault.number, self._policy.wording)
                services.emit(
                    VerifyFailed(
                        now, services.et_net, host, verdict.action, text, host, ip, fault.depth, self.txn, chain
                    )
                )

    def _emit_failed(self, request: ForwardedRequest, error: TlsError) -> None:
        """Emit OpenSSL's error. A server that only ended TLS leaves none, so no line (SSLNetVConnection.cc:1446)."""
        services = self._services
        if text := error_string(error.reason, self._policy.wording, error.printed):
            services.emit(HandshakeFailed(time.time(), services.et_net, request.target.host, text, self.txn))


def reject(
    client: Client, services: Services, error: Malformed, minor: int, head: RequestHead | None = None, txn: int = 0
) -> int:
    """Log and answer bytes that are not a request that the proxy accepts; return the status.

    ``head`` is the request's if it could be read, ``txn`` its number if it has one. ``minor`` is the version of the
    connection's latest request.
    """
    txn, now = txn or services.next_txn(), time.time()
    services.emit(RequestRejected(now, client.ip, client.port, error.reason, txn))
    head = error.head or head
    if head is not None:
        minor = head.minor
    elif not error.line:
        minor = 0  # Traffic Server answers a request line that it cannot read as HTTP/1.0
    answer = ERROR_PAGES[error.answer]
    data, start_line = render(answer, now=now, request=head, minor=minor, keep_alive=False)
    client.write(data)
    services.emit(ResponseSent(now, txn, client.ip, client.port, start_line, (), Outcome.MALFORMED, error.reason))
    return answer.status


def _logged(fields: Fields) -> Headers:
    """Return header fields in the form that events carry."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
