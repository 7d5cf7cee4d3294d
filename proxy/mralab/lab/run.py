"""Run scenarios: log in before the upgrade, after it and after the remedy, and compare with what is expected.

Why a login failed and what helps is not in this module: ``diagnose.findings`` derives causes and remedies from the
proxy's events, ``remedies`` applies them. The X14.2 log is diagnosed as well, as a user would diagnose it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from ..core.hostport import host_port
from ..core.outcome import Seen
from ..core.release import BEFORE
from ..core.release import DEFAULT as AFTER
from ..diagnose.case import Case
from ..diagnose.comparisons import COMPARED_CODES
from ..diagnose.conclusions import conclude
from ..diagnose.findings import Finding, Remedy
from ..diagnose.ladder import Ladder, ladder
from ..diagnose.report import Report
from ..diagnose.sources import Sources
from ..errors import MralabError
from ..mocks.pki import Pki
from ..tls.trust_store import TrustStore
from . import remedies
from .discovery_result import Discovery
from .lab import Lab
from .login import Login, Step
from .remedies import RemedyResult
from .scenario import Scenario
from .scenario_model import Stage

DEFAULT_JOBS: Final = 4
"""Labs at the same time: while one waits for a server, others use the processor."""
_LARGEST_CAPTURE: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class StageResult:
    """What the logins at one release showed."""

    logins: tuple[Login, ...]
    findings: tuple[Finding, ...]
    ladders: tuple[Ladder, ...] = ()
    """One for each peer. ``LadderStep.finding`` is an index of ``findings``."""
    discovery: Discovery | None = None
    """State of the publisher, discovered or refreshed before the logins; None if the scenario has no ``tls_verify``."""

    @property
    def ok(self) -> bool:
        """Whether every login worked."""
        return all(login.ok for login in self.logins)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all logins."""
        return tuple(step for login in self.logins for step in login.steps)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What the user sees of each login."""
        return tuple(login.seen for login in self.logins)

    @property
    def servers(self) -> dict[str, tuple[str, ...]]:
        """The codes of the findings at each ``SERVER:PORT``."""
        return _by_server((finding.server, finding.port, finding.code) for finding in self.findings)


@dataclass(slots=True)
class ScenarioResult:
    """One scenario's run: the logins of three stages, and the remedies applied before the third."""

    scenario: Scenario
    before: StageResult
    after: StageResult
    report: Report
    """The diagnosis of the X14.2 log."""
    remedies: tuple[RemedyResult, ...] = ()
    """One for each finding, with the reason if the lab could not apply it."""
    fixed: StageResult | None = None
    """The logins after the remedy; None if there was nothing to repair."""
    logs: tuple[Path, ...] = ()
    captures: tuple[Path, ...] = ()
    """One for each peer, in the order of ``trusted``."""
    trusted: tuple[TrustStore, ...] = ()
    """The trust store of each peer with X14.2."""
    differences: list[str] = field(default_factory=list)
    """A sentence for each expectation that did not hold."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of X14.2."""
        return self.after.findings

    @property
    def logged(self) -> dict[str, tuple[str, ...]]:
        """The codes of the faults that the X14.2 log alone shows, at each ``SERVER:PORT``."""
        shown = (one for one in self.report.findings if one.code not in COMPARED_CODES and one.category != "no-issue")
        return _by_server((one.server, one.port, one.code) for one in shown)

    @property
    def applied(self) -> tuple[Remedy, ...]:
        """The remedies that were applied, one for each finding."""
        return tuple(each.remedy for each in self.remedies if each.remedy is not None and not each.reason)


async def run_all(
    scenarios: Iterable[Scenario],
    out: Path,
    pki: Pki,
    *,
    jobs: int = DEFAULT_JOBS,
    capture: bool = False,
    done: Callable[[ScenarioResult], object] = lambda _: None,
) -> tuple[ScenarioResult, ...]:
    """Run scenarios, ``jobs`` at a time, in this event loop. Logs (and captures) stay in the folder ``out``.

    ``done`` is called with each result, in the order of the scenarios. Raises ``MralabError`` if a lab cannot start.
    """
    free = asyncio.Semaphore(jobs)

    async def one(scenario: Scenario) -> ScenarioResult:
        async with free:
            try:
                return await run_scenario(scenario, out, pki, capture=capture)
            except MralabError as error:
                raise MralabError(f"{scenario.name}: {error.message}", error.hint) from error

    results = []
    # No TaskGroup: it would wrap what ``done`` raises, such as the BrokenPipeError of an output that is closed.
    tasks = [asyncio.create_task(one(scenario)) for scenario in scenarios]
    try:
        for task in tasks:
            results.append(await task)
            done(results[-1])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(results)


