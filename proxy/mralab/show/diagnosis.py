"""A diagnosis in a terminal: the answer first, then a block for each finding.

Log lines, names and fingerprints are never broken, so that they can be searched for and copied. Every text of a log was
escaped by ``diagnose``, and is escaped here where it is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.text import Text

from ..core.counting import counted
from ..core.hostport import host_port
from ..core.log.escape import escape, visible
from ..diagnose.report import TITLES, Category, Certificate, Evidence, Finding, Report
from .paragraphs import wrapped

_STYLES: Final[dict[Category, str]] = {
    "issue-found": "bold red",
    "potential-problem": "yellow",
    "missing-information": "yellow",
    "not-applicable": "dim",
    "no-issue": "green",
}
_MARGIN: Final = 10  # columns for the words "cause", "evidence", ...
_MOST_PROBLEMS: Final = 20
_MOST_OF_LINE: Final = 4000  # characters; a request line is at most some hundreds


def diagnosis_text(report: Report, width: int) -> Text:
    """Return the report as text for ``width`` columns; print it with ``soft_wrap``."""
    text = Text()
    text.append(f"{report.summary}\n")
    if report.problems:
        text.append("\nNot read\n", style="yellow")
        for problem in report.problems[:_MOST_PROBLEMS]:
            text.append(f"- {visible(problem.path)}: {visible(problem.reason)}\n")
        if (more := len(report.problems) - _MOST_PROBLEMS) > 0:
            text.append(f"- and {more} more; --json lists all\n")
    for number, finding in enumerate(report.findings, 1):
        text.append_text(_finding(number, finding, width))
    checks = [(check.category, f"{escape(check.subject)}: {check.text}") for check in report.checks]
    for category in ("missing-information", "not-applicable", "no-issue"):
        lines = [line for kind, line in checks if kind == category]
        if lines:
            text.append(f"\n{TITLES[category]}\n", style=_STYLES[category])
            for line in lines:
                text.append("".join(f"{row}\n" for row in wrapped(f"- {line}", width, "  ")))
    if report.unread.lines:
        text.append(f"\nNot understood: {counted(report.unread.lines, 'line')}; the first:\n", style="yellow")
        for example in report.unread.examples:
            text.append(f"  {_evidence(example)}\n")
    return text


def _finding(number: int, finding: Finding, width: int) -> Text:
    text = Text()
    text.append(f"\n{number}. ")
    text.append(TITLES[finding.category], style=_STYLES[finding.category])
    text.append(f": {finding.code}{_where(finding)}\n")
    for title, paragraphs in _blocks(finding):
        rows = [row for paragraph in paragraphs for row in wrapped(paragraph, width - _MARGIN)]
        for at, row in enumerate(rows):
            text.append(f"   {'' if at else title:<{_MARGIN - 3}}{row}\n")
    if finding.evidence:
        text.append("   lines\n")
        for line in finding.evidence:
            text.append(f"     {_evidence(line)}\n", style="dim")
    return text


def _blocks(finding: Finding) -> Iterable[tuple[str, list[str]]]:
    """Yield the titled paragraphs of a finding."""
    yield "cause", [finding.cause]
    if finding.chain:
        yield "shown", [row for certificate in finding.chain[:1] for row in _certificate(certificate)]
    yield "when", [when(finding)]
    if finding.history:
        yield "notes", list(finding.history)
    yield "fix", [f"- {remedy.text}{f' ({remedy.where})' if remedy.where else ''}" for remedy in finding.remedies]
    if finding.check:
        yield "check", [finding.check]
    if finding.next:
        yield "next", [f"- {sentence}" for sentence in finding.next]
    if finding.confidence != "certain":
        yield "sure?", [f"{finding.confidence.capitalize()}: {finding.confidence_reason}"]


def _where(finding: Finding) -> str:
    """Return server, address and peers as they follow a finding's code."""
    parts = ""
    if finding.server:
        server = escape(finding.server)
        parts = f" at {host_port(server, finding.port) if finding.port else server}"
        if finding.ip and finding.ip != finding.server:
            parts += f" ({escape(finding.ip)})"
    if finding.dial:
        parts += f", dialled at {escape(finding.dial)}"
    if finding.peers:
        parts += f", on {', '.join(escape(peer) for peer in finding.peers)}"
    return parts


def when(finding: Finding) -> str:
    """Return how often and when a finding occurred."""
    times = "once" if finding.count == 1 else f"{finding.count} times"
    if finding.last is None or finding.first is None:
        return f"{times}; the lines have no time"
    first, last = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (finding.first, finding.last))
    return f"{times}, at {last} UTC" if first == last else f"{times}, from {first} to {last} UTC"


def _certificate(certificate: Certificate) -> list[str]:
    names = ", ".join(certificate.names) or "none"
    dates = f"valid from {certificate.not_before:%Y-%m-%d} until {certificate.not_after:%Y-%m-%d}"
    rows = [f"{certificate.key}, {certificate.subject}", f"by {certificate.issuer}", f"names: {names}", dates]
    return [escape(row) for row in (*rows, certificate.fingerprint)]


def _evidence(line: Evidence) -> str:
    place = f"{line.file}:{line.line}: " if line.file and line.line else f"{line.file}: " if line.file else ""
    more = len(line.text) - _MOST_OF_LINE
    rest = f" ... and {counted(more, 'character')} more" if more > 0 else ""
    return f"{visible(place)}{visible(line.text[:_MOST_OF_LINE])}{rest}"
