"""Derive findings from the records of a traffic_server log, or from the events of a running proxy.

The lines of a request carry its transaction number: request received, request sent, response received, response sent.
The lines of TLS do not. A WARNING about a certificate has the server's name and IP address, an ERROR about a handshake
only the name; neither has the port or the transaction. A finding needs the port, because each port of a server may
present another certificate. ``Diagnosis`` therefore ties TLS lines to requests. Steps 1 to 3, the port of a fault from
the requests to its address, are in ``fault_ports``. The others:

4. The ERROR "certificate verify failed" reports the same fault as the WARNING before it from the same thread about the
   same name. It becomes the second line of that WARNING's evidence.
5. A failed response is explained if a TLS line for its port came after the request was first sent. Otherwise the
   response itself is the occurrence: a timeout, a refused connection, an invalid response.
6. A failed response to a request that was never sent is a refusal by the proxy. A running proxy also emits the denial,
   which is then the occurrence, so the response is not counted again.
7. Lines of the login service name their server themselves. An Expressway's error response that follows its own
   "Sending Response" line to the same client is the same response.
8. In the log of an Expressway-E no server is verified. Its failed responses are about the connection to Expressway-C,
   or come from Expressway-C.
9. A failed response may be the only line of its request, because the log starts in the middle or was filtered. It is
   explained by a TLS line of its process since the last such response; otherwise it is one of ``orphans``.

Events of a running proxy carry the transaction in TLS events too, so steps 1 and 2 are skipped. Transaction numbers are
unique within a process only, so all state is kept by process (host name and process ID). ``rules`` gives the meaning of
each line, and ``grouping`` counts occurrences of the same cause.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final, cast

from ..core.log.events import (
    ClientGone,
    HandshakeFailed,
    HttpErrorSent,
    NameMismatch,
    NeighbourEvent,
    ProvisioningAnswered,
    ProvisioningFailed,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    UserNotAuthenticated,
    VerifyFailed,
)
from ..core.log.reader import Record, read
from .answered_servers import AnsweredServers, Answers, Process
from .denials import Denials
from .fault_ports import FaultPorts
from .findings import Finding, Findings, Unread
from .grouping import FindingGroups
from .occurrence import Occurrence
from .occurrence_of import of_denial, of_login, of_warning
from .outlook import answered_after
from .request_line import RequestLine, authority, is_absolute_form, is_loopback, parse_request_line, service_of
from .tlscode import parse

# Bounds for logs that never show how a request ended.
_MOST_REQUESTS: Final = 100_000
_MOST_SERVERS: Final = 10_000
_MOST_EXAMPLES: Final = 3
_EMPTY_LINE: Final = RequestLine()
_FAILURES: Final = ("403", "404", "429", "50")
_UNEXPLAINED: Final = ("50", "403 ", "404 ", "429 ")
"""Responses whose reason should be known; CUCM's own have no reason phrase (Cisco 218018, its log)."""
_SAME_FAULT: Final = ("unable to get local issuer certificate", "unable to verify the first certificate")
"""In audit mode OpenSSL reports both for a leaf whose issuer is missing. X14.2 logs only the first."""


def find(source: Iterable[Record] | Iterable[str], *, with_answers: bool = False) -> Findings:
    """Return the findings of a log, given as lines or as records, in order of first occurrence.

    ``with_answers`` as in ``Diagnosis.findings``.
    """
    items = iter(cast("Iterable[Record | str]", [source] if isinstance(source, str) else source))
    first = next(items, None)
    if first is None:
        return Findings()
    all_items = chain([first], items)
    diagnosis = Diagnosis()
    records = read(cast("Iterable[str]", all_items)) if isinstance(first, str) else all_items
    for record in cast("Iterable[Record]", records):
        diagnosis.add(record)
    return diagnosis.findings(with_answers=with_answers)


