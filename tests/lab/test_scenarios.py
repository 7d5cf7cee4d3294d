"""Every scenario, run once with both releases and recorded: its expectations, log and capture."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest

from mralab.core.release import BEFORE, DEFAULT
from mralab.diagnose.case import Case
from mralab.diagnose.conclusions import conclude
from mralab.diagnose.sources import Sources
from mralab.lab.lab import Lab
from mralab.lab.run import ScenarioResult, run_all
from mralab.lab.scenario import shipped_scenarios
from mralab.mocks.pki import mint

SCENARIOS = {scenario.name: scenario for scenario in shipped_scenarios()}

CAPTURE_SHOWS: dict[str, tuple[dict[str, set[str]], str]] = {
    "cucm-down": ({}, "no TLS connection was ever open"),
    "tftp-down": ({}, "no TLS connection was ever open"),
    "subscriber-down": ({}, "no TLS connection was ever open"),
    "not-in-allow-list": ({}, "nothing was dialled"),
    "response-cut-off": ({}, "responses are not judged"),
    "slow-server": ({}, "a server that has not answered yet is not judged"),
    "connection-reset": ({"cucm.steven.lab:8443": {"handshake-failed"}}, "the handshake began"),
    "tls-1.0-only": ({"cucm.steven.lab:8443": {"handshake-failed"}}, "Expressway-C's alert is for any reason"),
    "chain-too-long": (
        {"cucm.steven.lab:8443": {"chain-too-long", "unknown-ca"}},
        "OpenSSL stops before the root, and reports both; the second cause says so",
    ),
    "two-faults": (
        {"cucm.steven.lab:8443": {"self-signed", "name-not-in-certificate"}},
        "the certificate is judged as a whole",
    ),
}
"""What a capture shows that the log does not, or the other way round, with the reason."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ScenarioResult]:
    out = tmp_path_factory.mktemp("scenarios")
    ran = asyncio.run(run_all(SCENARIOS.values(), out, mint(), capture=True))
    return {result.scenario.name: result for result in ran}


def test_there_are_enough_scenarios_and_each_has_a_title() -> None:
    assert len(SCENARIOS) >= 40
    titles = [scenario.title for scenario in SCENARIOS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_expectation_is_met_on_both_releases(name: str, results: dict[str, ScenarioResult]) -> None:
    result = results[name]
    assert result.differences == []
    assert [log.name for log in result.logs[:2]] == [f"{name}-{BEFORE}.log", f"{name}-{DEFAULT}.log"]
    assert (result.fixed is None) == (not result.findings)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_capture_shows_the_defect_too(name: str, results: dict[str, ScenarioResult]) -> None:
    result = results[name]
    shown: defaultdict[str, set[str]] = defaultdict(set)
    for file, store in zip(result.captures, result.trusted, strict=True):
        case = Case(store)
        case.read(Sources([str(file)]))
        assert case.problems == []
        for finding in conclude(case).findings:
            if finding.category == "issue-found":
                shown[f"{finding.server}:{finding.port}"].add(finding.code)
    logged = {server: set(codes) for server, codes in result.scenario.expect.servers.items()}
    assert shown == CAPTURE_SHOWS.get(name, (logged, ""))[0]


def test_scenarios_with_equal_logs_declare_what_the_log_does_not_show(results: dict[str, ScenarioResult]) -> None:
    alike: defaultdict[object, list[str]] = defaultdict(list)
    for name, result in results.items():
        if result.scenario.expect.servers and not result.scenario.expect.log_shows:
            shown = frozenset((one.server, one.port, one.code, one.cause, one.peers) for one in result.report.findings)
            alike[shown, result.after.seen].append(name)
    assert [names for names in alike.values() if len(names) > 1] == []


def test_a_defect_that_leaves_no_finding_is_declared(results: dict[str, ScenarioResult]) -> None:
    hidden = [name for name, one in results.items() if not one.logged and one.scenario.expect.log_shows]
    assert hidden == ["verify-origin-off"]


def test_the_diagnosis_names_the_peer_that_lacks_the_ca(results: dict[str, ScenarioResult]) -> None:
    report = results["peer-without-ca"].report
    (finding,) = (one for one in report.findings if one.category == "issue-found")
    assert (finding.code, finding.peers) == ("unknown-ca", ("vcsc2",))
    assert any("Only on vcsc2: vcsc reached the same server" in text for text in finding.history)


@pytest.mark.parametrize("name", ["multi-server-without-subscriber", "subscriber-only"])
def test_the_diagnosis_says_that_redundancy_is_lost(name: str, results: dict[str, ScenarioResult]) -> None:
    report = results[name].report
    causes = [one.cause for one in report.findings if one.code == "redundancy-lost"]
    assert causes
    assert all("while cucm.steven.lab answers" in cause for cause in causes)


@pytest.mark.parametrize(
    ("name", "code"),
    [("verify-mode-on-yet-failing", "unknown-ca"), ("fqdn", "self-signed"), ("subscriber-only", "self-signed")],
)
async def test_discovery_with_tls_verify_mode_on_is_green_where_logins_fail(name: str, code: str) -> None:
    async with Lab(scenario=name) as lab:
        assert (await lab.discover(tls_verify="On")).ok
        assert not all(login.ok for login in await lab.logins())
        assert [finding.code for finding in lab.findings] == [code]


async def test_discovery_with_tls_verify_mode_on_fails_where_the_publisher_is_at_fault() -> None:
    async with Lab(scenario="self-signed-tomcat") as lab:
        assert not (await lab.discover(tls_verify="On")).ok
        assert (await lab.discover(tls_verify="Off")).ok
        assert not (await lab.login()).ok  # Off does not switch off the traffic server's verification
