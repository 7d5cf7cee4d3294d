"""Findings: what stopped requests, from the lines of a traffic_server log alone.

WARNING and ERROR lines carry no port and no transaction: ``Diagnosis`` joins them to the requests around them.
What a line means stands in ``rules``.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, cast

from ..core.events import (
    HandshakeFailed,
    NameMismatch,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.logread import Record, read
from ..core.target import BadToken, decode
from .rules import Fault, Remedy, Rule, explain, rule_for

__all__ = ["Diagnosis", "Finding", "Remedy", "find", "summary"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause at one server and port, with everything that supports it.

    ``server`` is the name or address that was asked for, ``ip`` where it is; both are empty and ``port`` is None
    where the log does not tell. ``error`` is the text of the line; ``depth`` and ``action`` (``Terminate`` or
    ``Continue``) are None and empty but for verification faults. ``first`` and ``last`` are seconds since the
    epoch. ``evidence`` is the most recent WARNING and ERROR line (or the lines of the request), as logged.
    ``remedies`` are in order of preference.
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


def find(source: Iterable[Record] | Iterable[str]) -> tuple[Finding, ...]:
    """Findings of a log, given as its lines or as records, in the order in which they first occurred."""
    items = iter(cast("Iterable[Record | str]", [source] if isinstance(source, str) else source))
    first = next(items, None)
    if first is None:
        return ()
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
    return f"{finding.code}: {finding.cause} ({times}, last {last} UTC)"


_Process = tuple[str, int]
_Place = tuple[str, int, str]
# Bounds for logs that never tell how a request ended.
_MOST_TRANSACTIONS: Final = 100_000
_MOST_IN_DOUBT: Final = 1_000


@dataclass(slots=True)
class _Group:
    """The occurrences of one cause at one server and port: how many, and the latest."""

    rule: Rule
    latest: Fault
    count: int
    first: float
    last: float
    first_number: int

    def add(self, rule: Rule, fault: Fault) -> None:
        self.count += 1
        self.first = min(self.first, fault.at)
        self.last = max(self.last, fault.at)
        self.first_number = min(self.first_number, fault.number)
        if fault.number >= self.latest.number:
            self.rule, self.latest = rule, fault


_Groups = dict[tuple[str, str, int | None], _Group]


@dataclass(slots=True)
class _Transaction:
    """What is known of a request that is on its way."""

    server: str = ""
    port: int | None = None
    sent: RequestSent | None = None
    sent_text: str = ""
    first_sent: int = 0
    attempts: int = 0
    answered: bool = False


@dataclass(slots=True)
class _Traffic:
    """What goes on with one address: requests without an answer by port, the port asked last, faults in doubt."""

    unanswered: Counter[int] = field(default_factory=Counter)
    latest_port: int | None = None
    in_doubt: list[Fault] = field(default_factory=list)
    last_fault: dict[int | None, int] = field(default_factory=dict)


class Diagnosis:
    """Findings of a log that is still being written: ``add`` its records, ask for ``findings`` at any time."""

    def __init__(self) -> None:
        """Nothing seen, nothing found."""
        self._number = 0
        self._groups: _Groups = {}
        self._transactions: dict[tuple[_Process, int], _Transaction] = {}
        self._traffic: defaultdict[_Place, _Traffic] = defaultdict(_Traffic)
        self._address: dict[tuple[_Process, str], str] = {}
        self._latest_sent: dict[_Process, _Transaction] = {}
        self._warned: dict[tuple[_Process, str], Fault] = {}

    def add(self, record: Record) -> None:
        """Take the next record of the log."""
        self._number += 1
        process = (record.hostname, record.pid)
        match record.event:
            case RequestReceived() as event:
                self._received(process, event)
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
                self._refused(event, record.text)

    def findings(self) -> tuple[Finding, ...]:
        """One finding for each code, server and port, in the order in which they first occurred."""
        groups = {key: replace(group) for key, group in self._groups.items()}
        for traffic in self._traffic.values():
            for fault in traffic.in_doubt:
                _count(groups, fault)
        return tuple(_finding(group) for group in sorted(groups.values(), key=lambda group: group.first_number))

    def _received(self, process: _Process, event: RequestReceived) -> None:
        self._forget(process, event.txn)
        if len(self._transactions) >= _MOST_TRANSACTIONS:
            self._forget(*next(iter(self._transactions)))
        server, port = _asked_for(event.start_line)
        self._transactions[process, event.txn] = _Transaction(server, port)

    def _sent(self, process: _Process, event: RequestSent, text: str) -> None:
        transaction = self._transactions.setdefault((process, event.txn), _Transaction())
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
        fault = Fault(
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
        self._warned[process, event.name] = fault
        self._occurred(process, fault)

    def _error(self, process: _Process, event: HandshakeFailed, text: str) -> None:
        warned = self._warned.get((process, event.name))
        if "certificate verify failed" in event.error and warned is not None:
            warned.evidence = (warned.evidence[0], text)
            return
        ip = self._address.get((process, event.name), "")
        latest = self._latest_sent.get(process)
        if not ip and latest is not None and latest.sent is not None and latest.server == latest.sent.dst_ip:
            ip = latest.server  # a request whose name the log does not tell: it may well be this one
        fault = Fault("handshake", event.name or ip, ip, event.error, event.at, self._number, (text,))
        self._occurred(process, fault)

    def _occurred(self, process: _Process, fault: Fault) -> None:
        """Give a fault its port. Lines of TLS carry none: it is that of an unanswered request to the address."""
        traffic = self._traffic[*process, fault.ip]
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

    def _settle(self, traffic: _Traffic, fault: Fault, port: int | None) -> None:
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
        if transaction is None or transaction.answered:
            return
        fault = Fault(
            kind="answer",
            server=transaction.server,
            ip="",
            error=event.start_line.partition(" ")[2],
            at=event.at,
            number=self._number,
            evidence=(text,),
            port=transaction.port,
        )
        if (sent := transaction.sent) is not None:
            fault.ip, fault.port, fault.evidence = sent.dst_ip, sent.dst_port, (transaction.sent_text, text)
            explained = self._explained(self._traffic[*process, sent.dst_ip], transaction, sent.dst_port)
            self._no_longer_unanswered(process, transaction)
            if explained:
                return
        _count(self._groups, fault)

    def _explained(self, traffic: _Traffic, transaction: _Transaction, port: int) -> bool:
        """Whether a WARNING or ERROR was about this failed request; faults in doubt that are its own get its port."""
        own = [fault for fault in traffic.in_doubt if fault.server in (transaction.server, fault.ip)]
        for fault in own[: transaction.attempts]:
            traffic.in_doubt.remove(fault)
            self._settle(traffic, fault, port)
        return traffic.last_fault.get(port, -1) > transaction.first_sent

    def _refused(self, event: RequestDenied, text: str) -> None:
        if _JUST_A_DOMAIN in event.reason and _EDGE_CONFIG.fullmatch(event.url):
            return  # a client that tries whether there is an edge: it goes on without one
        server, port = ("", None) if event.detail != "Access denied" else _authority(event.url)
        fault = Fault("refusal", server, "", f"{event.detail}: {event.reason}", event.at, self._number, (text,), port)
        fault.method, fault.url = event.method, event.url
        _count(self._groups, fault)

    def _forget(self, process: _Process, txn: int) -> None:
        transaction = self._transactions.pop((process, txn), None)
        if transaction is not None and not transaction.answered:
            self._no_longer_unanswered(process, transaction)

    def _no_longer_unanswered(self, process: _Process, transaction: _Transaction) -> None:
        if transaction.sent is None:
            return
        traffic = self._traffic[*process, transaction.sent.dst_ip]
        traffic.unanswered -= Counter([transaction.sent.dst_port])
        only = _only(traffic.unanswered)
        if only is not None:
            for fault in traffic.in_doubt:
                self._settle(traffic, fault, only)
            traffic.in_doubt.clear()


def _count(groups: _Groups, fault: Fault) -> None:
    rule = rule_for(fault)
    if rule is None:
        return
    key = (rule.code, fault.server, fault.port)
    if key in groups:
        groups[key].add(rule, fault)
    else:
        groups[key] = _Group(rule, fault, 1, fault.at, fault.at, fault.number)


def _only(ports: Counter[int]) -> int | None:
    return next(iter(ports)) if len(ports) == 1 else None


_JUST_A_DOMAIN: Final = "just a domain as get_edge_config takes"
_EDGE_CONFIG: Final = re.compile(r"(?:https?://[^/]*)?/[^/?]+/get_edge_config/?(?:\?.*)?")


def _asked_for(start_line: str) -> tuple[str, int | None]:
    """Server and port of the token in a client's request line; nothing where it does not decode."""
    _, _, target = start_line.partition(" ")
    path = re.sub(r"^https?://[^/]*", "", target)
    try:
        asked = decode(re.split("[/? ]", path.lstrip("/"), maxsplit=1)[0])
    except BadToken:
        return "", None
    return asked.host, asked.port


def _host(event: RequestSent) -> str:
    host = next((value for name, value in event.headers if name.lower() == "host"), "")
    return _authority(f"https://{host}")[0]


def _authority(url: str) -> tuple[str, int | None]:
    match = re.match(r"(https?)://(?:\[([^\]/]*)\]|([^:/?#\s]*))(?::([0-9]{1,5})(?![0-9]))?", url)
    if match is None:
        return "", None
    port = int(match[4]) if match[4] else {"http": 80, "https": 443}[match[1]]
    return match[2] or match[3] or "", port


def _finding(group: _Group) -> Finding:
    fault, rule = group.latest, group.rule
    cause, remedies = explain(rule, fault)
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
    )
