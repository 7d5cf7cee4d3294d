"""The JSON documents of ``mralab run --json``, ``mralab demo --json`` and ``mralab scenarios --json``.

``version`` changes when a field is renamed, removed or changes its meaning; new fields do not change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from ..core.outcome import Seen
from ..core.release import BEFORE, DEFAULT
from ..diagnose.document import DocumentModel
from ..diagnose.finding_json import finding_json
from ..diagnose.finding_report import Finding
from .run import ScenarioResult, StageResult
from .scenario import Scenario


class StageRun(DocumentModel):
    """What the logins of one stage showed."""

    release: str
    login: tuple[Seen, ...] = Field(description="What the user sees, for each login.")
    servers: dict[str, tuple[str, ...]] = Field(description="SERVER:PORT -> codes of its findings.")


class RemedyRun(DocumentModel):
    """A remedy for one finding."""

    code: str = Field(description="Code of the remedy, empty if the finding does not offer the one that was chosen.")
    finding: str = Field(description="Code of the finding.")
    server: str = Field(description="SERVER:PORT of the finding.")
    not_applied: str = Field(description="Why the lab could not apply it; empty if it did.")


class ScenarioRun(DocumentModel):
    """One scenario's run."""

    name: str
    title: str
    ok: bool = Field(description="Whether every expectation was met.")
    differences: tuple[str, ...] = Field(description="A sentence for each expectation that was not met.")
    before: StageRun
    after: StageRun
    logged: dict[str, tuple[str, ...]] = Field(description="What the log of `after` alone shows, as in `servers`.")
    diagnosis: tuple[str, ...] = Field(description="Codes of all findings of the diagnosis of that log.")
    log_shows: str = Field(description="What the log cannot tell about this defect, empty if it names it.")
    remedies: tuple[RemedyRun, ...]
    fixed: StageRun | None = Field(description="After the remedies; null if there was nothing to repair.")
    logs: tuple[str, ...] = Field(description="Files that were kept (--out).")


class RunReport(DocumentModel):
    """The answer of ``mralab run``."""

    schema_: Literal["mralab/run"] = Field(default="mralab/run", alias="schema")
    version: Literal[1] = 1
    summary: str = Field(description="The answer in one line.")
    ok: bool
    seconds: float
    scenarios: tuple[ScenarioRun, ...]


class DemoScenario(DocumentModel):
    """One scenario of the article."""

    scenario: str = Field(description="Its name.")
    title: str
    before: bool = Field(description="Whether the login works before the upgrade.")
    after: bool = Field(description="Whether it works with X14.2.")
    findings: tuple[Finding, ...]
    applied: tuple[str, ...] = Field(description="Codes of the remedies that were applied.")
    fixed: bool = Field(description="Whether the login works after them.")
    logs: tuple[str, ...] = Field(description="The log files, before and after.")
    differences: tuple[str, ...] = Field(description="A sentence for each expectation that was not met.")


class DemoReport(DocumentModel):
    """The answer of ``mralab demo``."""

    schema_: Literal["mralab/demo"] = Field(default="mralab/demo", alias="schema")
    version: Literal[1] = 1
    ok: bool = Field(description="Whether every result is as in the article.")
    scenarios: tuple[DemoScenario, ...]


class ScenarioEntry(DocumentModel):
    """One scenario in the list."""

    name: str
    title: str
    login: tuple[Seen, ...] | None = Field(description="What the user is expected to see; null: any failure.")
    servers: dict[str, tuple[str, ...]] = Field(description="SERVER:PORT -> codes expected with X14.2.")
    log_shows: str = Field(description="What the log cannot tell about this defect, empty if it names it.")


class ScenarioList(DocumentModel):
    """The answer of ``mralab scenarios``."""

    schema_: Literal["mralab/scenarios"] = Field(default="mralab/scenarios", alias="schema")
    version: Literal[1] = 1
    scenarios: tuple[ScenarioEntry, ...]


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
    count = "1 scenario" if len(results) == 1 else f"{len(results)} scenarios"
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
    return StageRun(release=release, login=stage.seen, servers=stage.servers)
