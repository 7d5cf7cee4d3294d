"""The journal of one proxy: log lines, requests with their outcomes, and findings. Bounded, so it can run for days.

``Journal.take`` is a listener: ``TrafficServer(config, listener=journal.take)``. It receives the same events as the
log, with the fields that log lines do not have (``core.log.events``).
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

    ``url`` is the requested URL until the allow list has allowed it, then the URL at the server. ``server`` and
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
        """The same as ``outcome``: its name in the control API and ``/metrics``."""
        return self.outcome


class Journal:
    """Collect events; return lines, transactions and findings.

    ``hostname`` and ``pid`` go into the header of log lines. The latest ``most`` lines are kept, and a fifth as many
    transactions.
    """

    def __init__(self, hostname: str, pid: int, *, most: int = 100_000) -> None:
        self._hostname = hostname
        self._pid = pid
        self._writer = LineWriter(hostname, pid, debug=True)
        self._lines: deque[str] = deque(maxlen=most)
        self._events: deque[tuple[Event, str]] = deque(maxlen=most)
        self._transactions: dict[int, Transaction] = {}
        self._most = max(1, most // _LINES_PER_REQUEST)
        self.lost = 0
        """Number of lines dropped."""
        self.lost_requests = 0
        """Number of requests dropped."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The log lines without line ends, oldest first."""
        return tuple(self._lines)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings from the events of those lines."""
        return find(self.records(), with_answers=True)

    def records(self) -> Iterator[Record]:
        """Yield the events as the log reader's records, with all fields set."""
        for number, (event, text) in enumerate(tuple(self._events), start=1):
            yield Record(event, self._hostname, self._pid, event.at, number, text, LEVELS.get(type(event), ""))

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """The requests, oldest first."""
        return tuple(self._transactions.values())

    def clear(self) -> None:
        """Drop everything, requests in progress included."""
        self._lines.clear()
        self._events.clear()
        self._transactions.clear()
        self.lost = self.lost_requests = 0

    def take(self, event: Event) -> None:
        """Add an event."""
        lines = self._writer.format(event).splitlines() if has_line(event) else []
        self.lost += max(0, len(self._lines) + len(lines) - (self._lines.maxlen or 0))
        self._lines.extend(lines)
        self._events.append((event, lines[0] if lines else ""))
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif (transaction := self._transactions.get(event.txn)) is not None:
            _update(transaction, event)
        elif isinstance(event, RequestRejected) and event.txn:
            self._reject(event)

    def _reject(self, event: RequestRejected) -> None:
        """Add a transaction without method and URL for an invalid request."""
        self._make_room()
        client = f"{event.src_ip}:{event.src_port}"
        transaction = self._transactions[event.txn] = Transaction(event.txn, "", event.at, client, "", "")
        _update(transaction, event)

    def _begin(self, event: RequestReceived) -> None:
        self._make_room()
        method, _, rest = event.start_line.partition(" ")
        self._transactions[event.txn] = Transaction(
            event.txn,
            event.tracking_id,
            event.at,
            f"{event.src_ip}:{event.src_port}",
            method,
            rest.rpartition(" ")[0],
        )

    def _make_room(self) -> None:
        if len(self._transactions) >= self._most:
            del self._transactions[next(iter(self._transactions))]
            self.lost_requests += 1


def _update(transaction: Transaction, event: Event) -> None:
    """Update a request from one of its events."""
    match event:
        case RequestAllowed():
            transaction.allowed = True
            transaction.username, transaction.deployment = event.username, event.deployment
            transaction.url, transaction.rule = event.url, event.rule
            transaction.server, transaction.port = _server(event.url)
        case RequestDenied():
            transaction.denied = f"{event.detail}: {event.reason}"
            transaction.username, transaction.deployment, transaction.url = event.username, event.deployment, event.url
            transaction.nearest = event.nearest
        case RequestRejected():
            transaction.because = event.reason
        case RequestSent():
            transaction.attempts += 1
            transaction.ip, transaction.port, transaction.dial = event.dst_ip, event.dst_port, event.dial
        case VerifyFailed():
            transaction.faults.append(event.error)
            transaction.action = event.action
        case NameMismatch():
            transaction.faults.append("not in certificate")
            transaction.action = event.action
        case HandshakeFailed():
            transaction.error = event.error
        case ResponseReceived():
            transaction.answered = True
        case ResponseSent():
            status, _, transaction.reason = event.start_line.partition(" ")[2].partition(" ")
            transaction.status = int(status)
            transaction.seconds = event.at - transaction.started
            transaction.because = event.because
            transaction.outcome = event.outcome or Outcome.PENDING
        case ClientGone():
            transaction.seconds = event.at - transaction.started
            transaction.outcome = Outcome.ABANDONED


def _server(url: str) -> tuple[str, int]:
    """Return host and port of a URL that has both."""
    authority = url.split("/", 3)[2]
    host, _, port = authority.rpartition(":")
    return host.strip("[]"), int(port)
