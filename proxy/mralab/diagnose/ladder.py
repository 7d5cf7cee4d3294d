"""Make the ladder of a log's requests, or of a running proxy's events.

``LadderBuilder`` takes the records that ``Diagnosis`` takes, and diagnoses them on the way, so that each failed step
names its finding. Lines of TLS have no Txn-id: such a line belongs to a request to its server that has no answer yet,
the one with the fewest TLS lines for its attempts. If several requests fit, the step is not ``certain``. Events of a
running proxy carry the transaction.

The ladder is bounded. Requests are kept by cause: once there are too many, the oldest of the most frequent cause is
left out, so that a rare failure is not lost among frequent ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from ..core.log.events import (
    ClientGone,
    HandshakeFailed,
    HttpErrorSent,
    NameMismatch,
    NeighbourEvent,
    ProvisioningAnswered,
    ProvisioningFailed,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    UserNotAuthenticated,
    VerifyFailed,
)
from ..core.log.reader import Record
from ..core.outcome import Outcome
from .answered_servers import Process
from .diagnosis import Diagnosis
from .ladder_hosts import Hosts
from .ladder_model import CLIENT, EXPRESSWAY, Cause, Ladder, LadderStep, Participant, Role, StepKind
from .ladder_request import LONGEST_TEXT, Place, Request, Step, host_of, outcome_of, reported
from .occurrence import Occurrence
from .occurrence_of import of_login
from .request_line import parse_request_line, service_of
from .rules import rule_for
from .tlscode import parse

__all__ = ["MOST", "Cause", "Ladder", "LadderBuilder", "LadderStep", "Participant", "Role", "StepKind", "ladder"]

MOST: Final = 200
"""Requests in a ladder unless the caller wants another number."""
_MOST_OPEN: Final = 10_000
_MOST_CANDIDATES: Final = 64
_MOST_LINES: Final = 20


def ladder(records: Iterable[Record], causes: Sequence[Cause] | None = None, *, most: int = MOST) -> Ladder:
    """Return the ladder of ``records``: those of a log, or ``Journal.records()``.

    ``LadderStep.finding`` is an index of ``causes``, by default of ``diagnosis.find`` for the same records. At most
    ``most`` requests are in the ladder.
    """
    builder = LadderBuilder(most)
    for record in records:
        builder.add(record)
    return builder.ladder(causes)


class LadderBuilder:
    """A ladder that is still growing: ``add`` records, call ``ladder`` at any time.

    ``diagnosis`` has the findings of the same records.
    """

    def __init__(self, most: int = MOST) -> None:
        """``most`` is the number of requests that are kept."""
        self.diagnosis = Diagnosis(self._explain)
        self._most = max(1, most)
        self._number = 0
        self._count = 0
        self._open: dict[tuple[Process, int], Request] = {}
        self._waiting: dict[tuple[Process, str], dict[Request, None]] = {}
        """Requests that were sent and have no answer, by name and by address of their server."""
        self._kept = 0
        self._done: dict[Place | None, deque[Request]] = {}
        self._steps: dict[int, Step] = {}
        """The steps of the requests that are kept, by the number of each of their records."""
        self._warnings: dict[tuple[Process, str, int], Step] = {}
        self._answered: dict[Process, tuple[int, Step]] = {}
        """The latest answer of each process, with its transaction."""
        self._hosts = Hosts()
        self._clients: dict[str, None] = {}
        self._name = ""

    def add(self, record: Record) -> None:
        """Add the next record."""
        self._number += 1
        self._name = self._name or record.hostname
        process, text = (record.hostname, record.pid), record.text
        ended: Request | None = None
        match record.event:
            case RequestReceived() as event:
                self._request_received(process, event, text)
            case RequestAllowed() as event:
                self._request_allowed(process, event, text)
            case RequestDenied() as event:
                ended = self._request_denied(process, event, text)
            case RequestRejected() as event:
                self._request_rejected(process, event, text)
            case RequestSent() as event:
                self._request_sent(process, event, text)
            case VerifyFailed() | NameMismatch() as event:
                ended = self._certificate_fault(process, event, text)
            case HandshakeFailed() as event:
                ended = self._handshake_failed(process, event, text)
            case ResponseReceived() as event:
                self._response_received(process, event, text)
            case ResponseSent() as event:
                ended = self._response_sent(process, event, text)
            case ClientGone() as event:
                ended = self._take(process, event.txn)
                if ended is not None:
                    ended.outcome = Outcome.ABANDONED
            case ProvisioningAnswered() | ProvisioningFailed() | UserNotAuthenticated() | HttpErrorSent() as event:
                ended = self._of_login(process, event, text)
        self.diagnosis.add(record)  # calls ``_explain`` for the step that was just added
        if ended is not None:
            self._keep(ended)

    def ladder(self, causes: Sequence[Cause] | None = None) -> Ladder:
        """Return the ladder so far. ``causes`` as for the function ``ladder``."""
        for occurrence in self.diagnosis.undecided():
            self._explain_undecided(occurrence)
        causes = self.diagnosis.findings() if causes is None else causes
        indexes = {(cause.code, cause.server.lower(), cause.port): at for at, cause in reversed([*enumerate(causes)])}
        requests = [*(request for kept in self._done.values() for request in kept), *self._open.values()]
        is_edge = self.diagnosis.is_edge()
        hosts = self._hosts.participants(
            (host_of(request) for request in requests if request.attempts), all_are="Expressway-C" if is_edge else None
        )
        steps = sorted(
            ((step, request) for request in requests for step in request.steps), key=lambda pair: pair[0].number
        )
        clients = [*self._clients]
        first = Participant(
            id=CLIENT, role="Client", name=clients[0] if len(clients) == 1 else "", addresses=tuple(clients)
        )
        own = Participant(
            id=EXPRESSWAY, role="Expressway-E" if is_edge else "Expressway-C", name=self._name, addresses=()
        )
        servers = {participant.id: participant for participant in hosts.values()}
        return Ladder(
            participants=(first, own, *(servers[f"server-{number}"] for number in range(1, len(servers) + 1))),
            steps=tuple(
                reported(number, step, request, hosts, indexes) for number, (step, request) in enumerate(steps, 1)
            ),
            transactions=self._count,
            omitted=self._count - len(requests),
        )

    # Requests

    def _request(self, process: Process, txn: int) -> Request:
        """Return an open request, a new one if no line of it was read."""
        request = self._open.get((process, txn))
        if request is None:
            if len(self._open) >= _MOST_OPEN:
                oldest = self._take(*next(iter(self._open)))
                if oldest is not None:
                    self._keep(oldest)
            request = self._open[process, txn] = self._new(process, txn)
        return request

    def _new(self, process: Process, txn: int) -> Request:
        self._count += 1
        return Request(process, txn)

    def _take(self, process: Process, txn: int) -> Request | None:
        """Remove an open request, which has ended."""
        request = self._open.pop((process, txn), None)
        if request is not None:
            self._no_longer_waiting(request)
        return request

    def _no_longer_waiting(self, request: Request) -> None:
        for name in (request.server.lower(), request.ip):
            waiting = self._waiting.get((request.process, name))
            if waiting is not None:
                waiting.pop(request, None)
                if not waiting:
                    del self._waiting[request.process, name]

    def _keep(self, request: Request) -> None:
        """Keep a request that has ended. Leave out the oldest of the most frequent cause if there are too many."""
        self._done.setdefault(request.place, deque()).append(request)
        self._kept += 1
        if self._kept > self._most:
            self._kept -= 1
            place = max(self._done, key=lambda place: len(self._done[place]))
            left_out = self._done[place].popleft()
            if not self._done[place]:
                del self._done[place]
            for step in left_out.steps:
                for number in step.records:
                    self._steps.pop(number, None)

    def _add_step(
        self, request: Request, at: float, source: str, to: str, kind: StepKind, text: str, line: str, label: str = ""
    ) -> Step:
        text, label = text[:LONGEST_TEXT], (label or text)[:LONGEST_TEXT]
        step = Step(self._number, at, source, to, kind, text, label)
        request.steps.append(step)
        self._add_line(step, line)
        return step

    def _add_line(self, step: Step, line: str) -> None:
        self._steps[self._number] = step
        step.records.append(self._number)
        if line and len(step.lines) < _MOST_LINES:
            step.lines.append(line)

    def _request_received(self, process: Process, event: RequestReceived, text: str) -> None:
        unanswered = self._take(process, event.txn)
        if unanswered is not None:
            self._keep(unanswered)
        request = self._request(process, event.txn)
        line = request.line = parse_request_line(event.start_line)
        request.server, request.port = line.server, line.port
        if len(self._clients) < _MOST_CANDIDATES:
            self._clients[event.src_ip] = None
        label = f"{line.method} {line.url}".strip()
        self._add_step(request, event.at, CLIENT, EXPRESSWAY, "request", event.start_line, text, label).ok = True

    def _request_allowed(self, process: Process, event: RequestAllowed, text: str) -> None:
        request = self._open.get((process, event.txn)) or self._with_url(process, event.url)
        step = request.step("request") if request is not None else None
        if step is not None:
            self._add_line(step, text)

    def _with_url(self, process: Process, url: str) -> Request | None:
        """Return the latest open request for a URL: lines about the allow list have no Txn-id."""
        for request in islice(reversed(self._open.values()), _MOST_CANDIDATES):
            if request.process == process and url in (request.line.url, request.line.requested_url):
                return request
        return None

    def _request_denied(self, process: Process, event: RequestDenied, text: str) -> Request | None:
        request = self._open.get((process, event.txn)) or self._with_url(process, event.url)
        alone = None
        if request is None:
            request = alone = self._new(process, event.txn)
            request.line = parse_request_line(f"{event.method} {event.url} ")
        label = f"{event.detail}: {event.reason}"
        self._add_step(request, event.at, EXPRESSWAY, CLIENT, "refused", label, text).ok = False
        request.outcome = Outcome.DENIED
        return alone

    def _request_rejected(self, process: Process, event: RequestRejected, text: str) -> None:
        request = self._request(process, event.txn)
        self._add_step(request, event.at, EXPRESSWAY, CLIENT, "refused", event.reason, text).ok = False
        request.outcome = Outcome.MALFORMED

    def _request_sent(self, process: Process, event: RequestSent, text: str) -> None:
        request = self._request(process, event.txn)
        request.attempts += 1
        self._no_longer_waiting(request)  # under the address of an earlier attempt
        request.ip, request.port = event.dst_ip, event.dst_port or request.port
        service = service_of(request.line.url) or service_of(event.start_line.partition(" ")[2])
        self._hosts.add(host_of(request), event.dst_ip, service)
        for name in filter(None, (request.server.lower(), request.ip)):
            self._waiting.setdefault((process, name), {})[request] = None
        step = request.step("connect", event.start_line)
        if step is not None:
            step.times += 1
            self._add_line(step, text)
            return
        line = request.line
        label = f"{line.method} {line.url}" if line.url else event.start_line
        self._add_step(request, event.at, EXPRESSWAY, "", "connect", event.start_line, text, label)

    # TLS

    def _sender(self, process: Process, txn: int, *names: str) -> tuple[Request, bool, bool]:
        """Return the request that a TLS line is about, whether that is certain, and whether the line is all of it."""
        if (known := self._open.get((process, txn))) is not None and txn:
            return known, True, False
        found: dict[Request, None] = {}
        for name in filter(None, names):
            found |= dict.fromkeys(islice(self._waiting.get((process, name.lower()), ()), _MOST_CANDIDATES))
        if not found:
            alone = self._new(process, txn)
            alone.server = next(filter(None, names), "")
            alone.ip = names[-1] if len(names) > 1 else ""
            alone.attempts = 1
            self._hosts.add(host_of(alone), alone.ip, "")
            return alone, True, True
        return min(found, key=lambda request: request.faults - request.attempts), len(found) == 1, False

    def _certificate_fault(self, process: Process, event: VerifyFailed | NameMismatch, text: str) -> Request | None:
        request, is_certain, is_alone = self._sender(process, event.txn, event.name, event.ip)
        error = event.error if isinstance(event, VerifyFailed) else "not in certificate"
        kind: StepKind = "handshake" if event.action == "Continue" else "refused"
        step = self._fault(request, event.at, kind, error, text, is_certain=is_certain)
        if kind == "refused":
            request.outcome = Outcome.REFUSED
        elif request.outcome is Outcome.PENDING:
            request.outcome = Outcome.TOLERATED
        if len(self._warnings) >= _MOST_OPEN:
            self._warnings.clear()
        self._warnings[process, event.name, event.thread] = step
        return request if is_alone else None

    def _handshake_failed(self, process: Process, event: HandshakeFailed, text: str) -> Request | None:
        if parse(event.error).reason == "certificate verify failed":
            warning = self._warnings.pop((process, event.name, event.thread), None)
            if warning is not None:
                self._add_line(warning, text)
                return None
        request, is_certain, is_alone = self._sender(process, event.txn, event.name)
        self._fault(request, event.at, "failed", event.error, text, is_certain=is_certain)
        if request.outcome is Outcome.PENDING:
            request.outcome = Outcome.FAILED
        return request if is_alone else None

    def _fault(self, request: Request, at: float, kind: StepKind, error: str, line: str, *, is_certain: bool) -> Step:
        """Add a TLS fault to a request, or to the step of the same fault at an earlier attempt."""
        request.faults += 1
        step = request.step(kind, error)
        if step is None:
            step = self._add_step(request, at, EXPRESSWAY, "", kind, error, line)
            step.ok = kind == "handshake"
            if (connect := request.step("connect")) is not None and not step.ok:
                connect.ok = False  # unless a later attempt is answered
        else:
            step.times += 1
            self._add_line(step, line)
        step.is_certain &= is_certain
        return step

    # Answers

    def _response_received(self, process: Process, event: ResponseReceived, text: str) -> None:
        request = self._request(process, event.txn)
        self._no_longer_waiting(request)
        if not request.attempts:  # the log starts in the middle
            request.ip, request.port, request.attempts = event.src_ip, event.src_port, 1
            self._hosts.add(host_of(request), event.src_ip, "")
        if (repeated := request.step("answer", event.start_line)) is not None:  # published logs have responses twice
            self._add_line(repeated, text)
            return
        request.is_answered = True
        connect = request.step("connect")
        if connect is not None:
            connect.ok = True
        self._answer(request, event.at, "", EXPRESSWAY, event.start_line, text)

    def _response_sent(self, process: Process, event: ResponseSent, text: str) -> Request | None:
        request = self._take(process, event.txn)
        previous = self._answered.get(process)
        if request is None and previous is not None and event.txn == previous[0]:
            self._add_line(previous[1], text)  # published logs have responses twice
            return None
        request = request or self._new(process, event.txn)
        step = self._answer(request, event.at, EXPRESSWAY, CLIENT, event.start_line, text)
        connect = request.step("connect")
        if connect is not None and not request.is_answered:
            connect.ok = step.ok
        self._answered[process] = event.txn, step
        request.outcome = event.outcome or outcome_of(request, step.status or 0)
        return request

    def _answer(self, request: Request, at: float, source: str, to: str, start_line: str, line: str) -> Step:
        label = start_line.partition(" ")[2].strip()
        step = self._add_step(request, at, source, to, "answer", start_line, line, label)
        status = label.partition(" ")[0]
        step.status = int(status) if len(status) == len("200") and status.isascii() and status.isdigit() else None
        step.ok = step.status is not None and step.status < 400
        return step

    def _of_login(self, process: Process, event: NeighbourEvent, text: str) -> Request:
        """Return a line of another module as a request of its own, which has one step."""
        request = self._new(process, 0)
        if isinstance(event, HttpErrorSent):
            label = f"{event.status or ''} {event.reason}".strip()
            step = self._add_step(request, event.at, EXPRESSWAY, CLIENT, "answer", label, text)
            step.status = event.status or None
        else:
            occurrence = of_login(event, self._number, text)
            request.server, request.port = occurrence.server, occurrence.port
            request.attempts = 1 if occurrence.server else 0
            if occurrence.server:
                self._hosts.add(occurrence.server, "", service_of(occurrence.url))
            source, to = ("", EXPRESSWAY) if occurrence.server else (EXPRESSWAY, CLIENT)
            step = self._add_step(request, event.at, source, to, "failed", occurrence.error, text)
        step.ok = False
        request.outcome = Outcome.FAILED
        return request

    # Findings

    def _explain(self, code: str, occurrence: Occurrence) -> None:
        """Note the finding that an occurrence belongs to."""
        step = self._steps.get(occurrence.number)
        if step is not None:
            step.place = code, occurrence.server.lower(), occurrence.port

    def _explain_undecided(self, occurrence: Occurrence) -> None:
        rule = rule_for(occurrence)
        if rule is not None:
            self._explain(rule.code, occurrence)
