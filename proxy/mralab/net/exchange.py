"""One request's way through, top to bottom.

A parsed request -> where to and may it (``core.route``) -> a verified connection or a verdict (``upstream``, ``tls``)
-> the rewritten head -> the relay with back-pressure -> the client. Each step tells what happens. Nothing of the
request leaves before the server is verified.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from ..core.http.error_pages import ANSWERS
from ..core.http.framing import Fields, ResponseHead, chunk, last_chunk
from ..core.http.response_head import Onward, onward
from ..core.http.rewrite import informational_head, trailer_fields
from ..core.log.events import (
    HandshakeFailed,
    Headers,
    NameMismatch,
    RequestAllowed,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.mra.route import Denial, Errand, Route, leads_back
from ..core.outcome import Outcome
from ..core.tls.tlserror import error_string
from ..core.tls.verdict import Verdict, error_text
from ..tls.openssl import TlsError
from .endpoints import CONTROL
from .failures import HandshakeError, ResponseError, ServerError
from .resolver import Place, UnknownHostError, listed
from .server_connection import ServerConnection

if TYPE_CHECKING:
    from .client_connection import ClientConnection
    from .traffic_server import Policy


class Transaction(NamedTuple):
    """What one request is about, once it is known."""

    client: ClientConnection
    policy: Policy
    route: Route
    errand: Errand
    txn: int
    tracking_id: str
    place: Place


async def run(client: ClientConnection, route: Route) -> bool:
    """Serve one request. Whether the client's connection goes on."""
    services, policy = client.services, client.services.policy
    tell, txn, now = services.tell, services.next_txn(), time.time()
    client.txn = txn
    tracking_id = route.tracking_id or next(_tracking_ids)
    received = _logged(route.head.fields) if policy.debug else ()
    tell(RequestReceived(now, txn, tracking_id, client.ip, client.port, route.start_line, received))

    errand = route.outcome
    if isinstance(errand, Denial):
        tell(errand.event(now, route.method, txn))
        client.outcome = Outcome.DENIED
        return client.answer(ANSWERS[errand.answer], route.head, txn)
    tell(RequestAllowed(now, *errand.permission.told(route.method), txn))
    if errand.answer:
        client.outcome = Outcome.MALFORMED
        return client.answer(ANSWERS[errand.answer], route.head, txn)
    if errand.last_hop:
        return client.answer_last_hop(route.head, txn)
    target = errand.asked.target
    place = listed(policy.hosts, target.host, target.port)
    if place is None:
        try:
            place = await services.resolver.look_up(target.host, target.port, policy.connect_timeout)
        except UnknownHostError:
            client.outcome = Outcome.FAILED
            return client.answer(ANSWERS["no-name"], route.head, txn, "the name has no address")
    if services.own.reached_by(place.dial, place.port) or CONTROL.reached_by(place.dial, place.port):
        tell(leads_back(errand.permission).event(time.time(), route.method, txn))
        client.outcome = Outcome.DENIED
        return client.answer(ANSWERS["leads-back"], route.head, txn)
    return await _attempts(Transaction(client, policy, route, errand, txn, tracking_id, place))


async def _attempts(it: Transaction) -> bool:
    """Try as often as may be tried; answer with the last failure. At once, without a pause, as Traffic Server does."""
    attempts = it.policy.attempts
    while True:
        attempts -= 1
        try:
            connection = await _connect(it)
        except ServerError as error:
            failure: ServerError = error
        else:
            try:
                return await _exchange(it, connection)
            except ResponseError as error:
                connection.abort()
                if error.tls is not None:  # emulated: Traffic Server was not seen to log an alert after the handshake
                    _tell_failed(it, error.tls)
                if it.client.responded:
                    it.client.truncate()
                    return False
                failure = error
                if connection.reused and error.unread and it.route.repeatable:
                    attempts += 1  # a kept connection that the server had closed meanwhile is no attempt
            except BaseException:  # cancelled, above all: a client that is gone takes its server's connection along
                connection.abort()
                raise
        if attempts <= 0 or (failure.sent and not it.route.repeatable):
            it.client.outcome = Outcome.REFUSED if failure.refused else Outcome.FAILED
            return it.client.answer(failure.answer, it.route.head, it.txn, failure.reason)


async def _connect(it: Transaction) -> ServerConnection:
    """A verified connection: a kept one, or a new one. Tells what verification found. Raises ``ServerError``."""
    policy, target, place = it.policy, it.errand.asked.target, it.place
    services = it.client.services
    headers = _logged(it.errand.fields_sent(it.tracking_id.encode("latin-1"))) if policy.debug else ()
    sent = RequestSent(time.time(), it.txn, it.tracking_id, place.ip, target.port, it.errand.line, headers, place.text)
    services.tell(sent)
    services.stats.attempts += 1
    key = _key(it)
    if policy.keep_alive and (kept := services.upstream.take(key)) is not None:
        return kept
    tls = policy.tls.connect(target.host) if target.scheme == "https" else None
    try:
        connection = await services.upstream.connect(tls, place.dial, place.port, services.limits.header_bytes)
        connection.key = key
    except HandshakeError as error:
        services.stats.handshakes["refused" if error.refused else "failed"] += 1
        _tell_faults(it, error.verdict)
        _tell_failed(it, error.tls)
        raise
    if tls is not None:
        services.stats.handshakes[tls.verdict.outcome] += 1
        _tell_faults(it, tls.verdict)
    return connection


