"""What was looked at without finding a fault, does not apply, or is missing from the files of a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core.counting import counted
from ..core.hostport import host_port
from ..core.log.escape import escape
from .case import Case, PeerCase
from .case_entry import Entry, time_text
from .outlook import VERIFICATION_CODES
from .report import Check


def missing(case: Case) -> Iterator[Check]:
    """Yield what a diagnosis would need and the files do not have."""
    logs = [file for file in case.files if file.kind == "log"]
    captures = [file for file in case.files if file.kind == "capture"]
    if not logs and not captures:
        yield Check(
            category="missing-information",
            subject="files",
            text="there is no log and no capture among them: collect diagnostic logging of every Expressway-C peer, "
            "from before the login until it has failed",
        )
    for peer in case.peers.values():
        if peer.lines and not peer.diagnosis.records and peer.outside:
            yield Check(
                category="missing-information",
                subject=peer.name or ", ".join(peer.files),
                text="no line of traffic_server in the chosen time (--since, --until)",
            )
        elif peer.lines and not peer.diagnosis.records:
            yield Check(
                category="missing-information",
                subject=peer.name or ", ".join(peer.files),
                text=f"{counted(peer.lines, 'line')} and none of traffic_server: this is another log, or one of "
                "another time; the diagnostic log of Expressway-C has them",
            )
        yield from _unanswered(peer)
    if case.without_zone:
        yield _assumed_times(case.without_zone)
    if case.counts.cut:
        yield Check(
            category="missing-information",
            subject="lines",
            text=f"{counted(case.counts.cut, 'line')} longer than a line can be: only the beginning was read",
        )
    if case.counts.binary:
        yield Check(
            category="missing-information",
            subject="lines",
            text=f"{counted(case.counts.binary, 'line')} of binary data, not read",
        )


def _unanswered(peer: PeerCase) -> Iterator[Check]:
    """Yield the servers of which the log shows neither an answer nor a fault."""
    known = {(one.server.lower(), one.port) for one in (*peer.diagnosis.answers(), *peer.diagnosis.findings())}
    known |= {(one.ip, one.port) for one in (*peer.diagnosis.answers(), *peer.diagnosis.findings())}
    for (server, port), count in peer.diagnosis.unanswered().items():
        if (server.lower(), port) not in known:
            yield Check(
                category="missing-information",
                subject=host_port(escape(server), port),
                text=f"{counted(count, 'request')} sent, and no line says what became of "
                f"{'it' if count == 1 else 'them'}: the log ends before, or the client disconnected",
            )


def _assumed_times(logs: Mapping[str, bool]) -> Check:
    """Return what was assumed of the stamps of logs, which lack the zone, and perhaps the year."""
    first, more = next(iter(logs)), len(logs) - 1
    where = f" and {counted(more, 'other log')}" if more else ""
    if any(logs.values()):
        text = "the stamps have neither year nor zone: times are shown in the latest possible year, as if they were UTC"
    else:
        text = "the stamps have no zone: times are shown as if they were UTC"
    return Check(category="missing-information", subject=f"{first}{where}", text=text)


def not_applicable(case: Case) -> Iterator[Check]:
    """Yield the peers on which a certificate cannot stop a login."""
    for peer in case.peers.values():
        is_off = peer.settings is not None and peer.settings.verify == "off"
        if is_off and (refused := _last_refusal(peer)):
            yield Check(
                category="missing-information",
                subject=peer.name,
                text="VerifyOriginServer is Off in the configuration dump, and the log refused certificates until "
                f"{time_text(refused)}: the setting changed in between, so find out which of the two is in force now",
            )
        elif is_off:
            yield Check(
                category="not-applicable",
                subject=peer.name,
                text="VerifyOriginServer is Off in the configuration dump: servers are not verified, so no certificate "
                "can stop a login on this peer",
            )
        if peer.diagnosis.is_edge():
            yield Check(
                category="not-applicable",
                subject=peer.name or "log",
                text="this is the log of an Expressway-E, which verifies no UC server; that of Expressway-C does",
            )


def _last_refusal(peer: PeerCase) -> float:
    """Return when the log of a peer last refused a certificate; 0 if it never did."""
    findings = peer.diagnosis.findings()
    refused = [one.last for one in findings if one.code in VERIFICATION_CODES and one.action == "Terminate"]
    return max(refused, default=0.0)


def good(case: Case, entries: Sequence[Entry]) -> Iterator[Check]:
    """Yield the servers and ports that answered, and have no finding."""
    failing = {entry.key for entry in entries} | {(entry.finding.ip, entry.key[1]) for entry in entries}
    failing.discard(("", None))
    for peer in case.peers.values():
        for answers in peer.diagnosis.answers():
            if not {(answers.server.lower(), answers.port), (answers.ip, answers.port)} & failing:
                on = f" to {peer.name}" if peer.name else ""
                yield Check(
                    category="no-issue",
                    subject=host_port(answers.server or answers.ip, answers.port),
                    text=f"answered{escape(on)} over plain HTTP, without a certificate"
                    if answers.is_plain
                    else f"answered{escape(on)}; its certificate was accepted, or not verified",
                )
