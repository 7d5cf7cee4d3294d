"""Findings: what stopped requests, from the lines of a traffic_server log, or from the events of a running proxy.

WARNING and ERROR lines carry no port and no transaction: ``Diagnosis`` joins them to the requests around them. Events
of a running proxy name their transaction, so nothing has to be inferred. What a line means stands in ``rules``.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, NamedTuple, cast

from ..core.log.escape import escape
from ..core.log.events import (
    ClientGone,
    HandshakeFailed,
    NameMismatch,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.log.reader import Record, read
from .asked import Asked, asked_for, authority, is_absolute, is_loopback
from .rules import FindingRule, Occurrence, Remedy, explain, rule_for
from .tlscode import parse

__all__ = ["Diagnosis", "Finding", "Findings", "Remedy", "Unread", "find", "summary"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause at one server and port, with everything that supports it.

    ``server`` is the name or address that was asked for, ``ip`` where it is; both are empty and ``port`` is None
    where the log does not tell. ``error`` is the text of the line; ``depth`` and ``action`` (``Terminate`` or
    ``Continue``) are None and empty but for verification faults. ``first`` and ``last`` are seconds since the
    epoch. ``evidence`` is the most recent WARNING and ERROR line (or the lines of the request), as logged.
    ``remedies`` are in order of preference. ``dial`` is the ``address:port`` really connected to and ``nearest`` what
    came closest in the allow list; both are empty where only a log is at hand, which has no field for them.
    """

    code: str
    server: str
    ip: str
    port: int | None
    error: str
    depth: int | None
    action: str
    count: int
    first: float
    last: float
    evidence: tuple[str, ...]
    cause: str
    remedies: tuple[Remedy, ...]
    reference: str
    dial: str = ""
    nearest: str = ""


_LONGEST_EXAMPLE: Final = 200
_MOST_EXAMPLES: Final = 3


