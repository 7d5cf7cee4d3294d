"""Diagnosis of the article's scenarios from their log alone and from their capture alone.

test_scenarios.py runs all scenarios.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mralab.diagnose.case import Case
from mralab.diagnose.conclusions import conclude
from mralab.diagnose.report import Report
from mralab.diagnose.sources import Sources
from mralab.lab.demo import ARTICLE
from mralab.lab.lab import Lab
from mralab.lab.scenario import Scenario, scenario_named
from mralab.tls.trust_store import TrustStore

SCENARIOS = {name: scenario_named(name) for name in ARTICLE}


async def recorded(scenario: Scenario, folder: Path) -> TrustStore:
    """Run a login under X14.2, with log and capture in ``folder``. Return what the Expressway trusts."""
    log, capture = folder / "traffic_server.log", folder / "capture.pcapng"
    async with Lab(scenario=scenario.name, log={"file": str(log)}, capture={"pcapng": str(capture)}) as lab:
        assert not (await lab.login("emusk")).ok
        return TrustStore(lab.cucm.certificate(name).cert for name in scenario.trust)


def diagnosed(file: Path, store: TrustStore | None) -> Report:
    case = Case(store)
    case.read(Sources([str(file)]))
    assert case.problems == []
    return conclude(case)


def defects(report: Report) -> dict[str, str]:
    found = [finding for finding in report.findings if finding.category == "issue-found"]
    return {f"{finding.server}:{finding.port}": finding.code for finding in found}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_is_recognized_from_its_log_and_from_its_capture(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    store = await recorded(scenario, tmp_path)
    from_log = diagnosed(tmp_path / "traffic_server.log", None)
    expected = {server: code for server, (code,) in scenario.expect.servers.items()}
    assert defects(from_log) == expected
    from_capture = diagnosed(tmp_path / "capture.pcapng", store)
    assert {finding.code for finding in from_capture.findings} >= set(expected.values())
    assert {finding.port for finding in from_capture.findings if finding.category == "issue-found"} == {
        int(place.rpartition(":")[2]) for place in expected
    }
    both = diagnosed(tmp_path, store)
    exact = [finding for finding in both.findings if finding.category == "issue-found" and finding.chain]
    assert {finding.code for finding in exact} == set(expected.values())
    logged = {(finding.code, finding.port): finding.count for finding in from_log.findings}
    assert {finding.count for finding in exact} <= set(logged.values())  # what log and capture show is counted once
    assert all(finding.confidence == "certain" for finding in exact)
    subjects = [check.subject for check in both.checks if check.category == "no-issue"]
    assert len(subjects) == len(set(subjects))
    assert {line.file for finding in exact for line in finding.evidence} == {
        str(tmp_path / "traffic_server.log"),
        str(tmp_path / "capture.pcapng"),
    }
