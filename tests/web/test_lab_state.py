"""The control API shows and changes the lab: what CUCM advertises, discovery, certificates and faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from mralab.lab.lab import Lab
from mralab.mocks.pki import mint

from .conftest import Administered
from .labs import AdministeredLab, administered


@pytest.fixture
async def lab() -> AsyncIterator[AdministeredLab]:
    async with administered(Lab("X14.2", pki=mint())) as running:
        yield running


async def test_the_state_of_the_lab(lab: AdministeredLab) -> None:
    status, answer = await lab.ask("GET", "/api/lab")
    assert (status, answer["users"], answer["advertise"], answer["discovered"]) == (200, ["emusk"], "fqdn", [])
    assert (answer["via"], answer["scenario"], answer["https_ciphers"]) == (lab.lab.via, "article", "RSA Ciphers Only")
    assert [node["name"] for node in answer["nodes"]] == list(lab.lab.nodes)
    cucm = answer["nodes"][0]
    assert (cucm["fqdn"], cucm["ip"], cucm["address"]) == ("cucm.steven.lab", "10.48.36.215", "cucm.steven.lab")
    assert cucm["ports"]["8443"] == lab.lab.cucm.ports[8443]


async def test_system_server_is_changed_live(lab: AdministeredLab) -> None:
    async with lab.events() as events:
        status, answer = await lab.ask("PATCH", "/api/lab", {"advertise": "ip"})
        assert (status, answer["advertise"]) == (200, "ip")
        assert await anext(events) == ("lab", {})
    addresses = {node["name"]: node["address"] for node in answer["nodes"]}
    assert (addresses["cucm"], addresses["cucm-sub"]) == ("10.48.36.215", "10.48.36.216")
    _, login = await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert "name-not-in-certificate" in [finding["code"] for finding in login["findings"]]
    _, answer = await lab.ask("PATCH", "/api/lab", {"https_ciphers": "all"})
    assert answer["https_ciphers"] == "All Supported EC and RSA Ciphers"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "advertise, https_ciphers: one of them is required"),
        ({"advertise": "name"}, "advertise: input should be 'fqdn' or 'ip'"),
        ({"advertize": "ip"}, "advertize: unknown key; did you mean 'advertise'?"),
    ],
)
async def test_an_invalid_change_of_the_lab_is_refused(lab: AdministeredLab, body: Any, problem: str) -> None:
    status, answer = await lab.ask("PATCH", "/api/lab", body)
    assert (status, answer["error"]["code"], answer["error"]["problems"]) == (400, "invalid", [problem])


async def test_discovery_and_refresh(lab: AdministeredLab) -> None:
    status, found = await lab.ask("POST", "/api/lab/discover", {"address": "cucm.steven.lab"})
    assert (status, found["ok"], found["tls_verify"]) == (200, True, "On")
    assert found["nodes"][0]["address"] == "cucm.steven.lab"
    await lab.ask("PATCH", "/api/lab", {"advertise": "ip"})
    status, answer = await lab.ask("POST", "/api/lab/refresh")
    assert (status, [node["address"] for node in answer["discovered"][0]["nodes"]][:1]) == (200, ["10.48.36.215"])
    status, refused = await lab.ask("POST", "/api/lab/discover", {"address": "https://cucm"})
    assert (status, refused["error"]["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/lab", None),
        ("PATCH", "/api/lab", {"advertise": "ip"}),
        ("POST", "/api/lab/discover", {"address": "cucm.steven.lab"}),
        ("POST", "/api/lab/refresh", None),
    ],
)
async def test_a_proxy_without_a_lab_says_what_to_start(admin: Administered, method: str, path: str, body: Any) -> None:
    status, answer = await admin.ask(method, path, body)
    assert (status, answer["error"]["code"]) == (409, "no-lab")
    assert "mralab lab" in answer["error"]["hint"]
