"""What is decided of a request by its head alone: where it goes, whether it may, what the server gets of it.

The same head from the same address has the same route for as long as the settings stay, so ``Routes`` remembers: a
client's requests differ in little. Nothing here is about one transaction; its TrackingID is put in by ``Route.wire``.
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
    TargetError,
    absolute_url,
    split,
)

_SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
_LARGEST_KEPT: Final = 2048  # bytes of a head worth remembering
_MOST_KEPT: Final = 1024
_LONGEST_USERNAME: Final = 1024  # characters; CUCM's user IDs have 128 at most


class Denial(NamedTuple):
    """Why a request goes nowhere: the answer's name and the fields of ``RequestDenied``."""

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
        who, reason = (self.username, self.deployment), (self.detail, self.reason)
        return RequestDenied(at, *who, method, self.url, *reason, txn, self.nearest, self.unlisted)


class Permission(NamedTuple):
    """By which rule a request may go out: the fields of ``RequestAllowed``."""

    username: str
    deployment: str
    url: str
    rule: str
    match: str
    type: str

    def fields(self, method: str) -> tuple[str, str, str, str, str, str, str]:
        """The event's fields behind its time."""
        return self.username, self.deployment, method, self.url, self.rule, self.match, self.type


def leads_back(permission: Permission) -> Denial:
    """Return the denial of an allowed request whose server turned out to be this proxy or its control API."""
    who, deployment, url = permission.username, permission.deployment, permission.url
    return Denial("leads-back", who, deployment, url, "Invalid request", "the address leads back to this proxy")


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """What is to be done for an allowed request: ``permission`` is by which rule.

    ``answer`` names the answer that it gets from the proxy itself; empty: the server is asked. ``line`` is the request
    line for the server and ``fields`` its fields; where the TrackingID is ours to choose, it is the one at
    ``tracked``, without a value, and else ``tracked`` is -1.
    """

    permission: Permission
    asked: RequestTarget
    answer: str
    last_hop: bool
    line: str
    fields: Fields
    tracked: int
    _before: bytes
    _after: bytes

    def wire(self, tracking_id: bytes) -> bytes:
        """The head as the server gets it."""
        return self._before + tracking_id + self._after if self.tracked >= 0 else self._before

    def fields_sent(self, tracking_id: bytes) -> Fields:
        """Its fields."""
        fields = list(self.fields)
        if self.tracked >= 0:
            fields[self.tracked] = (fields[self.tracked][0], tracking_id)
        return fields


@dataclass(frozen=True, slots=True)
class Route:
    """A head, understood."""

    head: RequestHead
    framing: Framing
    method: str
    start_line: str
    """As the log has it: with the absolute URL."""
    tracking_id: str
    """The client's own, or empty."""
    keeps_alive: bool
    connection_field: str
    """The field that tells the client whether its connection lives on."""
    wants_continue: bool
    repeatable: bool
    """A request that a server may have seen may be sent again: a safe one, and only without a body."""
    outcome: Denial | ForwardedRequest


class Routes:
    """Finds the routes of heads under one allow list. ``hop`` is this proxy, ``control_host`` its name in the log.

    ``keep_alive`` is whether servers are asked to keep their connections open; ``hosts`` are the names and addresses
    of ``[hosts]``.
    """

    __slots__ = ("_allow", "_control_host", "_hop", "_hosts", "_keep_alive", "_known")

    def __init__(
        self, allow: AllowList, control_host: str, hop: Hop, *, keep_alive: bool, hosts: Container[str] = ()
    ) -> None:
        self._hosts = hosts
        self._allow = allow
        self._control_host = control_host
        self._hop = hop
        self._keep_alive = keep_alive
        self._known: dict[tuple[str, bytes], Route] = {}

    def find(self, head: bytes, client_ip: str) -> Route:
        """The route of a whole request head, ending in its empty line. Raises ``Malformed``."""
        key = (client_ip, head)
        route = self._known.get(key)
        if route is None:
            route = self._find(head, client_ip)
            if len(head) <= _LARGEST_KEPT:
                if len(self._known) >= _MOST_KEPT:
                    del self._known[next(iter(self._known))]
                self._known[key] = route
        return route

    def _find(self, data: bytes, client_ip: str) -> Route:
        head = parse_request(data)
        try:
            framing = request_framing(head)
        except Malformed as error:
            error.head = head
            raise
        given = values(head.fields, b"trackingid")
        raw, method = head.target.decode("ascii"), head.method.decode("ascii")
        url = absolute_url(raw, self._control_host)
        return Route(
            head,
            framing,
            method,
            f"{method} {url} HTTP/1.{head.minor}",
            given[0].decode("latin-1") if given else "",
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
            return Denial("cycle", "", "1", url, "Invalid request", "the request has passed here before")
        if upgrade := upgrade_answer(head):
            return Denial(upgrade, "", "1", url, "Invalid request", "no other protocol is spoken here")
        try:
            asked = split(raw, self._control_host)
        except TargetError as error:
            if isinstance(error, SchemeMismatch | IllegalCharacter):
                answer = "bad-request"
            else:
                answer = "not-found-absolute" if error.absolute else "not-found"
            return Denial(answer, "", "1", url, "Invalid token", error.reason)
        return self._permit(head, framing, asked, client_ip)

    def _permit(
        self, head: RequestHead, framing: Framing, asked: RequestTarget, client_ip: str
    ) -> Denial | ForwardedRequest:
        target = asked.target
        username = _username(head, asked.path)
        decision = self._allow.decide(target.domain, head.method.decode("ascii"), target, asked.path)
        url = target.url_for(asked.path)
        if not isinstance(decision, Allowed):
            unlisted = target.host not in self._hosts
            nearest = decision.nearest
            return Denial("denied", username, decision.deployment_number, url, nearest=nearest, unlisted=unlisted)
        rule = decision.rule
        permission = Permission(username, decision.deployment_number, url, rule.url, rule.match, rule.type)
        return self._forwarded(permission, head, framing, asked, client_ip)

    def _forwarded(
        self, permission: Permission, head: RequestHead, framing: Framing, asked: RequestTarget, client_ip: str
    ) -> ForwardedRequest:
        fields, tracked = request_head(
            head,
            host=asked.target.authority.encode("ascii"),
            client_ip=client_ip.encode("ascii"),
            hop=self._hop,
            framing=framing,
            keep_alive=self._keep_alive,
        )
        line = f"{head.method.decode('ascii')} {asked.path} HTTP/1.1"
        lines = [b"%b\r\n" % line.encode("ascii"), *(b"%b: %b\r\n" % field for field in fields), b"\r\n"]
        if tracked >= 0:
            before = b"".join(lines[: tracked + 2])[:-2]
            after = b"".join((b"\r\n", *lines[tracked + 2 :]))
        else:
            before, after = b"".join(lines), b""
        answer = "length-required" if lacks_length(head, framing) else ""
        return ForwardedRequest(
            permission, asked, answer, max_forwards(head) == 0, line, fields, tracked, before, after
        )


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
                return _shortened(user.decode("latin-1"))
    if path.startswith("/cucm-uds/user/"):
        return _shortened(path[15:].partition("?")[0].partition("/")[0])
    return ""


def _shortened(username: str) -> str:
    """Return a name as it is logged and kept in memory, with each of a request's events."""
    return username if len(username) <= _LONGEST_USERNAME else f"{username[:_LONGEST_USERNAME]}..."