def _tell_faults(it: Transaction, verdict: Verdict) -> None:
    services, host, ip = it.client.services, it.errand.asked.target.host, it.place.ip
    for fault in verdict.faults:
        now = time.time()
        if fault.number is None:
            services.tell(NameMismatch(now, services.thread, host, verdict.action, host, ip, it.txn))
        else:
            text = error_text(fault.number, it.policy.wording)
            services.tell(VerifyFailed(now, services.thread, host, verdict.action, text, host, ip, fault.depth, it.txn))


def _tell_failed(it: Transaction, error: TlsError) -> None:
    """Log OpenSSL's error; where the server merely ended TLS there is none, and no line (SSLNetVConnection.cc:1446)."""
    services = it.client.services
    if text := error_string(error.reason, it.policy.wording, error.printed):
        services.tell(HandshakeFailed(time.time(), services.thread, it.errand.asked.target.host, text, it.txn))


def _key(it: Transaction) -> tuple[object, ...]:
    """What a kept connection must share to be used: the settings it was verified under above all."""
    target, place = it.errand.asked.target, it.place
    return (it.policy.generation, target.scheme, target.host, place.dial, place.port)


async def _exchange(it: Transaction, connection: ServerConnection) -> bool:
    """Send the request, relay the response. Raises ``ResponseError``."""
    client, policy, route = it.client, it.policy, it.route
    tell = client.services.tell

    def informational(early: ResponseHead) -> None:
        if early.status == 100 and route.wants_continue and not client.responded:
            client.write(informational_head(early, time.time()))

    connection.begin(route.head.method, informational)
    connection.send(it.errand.wire(it.tracking_id.encode("latin-1")))
    if client.body is not None:
        _send_body(it, connection)
    reply = await connection.response()

    now, place, port = time.time(), it.place, it.errand.asked.target.port
    headers = _logged(reply.head.fields) if policy.debug else ()
    tell(ResponseReceived(now, it.txn, place.ip, port, reply.start_line, headers))
    response = onward(
        reply,
        minor=route.head.minor,
        keep_alive=client.keeps_alive(),
        connection=route.connection_field,
        now=now,
    )
    client.responded = True
    client.status = reply.head.status
    tolerated = connection.tls is not None and connection.tls.verdict.faults
    client.outcome = Outcome.TOLERATED if tolerated else Outcome.PASSED
    headers = _logged(response.fields) if policy.debug else ()
    tell(ResponseSent(now, it.txn, client.ip, client.port, response.start_line, headers, client.outcome))
    await _relay(client, connection, response)
    connection.on_writable = None
    if policy.keep_alive and connection.reusable and client.body is None and client.services.policy is policy:
        client.services.upstream.keep(connection)
    else:
        connection.close()
    return response.keep_alive and client.body is None


async def _relay(client: ClientConnection, connection: ServerConnection, response: Onward) -> None:
    """Pass the response on as it comes, no faster than the client takes it. Raises ``ResponseError``."""
    chunked = response.chunked

    here: list[bytes] = []  # already: it goes out with the head, in one write
    connection.relay(here.append)
    if connection.complete:
        trailers = connection.end()
        if chunked:
            here = [*map(chunk, here), last_chunk(trailer_fields(trailers))]
        client.write(b"".join((response.data, *here)))
        return
    client.write(b"".join((response.data, *(map(chunk, here) if chunked else here))))
    connection.relay((lambda piece: client.write(chunk(piece))) if chunked else client.write)
    client.on_writable = lambda writable: connection.resume_reading() if writable else connection.pause_reading()
    if client.paused:
        connection.pause_reading()
    trailers = await connection.relayed()
    client.on_writable = None
    if chunked:
        client.write(last_chunk(trailer_fields(trailers)))


def _send_body(it: Transaction, connection: ServerConnection) -> None:
    """Pass the request's body on as it comes, no faster than the server takes it."""
    client = it.client
    chunked = it.route.framing.chunked

    def send(piece: bytes) -> None:
        connection.uploading = True
        connection.send(chunk(piece) if chunked else piece)

    def end(trailers: Fields) -> None:
        connection.uploading = False
        if chunked:
            connection.send(last_chunk(trailer_fields(trailers)))

    # While the client waits for 100 Continue, it is the server whom everybody waits for.
    connection.uploading = not it.route.wants_continue
    connection.on_writable = client.pause_reading
    client.start_body(send, end)


def _make_tracking_ids() -> Iterator[str]:
    """Random UUIDs (RFC 9562 section 5.4), many at a time: one by one the system's call costs more than the rest."""
    while True:
        digits = os.urandom(16 * 64).hex()
        for at in range(0, len(digits), 32):
            variant = "89ab"[int(digits[at + 16], 16) & 3]
            yield (
                f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-4{digits[at + 13 : at + 16]}-"
                f"{variant}{digits[at + 17 : at + 20]}-{digits[at + 20 : at + 32]}"
            )


_tracking_ids: Final = _make_tracking_ids()


def _logged(fields: Fields) -> Headers:
    """Fields for the log, whose level asks for them."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
