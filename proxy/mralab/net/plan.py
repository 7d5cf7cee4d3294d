"""The plan of a request: all that its head decides, for requests with the same head that follow.

Clients repeat themselves: most requests have the bytes of an earlier one. What such a head leads to cannot change while
one policy is in force: the route, the rule that permits it, the server's address, the rewritten head, the text of its
log lines but for the time, the number of the transaction, the TrackingID and the client's port. A ``Plan`` is that,
under the head's bytes and the client's address, and serving a known head (``short_path``) is then: look up, fill gaps,
write.

**A plan is made by the ordinary path**, at the end of an exchange that it may stand for (``Plans.learn``). There is no
second way to read a head, to decide about it or to rewrite it, so a plan cannot disagree with the first request. Only
the plainest kind of request gets one: no body, a server of ``[hosts]`` or an address, a server that answered, a
client's connection that is kept. Everything else takes the ordinary path always.

**A plan ends with its policy.** ``Services.use`` begins with empty ``Plans`` whenever allow list, hosts, trust store,
certificate, release, mode, limits or log level change, and a plan that was begun before is not added. Verification is
not planned: a new connection is verified as any other, and a plan names the key of the pool, under which there are only
connections verified under its policy for its host. Nor is the question whether an address leads back to the proxy:
sockets may begin to listen at any time, so it is asked for each request.

**Memory is bounded by bytes**, ``Plans`` drops the oldest. A head that never repeats costs only an object: the texts
for the log are made when the plan is used.

A plan also holds the latest response to it, read and rewritten (``PlannedReply``). It is used as it is if the next one
has the same head byte for byte, in the same second (``Age``); only the values of Date, Age and Content-Length are read
if these alone differ (``core.http.response_template``); any other is read by ``core.http.response_head`` first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..core.http.framing import Malformed
from ..core.http.response_head import forward_response, read_reply
from ..core.http.response_template import ResponseTemplate, template
from ..core.log.escape import escape
from ..core.log.events import RequestAllowed, RequestReceived, RequestSent, ResponseReceived, ResponseSent
from ..core.log.planned import PlannedRequest, PlannedResponse
from ..core.mra.route import ForwardedRequest, Route
from .policy import Policy
from .resolver import ServerAddress, listed

LARGEST_HEAD: Final = 2048
"""Bytes of a request's or a response's head that is known."""
_MOST_BYTES: Final = 12 << 20  # about a thousand usual plans
_FIXED_BYTES: Final = 10240  # measured: a plan with its reply; with the largest heads it is 6 KB more

PoolKey = tuple[object, ...]


class PlannedReply(NamedTuple):
    """A server's response head that is known, with what the client gets in its place.

    ``length`` is that of the head, ``size`` that of head and body, ``second`` the time for which ``data`` is correct.
    ``reusable``: the server keeps the connection open after it.
    """

    head: bytes
    length: int
    size: int
    second: int
    data: bytes
    status: int
    reusable: bool
    lines: PlannedResponse
    pieces: tuple[str, ...]
    template: ResponseTemplate | None


class Plan:
    """What a request's head decides under one policy. Immutable, but the parts for its log are made on first use.

    ``lines`` are its events and ``pieces`` their text, ``reply`` is the latest response to it. ``tracking_id`` is the
    client's own, ``tracking_text`` the same as the log has it, and ``wire`` the head for the server with it; all are
    empty if the client sent none. ``weight`` is about its size in memory, in bytes.
    """

    __slots__ = (
        "address",
        "client_ip",
        "key",
        "lines",
        "minor",
        "pieces",
        "policy",
        "reply",
        "request",
        "route",
        "tracking_id",
        "tracking_text",
        "weight",
        "wire",
    )

    def __init__(
        self,
        client_ip: str,
        policy: Policy,
        route: Route,
        request: ForwardedRequest,
        address: ServerAddress,
        key: PoolKey,
    ) -> None:
        self.client_ip = client_ip
        self.minor = route.head.minor
        self.policy = policy
        self.route = route
        self.request = request
        self.address = address
        self.key = key
        self.tracking_id = route.tracking_id
        self.tracking_text = escape(route.tracking_id)
        self.wire = request.wire(route.tracking_id.encode("latin-1")) if route.tracking_id else b""
        self.weight = _FIXED_BYTES + 4 * len(route.data) + 4 * sum(map(len, request.permission))
        self.lines: PlannedRequest | None = None
        self.pieces: tuple[str, ...] = ()
        self.reply: PlannedReply | None = None

    def prepare(self) -> PlannedRequest:
        """Make ``lines`` and ``pieces``, for the first request that needs them: many heads come only once."""
        request, address = self.request, self.address
        self.lines = PlannedRequest(
            RequestReceived(0.0, 0, "", self.client_ip, 0, self.route.start_line),
            RequestAllowed(0.0, *request.permission.fields(self.route.method)),
            RequestSent(0.0, 0, "", address.ip, request.target.port, request.line, (), address.text),
        )
        self.pieces = self.lines.pieces()
        return self.lines

    def read(self, data: bytes, now: float) -> PlannedReply | None:
        """Return what the client gets for these first bytes of a response; None if they are not all of a usual one."""
        length = data.find(b"\r\n\r\n") + 4
        if not 4 <= length <= min(LARGEST_HEAD, self.policy.config.limits.header_bytes):
            return None
        head, known, second = data[:length], self.reply, int(now)
        if known is not None and known.template is not None:
            filled = known.template.fill(head, now)
            if filled is not None and filled[1] == len(data) - length:
                self.reply = known._replace(head=head, length=length, size=len(data), second=second, data=filled[0])
                return self.reply
        route = self.route
        try:
            reply = read_reply(head, route.head.method)
        except Malformed:
            return None
        if reply.head.status < 200 or reply.framing.length != len(data) - length:
            return None
        response = forward_response(
            reply, minor=route.head.minor, keep_alive=True, connection=route.connection_field, now=now
        )
        if response.chunked or not response.keep_alive:
            return None
        lines = PlannedResponse(
            ResponseReceived(0.0, 0, self.address.ip, self.request.target.port, reply.start_line),
            ResponseSent(0.0, 0, self.client_ip, 0, response.start_line),
        )
        self.reply = PlannedReply(
            head,
            length,
            len(data),
            second,
            response.data,
            reply.head.status,
            reply.reusable,
            lines,
            lines.pieces(),
            template(reply, response),
        )
        return self.reply


def _plan(client_ip: str, policy: Policy, route: Route, key: PoolKey) -> Plan | None:
    """Return the plan for requests like one that was served; None if another one may need the ordinary path."""
    request = route.outcome
    if (
        not isinstance(request, ForwardedRequest)
        or policy.debug  # the lines then have all fields
        or not route.keeps_alive
        or not route.framing.empty
        or route.wants_continue
        or len(route.data) > LARGEST_HEAD
    ):
        return None
    address = listed(policy.hosts, request.target.host, request.target.port)
    return None if address is None else Plan(client_ip, policy, route, request, address, key)


class Plans:
    """The plans under one policy, by the client's address and the bytes of the head. The oldest ones are dropped."""

    __slots__ = ("_most", "_weight", "known")

    def __init__(self, most: int = _MOST_BYTES) -> None:
        """``most`` is about the size of all plans in memory, in bytes; 0: nothing is kept."""
        self._most = most
        self._weight = 0
        self.known: dict[tuple[str, bytes], Plan] = {}

    @property
    def weight(self) -> int:
        """The size of all plans, in bytes."""
        return self._weight

    def learn(self, client_ip: str, policy: Policy, route: Route, key: PoolKey) -> None:
        """Keep the plan for requests like one that was served, if there can be one."""
        name = (client_ip, route.data)
        plan = None if name in self.known else _plan(client_ip, policy, route, key)
        if plan is None:
            return
        self.known[name] = plan
        self._weight += plan.weight
        while self._weight > self._most:
            self._weight -= self.known.pop(next(iter(self.known))).weight
