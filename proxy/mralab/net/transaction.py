"""One request's way through, top to bottom.

A parsed request -> where to (``target``) -> may it (``allowlist``) -> a verified connection or a verdict
(``upstream``, ``tls``) -> the rewritten head (``message``) -> the relay with back-pressure -> the client. Each step
tells what happens. Nothing of the request leaves before the server is verified.
"""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from ..core.allowlist import Allowed
from ..core.answers import ANSWERS
from ..core.events import (
    HandshakeFailed,
    Headers,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.framing import (
    CHUNKED,
    Fields,
    Framing,
    RequestHead,
    ResponseHead,
    chunk,
    last_chunk,
    response_framing,
    values,
)
from ..core.message import (
    client_framing,
    informational_head,
    lacks_length,
    loops,
    max_forwards,
    request_head,
    response_head,
    trailer_fields,
    upgrade_answer,
    wants_continue,
)
from ..core.target import IllegalCharacter, RequestTarget, SchemeMismatch, TargetError, absolute_url, split
from ..core.tlserror import error_string
from ..core.verdict import Verdict, error_text
from .connection import HandshakeError, ResponseError, ServerConnection, ServerError
from .resolver import Place, UnknownHostError

if TYPE_CHECKING:
    from .proxy import Policy
    from .server import ClientConnection

_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))


class Transaction(NamedTuple):
    """What one request is about, once it is known."""

    client: ClientConnection
    policy: Policy
    head: RequestHead
    framing: Framing
    txn: int
    tracking_id: str
    asked: RequestTarget
    place: Place
    wire: bytes
    """The head as the server gets it, the same at each attempt."""
    fields: Fields


async def run(client: ClientConnection, head: RequestHead, framing: Framing) -> bool:
    """Serve one request. Whether the client's connection goes on."""
    services, policy = client.services, client.services.policy
    tell, txn = services.tell, services.next_txn()
    tracking_id = _tracking_id(head)
    raw = head.target.decode("ascii")
    url = absolute_url(raw, policy.control_host)
    method = head.method.decode("ascii")
    client.verdict = "denied"
    received = f"{method} {url} HTTP/1.{head.minor}"
    tell(RequestReceived(time.time(), txn, tracking_id, client.ip, client.port, received, _logged(policy, head.fields)))

    if head.method == b"CONNECT":
        tell(RequestDenied(time.time(), "", "1", method, url, "Invalid token", "CONNECT is not served", txn))
        return client.answer(ANSWERS["no-connect"], head, txn)
    if loops(head, services.hop):
        tell(
            RequestDenied(
                time.time(), "", "1", method, url, "Invalid request", "the request has passed here before", txn
            )
        )
        return client.answer(ANSWERS["cycle"], head, txn)
    if upgrade := upgrade_answer(head):
        tell(
            RequestDenied(time.time(), "", "1", method, url, "Invalid request", "no other protocol is spoken here", txn)
        )
        return client.answer(ANSWERS[upgrade], head, txn)
    try:
        asked = split(raw, policy.control_host)
    except (SchemeMismatch, IllegalCharacter) as error:
        tell(RequestDenied(time.time(), "", "1", method, url, "Invalid token", error.reason, txn))
        return client.answer(ANSWERS["bad-request"], head, txn)
    except TargetError as error:
        tell(RequestDenied(time.time(), "", "1", method, url, "Invalid token", error.reason, txn))
        return client.answer(ANSWERS["not-found-absolute" if error.absolute else "not-found"], head, txn)

    target = asked.target
    username = _username(head, asked.path)
    decision = policy.allow.decide(target.domain, method, target, asked.path)
    target_url = target.url_for(asked.path)
    if not isinstance(decision, Allowed):
        tell(RequestDenied(time.time(), username, decision.deployment_number, method, target_url, txn=txn))
        return client.answer(ANSWERS["denied"], head, txn)
    rule = decision.rule
    tell(
        RequestAllowed(
            time.time(),
            username,
            decision.deployment_number,
            method,
            target_url,
            rule.url,
            rule.match,
            rule.type,
            txn,
        )
    )

    if lacks_length(head, framing):
        client.verdict = "malformed"
        return client.answer(ANSWERS["length-required"], head, txn)
    client.verdict = "failed"
    if max_forwards(head) == 0:
        return client.answer_last_hop(head, txn)
    try:
        place = await services.resolver.resolve(policy.hosts, target.host, target.port, policy.connect_timeout)
    except UnknownHostError:
        return client.answer(ANSWERS["no-name"], head, txn)
    wire, fields = request_head(
        head,
        path=asked.path.encode("ascii"),
        host=target.authority.encode("ascii"),
        client_ip=client.ip.encode("ascii"),
        tracking_id=tracking_id.encode("latin-1"),
        hop=services.hop,
        framing=framing,
        keep_alive=policy.keep_alive,
    )
    it = Transaction(client, policy, head, framing, txn, tracking_id, asked, place, wire, fields)
    return await _attempts(it)


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
                if it.client.responded:
                    it.client.truncate()
                    return False
                failure = error
                if connection.reused and error.unread and _may_repeat(it):
                    attempts += 1  # a kept connection that the server had closed meanwhile is no attempt
            except BaseException:  # cancelled, above all: a client that is gone takes its server's connection along
                connection.abort()
                raise
        if attempts <= 0 or (failure.sent and not _may_repeat(it)):
            it.client.verdict = "refused" if failure.refused else "failed"
            return it.client.answer(failure.answer, it.head, it.txn)


def _may_repeat(it: Transaction) -> bool:
    """Whether a request that a server may have seen may be sent again: a safe one, and only without a body."""
    return it.head.method in _SAFE and it.framing.empty


