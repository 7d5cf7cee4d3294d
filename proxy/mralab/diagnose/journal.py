"""Journal of one proxy: its log lines, requests with their outcomes, and findings. Bounded, for days of use.

A journal is a listener: ``TrafficServer(config, listener=journal.take)``. It gets the same events as the log, with the
fields that log lines do not have (``core.log.events``).
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
from .diagnosis import find
from .findings import Finding

_LINES_PER_REQUEST: Final = 5


@dataclass(slots=True)
class Transaction:
    """One request and its state so far. Times are in seconds, ``started`` since the epoch.

    ``url`` is the URL that the client requested until the allow list has decided, then the server's. ``server`` and
    ``port`` are empty and 0 if there is no server to dial. ``dial`` is the ``address:port`` of the actual connection.
    ``nearest`` is the nearest miss in the allow list. ``faults`` are OpenSSL's texts (``not in certificate`` for the
    name), one for each attempt with a fault. ``error`` is the ``error:..`` text of the last failed handshake.
    ``status`` is 0 until a response is sent. ``because`` is the reason why the proxy generated the response.
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
        """``outcome``, under its name in the control API and ``/metrics``."""
        return self.outcome


class Journal:
    """Collect events; return lines, transactions and findings.

    ``hostname`` and ``pid`` are for the start of log lines. The latest ``most`` lines are kept, and a fifth as many
    transactions.
    """

    def __init__(self, hostname: str, pid: int, *, most: int = 100_000) -> None:
        self._hostname = hostname
        self._pid = pid
        self._writer = LineWriter(hostname, pid, debug=True)
        self._lines: deque[str] = deque(maxlen=most)
        self._events: deque[tuple[Event, str]] = deque(maxlen=most)
        self._served: dict[int, Transaction] = {}
        self._most = max(1, most // _LINES_PER_REQUEST)
        self.lost = 0
        """Number of lines dropped."""
        self.lost_requests = 0
        """Number of requests dropped."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Log lines without line ends, oldest first."""
        return tuple(self._lines)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings from the events of those lines."""
        return find(self.records())

    def records(self) -> Iterator[Record]:
        """Yield the events as records of a log reader, with every field set."""
        for number, (event, text) in enumerate(tuple(self._events), start=1):
            yield Record(event, self._hostname, self._pid, event.at, number, text, LEVELS.get(type(event), ""))

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """Requests, oldest first."""
        return tuple(self._served.values())

    def clear(self) -> None:
        """Drop everything, requests in progress included."""
        self._lines.clear()
        self._events.clear()
        self._served.clear()
        self.lost = self.lost_requests = 0

    def take(self, event: Event) -> None:
        """Add an event."""
        lines = self._writer.format(event).splitlines() if has_line(event) else []
        self.lost += max(0, len(self._lines) + len(lines) - (self._lines.maxlen or 0))
        self._lines.extend(lines)
        self._events.append((event, lines[0] if lines else ""))
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif (served := self._served.get(event.txn)) is not None:
            _update(served, event)
        elif isinstance(event, RequestRejected) and event.txn:
            self._reject(event)

    def _reject(self, event: RequestRejected) -> None:
        """Add a transaction without method and URL, for bytes that are not a valid request."""
        self._make_room()
        client = f"{event.src_ip}:{event.src_port}"
        served = self._served[event.txn] = Transaction(event.txn, "", event.at, client, "", "")
        _update(served, event)

    def _begin(self, event: RequestReceived) -> None:
        self._make_room()
        method, _, rest = event.start_line.partition(" ")
        self._served[event.txn] = Transaction(
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


def _update(served: Transaction, event: Event) -> None:
    """Update a request from one of its events."""
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
    """Return host and port of a URL that has both."""
    authority = url.split("/", 3)[2]
    host, _, port = authority.rpartition(":")
    return host.strip("[]"), int(port)
