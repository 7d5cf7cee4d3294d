"""The report of ``mralab demo`` and ``mralab run``: a section for each scenario, before and after the upgrade."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Literal

from ..core.counting import capitalized, share
from ..core.log.escape import escape
from ..core.release import BEFORE
from ..core.release import DEFAULT as AFTER
from ..diagnose.chain_report import presented
from ..diagnose.findings import Finding
from ..lab.run import ScenarioResult, StageResult
from .ladder_drawing import aligned
from .report_model import Cause, Figure, ReportPage, Section, ShownChain, State, Verdict
from .report_parts import cause_of_finding, headline, place, shown_chain, verdict_of
from .varying import NOTE, without_varying

_FIXED: Final = "After the remedy"
_GOOD: Final = "signed in"
_PARTLY: Final = "signed in without"


def run_page(results: Iterable[ScenarioResult], kind: Literal["demo", "run"]) -> ReportPage:
    """Return the report of a run as a page."""
    results = tuple(results)
    unexpected = [result for result in results if result.differences]
    return ReportPage(
        kind=kind,
        title=_title(results, kind),
        summary=_summary(results, unexpected),
        state="bad" if unexpected else "good",
        facts=tuple(_facts(results)),
        sections=tuple(_section(result) for result in results),
        remarks=(),
        notes=(
            "Logins of an emulated Jabber through an emulated Expressway-C to mock servers, with real TLS. What the "
            "user sees is emulated, not observed.",
            NOTE,
        ),
    )


def _title(results: tuple[ScenarioResult, ...], kind: str) -> str:
    if kind == "demo":
        return f"The article's login, before and after {AFTER}"
    return results[0].scenario.title if len(results) == 1 else f"{len(results)} scenarios, before and after {AFTER}"


def _summary(results: tuple[ScenarioResult, ...], unexpected: list[ScenarioResult]) -> str:
    broken = [result for result in results if result.before.ok and not result.after.ok]
    fixed = [result for result in broken if result.fixed is not None and result.fixed.ok]
    names = ", ".join(result.scenario.name for result in unexpected)
    end = f"Not as expected: {names}." if unexpected else "Every result is as expected."
    if len(results) == 1:
        (result,) = results
        stages = [f"The login {_worked(result.before)} with {BEFORE} and {_worked(result.after)} with {AFTER}"]
        if result.fixed is not None:
            stages.append(f"after the remedy, it {_worked(result.fixed)}")
        return f"{'; '.join(stages)}. {end}"
    which = capitalized(share(len(broken), len(results), "scenario"))
    parts = [f"{which} worked with {BEFORE} and failed with {AFTER}"]
    if broken:
        parts.append(f"{_of_these(len(fixed), len(broken))} worked again after the remedy")
    return f"{'; '.join(parts)}. {end}"


def _of_these(number: int, total: int) -> str:
    if number == total:
        return "it" if total == 1 else "both" if total == 2 else "all of them"
    return f"{number or 'none'} of them"


def _worked(stage: StageResult) -> str:
    return "worked" if stage.ok else "failed"


def _facts(results: tuple[ScenarioResult, ...]) -> Iterator[tuple[str, str]]:
    stages = ((BEFORE, [one.before for one in results]), (AFTER, [one.after for one in results]))
    for label, logins in stages:
        yield f"Login works with {label}", _works(logins)
    fixed = [one.fixed for one in results if one.fixed is not None]
    if fixed:
        yield "Login works after the remedy", _works(fixed)


def _works(logins: list[StageResult]) -> str:
    working = sum(one.ok for one in logins)
    return f"{working} of {len(logins)}" if len(logins) > 1 else "yes" if working else "no"


def _section(result: ScenarioResult) -> Section:
    scenario = result.scenario
    stages = [_verdict(BEFORE, result.before), _verdict(AFTER, result.after)]
    figures = [*_figures(BEFORE, result.before), *_figures(AFTER, result.after)]
    count = len(figures)
    if result.fixed is not None:
        stages.append(_verdict(_FIXED, result.fixed))
        figures += _figures(_FIXED, result.fixed)
    lifelines = aligned([figure.ladder for figure in figures])
    figures = [replace(figure, ladder=ladder) for figure, ladder in zip(figures, lifelines, strict=True)]
    return Section(
        anchor=f"scenario-{scenario.name}",
        title=scenario.title,
        subtitle=f"Scenario {scenario.name}",
        verdicts=tuple(stages),
        figures=tuple(figures[:count]),
        later=tuple(figures[count:]),
        causes=tuple(_causes(result)),
        remarks=tuple(_remarks(result)),
        headline=headline(result.findings),
    )


def _verdict(label: str, stage: StageResult) -> Verdict:
    seen = tuple(dict.fromkeys(stage.seen))
    state: State = "good" if stage.ok else "bad"
    if not stage.ok and all(text == _GOOD or text.startswith(_PARTLY) for text in seen):
        state = "warn"
    return Verdict(label, ", ".join(seen), state)


def _figures(label: str, stage: StageResult) -> Iterator[Figure]:
    for ladder in stage.ladders:
        peer = ladder.participants[1].name
        is_cluster = len(stage.ladders) > 1
        of_peer = f" through {peer}" if is_cluster else ""
        # What the user sees is known for each login; the logins of a cluster go through several peers.
        verdict = verdict_of(f"{label}{of_peer}", ladder) if is_cluster else _verdict(label, stage)
        yield Figure(
            f"Login with {label}{of_peer}" if label != _FIXED else f"{label}{of_peer}",
            verdict,
            ladder.with_lines(without_varying),
        )


def _causes(result: ScenarioResult) -> Iterator[Cause]:
    shown: set[str] = set()
    counts = result.scenario.expressway.get("verify", {}).get("ip_san") != "ignore"
    for number, finding in enumerate(result.findings, 1):
        chain = _chain(finding, ip_san=counts) if place(finding) not in shown else None
        if chain is not None:
            shown.add(place(finding))
        yield cause_of_finding(number, finding, chain=chain, same=without_varying)


def _chain(finding: Finding, *, ip_san: bool) -> ShownChain | None:
    """Return the chain that the server presented, with its dates counted from then; None without one."""
    now = datetime.fromtimestamp(finding.last, UTC)
    chain = presented(finding.presented, finding.server, finding.port, now, ip_san=ip_san)
    return shown_chain(chain, run_at=now)


def _remarks(result: ScenarioResult) -> Iterator[str]:
    for difference in result.differences:
        yield f"Not as expected: {without_varying(escape(difference))}"
    for each in result.remedies:
        if each.remedy is not None:
            done = f"not applied: {each.reason}" if each.reason else "applied"
            yield f"Remedy {each.remedy.code} for {each.finding.code} at {each.place}: {done}."
    if result.scenario.expect.log_shows:
        yield f"What the log alone does not show: {result.scenario.expect.log_shows}."
