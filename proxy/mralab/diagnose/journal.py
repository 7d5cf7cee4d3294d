"""What one proxy told so far: its log lines, what became of each request, and the findings. Bounded, for days of use.

A journal is a listener: ``Proxy(config, listener=journal.take)``. It sees what the log sees, so the findings are those
that the log alone gives.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from ..core.events import (
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.logline import LineWriter
from .findings import Finding, find

_LINES_A_REQUEST: Final = 5


@dataclass(slots=True)
class Served:
    """What became of one request so far. Times are seconds, ``started`` since the epoch.

    ``url`` is what the client asked for until the allow list has decided, then the server's; ``server`` and ``port``
    are empty and 0 where nothing was to be dialled. ``faults`` are OpenSSL's texts (``not in certificate`` for the
    name), one for each attempt that had it, ``error`` is the last handshake's ``error:..`` text. ``status`` is 0 while
    no answer was sent.
    """

    txn: int
    tracking_id: str
    started: float
    client: str
    method: str
    url: str
    username: str = ""
    deployment: str = ""
    rule: str = ""
    allowed: bool = False
    denied: str = ""
    server: str = ""
    ip: str = ""
    port: int = 0
    attempts: int = 0
    faults: list[str] = field(default_factory=list)
    action: str = ""
    error: str = ""
    answered: bool = False
    status: int = 0
    reason: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """In one word.

        ``denied`` (nothing was dialled), ``refused`` (verification ended it), ``failed`` (no answer for another
        reason), ``tolerated`` (faults were logged, traffic flowed), ``passed``; ``pending`` while none is known.
        """
        if self.denied:
            return "denied"
        if self.faults and self.action == "Terminate" and not self.answered:
            return "refused"
        if self.answered:
            return "tolerated" if self.faults and self.action == "Continue" else "passed"
        return "failed" if self.status else "pending"


class Journal:
    """Takes events, gives lines, transactions and findings.

    ``hostname`` and ``pid`` are what the lines begin with; ``most`` is how many lines are kept (the latest), and a
    fifth as many transactions.
    """

    def __init__(self, hostname: str, pid: int, *, most: int = 100_000) -> None:
        self._writer = LineWriter(hostname, pid, debug=True)
        self._lines: deque[str] = deque(maxlen=most)
        self._served: dict[int, Served] = {}
        self._most = max(1, most // _LINES_A_REQUEST)
        self.lost = 0
        """Lines that are no longer kept."""
        self.lost_requests = 0
        """Requests that are no longer kept."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The log's lines, without their ends."""
        return tuple(self._lines)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the lines say is wrong."""
        return find(self._lines)

    @property
    def transactions(self) -> tuple[Served, ...]:
        """The requests, the latest last."""
        return tuple(self._served.values())

    def clear(self) -> None:
        """Forget everything so far; requests that are under way are let go of, too."""
        self._lines.clear()
        self._served.clear()
        self.lost = self.lost_requests = 0

    def take(self, event: Event) -> None:
        """Take the next event."""
        lines = self._writer.format(event).splitlines()
        self.lost += max(0, len(self._lines) + len(lines) - (self._lines.maxlen or 0))
        self._lines.extend(lines)
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif not isinstance(event, RequestRejected) and (served := self._served.get(event.txn)) is not None:
            _note(served, event)

    def _begin(self, event: RequestReceived) -> None:
        if len(self._served) >= self._most:
            del self._served[next(iter(self._served))]
            self.lost_requests += 1
        method, _, rest = event.start_line.partition(" ")
        self._served[event.txn] = Served(
            event.txn,
            event.tracking_id,
            event.at,
            f"{event.src_ip}:{event.src_port}",
            method,
            rest.rpartition(" ")[0],
        )


def _note(served: Served, event: Event) -> None:
    """What one event tells of its request."""
    match event:
        case RequestAllowed():
            served.allowed = True
            served.username, served.deployment = event.username, event.deployment
            served.url, served.rule = event.url, event.rule
            served.server, served.port = _server(event.url)
        case RequestDenied():
            served.denied = f"{event.detail}: {event.reason}"
            served.username, served.deployment, served.url = event.username, event.deployment, event.url
        case RequestSent():
            served.attempts += 1
            served.ip, served.port = event.dst_ip, event.dst_port
        case VerifyFailed():
            served.faults.append(event.error)
            served.action = event.action
        case NameMismatch():
            served.faults.append("not in certificate")
            served.action = event.action
        case HandshakeFailed():
            served.error = event.error
        case ResponseReceived():
            served.answered = True
        case ResponseSent():
            status, _, served.reason = event.start_line.partition(" ")[2].partition(" ")
            served.status = int(status)
            served.seconds = event.at - served.started


def _server(url: str) -> tuple[str, int]:
    """Host and port of a URL that always names both."""
    authority = url.split("/", 3)[2]
    host, _, port = authority.rpartition(":")
    return host.strip("[]"), int(port)
