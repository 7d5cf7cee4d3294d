"""The control API of a lab: logins, scenarios and their runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mralab.control.run_report import RunReport
from mralab.control.runs import KEPT, Progress, Run, Runs
from mralab.lab.lab import Lab
from mralab.lab.scenario import shipped_scenarios
from mralab.mocks.pki import mint
from mralab.web.schemas_events import EVENTS

from .conftest import Administered
from .labs import AdministeredLab, administered


@pytest.fixture
async def lab() -> AsyncIterator[AdministeredLab]:
    async with administered(Lab("X14.2", pki=mint())) as running:
        yield running


async def test_a_login_shows_what_the_user_sees_and_why(lab: AdministeredLab) -> None:
    status, failed = await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert (status, failed["schema"], failed["version"]) == (200, "mralab/login", 1)
    assert (failed["ok"], failed["seen"]) == (False, "configuration missing")
    assert [finding["code"] for finding in failed["findings"]] == ["self-signed"]
    assert failed["nodes"]["UDS"] == ["cucm.steven.lab:8443"]
    assert [step["name"] for step in failed["steps"] if not step["ok"]][:1] == ["device file"] or failed["steps"]
    await lab.ask("PATCH", "/api/config", {"release": "X14.0.7"})
    _, worked = await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert (worked["ok"], worked["seen"], worked["findings"]) == (True, "signed in", [])


async def test_the_configuration_says_that_there_is_a_lab(lab: AdministeredLab) -> None:
    for method, path in (("GET", "/api/config"), ("PATCH", "/api/config"), ("POST", "/api/reset")):
        assert (await lab.ask(method, path, {} if method == "PATCH" else None))[1]["lab"] is True


async def test_a_login_clears_the_journal_unless_told_not_to(lab: AdministeredLab) -> None:
    async def total() -> int:
        _, answer = await lab.ask("GET", "/api/transactions")
        return int(answer["total"])

    await lab.ask("POST", "/api/login", {"user": "emusk"})
    first = await total()
    await lab.ask("POST", "/api/login", {"user": "emusk", "clear": False})
    assert await total() == 2 * first
    await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert await total() == first


async def test_a_login_with_a_wrong_password_is_an_answer_not_an_error(lab: AdministeredLab) -> None:
    status, answer = await lab.ask("POST", "/api/login", {"user": "emusk", "password": "wrong"})
    assert (status, answer["seen"]) == (200, "cannot sign in")
    assert answer["screen"] == "Your username or password is not correct"


async def test_one_login_at_a_time(lab: AdministeredLab) -> None:
    answers = await asyncio.gather(*(lab.ask("POST", "/api/login", {"user": "emusk"}) for _ in range(2)))
    assert sorted(status for status, _ in answers) == [200, 409]
    (busy,) = [answer["error"] for status, answer in answers if status == 409]
    assert (busy["code"], bool(busy["hint"])) == ("busy", True)


@pytest.mark.parametrize(
    ("body", "status", "problems"),
    [
        ({}, 400, ["user: field required"]),
        ({"usr": "emusk", "clear": "yes"}, 400, ["user: ", "clear: ", "usr: unknown key; did you mean 'user'?"]),
        ({"user": "a:b"}, 409, ["USER 'a:b': has a colon"]),
        ({"user": "é" * 300}, 400, ["user: "]),
    ],
)
async def test_a_login_that_cannot_be_sent_is_refused(
    lab: AdministeredLab, body: Any, status: int, problems: list[str]
) -> None:
    answered, answer = await lab.ask("POST", "/api/login", body)
    assert answered == status
    for problem, start in zip(answer["error"]["problems"], problems, strict=True):
        assert problem.startswith(start)


async def test_the_scenarios_are_listed_as_the_command_lists_them(lab: AdministeredLab) -> None:
    status, answer = await lab.ask("GET", "/api/scenarios")
    assert (status, answer["schema"]) == (200, "mralab/scenarios")
    assert [each["name"] for each in answer["scenarios"]] == [each.name for each in shipped_scenarios()]
    assert all(each["title"] for each in answer["scenarios"])


async def test_a_run_is_followed_to_its_report(lab: AdministeredLab) -> None:
    async with lab.events() as events:
        status, begun = await lab.ask("POST", "/api/runs", {"scenario": "expired"})
        assert (status, begun["id"], begun["state"], begun["report"]) == (202, 1, "running", None)
        status, busy = await lab.ask("POST", "/api/runs", {"scenario": "healthy"})
        assert (status, busy["error"]["code"]) == (409, "busy")
        assert "GET /api/runs/1" in busy["error"]["hint"]
        seen = []
        async for kind, data in events:
            EVENTS[kind].model_validate(data)
            if kind == "run":
                seen.append((data["id"], data["scenario"], data["state"], data["stage"]))
                if data["state"] != "running":
                    break
    running = (1, "expired", "running")
    assert seen == [
        (*running, ""),
        (*running, "before"),
        (*running, "after"),
        (*running, "fixed"),
        (1, "expired", "done", "fixed"),
    ]
    status, done = await lab.ask("GET", "/api/runs/1")
    assert (status, done["state"], done["error"]) == (200, "done", "")
    assert done["started"] < done["ended"]
    (scenario,) = done["report"]["scenarios"]
    assert (scenario["name"], scenario["ok"], done["report"]["schema"]) == ("expired", True, "mralab/run")
    assert (await lab.ask("GET", "/api/runs"))[1] == {"runs": [done]}


async def test_a_run_of_no_scenario_is_refused_with_the_nearest(lab: AdministeredLab) -> None:
    status, answer = await lab.ask("POST", "/api/runs", {"scenario": "expird"})
    assert (status, answer["error"]["code"]) == (409, "unusable")
    assert "did you mean 'expired'?" in answer["error"]["message"]
    status, answer = await lab.ask("POST", "/api/runs", {"scenario": "../expired.toml"})
    assert status == 409
    status, answer = await lab.ask("GET", "/api/runs/7")
    assert (status, answer["error"]["code"]) == (404, "not-found")
    assert "POST /api/runs" in answer["error"]["hint"]
    status, answer = await lab.ask("GET", "/api/runs/x?most=1")
    assert (status, len(answer["error"]["problems"])) == (400, 2)


async def test_the_end_of_a_lab_ends_its_run() -> None:
    async with administered(Lab("X14.2", pki=mint())) as lab:
        await lab.ask("POST", "/api/runs", {"scenario": "slow-server"})
        runs = lab.lab_control.runs
    (run,) = runs.kept
    assert (run.state, run.error, run.ended is not None) == ("failed", "the lab was stopped", True)


async def test_the_latest_runs_are_kept() -> None:
    report = RunReport(summary="", ok=True, seconds=0.0, scenarios=())
    ended = asyncio.Event()

    async def work(name: str, stage: Progress) -> RunReport:
        return report

    def changed(run: Run) -> None:
        if run.state == "done":
            ended.set()

    runs = Runs(work, changed)
    for _ in range(KEPT + 5):
        ended.clear()
        runs.begin("healthy")
        await ended.wait()
        await asyncio.sleep(0)
    assert [run.id for run in runs.kept] == list(range(6, KEPT + 6))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/login", {"user": "emusk"}),
        ("GET", "/api/scenarios", None),
        ("GET", "/api/runs", None),
        ("POST", "/api/runs", {"scenario": "expired"}),
        ("GET", "/api/runs/1", None),
    ],
)
async def test_a_proxy_without_a_lab_says_what_to_start(admin: Administered, method: str, path: str, body: Any) -> None:
    status, answer = await admin.ask(method, path, body)
    assert (status, answer["error"]["code"]) == (409, "no-lab")
    assert "mralab lab" in answer["error"]["hint"]