async def _connect(it: Transaction) -> ServerConnection:
    """A verified connection: a kept one, or a new one. Tells what verification found. Raises ``ServerError``."""
    policy, target, place = it.policy, it.asked.target, it.place
    services = it.client.services
    line = f"{it.head.method.decode('ascii')} {it.asked.path} HTTP/1.1"
    headers = _logged(policy, it.fields)
    services.tell(RequestSent(time.time(), it.txn, it.tracking_id, place.ip, target.port, line, headers))
    services.stats.attempts += 1
    if policy.keep_alive and (kept := services.upstream.take(_key(it))) is not None:
        return kept
    tls = policy.tls.connect(target.host) if target.scheme == "https" else None
    try:
        connection = await services.upstream.connect(
            tls,
            place.dial,
            place.port,
            policy.connect_timeout,
            policy.response_timeout,
            services.limits.header_bytes,
        )
    except HandshakeError as error:
        services.stats.handshakes["refused" if error.refused else "failed"] += 1
        _tell_faults(it, error.verdict)
        text = error_string(error.reason, policy.wording)
        services.tell(HandshakeFailed(time.time(), services.thread, target.host, text, it.txn))
        raise
    if tls is not None:
        services.stats.handshakes[tls.verdict.outcome] += 1
        _tell_faults(it, tls.verdict)
    return connection


def _tell_faults(it: Transaction, verdict: Verdict) -> None:
    services, host, ip = it.client.services, it.asked.target.host, it.place.ip
    for fault in verdict.faults:
        now = time.time()
        if fault.number is None:
            services.tell(NameMismatch(now, services.thread, host, verdict.action, host, ip, it.txn))
        else:
            text = error_text(fault.number, it.policy.wording)
            services.tell(VerifyFailed(now, services.thread, host, verdict.action, text, host, ip, fault.depth, it.txn))


def _key(it: Transaction) -> tuple[object, ...]:
    """What a kept connection must share to be used: the settings it was verified under above all."""
    target, place = it.asked.target, it.place
    return (it.policy.generation, target.scheme, target.host, place.dial, place.port)


async def _exchange(it: Transaction, connection: ServerConnection) -> bool:
    """Send the request, relay the response. Raises ``ResponseError``."""
    client, policy, head = it.client, it.policy, it.head
    tell = client.services.tell

    def informational(early: ResponseHead) -> None:
        if early.status == 100 and wants_continue(head) and not client.responded:
            client.write(informational_head(early, time.time()))

    connection.begin(head.method, informational)
    connection.send(it.wire)
    _send_body(it, connection)
    response = await connection.response()

    now = time.time()
    status = f"{response.status} {response.reason.decode('latin-1')}"
    received = f"HTTP/1.{response.minor} {status}"
    headers = _logged(policy, response.fields)
    tell(ResponseReceived(now, it.txn, it.place.ip, it.asked.target.port, received, headers))
    framing = response_framing(response, head.method)
    onward = client_framing(framing, head.minor)
    until_close = onward.length is None and not onward.chunked
    keep = client.keeps_alive() and not until_close
    data, fields = response_head(response, now=now, framing=onward, keep_alive=keep, minor=head.minor, asked=head)
    client.responded = True
    client.status = response.status
    client.verdict = "tolerated" if connection.tls is not None and connection.tls.verdict.faults else "passed"
    client.write(data)
    sent = f"HTTP/1.{head.minor} {status}"
    tell(ResponseSent(now, it.txn, client.ip, client.port, sent, _logged(policy, fields)))

    chunked = onward.chunked and head.method != b"HEAD"

    def relay(piece: bytes) -> None:
        client.write(chunk(piece) if chunked else piece)

    client.on_writable = lambda writable: connection.resume_reading() if writable else connection.pause_reading()
    if client.paused:
        connection.pause_reading()
    trailers = await connection.relay(relay)
    client.on_writable = None
    if chunked and not framing.empty:
        client.write(last_chunk(trailer_fields(trailers)))
    connection.on_writable = None
    if policy.keep_alive and connection.reusable and client.body is None and client.services.policy is policy:
        client.services.upstream.keep(_key(it), connection)
    else:
        connection.close()
    return keep and client.body is None


def _send_body(it: Transaction, connection: ServerConnection) -> None:
    """Pass the request's body on as it comes, no faster than the server takes it."""
    client = it.client
    if client.body is None:
        return
    chunked = it.framing == CHUNKED

    def send(piece: bytes) -> None:
        connection.send(chunk(piece) if chunked else piece)

    def end(trailers: Fields) -> None:
        connection.uploading = False
        if chunked:
            connection.send(last_chunk(trailer_fields(trailers)))

    connection.uploading = True
    connection.on_writable = client.pause_reading
    client.start_body(send, end)


def _tracking_id(head: RequestHead) -> str:
    given = values(head.fields, b"trackingid")
    return given[0].decode("latin-1") if given and given[0] else str(uuid.uuid4())


def _username(head: RequestHead, path: str) -> str:
    """Who asks: the user of Basic authorization, else of ``/cucm-uds/user/NAME``, else nobody."""
    for value in values(head.fields, b"authorization"):
        scheme, _, credentials = value.partition(b" ")
        if scheme.lower() == b"basic":
            try:
                user, colon, _ = base64.b64decode(credentials.strip(), validate=True).partition(b":")
            except (binascii.Error, ValueError):
                continue
            if colon:
                return user.decode("latin-1")
    if path.startswith("/cucm-uds/user/"):
        return path[15:].partition("?")[0].partition("/")[0]
    return ""


def _logged(policy: Policy, fields: Fields) -> Headers:
    """Fields for the log: only where the level asks for them."""
    if not policy.debug:
        return ()
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
