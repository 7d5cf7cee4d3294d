"""The report of ``mralab preflight``: a section for each server, those that would be refused first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from ..core.log.reader import read
from ..diagnose import preflight_summary
from ..diagnose.chain_report import presented
from ..diagnose.ladder import ladder
from ..diagnose.server_check import ServerCheck, State
from . import report_model
from .report_model import Figure, Line, ReportPage, Section, Verdict
from .report_parts import cause_of_finding, headline, shown_chain
from .varying import without_times

_WORDS: Final[dict[State, tuple[str, report_model.State]]] = {
    "refused": ("refuses", "bad"),
    "failed": ("TLS fails", "bad"),
    "not-asked": ("not checked", "warn"),
    "accepted": ("accepts", "good"),
}
"""What the release would do, the worst first."""


def preflight_page(checks: Iterable[ServerCheck], trusted: int, now: datetime, *, ip_san: bool = True) -> ReportPage:
    """Return the report of a check as a page. ``trusted`` is the number of certificates in the trust store.

    ``now`` is the time of the check; it decides which certificates are in date, and is not shown.
    """
    order = list(_WORDS)
    checks = sorted(checks, key=lambda check: order.index(check.state))
    counts, release = preflight_summary.count(checks), preflight_summary.release_of(checks)
    states = {_WORDS[check.state][1] for check in checks}
    return ReportPage(
        kind="preflight",
        title=f"What {release} would do",
        summary=preflight_summary.headline(counts, release),
        state="bad" if "bad" in states else "warn" if "warn" in states else "good",
        facts=(
            ("Servers", str(counts.servers)),
            ("Refused", str(counts.refused)),
            ("TLS fails", str(counts.failed)),
            ("Not checked", str(counts.not_checked)),
            ("Trusted certificates", str(trusted)),
        ),
        sections=tuple(
            _section(f"server-{number}", check, now, ip_san=ip_san) for number, check in enumerate(checks, 1)
        ),
        remarks=(("Trust store", ("The trust store is empty, so every certificate is refused.",)),)
        if not trusted
        else (),
        notes=(
            "No request was sent. The log lines are those that Expressway-C would write, with TIME and PID in place "
            "of its own.",
            "Two reports of the same servers are the same, except for numbers of days, which are counted from the "
            "check.",
        ),
    )


def _section(anchor: str, check: ServerCheck, now: datetime, *, ip_san: bool) -> Section:
    text, state = _WORDS[check.state]
    preferred = " or ".join(prefer.upper() for prefer in check.prefer) if check.state != "not-asked" else ""
    verdict = Verdict(check.release, f"{text}{f', {preferred} first' if preferred else ''}", state)
    chain = shown_chain(presented(check.sent, check.address.host, check.address.port, now, ip_san=ip_san))
    figures = tuple(_figures(check, verdict))
    return Section(
        anchor=anchor,
        title=str(check.address),
        subtitle=check.source,
        verdicts=(verdict,),
        figures=figures,
        later=(),
        causes=tuple(
            cause_of_finding(number, finding, same=without_times) for number, finding in enumerate(check.findings, 1)
        ),
        remarks=check.notes,
        chain=chain,
        lines=() if figures else tuple(Line("", without_times(line)) for line in check.lines),
        headline=headline(check.findings),
    )


def _figures(check: ServerCheck, verdict: Verdict) -> Iterator[Figure]:
    """Yield the ladder of the request for which Expressway-C would write these lines; none without a handshake."""
    if check.state == "not-asked" or check.source:
        return
    drawn = ladder(read(check.lines), check.findings)
    yield Figure("The handshake as a request", verdict, drawn.with_lines(without_times))