class Unread(NamedTuple):
    """Lines of traffic_server that were not understood: how many, and the first three of them."""

    lines: int = 0
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for a person, then the examples; empty where every line was understood. Safe on a terminal."""
        if not self.lines:
            return ""
        lines = "1 line" if self.lines == 1 else f"{self.lines} lines"
        shown = [f"  {escape(example)[:_LONGEST_EXAMPLE]}" for example in self.examples]
        return "\n".join([f"{lines} of traffic_server not understood; the first:", *shown])


_NOTHING_UNREAD: Final = Unread()


class Findings(tuple[Finding, ...]):
    """Findings in the order in which they first occurred, and what of the log was ``unread``."""

    unread: Unread

    def __new__(cls, findings: Iterable[Finding] = (), unread: Unread = _NOTHING_UNREAD) -> Findings:
        """``findings`` in their order."""
        self = super().__new__(cls, findings)
        self.unread = unread
        return self


def find(source: Iterable[Record] | Iterable[str]) -> Findings:
    """Return the findings of a log, given as its lines or as records, in the order in which they first occurred."""
    items = iter(cast("Iterable[Record | str]", [source] if isinstance(source, str) else source))
    first = next(items, None)
    if first is None:
        return Findings()
    everything = chain([first], items)
    diagnosis = Diagnosis()
    records = read(cast("Iterable[str]", everything)) if isinstance(first, str) else everything
    for record in cast("Iterable[Record]", records):
        diagnosis.add(record)
    return diagnosis.findings()


def summary(finding: Finding) -> str:
    """The finding in one line, safe on a terminal."""
    times = "once" if finding.count == 1 else f"{finding.count} times"
    last = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(finding.last))
    dialled = f", dialled at {escape(finding.dial)}" if finding.dial else ""
    return f"{finding.code}: {finding.cause} ({times}, last {last} UTC{dialled})"


_Process = tuple[str, int]
_AddressKey = tuple[str, int, str]
# Bounds for logs that never tell how a request ended.
_MOST_TRANSACTIONS: Final = 100_000
_MOST_IN_DOUBT: Final = 1_000
_NOTHING_ASKED: Final = Asked()
_FAILURES: Final = ("403", "404", "429", "50")


@dataclass(slots=True)
class _Group:
    """The occurrences of one cause at one server and port: how many, and the latest."""

    rule: FindingRule
    latest: Occurrence
    count: int
    first: float
    last: float
    first_number: int

    def add(self, rule: FindingRule, fault: Occurrence) -> None:
        self.count += 1
        self.first = min(self.first, fault.at)
        self.last = max(self.last, fault.at)
        self.first_number = min(self.first_number, fault.number)
        if fault.number >= self.latest.number:
            self.rule, self.latest = rule, fault


_Groups = dict[tuple[str, str, int | None], _Group]


@dataclass(slots=True)
class _OpenRequest:
    """What is known of a request that is on its way."""

    asked: Asked = _NOTHING_ASKED
    server: str = ""
    received_text: str = ""
    sent: RequestSent | None = None
    sent_text: str = ""
    first_sent: int = 0
    attempts: int = 0
    answered: bool = False
    denied: bool = False


@dataclass(slots=True)
class _Traffic:
    """What goes on with one address: requests without an answer by port, the port asked last, faults in doubt."""

    unanswered: Counter[int] = field(default_factory=Counter)
    latest_port: int | None = None
    in_doubt: list[Occurrence] = field(default_factory=list)
    last_fault: dict[int | None, int] = field(default_factory=dict)


class Diagnosis:
    """Findings of a log that is still being written: ``add`` its records, ask for ``findings`` at any time."""

    def __init__(self) -> None:
        """Nothing seen, nothing found."""
        self._number = 0
        self._groups: _Groups = {}
        self._transactions: dict[tuple[_Process, int], _OpenRequest] = {}
        self._traffic: defaultdict[_AddressKey, _Traffic] = defaultdict(_Traffic)
        self._address: dict[tuple[_Process, str], str] = {}
        self._latest_sent: dict[_Process, _OpenRequest] = {}
        self._warned: dict[tuple[_Process, str], Occurrence] = {}
        self._denials: Counter[tuple[_Process, str, str]] = Counter()
        self._edges: set[_Process] = set()
        self._latest_process: _Process = ("", 0)
        self._unread = 0
        self._examples: list[str] = []

    @property
    def unread(self) -> Unread:
        """What was not understood so far."""
        return Unread(self._unread, tuple(self._examples))

    def add(self, record: Record) -> None:
        """Take the next record of the log."""
        self._number += 1
        process = (record.hostname, record.pid)
        if process == ("", 0):  # the line has lost its head
            process = self._latest_process
        self._latest_process = process
        match record.event:
            case None if record.is_unread:
                self._unread += 1
                if len(self._examples) < _MOST_EXAMPLES:
                    self._examples.append(record.text)
            case RequestReceived() as event:
                self._received(process, event, record.text)
            case RequestSent() as event:
                self._sent(process, event, record.text)
            case VerifyFailed() | NameMismatch() as event:
                self._warning(process, event, record.text)
            case HandshakeFailed() as event:
                self._error(process, event, record.text)
            case ResponseReceived() as event:
                self._answered(process, event)
            case ResponseSent() as event:
                self._closed(process, event, record.text)
            case RequestDenied() as event:
                self._refused(process, event, record.text)
            case ClientGone() as event:
                self._forget(process, event.txn)

    def findings(self) -> Findings:
        """One finding for each code, server and port, in the order in which they first occurred."""
        groups = {key: replace(group) for key, group in self._groups.items()}
        for traffic in self._traffic.values():
            for fault in traffic.in_doubt:
                _count(groups, fault)
        codes: defaultdict[tuple[str, int | None], list[str]] = defaultdict(list)
        for code, server, port in groups:
            codes[server, port].append(code)
        in_order = sorted(groups.values(), key=lambda group: group.first_number)
        return Findings(
            [_finding(group, codes[group.latest.server, group.latest.port], self._unread) for group in in_order],
            self.unread,
        )

    def _received(self, process: _Process, event: RequestReceived, text: str) -> None:
        self._forget(process, event.txn)
        if len(self._transactions) >= _MOST_TRANSACTIONS:
            self._forget(*next(iter(self._transactions)))
        asked = asked_for(event.start_line)
        if asked.by_edge_client and not is_loopback(event.src_ip):
            self._edges.add(process)
        self._transactions[process, event.txn] = _OpenRequest(asked, asked.server, text)

    def _sent(self, process: _Process, event: RequestSent, text: str) -> None:
        transaction = self._transactions.setdefault((process, event.txn), _OpenRequest())
        if is_absolute(event.start_line):
            self._edges.add(process)
        traffic = self._traffic[*process, event.dst_ip]
        if transaction.sent is None:
            transaction.first_sent = self._number
            traffic.unanswered[event.dst_port] += 1
            transaction.server = transaction.server or _host(event) or event.dst_ip
        transaction.sent, transaction.sent_text = event, text
        transaction.attempts += 1
        traffic.latest_port = event.dst_port
        self._address[process, transaction.server] = self._address[process, event.dst_ip] = event.dst_ip
        self._latest_sent[process] = transaction

    def _warning(self, process: _Process, event: VerifyFailed | NameMismatch, text: str) -> None:
        is_chain = isinstance(event, VerifyFailed)
        fault = Occurrence(
            kind="chain" if is_chain else "name",
            server=event.name or event.server or event.ip,
            ip=event.ip,
            error=event.error if isinstance(event, VerifyFailed) else "not in certificate",
            at=event.at,
            number=self._number,
            evidence=(text,),
            depth=event.depth if isinstance(event, VerifyFailed) else 0,
            action=event.action,
        )
        warned = self._warned.get((process, event.name))
        self._warned[process, event.name] = fault
        if warned is not None and _is_echo(fault, warned):
            return
        self._occurred(process, fault, event.txn)

    def _error(self, process: _Process, event: HandshakeFailed, text: str) -> None:
        verified = parse(event.error).reason == "certificate verify failed"
        if verified and (warned := self._warned.pop((process, event.name), None)) is not None:
            warned.evidence = (warned.evidence[0], text)
            return
        ip = self._address.get((process, event.name), "")
        latest = self._latest_sent.get(process)
        if not ip and latest is not None and latest.sent is not None and latest.server == latest.sent.dst_ip:
            ip = latest.server  # a request whose name the log does not tell: it may well be this one
        fault = Occurrence("handshake", event.name or ip, ip, event.error, event.at, self._number, (text,))
        self._occurred(process, fault, event.txn)

    def _occurred(self, process: _Process, fault: Occurrence, txn: int) -> None:
        """Give a fault its port. Lines of TLS carry none: it is that of an unanswered request to the address."""
        traffic = self._traffic[*process, fault.ip]
        known = self._transactions.get((process, txn)) if txn else None
        if known is not None and known.sent is not None:
            fault.dial = known.sent.dial
            self._settle(traffic, fault, known.sent.dst_port)
            return
        only = _only(traffic.unanswered)
        fault.port = traffic.latest_port if only is None else only
        if fault.action == "Continue":
            _count(self._groups, fault)  # no later line tells more: the request is answered like any other
        elif only is None and traffic.unanswered:
            traffic.in_doubt.append(fault)
            if len(traffic.in_doubt) > _MOST_IN_DOUBT:
                oldest = traffic.in_doubt.pop(0)
                self._settle(traffic, oldest, oldest.port)
        else:
            self._settle(traffic, fault, fault.port)

    def _settle(self, traffic: _Traffic, fault: Occurrence, port: int | None) -> None:
        fault.port = port
        traffic.last_fault[port] = max(fault.number, traffic.last_fault.get(port, 0))
        _count(self._groups, fault)

    def _answered(self, process: _Process, event: ResponseReceived) -> None:
        transaction = self._transactions.get((process, event.txn))
        if transaction is not None and not transaction.answered:
            transaction.answered = True
            self._no_longer_unanswered(process, transaction)

    def _closed(self, process: _Process, event: ResponseSent, text: str) -> None:
        transaction = self._transactions.pop((process, event.txn), None)
        error = event.start_line.partition(" ")[2]
        if error.partition(" ")[2].startswith("Next Hop"):
            self._edges.add(process)
        if transaction is None:
            return
        fault = Occurrence("answer", transaction.server, "", error, event.at, self._number, (text,))
        fault.port, fault.method, fault.url = transaction.asked.port, transaction.asked.method, transaction.asked.url
        fault.because = event.because
        if process in self._edges:
            self._closed_by_edge(process, transaction, fault)
            return
        if transaction.answered:
            return
        if (sent := transaction.sent) is not None:
            fault.ip, fault.port, fault.dial = sent.dst_ip, sent.dst_port, sent.dial
            fault.evidence = (transaction.sent_text, text)
            explained = self._explained(self._traffic[*process, sent.dst_ip], transaction, sent.dst_port)
            self._no_longer_unanswered(process, transaction)
            if explained:
                return
        elif self._is_denied(process, transaction) or transaction.asked.of_edge:
            return  # get_edge_config: Expressway-E's to answer, not the proxy's
        elif transaction.received_text:
            fault.evidence = (transaction.received_text, text)
            if error.startswith("404") and transaction.asked.problem:
                fault.kind, fault.error = "refusal", f"Invalid token: {transaction.asked.problem}"
                fault.server, fault.port = "", None
        _count(self._groups, fault)

    def _closed_by_edge(self, process: _Process, transaction: _OpenRequest, fault: Occurrence) -> None:
        """A response in the log of an Expressway-E: what failed is the way to Expressway-C, or what that answered."""
        self._no_longer_unanswered(process, transaction)
        if not fault.error.startswith(_FAILURES):
            return
        if transaction.answered:
            if not fault.error.partition(" ")[2].strip():  # a server's own: CUCM and its kin give no reason
                return
            fault.error = f"received {fault.error}"
        fault.kind = "edge"
        _count(self._groups, fault)

    def _explained(self, traffic: _Traffic, transaction: _OpenRequest, port: int) -> bool:
        """Whether a WARNING or ERROR was about this failed request; faults in doubt that are its own get its port."""
        own = [fault for fault in traffic.in_doubt if fault.server in (transaction.server, fault.ip)]
        for fault in own[: transaction.attempts]:
            traffic.in_doubt.remove(fault)
            self._settle(traffic, fault, port)
        return traffic.last_fault.get(port, -1) > transaction.first_sent

    def _refused(self, process: _Process, event: RequestDenied, text: str) -> None:
        if event.txn:
            self._transactions.setdefault((process, event.txn), _OpenRequest()).denied = True
        else:
            if len(self._denials) >= _MOST_TRANSACTIONS:
                self._denials.clear()
            self._denials[process, event.method, event.url] += 1
        if event.detail == "Invalid token" and asked_for(f"{event.method} {event.url} ").of_edge:
            return
        server, port = ("", None) if event.detail == "Invalid token" else authority(event.url)
        fault = Occurrence(
            "refusal", server, "", f"{event.detail}: {event.reason}", event.at, self._number, (text,), port
        )
        fault.method, fault.url = event.method, event.url
        fault.nearest, fault.unlisted = event.nearest, event.unlisted
        _count(self._groups, fault)

    def _is_denied(self, process: _Process, transaction: _OpenRequest) -> bool:
        """Whether a denial was logged for this request; it is used up with it."""
        if transaction.denied:
            return True
        asked = transaction.asked
        for key in ((process, asked.method, asked.url), (process, asked.method, asked.asked_url)):
            if self._denials[key]:
                self._denials[key] -= 1
                return True
        return False

    def _forget(self, process: _Process, txn: int) -> None:
        transaction = self._transactions.pop((process, txn), None)
        if transaction is not None and not transaction.answered:
            self._no_longer_unanswered(process, transaction)

    def _no_longer_unanswered(self, process: _Process, transaction: _OpenRequest) -> None:
        if transaction.sent is None:
            return
        traffic = self._traffic[*process, transaction.sent.dst_ip]
        traffic.unanswered -= Counter([transaction.sent.dst_port])
        only = _only(traffic.unanswered)
        if only is not None:
            for fault in traffic.in_doubt:
                self._settle(traffic, fault, only)
            traffic.in_doubt.clear()


def _count(groups: _Groups, fault: Occurrence) -> None:
    rule = rule_for(fault)
    if rule is None:
        return
    key = (rule.code, fault.server, fault.port)
    if key in groups:
        groups[key].add(rule, fault)
    else:
        groups[key] = _Group(rule, fault, 1, fault.at, fault.at, fault.number)


def _is_echo(fault: Occurrence, before: Occurrence) -> bool:
    """Whether audit mode noted the same thing twice: OpenSSL has a second error for a leaf without its issuer.

    X14.2 logs the first one only, so that is the finding's ``error``.
    """
    errors = ("unable to get local issuer certificate", "unable to verify the first certificate")
    return fault.action == before.action == "Continue" and (before.error, fault.error) == errors


def _only(ports: Counter[int]) -> int | None:
    return next(iter(ports)) if len(ports) == 1 else None


def _host(event: RequestSent) -> str:
    host = next((value for name, value in event.headers if name.lower() == "host"), "")
    return authority(f"https://{host}")[0]


def _finding(group: _Group, beside: Iterable[str], unread: int) -> Finding:
    fault, rule = replace(group.latest, unread=unread), group.rule
    cause, remedies = explain(rule, fault, beside)
    return Finding(
        code=rule.code,
        server=fault.server,
        ip=fault.ip,
        port=fault.port,
        error=fault.error,
        depth=fault.depth,
        action=fault.action,
        count=group.count,
        first=group.first,
        last=group.last,
        evidence=fault.evidence,
        cause=cause,
        remedies=remedies,
        reference=rule.reference,
        dial=fault.dial,
        nearest=fault.nearest,
    )
