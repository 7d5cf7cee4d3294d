"""What one proxy did: its log lines, what became of each request, and the findings. Bounded, for days of use.

A journal is a listener: ``TrafficServer(config, listener=journal.take)``. It sees what the log sees, and what the log
has no field for (``core.events``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ..core.log.events import (
    ClientGone,
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
from ..core.log.grammar import LEVELS
from ..core.log.reader import Record
from ..core.log.writer import LineWriter, has_line
from ..core.outcome import Outcome
from .findings import Finding, find

_LINES_A_REQUEST: Final = 5


@dataclass(slots=True)
class Served:
    """What became of one request so far. Times are seconds, ``started`` since the epoch.

    ``url`` is what the client asked for until the allow list has decided, then the server's; ``server`` and ``port``
    are empty and 0 where nothing was to be dialled. ``dial`` is the ``address:port`` really connected to. ``nearest``
    says what came closest in the allow list. ``faults`` are OpenSSL's texts (``not in certificate`` for the name), one
    for each attempt that had it, ``error`` is the last handshake's ``error:..`` text. ``status`` is 0 while no answer
    was sent; ``because`` is why the proxy answered by itself.
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

    dial: str = ""
    nearest: str = ""
    because: str = ""
    outcome: Outcome = Outcome.PENDING

    @property
    def verdict(self) -> Outcome:
        """``outcome``, by the name that the control API and ``/metrics`` give it."""
        return self.outcome


class Journal:
    """Takes events, gives lines, transactions and findings.

    ``hostname`` and ``pid`` are what the lines begin with; ``most`` is how many lines are kept (the latest), and a
    fifth as many transactions.
    """

    def __init__(self, hostname: str, pid: int, *, most: int = 100_000) -> None:
        self._hostname = hostname
        self._pid = pid
        self._writer = LineWriter(hostname, pid, debug=True)
        self._lines: deque[str] = deque(maxlen=most)
        self._events: deque[tuple[Event, str]] = deque(maxlen=most)
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
        """What the events of those lines say is wrong."""
        return find(self.records())

    def records(self) -> Iterator[Record]:
        """The events as a reader of the log gets them, but with every field."""
        for number, (event, text) in enumerate(tuple(self._events), start=1):
            yield Record(event, self._hostname, self._pid, event.at, number, text, LEVELS.get(type(event), ""))

    @property
    def transactions(self) -> tuple[Served, ...]:
        """The requests, the latest last."""
        return tuple(self._served.values())

    def clear(self) -> None:
        """Forget everything so far, requests that are under way included."""
        self._lines.clear()
        self._events.clear()
        self._served.clear()
        self.lost = self.lost_requests = 0

    def take(self, event: Event) -> None:
        """Take the next event."""
        lines = self._writer.format(event).splitlines() if has_line(event) else []
        self.lost += max(0, len(self._lines) + len(lines) - (self._lines.maxlen or 0))
        self._lines.extend(lines)
        self._events.append((event, lines[0] if lines else ""))
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif (served := self._served.get(event.txn)) is not None:
            _note(served, event)
        elif isinstance(event, RequestRejected) and event.txn:
            self._reject(event)

    def _reject(self, event: RequestRejected) -> None:
        """Bytes that never became a request are a transaction without method and URL."""
        self._make_room()
        client = f"{event.src_ip}:{event.src_port}"
        served = self._served[event.txn] = Served(event.txn, "", event.at, client, "", "")
        _note(served, event)

    def _begin(self, event: RequestReceived) -> None:
        self._make_room()
        method, _, rest = event.start_line.partition(" ")
        self._served[event.txn] = Served(
            event.txn,
            event.tracking_id,
            event.at,
            f"{event.src_ip}:{event.src_port}",
            method,
            rest.rpartition(" ")[0],
        )

    def _make_room(self) -> None:
        if len(self._served) >= self._most:
            del self._served[next(iter(self._served))]
            self.lost_requests += 1


def _note(served: Served, event: Event) -> None:
    """Note what one event says of its request."""
    match event:
        case RequestAllowed():
            served.allowed = True
            served.username, served.deployment = event.username, event.deployment
            served.url, served.rule = event.url, event.rule
            served.server, served.port = _server(event.url)
        case RequestDenied():
            served.denied = f"{event.detail}: {event.reason}"
            served.username, served.deployment, served.url = event.username, event.deployment, event.url
            served.nearest = event.nearest
        case RequestRejected():
            served.because = event.reason
        case RequestSent():
            served.attempts += 1
            served.ip, served.port, served.dial = event.dst_ip, event.dst_port, event.dial
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
            served.because = event.because
            served.outcome = event.outcome or Outcome.PENDING
        case ClientGone():
            served.seconds = event.at - served.started
            served.outcome = Outcome.ABANDONED


def _server(url: str) -> tuple[str, int]:
    """Host and port of a URL that always names both."""
    authority = url.split("/", 3)[2]
    host, _, port = authority.rpartition(":")
    return host.strip("[]"), int(port)
