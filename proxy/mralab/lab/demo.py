"""The demo: the article's login before and after X14.2, then the remedies, each run for real.

Every outcome is compared with what the scenario expects. Why a login failed and what helps is not written here: it
is what ``diagnose.findings`` derives from the proxy's log lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..core.release import BEFORE
from ..core.release import DEFAULT as AFTER
from ..diagnose.findings import Finding, Remedy
from ..errors import MralabError
from ..mocks.pki import Pki, mint
from .lab import Lab
from .login import Login
from .scenario import Scenario, shipped_scenarios


@dataclass(slots=True)
class ScenarioResult:
    """One scenario's run: three logins, the findings of the second, the remedies applied before the third."""

    scenario: Scenario
    before: Login
    after: Login
    findings: tuple[Finding, ...]
    applied: tuple[Remedy, ...] = ()
    fixed: Login | None = None
    logs: tuple[Path, ...] = ()
    differences: list[str] = field(default_factory=list)
    """Each expectation that did not hold, in words."""


async def run(out: Path, told: Callable[[str], object] = lambda _: None) -> tuple[ScenarioResult, ...]:
    """Run every shipped scenario; the logs of before and after are kept in ``out``.

    ``out`` must exist; ``told`` hears what is being done. Raises ``MralabError`` where the lab cannot be put together.
    """
    pki = mint()
    outcomes = []
    for scenario in shipped_scenarios():
        told(scenario.title)
        outcomes.append(await run_scenario(scenario, out, pki))
    return tuple(outcomes)


async def run_scenario(scenario: Scenario, out: Path, pki: Pki) -> ScenarioResult:
    """One scenario: log in before the upgrade, after it, and after the remedies; same servers throughout.

    The logs of an earlier run in ``out`` are replaced. Raises ``MralabError`` where that cannot be.
    """
    logs = tuple(out / f"{scenario.name}-{release}.log" for release in (BEFORE, AFTER))
    for log in logs:
        try:
            log.unlink(missing_ok=True)
        except OSError as error:
            raise MralabError(f"{log}: cannot be replaced: {error.strerror}", "choose another folder") from error
    async with Lab(BEFORE, scenario=scenario, log_file=logs[0], pki=pki) as lab:
        before = await lab.login()
        await lab.upgrade(AFTER, logs[1])
        after = await lab.login()
        findings = lab.findings
        outcome = ScenarioResult(scenario, before, after, findings, logs=logs)
        chosen = [(finding, remedy) for finding in findings if (remedy := _chosen(scenario, finding)) is not None]
        for finding, remedy in chosen:
            await _apply(remedy, finding, lab)
        outcome.applied = tuple(remedy for _, remedy in chosen)
        outcome.fixed = await lab.login()
    outcome.differences = _differences(outcome)
    return outcome


def _chosen(scenario: Scenario, finding: Finding) -> Remedy | None:
    """The remedy to try for a finding: its own first one, or the one that the scenario wants tried."""
    wanted = (remedy for remedy in finding.remedies if scenario.remedy in ("first", remedy.code))
    return next(wanted, None)


async def _apply(remedy: Remedy, finding: Finding, lab: Lab) -> None:
    """Do what a remedy says."""
    if remedy.code == "trust-certificate":
        await lab.trust(lab.cucm.presented(finding.port or 8443))
    elif remedy.code == "change-server-name":
        lab.cucm.advertise = "fqdn"
    elif remedy.code == "verify-origin-off":
        await lab.verify_origin_server("Off")


def _differences(outcome: ScenarioResult) -> list[str]:
    differences = []
    scenario = outcome.scenario
    if not outcome.before.ok:
        differences.append(f"{BEFORE}: the login was expected to work: {_failed(outcome.before)}")
    if outcome.after.ok:
        differences.append(f"{AFTER}: the login was expected to fail")
    found = {f"{finding.server}:{finding.port}": finding.code for finding in outcome.findings}
    for server in {**scenario.expect, **found}:
        expected, got = scenario.expect.get(server, "nothing"), found.get(server, "nothing")
        if expected != got:
            differences.append(f"{AFTER}: {server}: expected {expected}, found {got}")
    if outcome.fixed is None or not outcome.fixed.ok:
        after = _failed(outcome.fixed) if outcome.fixed else "it was not tried"
        differences.append(f"after the remedies the login was expected to work: {after}")
    return differences


def _failed(login: Login) -> str:
    steps = [f"{step.name}: {step.status or 'no answer'} {step.reason}".strip() for step in login.steps if not step.ok]
    return "; ".join(steps) or "no step failed"