async def run_scenario(
    scenario: Scenario,
    out: Path,
    pki: Pki,
    *,
    capture: bool = False,
    stage: Callable[[Literal["before", "after", "fixed"]], object] = lambda _: None,
) -> ScenarioResult:
    """Log in before the upgrade, after it, and after the remedies, with the same servers throughout.

    Replaces the logs of an earlier run in ``out``, which must exist. ``capture`` keeps the packets of the logins with
    X14.2. ``stage`` is called when each stage begins. Raises ``MralabError`` if that fails.
    """
    logs = tuple(out / f"{scenario.name}-{release}.log" for release in (BEFORE, AFTER))
    for file in logs:
        for name in (file.stem, *(f"{file.stem}-{peer}" for peer in scenario.peers)):
            _remove(out / f"{name}.log")
            _remove(out / f"{name}.pcapng")
    stage("before")
    async with Lab(BEFORE, scenario=scenario, log_file=logs[0], pki=pki) as lab:
        before = await _log_in(lab, scenario)
        stage("after")
        await lab.upgrade(AFTER, logs[1])
        captures = _start_captures(lab, out) if capture else {}
        after = await _log_in(lab, scenario)
        for peer in lab.peers.values():
            await peer.server.flush_log()
        for name, file in captures.items():
            await lab.peers[name].server.stop_capture(file)
        peer_logs = tuple(Path(peer.config.log.file) for peer in lab.peers.values())
        result = ScenarioResult(
            scenario,
            before,
            after,
            diagnosed(peer_logs),
            logs=(*logs, *peer_logs[1:]),
            captures=tuple(captures.values()),
            trusted=tuple(peer.trusted for peer in lab.peers.values()),
        )
        if result.findings:
            stage("fixed")
            result.remedies = remedies.apply(lab, result.findings, scenario.remedy)
            result.fixed = await _log_in(lab, scenario)
    result.differences = _differences(result)
    return result


async def _log_in(lab: Lab, scenario: Scenario) -> StageResult:
    discovery = None
    if scenario.tls_verify is not None:
        known = await lab.refresh()
        discovery = known[0] if known else await lab.discover(tls_verify=scenario.tls_verify)
    logins, findings = await lab.logins(), lab.findings
    ladders = tuple(ladder(peer.journal.records(), findings) for peer in lab.peers.values())
    return StageResult(logins, findings, ladders, discovery)


def diagnosed(files: Iterable[Path]) -> Report:
    """Return what ``mralab diagnose`` says of these files."""
    case = Case()
    case.read(Sources(map(str, files)))
    return conclude(case)


def _remove(log: Path) -> None:
    try:
        log.unlink(missing_ok=True)
    except OSError as error:
        raise MralabError(f"{log}: cannot be replaced: {error.strerror}", "choose another folder") from error


def _start_captures(lab: Lab, out: Path) -> dict[str, Path]:
    files = {name: out / f"{Path(peer.config.log.file).stem}.pcapng" for name, peer in lab.peers.items()}
    for name, file in files.items():
        lab.peers[name].server.start_capture(file, _LARGEST_CAPTURE)
    return files


def _by_server(found: Iterable[tuple[str, int | None, str]]) -> dict[str, tuple[str, ...]]:
    codes: dict[str, tuple[str, ...]] = {}
    for server, port, code in found:
        where = host_port(server, port) if port else server
        codes[where] = tuple(dict.fromkeys((*codes.get(where, ()), code)))
    return codes


# Expectations


def _differences(result: ScenarioResult) -> list[str]:
    expect = result.scenario.expect
    differences = [*_of_stage(BEFORE, expect.before, result.before), *_of_stage(AFTER, expect, result.after)]
    if result.logged != result.after.servers:
        shown = "; ".join(f"{server} {_words(codes)}" for server, codes in result.logged.items())
        differences.append(f"{AFTER}: the log alone shows other findings than the running proxy: {shown or 'nothing'}")
    compared = [one for one in result.report.findings if one.code in COMPARED_CODES]
    missing = set(expect.diagnosis).difference(one.code for one in compared)
    differences += [f"{AFTER}: the diagnosis was expected to have {code}" for code in sorted(missing)]
    named = {peer for one in result.report.findings if one.category != "no-issue" for peer in one.peers}
    if expect.peers and named != set(expect.peers):
        differences.append(f"{AFTER}: the diagnosis was expected to name {_words(expect.peers)}, not {_words(named)}")
    differences += [str(each) for each in result.remedies if each.reason]
    if result.fixed is not None:
        differences += _of_stage("after the remedies", expect.after, result.fixed)
    return differences


def _of_stage(stage: str, expected: Stage, result: StageResult) -> list[str]:
    differences = []
    where = f"{stage} the login" if stage.startswith("after") else f"{stage}: the login"
    if expected.login is None:
        if not result.ok and not expected.servers:
            differences.append(f"{where} was expected to work: {_failed(result)}")
        elif result.ok and expected.servers:
            differences.append(f"{where} was expected to fail")
    else:
        wanted = expected.login * len(result.seen) if len(expected.login) == 1 else expected.login
        if wanted != result.seen:
            differences.append(f"{where}: expected {_words(wanted)}, the user sees {_words(result.seen)}")
    if result.discovery is not None and result.discovery.ok != (expected.discovery == "green"):
        differences.append(f"{stage}: discovery was expected to be {expected.discovery}: {result.discovery}")
    # An unexpected failure is one difference, not two: its servers follow from the steps that failed.
    if expected.servers or not differences:
        differences += _of_servers(stage, expected.servers, result.servers)
    return differences


def _of_servers(stage: str, expected: Mapping[str, tuple[str, ...]], found: Mapping[str, tuple[str, ...]]) -> list[str]:
    differences = []
    for server in {**expected, **found}:
        wanted, got = expected.get(server, ()), found.get(server, ())
        if set(wanted) != set(got):
            differences.append(f"{stage}: {server}: expected {_words(wanted)}, found {_words(got)}")
    return differences


def _words(words: Iterable[Any]) -> str:
    return ", ".join(words) or "nothing"


def _failed(result: StageResult) -> str:
    steps = [f"{step.name}: {step.status or 'no answer'} {step.reason}".strip() for step in result.steps if not step.ok]
    return "; ".join(steps) or "no step failed"
