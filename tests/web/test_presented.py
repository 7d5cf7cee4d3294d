"""What a refused server presented, and the ladder of the requests."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from mralab.lab.lab import Lab
from mralab.mocks.pki import mint

from .conftest import Administered
from .labs import AdministeredLab, administered


@pytest.fixture
async def lab() -> AsyncIterator[AdministeredLab]:
    async with administered(Lab("X14.2", pki=mint())) as running:
        yield running


async def test_trusting_what_was_presented_repairs_the_login(lab: AdministeredLab) -> None:
    _, failed = await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert not failed["ok"]
    _, answer = await lab.ask("GET", "/api/findings")
    (finding,) = answer["findings"]
    (certificate,) = finding["presented"]
    tomcat = lab.lab.cucm.certificate("tomcat-ECDSA")
    assert (certificate["fingerprint"], certificate["pem"]) == (tomcat.fingerprint, tomcat.pem)
    assert (certificate["matched"], certificate["validity"], certificate["self_signed"]) == (True, "in date", True)
    assert certificate["key"].startswith("EC ")
    assert certificate["signature"]
    assert failed["findings"] == answer["findings"]
    assert (await lab.ask("POST", "/api/trust", {"pem": certificate["pem"]}))[1]["added"] == 1
    assert (await lab.ask("POST", "/api/login", {"user": "emusk"}))[1]["ok"]


async def test_a_name_that_is_not_in_the_certificate_is_shown_with_the_certificate() -> None:
    async with administered(Lab("X14.2", scenario="wrong-name", pki=mint())) as lab:
        await lab.ask("POST", "/api/login", {"user": "emusk"})
        _, answer = await lab.ask("GET", "/api/findings")
    (finding,) = [each for each in answer["findings"] if each["code"] == "name-not-in-certificate"]
    assert [each["matched"] for each in finding["presented"]][:1] == [False]


async def test_findings_and_ladder_since_a_moment(lab: AdministeredLab) -> None:
    await lab.ask("POST", "/api/login", {"user": "emusk"})
    now = time.time()
    assert len((await lab.ask("GET", f"/api/findings?since={now - 60}"))[1]["findings"]) == 1
    assert (await lab.ask("GET", f"/api/findings?since={now:.6f}"))[1]["findings"] == []
    status, nothing = await lab.ask("GET", f"/api/ladder?since={now:.6f}")
    assert (status, nothing["steps"], nothing["transactions"]) == (200, [], 0)
    status, ladder = await lab.ask("GET", "/api/ladder")
    assert (status, ladder["schema"], ladder["omitted"]) == (200, "mralab/ladder", 0)
    assert [each["role"] for each in ladder["participants"]][:3] == ["Client", "Expressway-C", "CUCM"]
    (refused,) = [step for step in ladder["steps"] if step["kind"] == "refused" and step["finding"] is not None][:1]
    assert (refused["code"], refused["finding"], refused["port"]) == ("self-signed", 0, 6972)
    _, latest = await lab.ask("GET", "/api/ladder?most=1")
    assert (latest["transactions"], latest["omitted"]) == (ladder["transactions"], ladder["transactions"] - 1)


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "since=-1", "since=1e99", "since=nan", "since=1&since=2", "most=0", "most=201", "moist=3"],
)
async def test_parameters_that_mean_nothing_are_refused(admin: Administered, query: str) -> None:
    status, answer = await admin.ask("GET", f"/api/ladder?{query}")
    assert (status, answer["error"]["code"], len(answer["error"]["problems"])) == (400, "invalid", 1)
