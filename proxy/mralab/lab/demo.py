"""The demo: the article's login before and after X14.2, then the remedies, each run for real.

Every outcome is compared with the scenario's expectation. Why a login failed and what helps is not in this module:
``diagnose.findings`` derives causes and remedies from the proxy's events, ``remedies`` applies them.
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
from . import remedies
from .lab import Lab
from .login import Login
from .remedies import RemedyResult
from .scenario import Scenario, shipped_scenarios


@dataclass(slots=True)
class ScenarioResult:
    """One scenario's run: three logins, the findings of the second, the remedies applied before the third."""

    scenario: Scenario
    before: Login
    after: Login
    findings: tuple[Finding, ...]
    remedies: tuple[RemedyResult, ...] = ()
    """One for each finding, with the reason if the lab could not apply it."""
    fixed: Login | None = None
    logs: tuple[Path, ...] = ()
    differences: list[str] = field(default_factory=list)
    """A sentence for each expectation that did not hold."""

    @property
    def applied(self) -> tuple[Remedy, ...]:
        """The remedies that were applied, one for each finding."""
        return tuple(each.remedy for each in self.remedies if each.remedy is not None and not each.reason)


async def run(out: Path, progress: Callable[[str], object] = lambda _: None) -> tuple[ScenarioResult, ...]:
    """Run every shipped scenario, and keep the logs of before and after in the folder ``out``, which must exist.

    ``progress`` is called with the title of each scenario as it starts. Raises ``MralabError`` if a lab cannot start.
    """
    pki = mint()
    outcomes = []
    for scenario in shipped_scenarios():
        progress(scenario.title)
        outcomes.append(await run_scenario(scenario, out, pki))
    return tuple(outcomes)


async def run_scenario(scenario: Scenario, out: Path, pki: Pki) -> ScenarioResult:
    """Log in before the upgrade, after it, and after the remedies, with the same servers throughout.

    Replaces the logs of an earlier run in ``out``. Raises ``MralabError`` if that fails.
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
        outcome = ScenarioResult(scenario, before, after, lab.findings, logs=logs)
        outcome.remedies = remedies.apply(lab, outcome.findings, scenario.remedy)
        outcome.fixed = await lab.login()
    outcome.differences = _differences(outcome)
    return outcome


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
    differences += [str(each) for each in outcome.remedies if each.reason]
    if outcome.fixed is None or not outcome.fixed.ok:
        after = _failed(outcome.fixed) if outcome.fixed else "it was not tried"
        differences.append(f"after the remedies the login was expected to work: {after}")
    return differences


def _failed(login: Login) -> str:
    steps = [f"{step.name}: {step.status or 'no answer'} {step.reason}".strip() for step in login.steps if not step.ok]
    return "; ".join(steps) or "no step failed"