@dataclass(slots=True)
class _OpenRequest:
    """A request without a response to its client yet.

    ``first_attempt`` is the number of the record that first sent it to its latest address, and ``attempts`` the number
    of attempts there.
    """

    line: RequestLine = _EMPTY_LINE
    server: str = ""
    received_text: str = ""
    sent: RequestSent | None = None
    sent_text: str = ""
    first_attempt: int = 0
    attempts: int = 0
    answered: bool = False
    denied: bool = False


class Diagnosis:
    """Findings of a log that is still growing: ``add`` its records, call ``findings`` at any time."""

    def __init__(self, listener: Callable[[str, Occurrence], object] | None = None) -> None:
        """``listener`` is called with each occurrence once its port is decided, and the code of its finding."""
        self._number = 0
        self._groups = FindingGroups(listener)
        self._orphans = FindingGroups(listener)
        self._requests: dict[tuple[Process, int], _OpenRequest] = {}
        self._ports: defaultdict[tuple[str, int, str], FaultPorts] = defaultdict(partial(FaultPorts, self._groups.add))
        self._addresses: dict[tuple[Process, str], str] = {}
        self._latest_sent: dict[Process, _OpenRequest] = {}
        self._warnings: dict[tuple[Process, str], dict[int, Occurrence]] = {}
        self._denials = Denials()
        self._edge_processes: set[Process] = set()
        self._latest_process: Process = ("", 0)
        self._unread_lines = 0
        self._unread_examples: list[str] = []
        self._latest_response: dict[Process, tuple[str, int]] = {}
        self._answers = AnsweredServers()
        self._has_unclaimed_fault: dict[Process, bool] = {}
        self.has_tls_lines = False
        """Whether a WARNING or ERROR line of TLS was added. If not, none was needed, or a filter left them out."""
        self._services: dict[tuple[str, int | None], str] = {}

    @property
    def unread(self) -> Unread:
        """Lines that could not be parsed so far."""
        return Unread(self._unread_lines, tuple(self._unread_examples))

    @property
    def records(self) -> int:
        """Number of records so far."""
        return self._number

    def add(self, record: Record) -> None:
        """Add the next record of the log."""
        self._number += 1
        process = (record.hostname, record.pid)
        if process == ("", 0):  # the line has lost its header
            process = self._latest_process
        if not isinstance(
            record.event, NeighbourEvent
        ):  # another process: it cannot be that of a line without a header
            self._latest_process = process
        match record.event:
            case None if record.is_unread:
                self._unread_lines += 1
                if len(self._unread_examples) < _MOST_EXAMPLES:
                    self._unread_examples.append(record.text)
            case RequestReceived() as event:
                self._request_received(process, event, record.text)
            case RequestSent() as event:
                self._request_sent(process, event, record.text)
            case VerifyFailed() | NameMismatch() as event:
                self._verification_warning(process, event, record.text)
            case HandshakeFailed() as event:
                self._handshake_error(process, event, record.text)
            case ResponseReceived() as event:
                self._response_received(process, event)
            case ResponseSent() as event:
                self._response_sent(process, event, record.text)
            case RequestDenied() as event:
                self._request_denied(process, event, record.text)
            case ClientGone() as event:
                self._drop_request(process, event.txn)
            case ProvisioningAnswered() | ProvisioningFailed() | UserNotAuthenticated() as event:
                self._groups.add(of_login(event, self._number, record.text))
            case HttpErrorSent() as event:
                self._http_error_sent(process, event, record.text)

    def answers(self) -> list[Answers]:
        """Return the servers and ports that answered requests of an Expressway-C, in order of the first answer."""
        return self._answers.without(self._edge_processes)

    def unanswered(self) -> Counter[tuple[str, int]]:
        """Return the number of requests by server and port that were sent, and of whose answer there is no line."""
        waiting = (one for one in self._requests.values() if one.sent is not None and not one.answered)
        return Counter((one.server, one.sent.dst_port) for one in waiting if one.sent is not None and one.sent.dst_port)

    def services(self) -> dict[tuple[str, int | None], str]:
        """Return what clients request of each server (in lower case) and port: ``UDS``, ``TFTP``; empty if unknown."""
        return dict(self._services)

    def is_edge(self) -> bool:
        """Return whether the lines are those of an Expressway-E."""
        return bool(self._edge_processes)

    def findings(self, *, with_answers: bool = False) -> Findings:
        """Return one finding for each code, server and port, in order of first occurrence.

        ``with_answers``: if the server has answered since, they say when. That needs the records of successes too.
        """
        groups = self._groups.copy()
        for occurrence in self.undecided():
            groups.add(occurrence)
        found: Iterable[Finding] = groups.findings(self._unread_lines)
        if with_answers:
            answers = self.answers()
            found = (replace(each, answered=answered_after(each, answers)) for each in found)
        return Findings(found, self.unread)

    def undecided(self) -> Iterator[Occurrence]:
        """Yield the occurrences whose port is not decided yet, with the most probable one."""
        for ports in self._ports.values():
            yield from ports.undecided

    def orphans(self) -> list[Finding]:
        """Return findings of failed responses that are the only line of their request (step 9)."""
        return self._orphans.findings(self._unread_lines)

    # Requests on their way to the server

    def _request_received(self, process: Process, event: RequestReceived, text: str) -> None:
        self._drop_request(process, event.txn)
        line = parse_request_line(event.start_line)
        if line.server and len(self._services) < _MOST_SERVERS:
            self._services.setdefault((line.server.lower(), line.port), service_of(line.url))
        if line.over_https and not is_loopback(event.src_ip):
            self._edge_processes.add(process)
        request = self._request(process, event.txn)
        request.line, request.server, request.received_text = line, line.server, text

    def _request(self, process: Process, txn: int) -> _OpenRequest:
        """Return an open request, a new one if no line of it was read."""
        request = self._requests.get((process, txn))
        if request is None:
            if len(self._requests) >= _MOST_REQUESTS:
                self._drop_request(*next(iter(self._requests)))
            request = self._requests[process, txn] = _OpenRequest()
        return request

    def _request_sent(self, process: Process, event: RequestSent, text: str) -> None:
        request = self._request(process, event.txn)
        if is_absolute_form(event.start_line):
            self._edge_processes.add(process)
        event = event if event.dst_port else event._replace(dst_port=request.line.port or 0)  # the line was cut
        previous = request.sent
        is_first = previous is None or (previous.dst_ip, previous.dst_port) != (event.dst_ip, event.dst_port)
        if previous is not None and is_first:  # the name has several addresses, and the previous one failed
            self._is_explained(process, request, previous)
            self._remove_unanswered(process, request)
        if event.dst_port:
            self._ports[*process, event.dst_ip].sent(event.dst_port, is_first=is_first)
        if is_first:
            request.first_attempt, request.attempts = self._number, 0
            request.server = request.server or _host(event) or event.dst_ip
        request.sent, request.sent_text = event, text
        request.attempts += 1
        self._addresses[process, request.server] = self._addresses[process, event.dst_ip] = event.dst_ip
        self._latest_sent[process] = request

    # TLS lines

    def _verification_warning(self, process: Process, event: VerifyFailed | NameMismatch, text: str) -> None:
        occurrence = of_warning(event, self._number, text)
        of_name = self._warnings.setdefault((process, event.name), {})
        previous = of_name.pop(event.thread, None)
        of_name[event.thread] = occurrence  # the latest comes last
        if previous is None or not _is_same_fault(previous, occurrence):
            self._tie_to_port(process, occurrence, event.txn)

    def _handshake_error(self, process: Process, event: HandshakeFailed, text: str) -> None:
        if parse(event.error).reason == "certificate verify failed":
            warning = self._take_warning(process, event.name, event.thread)
            if warning is not None:
                warning.evidence = (warning.evidence[0], text)
                return
        ip = self._addresses.get((process, event.name), "")
        latest = self._latest_sent.get(process)
        if not ip and latest is not None and latest.sent is not None and latest.server == latest.sent.dst_ip:
            ip = latest.server  # the log shows no name for the latest request, so the error may be about it
        occurrence = Occurrence("handshake", event.name or ip, ip, event.error, event.at, self._number, (text,))
        self._tie_to_port(process, occurrence, event.txn)

    def _take_warning(self, process: Process, name: str, thread: int) -> Occurrence | None:
        """Return the latest WARNING about a name from the same thread, else from any: a line may have lost it."""
        of_name = self._warnings.get((process, name), {})
        if thread in of_name:
            return of_name.pop(thread)
        return of_name.popitem()[1] if of_name else None

    def _tie_to_port(self, process: Process, occurrence: Occurrence, txn: int) -> None:
        """Count a TLS fault once its port is known: from its transaction, else by steps 1 to 3."""
        self.has_tls_lines = True
        self._has_unclaimed_fault[process] = True
        ports = self._ports[*process, occurrence.ip]
        request = self._requests.get((process, txn)) if txn else None
        if request is not None and request.sent is not None:
            occurrence.dial = request.sent.dial
            ports.decide(occurrence, request.sent.dst_port or None, "transaction")
        else:
            ports.add(occurrence)

    # Responses and refusals

    def _response_received(self, process: Process, event: ResponseReceived) -> None:
        request = self._request(process, event.txn)
        if not request.answered:
            request.answered = True
            self._remove_unanswered(process, request)
            if request.sent is not None:
                sent = request.sent
                if port := sent.dst_port or event.src_port:
                    self._answers.add(process, request.server, sent.dst_ip, port, event.at, request.line)

    def _response_sent(self, process: Process, event: ResponseSent, text: str) -> None:
        request = self._requests.pop((process, event.txn), None)
        is_repeated = self._latest_response.get(process) == (event.dst_ip, event.dst_port)
        self._latest_response[process] = event.dst_ip, event.dst_port
        error = event.start_line.partition(" ")[2].rstrip()
        if error.partition(" ")[2].startswith("Next Hop"):
            self._edge_processes.add(process)
        if request is None:
            if not is_repeated:  # published logs have responses twice
                self._unknown_answered(process, error, event, text)
            return
        occurrence = Occurrence("answer", request.server, "", error, event.at, self._number, (text,))
        occurrence.port, occurrence.method, occurrence.url = request.line.port, request.line.method, request.line.url
        occurrence.because = event.because
        if process in self._edge_processes:
            self._edge_response_sent(process, request, occurrence)
        elif request.answered:
            pass  # the server's own response
        elif request.sent is not None:
            self._failed_after_sending(process, request, request.sent, occurrence)
        else:
            self._failed_before_sending(process, request, occurrence)

    def _unknown_answered(self, process: Process, error: str, event: ResponseSent, text: str) -> None:
        """Count a failed response of which no other line was read, unless lines of TLS precede it (step 9)."""
        is_explained = self._has_unclaimed_fault.pop(process, False) or self._denials.take_any(process)
        if is_explained or not error.startswith(_UNEXPLAINED):
            return
        is_edge = process in self._edge_processes
        self._orphans.add(Occurrence("edge" if is_edge else "answer", "", "", error, event.at, self._number, (text,)))

    def _failed_after_sending(
        self, process: Process, request: _OpenRequest, sent: RequestSent, occurrence: Occurrence
    ) -> None:
        """Count the response as a failure of its own unless a TLS line explains it (step 5)."""
        occurrence.ip, occurrence.port, occurrence.dial = sent.dst_ip, sent.dst_port or None, sent.dial
        occurrence.evidence = (request.sent_text, *occurrence.evidence)
        is_explained = self._is_explained(process, request, sent)
        if not is_explained and not (sent.dst_ip and sent.dst_port):  # cut: any fault of the process may be its own
            is_explained = self._has_unclaimed_fault.get(process, False)
        self._remove_unanswered(process, request)
        if is_explained:
            self._has_unclaimed_fault.pop(process, None)
        else:
            self._groups.add(occurrence)

    def _is_explained(self, process: Process, request: _OpenRequest, sent: RequestSent) -> bool:
        """Return whether a TLS line explains that a request failed where it was ``sent``. Decide its port (step 2)."""
        return self._ports[*process, sent.dst_ip].explains_failure(
            request.server, sent.dst_port or None, attempts=request.attempts, since=request.first_attempt
        )

    def _failed_before_sending(self, process: Process, request: _OpenRequest, occurrence: Occurrence) -> None:
        """Count the response as a refusal by the proxy unless its denial was counted (step 6)."""
        if self._was_denied(process, request) or request.line.is_for_edge:
            return  # such as get_edge_config, which Expressway-E answers, not this proxy
        if request.received_text:
            occurrence.evidence = (request.received_text, *occurrence.evidence)
            if occurrence.error.startswith("404") and request.line.token_error:
                occurrence.kind, occurrence.error = "refusal", f"Invalid token: {request.line.token_error}"
                occurrence.server, occurrence.port = "", None
        self._groups.add(occurrence)

    def _edge_response_sent(self, process: Process, request: _OpenRequest, occurrence: Occurrence) -> None:
        """Count a failed response in the log of an Expressway-E (step 8)."""
        self._remove_unanswered(process, request)
        if not occurrence.error.startswith(_FAILURES):
            return
        if request.answered:
            if not occurrence.error.partition(" ")[2].strip():  # the server's response: CUCM's have no reason phrase
                return
            occurrence.error = f"received {occurrence.error}"
        occurrence.kind = "edge"
        self._groups.add(occurrence)

    def _request_denied(self, process: Process, event: RequestDenied, text: str) -> None:
        if event.txn:
            self._request(process, event.txn).denied = True
        else:
            self._denials.add(process, event.method, event.url)
        occurrence = of_denial(event, self._number, text)
        if occurrence is not None:
            self._groups.add(occurrence)

    def _was_denied(self, process: Process, request: _OpenRequest) -> bool:
        """Return whether a denial was logged for this request. Each denial counts for one request only."""
        if request.denied:
            return True
        line = request.line
        urls = (line.url, line.requested_url)
        return any(self._denials.take(process, line.method, url) for url in urls)

    # Other modules

    def _http_error_sent(self, process: Process, event: HttpErrorSent, text: str) -> None:
        """Count an error response of an Expressway, unless its "Sending Response" line was counted."""
        if self._latest_response.get(process) != (event.dst_ip, event.dst_port):
            error = f"sent {event.status or ''} {event.reason}".strip()
            self._groups.add(Occurrence("edge", "", "", error, event.at, self._number, (text,)))

    # The end of a request

    def _drop_request(self, process: Process, txn: int) -> None:
        request = self._requests.pop((process, txn), None)
        if request is not None and not request.answered:
            self._remove_unanswered(process, request)

    def _remove_unanswered(self, process: Process, request: _OpenRequest) -> None:
        """Remove a request from the unanswered ones of its address."""
        if request.sent is not None:
            self._ports[*process, request.sent.dst_ip].ended(request.sent.dst_port)


def _is_same_fault(previous: Occurrence, occurrence: Occurrence) -> bool:
    """Return whether audit mode reported one fault twice; the first report is the finding's ``error``."""
    audited = occurrence.action == previous.action == "Continue"
    return audited and (previous.error, occurrence.error) == _SAME_FAULT


def _host(event: RequestSent) -> str:
    """Return the host of the Host header; empty without one."""
    host = next((value for name, value in event.headers if name.lower() == "host"), "")
    return authority(f"https://{host}")[0]
