"""From the findings of each peer to a report: what holds on all peers, what changed over time, what is still missing.

A rule of ``rules`` sees one line. The conclusions here compare: peers with each other, a server's ports, the nodes of
one service, what happened before with what happened after, and log with capture. Each is said only if the files show
it; where they do not, the report says what is missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from ..config import Config
from ..core.counting import counted
from ..core.hostport import bracketed, host_port
from ..core.log.escape import escape
from ..core.nearest import nearest
from . import report
from .capture import CapturedConnection
from .capture_findings import CaptureCheck, CaptureFinding, findings_of
from .case import Case, PeerCase
from .case_checks import good, missing, not_applicable
from .case_entry import Entry
from .certificate_text import certificate_of, parsed_certificate
from .comparisons import compare_peers, compare_times, lost_redundancy, suspected_ecdsa
from .findings import Finding
from .occurrence import LogLine
from .outlook import how_to_check, what_may_fail_next
from .sources import Problem

_MISSING: Final = frozenset(("verify-failed", "answered-by-expressway-c", "request-not-in-log", "answer-not-in-log"))
"""Codes of findings whose reason stands in lines or logs that were not given."""

_CONFIDENCE: Final[dict[str, tuple[report.Confidence, str]]] = {
    "transaction": ("certain", "the line, or its transaction, names server and port"),
    "only-port": (
        "certain",
        "TLS lines have no port; all requests to other ports of that address had been answered",
    ),
    "latest-port": ("likely", "TLS lines have no port; by the order of the lines this is the most probable one"),
    "unknown-port": ("uncertain", "TLS lines have no port, and the log has no request to that address"),
}
"""How the tie of a log line to server and port is worded."""

_FILTERED: Final[tuple[report.Confidence, str]] = (
    "likely",
    "no [ET_NET ..] line was read; if they were filtered out, a refused certificate looks the same",
)

_MOST_CAUSES: Final = 3  # in the summary's line
_ORDER: Final = {category: at for at, category in enumerate(report.TITLES)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user wants to see; empty fields want everything.

    ``servers`` are names or addresses, perhaps with a port.
    """

    servers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    def includes(self, finding: Finding) -> bool:
        """Return whether a finding is wanted."""
        return self.includes_place(finding.server, finding.ip, finding.port) and (
            not self.codes or finding.code in self.codes
        )

    def includes_place(self, server: str, ip: str, port: int | None) -> bool:
        """Return whether the user wants to see this server, which the log may know by name and address."""
        names = {_canonical(name) for name in (server, ip) if name}
        if port:
            names |= {host_port(name, port) for name in names}
        return not self.servers or any(_canonical_place(server) in names for server in self.servers)


def unknown_servers(case: Case, servers: Iterable[str]) -> dict[str, str]:
    """Return the servers that no file shows, each with the nearest that one does (empty if none is near).

    Empty if the files show no server at all.
    """
    places: set[tuple[str, str, int | None]] = set()
    for peer in case.peers.values():
        places |= {(answers.server, answers.ip, answers.port) for answers in peer.diagnosis.answers()}
        places |= {(server, "", port) for server, port in peer.diagnosis.services()}
        places |= {(finding.server, finding.ip, finding.port) for finding in peer.diagnosis.findings()}
        places |= {(connection.sni, connection.server.ip, connection.server.port) for _, connection in peer.connections}
    names = sorted({name for server, ip, _ in places for name in (server, ip) if name})
    unknown = [each for each in servers if not any(Wanted((each,)).includes_place(*place) for place in places)]
    return {each: nearest(each.partition(":")[0], names) for each in unknown} if names else {}


