"""The routing decision for a request, made from its head only: its server, whether it is allowed, the rewritten head.

A head from the same address has the same route until the settings change, so ``Routes`` caches routes: the requests of
a client hardly differ. A route has no state of one request; ``ForwardedRequest.wire`` inserts the TrackingID.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..http.error_pages import connection_field
from ..http.framing import Fields, Framing, Malformed, RequestHead, parse_request, request_framing, values
from ..http.rewrite import (
    Hop,
    keeps_alive,
    lacks_length,
    loops,
    max_forwards,
    request_head,
    upgrade_answer,
    wants_continue,
)
from ..log.events import RequestDenied
from .allowlist import Allowed, AllowList
from .target import (
    IllegalCharacter,
    RequestTarget,
    SchemeMismatch,
    Target,
    TargetError,
    absolute_url,
    split,
)

_SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
_LARGEST_CACHED: Final = 2048  # bytes of a head
_MOST_CACHED: Final = 1024
_LONGEST_USERNAME: Final = 1024  # characters; CUCM's user IDs have 128 at most


class Denial(NamedTuple):
    """Why a request is not forwarded: the name of the answer (``ERROR_PAGES``) and the fields of ``RequestDenied``."""

    answer: str
    username: str
    deployment: str
    url: str
    detail: str = "Access denied"
    reason: str = "Not in allow list"
    nearest: str = ""
    unlisted: bool = False

    def event(self, at: float, method: str, txn: int) -> RequestDenied:
        """Return the event of this denial at ``at``, in seconds since the epoch."""
        return RequestDenied(
            at,
            self.username,
            self.deployment,
            method,
            self.url,
            self.detail,
            self.reason,
            txn,
            self.nearest,
            self.unlisted,
        )


class Permission(NamedTuple):
    """The rule that allows a request: the fields of ``RequestAllowed``."""

    username: str
    deployment: str
    url: str
    rule: str
    match: str
    type: str

    def fields(self, method: str) -> tuple[str, str, str, str, str, str, str]:
        """Return the event's fields after its time."""
        return self.username, self.deployment, method, self.url, self.rule, self.match, self.type


def leads_back(permission: Permission) -> Denial:
    """Return the denial of an allowed request whose server has the address of this proxy or of its control API."""
    return Denial(
        "leads-back",
        permission.username,
        permission.deployment,
        permission.url,
        "Invalid request",
        "the address leads back to this proxy",
    )


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """An allowed request with its rewritten head.

    ``answer`` names the answer that the proxy gives by itself (``ERROR_PAGES``); empty: the server answers.
    ``last_hop``: Max-Forwards is 0. ``line`` is the request line for the server and ``fields`` its header fields. If
    the client sent no TrackingID, ``tracking_index`` is the index of that field, whose value is empty; otherwise -1.
    """

    permission: Permission
    target: Target
    answer: str
    last_hop: bool
    line: str
    fields: Fields
    tracking_index: int
    before_tracking_id: bytes
    after_tracking_id: bytes

    def wire(self, tracking_id: bytes) -> bytes:
        """Return the head for the server, with this TrackingID unless the client sent its own."""
        if self.tracking_index < 0:
            return self.before_tracking_id
        return self.before_tracking_id + tracking_id + self.after_tracking_id

    def fields_sent(self, tracking_id: bytes) -> Fields:
        """Return the header fields of ``wire``."""
        fields = list(self.fields)
        if self.tracking_index >= 0:
            fields[self.tracking_index] = (fields[self.tracking_index][0], tracking_id)
        return fields


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed request head with its routing decision. ``data`` are the head's bytes."""

    data: bytes
    head: RequestHead
    framing: Framing
    method: str
    start_line: str
    """As the log shows it: with the absolute URL."""
    tracking_id: str
    """The client's; empty if it sent none."""
    keeps_alive: bool
    connection_field: str
    """Name of the response field that says whether the client's connection stays open."""
    wants_continue: bool
    repeatable: bool
    """The request may be sent again although a server may have received it: its method is safe and it has no body."""
    outcome: Denial | ForwardedRequest


