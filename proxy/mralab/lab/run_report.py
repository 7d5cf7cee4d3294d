"""The documents of runs, of the demo and of the list of scenarios (``control.run_report``), made from results."""

from __future__ import annotations

from collections.abc import Iterable

from ..control.run_report import (
    DemoReport,
    DemoScenario,
    RemedyRun,
    RunReport,
    ScenarioEntry,
    ScenarioList,
    ScenarioRun,
    StageRun,
)
from ..core.counting import counted
from ..core.release import BEFORE, DEFAULT
from ..diagnose.finding_json import finding_json
from ..diagnose.finding_report import Finding
from .run import ScenarioResult, StageResult
from .scenario import Scenario


def run_report(results: Iterable[ScenarioResult], seconds: float, *, kept: bool) -> RunReport:
    """Return the document of a run. ``kept``: the logs stay when the command ends."""
    results = tuple(results)
    return RunReport(
        summary=summary(results, seconds),
        ok=not any(result.differences for result in results),
        seconds=round(seconds, 1),
        scenarios=tuple(_scenario_run(result, kept) for result in results),
    )


def demo_report(results: Iterable[ScenarioResult]) -> DemoReport:
    """Return the document of a demo."""
    scenarios = tuple(map(_demo_scenario, results))
    return DemoReport(ok=not any(one.differences for one in scenarios), scenarios=scenarios)


def scenario_list(scenarios: Iterable[Scenario]) -> ScenarioList:
    """Return the document of a list of scenarios."""
    return ScenarioList(
        scenarios=tuple(
            ScenarioEntry(
                name=one.name,
                title=one.title,
                login=one.expect.login if one.expect.login or one.expect.servers else ("signed in",),
                servers=one.expect.servers,
                log_shows=one.expect.log_shows,
            )
            for one in scenarios
        )
    )


def summary(results: tuple[ScenarioResult, ...], seconds: float) -> str:
    """Return the result of a run in one line."""
    failed = [result.scenario.name for result in results if result.differences]
    count = counted(len(results), "scenario")
    outcome = f"not as expected: {', '.join(failed)}" if failed else "every expectation met"
    return f"{count} in {seconds:.1f} s: {outcome}."


def _demo_scenario(result: ScenarioResult) -> DemoScenario:
    return DemoScenario(
        scenario=result.scenario.name,
        title=result.scenario.title,
        before=result.before.ok,
        after=result.after.ok,
        findings=tuple(Finding.model_validate(finding_json(finding)) for finding in result.findings),
        applied=tuple(remedy.code for remedy in result.applied),
        fixed=bool(result.fixed and result.fixed.ok),
        logs=tuple(map(str, result.logs)),
        differences=tuple(result.differences),
    )


def _scenario_run(result: ScenarioResult, kept: bool) -> ScenarioRun:
    return ScenarioRun(
        name=result.scenario.name,
        title=result.scenario.title,
        ok=not result.differences,
        differences=tuple(result.differences),
        before=_stage_run(result.before, BEFORE),
        after=_stage_run(result.after, DEFAULT),
        logged=result.logged,
        diagnosis=tuple(dict.fromkeys(finding.code for finding in result.report.findings)),
        log_shows=result.scenario.expect.log_shows,
        remedies=tuple(
            RemedyRun(
                code=each.remedy.code if each.remedy else "",
                finding=each.finding.code,
                server=each.place,
                not_applied=each.reason,
            )
            for each in result.remedies
        ),
        fixed=_stage_run(result.fixed, DEFAULT) if result.fixed else None,
        logs=tuple(map(str, result.logs)) if kept else (),
    )


def _stage_run(stage: StageResult, release: str) -> StageRun:
    discovery = "" if stage.discovery is None else str(stage.discovery)
    return StageRun(release=release, login=stage.seen, servers=stage.servers, discovery=discovery)