def _canonical_place(text: str) -> str:
    """Return ``NAME``, ``NAME:PORT``, ``ADDRESS`` or ``[ADDRESS]:PORT`` in one form."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return f"{bracketed(_canonical(host))}:{int(port)}"
    return _canonical(text)


def _canonical(host: str) -> str:
    """Return a name in lower case, or an address in its shortest form."""
    host = host.strip().strip("[]").rstrip(".").lower()
    try:
        return ip_address(host).compressed
    except ValueError:
        return host


def conclude(case: Case, wanted: Wanted | None = None, config: Config | None = None) -> report.Report:
    """Return the report of a case. ``config`` gives the wording of what a capture shows."""
    wanted = wanted or Wanted()
    captures = _captures(case, config or Config())
    merged = _merge(case)
    checks = _add_captures(merged, captures)
    compare_times(case, merged)
    compare_peers(case, merged)
    extra = [*suspected_ecdsa(case, merged), *lost_redundancy(case, merged)]
    ordered = sorted([*merged, *extra], key=lambda entry: (_ORDER[entry.category], entry.first))
    chosen = [entry for entry in ordered if _is_wanted(entry, wanted)]
    codes: defaultdict[tuple[str, int | None], set[str]] = defaultdict(set)
    for entry in merged:
        codes[entry.key].add(entry.finding.code)
    findings = tuple(_reported(case, entry, codes[entry.key]) for entry in chosen)
    accepted = {check.subject for check in checks if check.category == "no-issue"}  # which says more than an answer
    seen = [*checks, *(check for check in good(case, merged) if check.subject not in accepted)]
    all_checks = (*missing(case), *not_applicable(case), *(check for check in seen if _includes_check(wanted, check)))
    return report.Report(
        summary=_summary(findings, case, len(ordered) - len(chosen)),
        findings=findings,
        checks=tuple(dict.fromkeys(all_checks)),
        peers=tuple(_peer(peer) for peer in case.peers.values() if peer.files),
        inputs=tuple(
            report.Input(path=file.path, kind=file.kind, peer=file.peer, lines=file.count) for file in case.files
        ),
        unread=_unread(case),
        problems=tuple(report.Problem(path=problem.path, reason=problem.reason) for problem in _problems(case)),
    )


def _is_wanted(entry: Entry, wanted: Wanted) -> bool:
    return wanted.includes(entry.finding) or (entry.captured is not None and wanted.includes(entry.captured.finding))


def _includes_check(wanted: Wanted, check: report.Check) -> bool:
    """Return whether a check of a server is wanted: a filter by code asks for findings only."""
    if wanted.codes:
        return False
    place = _canonical_place(check.subject)
    host, port = place.rpartition(":")[::2]
    return wanted.includes_place(host.strip("[]"), "", int(port)) if port.isdigit() else not wanted.servers


# Peers and captures


def _merge(case: Case) -> list[Entry]:
    """Return one entry for each code, server and port that a log shows, whatever the number of peers."""
    entries: dict[tuple[str, str, int | None], Entry] = {}
    for peer in case.peers.values():
        for finding in (*peer.diagnosis.findings(), *peer.diagnosis.orphans()):
            entry = entries.setdefault((finding.code, finding.server.lower(), finding.port), Entry(finding))
            entry.peers[peer.name] = finding
            if finding.last >= entry.finding.last:
                entry.finding = finding
            if finding.code in _MISSING:
                entry.category = "missing-information"
            elif finding.action == "Continue":
                entry.category = "potential-problem"
    return list(entries.values())


def _captures(case: Case, config: Config) -> list[tuple[PeerCase, str, CaptureFinding | CaptureCheck]]:
    """Return what the captures of each peer show, each with the path of a capture of that peer."""
    found: list[tuple[PeerCase, str, CaptureFinding | CaptureCheck]] = []
    for peer in case.peers.values():
        by_file: defaultdict[str, list[CapturedConnection]] = defaultdict(list)
        for path, connection in peer.connections:
            by_file[path].append(connection)
        for path, connections in by_file.items():
            result = findings_of(connections, case.store_of(peer), config)
            found += [(peer, path, finding) for finding in result.findings]
            found += [(peer, path, check) for check in result.checks]
    return found


def _add_captures(
    merged: list[Entry], captures: Iterable[tuple[PeerCase, str, CaptureFinding | CaptureCheck]]
) -> list[report.Check]:
    """Add what captures show to ``merged``; return their checks, but not of servers that the log judges."""
    checks: list[report.Check] = []
    logged = {host_port(entry.finding.server, entry.key[1]) for entry in merged if entry.key[1]}
    for peer, path, captured in captures:
        if isinstance(captured, CaptureCheck):
            if captured.subject not in logged:
                checks.append(report.Check(category=captured.category, subject=captured.subject, text=captured.text))
            continue
        entry = next((entry for entry in merged if _is_same(entry.finding, captured.finding)), None)
        if entry is None:
            entry = Entry(captured.finding, category=captured.category, is_logged=False)
            merged.append(entry)
        if not entry.is_logged:
            entry.peers.setdefault(peer.name, captured.finding)
        entry.captured, entry.captured_in = captured, path
    return checks


def _is_same(logged: Finding, captured: Finding) -> bool:
    """Return whether log and capture show the same fault of the same server."""
    same_server = logged.server.lower() == captured.server.lower() or logged.ip == captured.ip != ""
    return logged.code == captured.code and logged.port == captured.port and same_server


def _may_be_refused(case: Case, entry: Entry) -> bool:
    """Return whether a refused certificate may be why a connection failed: no line of TLS was read."""
    return (
        entry.finding.code == "unreachable"
        and entry.captured is None
        and not any(case.peers[name].diagnosis.has_tls_lines for name in entry.peers)
    )


# The report


def _reported(case: Case, entry: Entry, known: set[str]) -> report.Finding:
    """Return an entry as it is reported. ``known`` are the codes of all entries at its server and port."""
    captured = entry.captured
    finding = captured.finding if captured is not None else entry.finding
    confidence, reason = _CONFIDENCE[entry.finding.tie]
    if captured is not None and not entry.is_logged:
        confidence, reason = captured.confidence, captured.confidence_reason or "the capture shows it"
    if not finding.server and entry.finding.tie == "transaction":
        confidence, reason = "uncertain", "the lines name no server"
    if _may_be_refused(case, entry):
        confidence, reason = _FILTERED
    if finding.port is None and entry.finding.tie == "transaction" and finding.ip:
        confidence, reason = "uncertain", "the lines name no port"
    next_faults = what_may_fail_next(finding, known, chain_is_known=bool(captured and captured.chain))
    remedies = [report.Remedy(code=one.code, text=one.text, where=one.where) for one in finding.remedies]
    return report.Finding(
        code=finding.code,
        category=entry.category,
        server=finding.server,
        ip=finding.ip or entry.finding.ip,
        port=finding.port,
        dial=finding.dial or entry.finding.dial,
        peers=tuple(name for name in entry.peers if name),
        error=entry.finding.error,
        depth=finding.depth,
        action=entry.finding.action,
        cause=finding.cause,
        history=tuple(entry.history),
        next=tuple(next_faults) if entry.category == "issue-found" else (),
        remedies=tuple(remedies) if entry.category != "no-issue" else (),
        check=how_to_check(finding) if remedies and entry.category != "no-issue" else "",
        chain=tuple(filter(None, map(parsed_certificate, captured.chain))) if captured is not None else (),
        evidence=tuple(_evidence(entry)),
        confidence=confidence,
        confidence_reason=reason,
        first=_moment(entry.first),
        last=_moment(entry.last),
        count=entry.count,
        reference=finding.reference,
    )


def _evidence(entry: Entry) -> Iterator[report.Evidence]:
    """Yield the newest lines of the log, then what the capture shows."""
    captured = entry.captured
    if entry.is_logged:
        for line in entry.finding.evidence:
            file, number = (line.file, line.line) if isinstance(line, LogLine) else ("", 0)
            yield report.Evidence(file=file, line=number or None, text=str(line))
    if captured is not None:
        for packet, line in zip(captured.packets, captured.finding.evidence, strict=False):
            yield report.Evidence(file=entry.captured_in, line=packet, text=str(line))


def _summary(findings: Sequence[report.Finding], case: Case, hidden: int) -> str:
    """Return the answer in one line. ``hidden`` is the number of findings that the filters leave out."""
    if not case.files:
        return "Nothing could be read."
    number = Counter(finding.category for finding in findings)
    parts = [
        counted(number["issue-found"], "issue") + " found" if number["issue-found"] else "",
        counted(number["potential-problem"], "potential problem") if number["potential-problem"] else "",
        counted(number["missing-information"], "finding") + " with missing information"
        if number["missing-information"]
        else "",
    ]
    lines = f" in {counted(case.counts.lines, 'line')}" if case.counts.lines else ""
    if not findings and hidden:
        return f"No finding matches the filters{lines}; {hidden} {'does' if hidden == 1 else 'do'} not match."
    has_records = any(peer.diagnosis.records or peer.connections for peer in case.peers.values())
    nothing = "No issue found" if has_records else "Nothing to diagnose"
    text = ", ".join(part for part in parts if part) or nothing
    causes = dict.fromkeys(f"{one.code} at {_where(one)}" for one in findings if one.category == "issue-found")
    most = list(causes)[:_MOST_CAUSES]
    more = f" and {len(causes) - len(most)} more" if len(causes) > len(most) else ""
    return f"{text}{lines}{': ' if most else ''}{'; '.join(most)}{more}."


def _where(finding: report.Finding) -> str:
    server = escape(finding.server) or "an unnamed server"
    return host_port(server, finding.port) if finding.port else server


def _peer(peer: PeerCase) -> report.Peer:
    settings = peer.settings
    store = peer.trust_store
    return report.Peer(
        name=peer.name,
        files=tuple(peer.files),
        lines=peer.lines,
        first=peer.first,
        last=peer.last,
        verify_origin_server=settings.verify if settings is not None else None,
        ciphers=dict(settings.ciphers) if settings is not None else {},
        trust_store=tuple(filter(None, map(certificate_of, store))) if store is not None else None,
        certificate=certificate_of(peer.certificate) if peer.certificate is not None else None,
    )


def _unread(case: Case) -> report.Unread:
    unread = [peer.diagnosis.unread for peer in case.peers.values()]
    examples = [example for one in unread for example in one.examples][:3]
    return report.Unread(
        lines=sum(one.lines for one in unread),
        examples=tuple(
            report.Evidence(
                file=getattr(example, "file", ""), line=getattr(example, "line", 0) or None, text=str(example)
            )
            for example in examples
        ),
    )


def _problems(case: Case) -> list[Problem]:
    return list(dict.fromkeys(case.problems))


def _moment(at: float) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at else None