class Routes:
    """Finds and caches the routes of heads under one allow list.

    ``hop`` is this proxy in Via fields, ``control_host`` its name in the log. ``keep_alive``: requests ask the servers
    to keep their connections open. ``hosts`` has the names and addresses of ``[hosts]``.
    """

    __slots__ = ("_allow", "_cache", "_control_host", "_hop", "_hosts", "_keep_alive")

    def __init__(
        self, allow: AllowList, control_host: str, hop: Hop, *, keep_alive: bool, hosts: Container[str] = ()
    ) -> None:
        self._hosts = hosts
        self._allow = allow
        self._control_host = control_host
        self._hop = hop
        self._keep_alive = keep_alive
        self._cache: dict[tuple[str, bytes], Route] = {}

    def find(self, head: bytes, client_ip: str) -> Route:
        """Return the route of a whole request head, which ends in its empty line. Raises ``Malformed``."""
        key = (client_ip, head)
        route = self._cache.get(key)
        if route is None:
            route = self._find(head, client_ip)
            if len(head) <= _LARGEST_CACHED:
                if len(self._cache) >= _MOST_CACHED:
                    del self._cache[next(iter(self._cache))]
                self._cache[key] = route
        return route

    def _find(self, data: bytes, client_ip: str) -> Route:
        head = parse_request(data)
        try:
            framing = request_framing(head)
        except Malformed as error:
            error.head = head
            raise
        tracking_ids = values(head.fields, b"trackingid")
        raw, method = head.target.decode("ascii"), head.method.decode("ascii")
        url = absolute_url(raw, self._control_host)
        return Route(
            data,
            head,
            framing,
            method,
            f"{method} {url} HTTP/1.{head.minor}",
            tracking_ids[0].decode("latin-1") if tracking_ids else "",
            keeps_alive(head.minor, head.fields),
            connection_field(head),
            wants_continue(head),
            head.method in _SAFE and framing.empty,
            self._decide(head, framing, raw, url, client_ip),
        )

    def _decide(
        self, head: RequestHead, framing: Framing, raw: str, url: str, client_ip: str
    ) -> Denial | ForwardedRequest:
        if head.method == b"CONNECT":
            return Denial("no-connect", "", "1", url, "Invalid token", "CONNECT is not served")
        if loops(head, self._hop):
            return Denial("cycle", "", "1", url, "Invalid request", "the request has passed this proxy before")
        if upgrade := upgrade_answer(head):
            return Denial(upgrade, "", "1", url, "Invalid request", "protocol upgrades are not supported")
        try:
            request_target = split(raw, self._control_host)
        except TargetError as error:
            if isinstance(error, SchemeMismatch | IllegalCharacter):
                answer = "bad-request"
            else:
                answer = "not-found-absolute" if error.absolute else "not-found"
            return Denial(answer, "", "1", url, "Invalid token", error.reason)
        return self._apply_allow_list(head, framing, request_target, client_ip)

    def _apply_allow_list(
        self, head: RequestHead, framing: Framing, request_target: RequestTarget, client_ip: str
    ) -> Denial | ForwardedRequest:
        target, path, _ = request_target
        username = _username(head, path)
        decision = self._allow.decide(target.domain, head.method.decode("ascii"), target, path)
        url = target.url_for(path)
        if not isinstance(decision, Allowed):
            unlisted = target.host not in self._hosts
            nearest = decision.nearest
            return Denial("denied", username, decision.deployment_number, url, nearest=nearest, unlisted=unlisted)
        rule = decision.rule
        permission = Permission(username, decision.deployment_number, url, rule.url, rule.match, rule.type)
        return self._forward(permission, head, framing, request_target, client_ip)

    def _forward(
        self, permission: Permission, head: RequestHead, framing: Framing, request_target: RequestTarget, client_ip: str
    ) -> ForwardedRequest:
        target, path, _ = request_target
        fields, tracking_index = request_head(
            head,
            host=target.authority.encode("ascii"),
            client_ip=client_ip.encode("ascii"),
            hop=self._hop,
            framing=framing,
            keep_alive=self._keep_alive,
        )
        line = f"{head.method.decode('ascii')} {path} HTTP/1.1"
        before, after = _serialized(line.encode("ascii"), fields, tracking_index)
        answer = "length-required" if lacks_length(head, framing) else ""
        last_hop = max_forwards(head) == 0
        return ForwardedRequest(permission, target, answer, last_hop, line, fields, tracking_index, before, after)


def _serialized(line: bytes, fields: Fields, tracking_index: int) -> tuple[bytes, bytes]:
    """Return a head's bytes before and after the value of field ``tracking_index``; all are before it if that is -1."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    if tracking_index < 0:
        return b"".join((line, b"\r\n", *lines, b"\r\n")), b""
    name, _ = fields[tracking_index]
    before = b"".join((line, b"\r\n", *lines[:tracking_index], name, b": "))
    return before, b"".join((b"\r\n", *lines[tracking_index + 1 :], b"\r\n"))


def _username(head: RequestHead, path: str) -> str:
    """Return the user of Basic authorization, otherwise that of ``/cucm-uds/user/NAME``, otherwise nothing."""
    for value in values(head.fields, b"authorization"):
        scheme, _, credentials = value.partition(b" ")
        if scheme.lower() == b"basic":
            try:
                user, colon, _ = base64.b64decode(credentials.strip(), validate=True).partition(b":")
            except (binascii.Error, ValueError):
                continue
            if colon:
                return _shortened(user.decode("latin-1"))
    if path.startswith("/cucm-uds/user/"):
        return _shortened(path[15:].partition("?")[0].partition("/")[0])
    return ""


def _shortened(username: str) -> str:
    """Return a name as it is logged; each event of a request keeps it in memory."""
    return username if len(username) <= _LONGEST_USERNAME else f"{username[:_LONGEST_USERNAME]}..."
