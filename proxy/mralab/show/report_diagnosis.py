"""The report of ``mralab diagnose``: a section for each server with findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..core.counting import counted
from ..diagnose.ladder_model import Ladder
from ..diagnose.report import TITLES, Finding, Report
from .report_model import Cause, Figure, ReportPage, Section, Verdict, place_of
from .report_parts import cause_of_report, headline, verdict_of

_MOST_DRAWN: Final = 6
"""Requests in the ladder of one server: a log may have thousands that fail alike."""
_MOST_PEERS: Final = 4
_MOST_INPUTS: Final = 200
_NO_SERVER: Final = "No server named"


def diagnosis_page(report: Report, ladders: Mapping[str, Ladder]) -> ReportPage:
    """Return the report as a page. ``ladders`` has that of each peer, whose findings are ``report.findings``."""
    causes = [cause_of_report(number, finding) for number, finding in enumerate(report.findings, 1)]
    by_server: dict[str, list[tuple[Finding, Cause]]] = {}
    for finding, cause in zip(report.findings, causes, strict=True):
        by_server.setdefault(finding.server.lower(), []).append((finding, cause))
    is_bad = any(finding.category == "issue-found" for finding in report.findings)
    return ReportPage(
        kind="diagnosis",
        title="What the logs of Expressway-C show",
        summary=report.summary,
        state="bad" if is_bad else "good" if not report.findings else "warn",
        facts=tuple(_facts(report)),
        sections=tuple(
            _section(f"server-{number}", found, ladders) for number, found in enumerate(by_server.values(), 1)
        ),
        remarks=tuple(_remarks(report)),
        notes=("Made from the files listed above. The same files give the same report.",),
    )


def _section(anchor: str, found: list[tuple[Finding, Cause]], ladders: Mapping[str, Ladder]) -> Section:
    findings = [finding for finding, _ in found]
    first = findings[0]
    addresses = list(dict.fromkeys(one.ip for one in findings if one.ip and one.ip != one.server))
    names = {name.lower() for one in findings for name in (one.server, *([one.ip] if not one.server else [])) if name}
    figures = tuple(_figures(ladders, names)) if names else ()
    return Section(
        anchor=anchor,
        title=first.server or _NO_SERVER,
        subtitle=", ".join(addresses),
        verdicts=tuple(_verdicts(cause for _, cause in found)),
        figures=figures[:_MOST_PEERS],
        later=(),
        causes=tuple(cause for _, cause in found),
        remarks=_not_drawn(len(figures) - _MOST_PEERS),
        headline=headline(findings),
    )


def _not_drawn(peers: int) -> tuple[str, ...]:
    return () if peers <= 0 else (f"{counted(peers, 'more peer')} {'is' if peers == 1 else 'are'} not drawn.",)


def _verdicts(causes: Iterable[Cause]) -> Iterator[Verdict]:
    """Yield the number of findings of each category."""
    counts = Counter((cause.title.removesuffix(" found").lower(), cause.state) for cause in causes)
    for (title, state), count in counts.items():
        plural = "s" if count > 1 and not title.endswith("information") else ""
        yield Verdict("", f"{count} {title}{plural}", state)


def _figures(ladders: Mapping[str, Ladder], names: set[str]) -> Iterator[Figure]:
    for peer, whole in ladders.items():
        ladder = whole.of_servers(names)
        if not ladder.steps:
            continue
        verdict = verdict_of(peer or "Expressway", ladder)
        yield Figure(f"Requests through {peer or 'the Expressway'}", verdict, ladder, _MOST_DRAWN)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "Issues", str(sum(finding.category == "issue-found" for finding in report.findings))
    yield "Files read", str(len(report.inputs))
    if lines := sum(one.lines or 0 for one in report.inputs if one.kind == "log"):
        yield "Log lines", f"{lines:,}"
    if peers := [peer.name for peer in report.peers if peer.name]:
        yield "Expressway", ", ".join(peers[:_MOST_PEERS])
    times = [time for peer in report.peers for time in (peer.first, peer.last) if time is not None]
    if times:
        first, last = min(times), max(times)
        yield "Period", f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _remarks(report: Report) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what was looked at without a finding, and what was and was not read."""
    yield from _titled("Not read", (f"{problem.path}: {problem.reason}" for problem in report.problems))
    if report.unread.lines:
        examples = (f"{place_of(one.file, one.line)}: {one.text}" for one in report.unread.examples)
        yield from _titled(f"Not understood: {counted(report.unread.lines, 'line')}, such as", examples)
    for category in ("missing-information", "not-applicable", "no-issue"):
        checks = (f"{check.subject}: {check.text}" for check in report.checks if check.category == category)
        yield from _titled(TITLES[category], checks)
    yield from _titled("Read", (f"{one.path} ({one.kind})" for one in report.inputs))


def _titled(title: str, texts: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    listed = tuple(texts)
    if listed:
        more = len(listed) - _MOST_INPUTS
        yield title, (*listed[:_MOST_INPUTS], *([f"and {more} more"] if more > 0 else []))
