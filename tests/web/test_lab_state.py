"""The control API shows and changes the lab: what CUCM advertises, discovery, certificates and faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mralab.lab.lab import Lab
from mralab.lab.scenario import scenario_named
from mralab.mocks.pki import mint
from mralab.web.schemas_events import EVENTS

from .conftest import Administered
from .labs import AdministeredLab, administered

PEM = "application/x-pem-file"


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


async def test_of_several_peers_the_api_operates_the_first() -> None:
    async with administered(Lab("X14.2", pki=mint(), scenario=scenario_named("peer-without-ca"))) as lab:
        assert (await lab.ask("GET", "/api/lab"))[1]["peers"] == ["vcsc", "vcsc2"]
        _, first = await lab.ask("POST", "/api/login", {"user": "emusk"})
        assert first["seen"] == "signed in"
        assert (await lab.ask("GET", "/api/transactions"))[1]["total"] > 0
        _, second = await lab.ask("POST", "/api/login", {"user": "emusk"})
        assert "unknown-ca" in [finding["code"] for finding in second["findings"]]
        assert (await lab.ask("GET", "/api/transactions"))[1]["total"] == 0
        assert (await lab.ask("GET", "/api/findings"))[1]["findings"] == []


async def test_system_server_is_changed_live(lab: AdministeredLab) -> None:
    async with lab.events() as events:
        status, answer = await lab.ask("PATCH", "/api/lab", {"advertise": "ip"})
        assert (status, answer["advertise"]) == (200, "ip")
        assert await anext(events) == ("lab", {"what": "setting", "text": "advertise = ip"})
    addresses = {node["name"]: node["address"] for node in answer["nodes"]}
    assert (addresses["cucm"], addresses["cucm-sub"]) == ("10.48.36.215", "10.48.36.216")
    _, login = await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert "name-not-in-certificate" in [finding["code"] for finding in login["findings"]]
    _, answer = await lab.ask("PATCH", "/api/lab", {"https_ciphers": "all"})
    assert answer["https_ciphers"] == "All Supported EC and RSA Ciphers"


async def test_an_event_has_the_new_values(lab: AdministeredLab) -> None:
    host = {"dial": "127.0.0.1", "port": 1}
    async with asyncio.timeout(20), lab.events() as events:
        for method, path, body in (
            ("PATCH", "/api/config", {"release": "X14.0.7"}),
            ("PATCH", "/api/config", {"upstream": {"attempts": 2}}),
            ("PUT", "/api/hosts/new.lab", host),
            ("DELETE", "/api/hosts/new.lab", None),
            ("POST", "/api/lab/discover", {"address": "cucm.steven.lab", "tls_verify": "Off"}),
            ("POST", "/api/faults", {"at": "cucm:8443", "fault": "Expire", "times": 1}),
            ("DELETE", "/api/faults", {}),
        ):
            status, answer = await lab.ask(method, path, body)
            assert status < 300, answer
        seen = []
        async for kind, data in events:
            if kind == "log":
                continue
            EVENTS[kind].model_validate(data)
            seen.append(data)
            if data.get("text") == "1 fault lifted":
                break
    release, attempts, added, removed, discovered, injected, _ = seen
    assert release["values"].items() >= {"release": "X14.0.7", "verify.origin": "off"}.items()
    assert attempts["values"] == {}
    assert added["values"] == {"hosts.new.lab": {"ip": "", "ports": {}, "node": "cucm", **host}}
    assert removed["values"] == {"hosts.new.lab": None}
    assert discovered["text"].startswith("cucm.steven.lab, TLS verify mode Off: cucm.steven.lab (Address resolvable)")
    assert injected == {"text": "Expire injected at cucm:8443, 1 time"}


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
    assert (status, refused["error"]["code"]) == (409, "unusable")


async def test_a_certificate_of_the_lab_is_trusted_as_the_file_that_it_is(lab: AdministeredLab) -> None:
    assert not (await lab.ask("POST", "/api/login", {"user": "emusk"}))[1]["ok"]
    base = f"http://{lab.address}/api"
    async with lab.session.get(f"{base}/certificates/tomcat-ECDSA") as response:
        assert (response.status, response.content_type) == (200, "application/x-pem-file")
        pem = await response.text()
    assert pem == lab.lab.cucm.certificate("tomcat-ECDSA").pem
    async with lab.session.post(f"{base}/trust", data=pem, headers={"Content-Type": PEM}) as response:
        assert (await response.json())["added"] == 1
    assert (await lab.ask("POST", "/api/login", {"user": "emusk"}))[1]["ok"]


async def test_the_certificates_of_the_lab_are_listed(lab: AdministeredLab) -> None:
    status, answer = await lab.ask("GET", "/api/certificates")
    assert status == 200
    found = {(each["node"], each["name"]): each for each in answer["certificates"]}
    assert 6972 in found["cucm", "tomcat-ECDSA"]["ports"]
    assert found["cucm", "tomcat"]["fingerprint"] == lab.lab.cucm.certificate("tomcat").fingerprint
    assert found["", "steven-DC-CA"]["subject"] == found["cucm", "tomcat"]["issuer"]
    status, answer = await lab.ask("GET", "/api/certificates/tomcatt?node=imp")
    assert (status, answer["error"]["code"]) == (404, "not-found")
    assert "did you mean 'tomcat'?" in answer["error"]["message"]


async def test_faults_are_injected_and_lifted(lab: AdministeredLab) -> None:
    await lab.ask("PATCH", "/api/config", {"verify": {"origin": "off"}})
    body = {"at": "cucm.steven.lab:8443", "fault": "Answer", "parameters": {"status": 503}}
    status, injected = await lab.ask("POST", "/api/faults", body)
    assert (status, injected["id"], injected["at"], injected["met"]) == (200, 1, "cucm:8443", 0)
    assert injected["parameters"] == {"status": 503, "reason": ""}
    _, login = await lab.ask("POST", "/api/login", {"user": "emusk"})
    assert 503 in [step["status"] for step in login["steps"]]
    _, answer = await lab.ask("GET", "/api/faults")
    (listed,) = answer["faults"]
    assert (listed["id"], listed["met"] > 0) == (1, True)
    assert {"Stall", "Expire", "Present"} <= {each["name"] for each in answer["known"]}
    (days,) = next(each["parameters"] for each in answer["known"] if each["name"] == "Expire")
    assert (days["name"], days["required"], days["default"]) == ("days", False, 1.0)
    assert (await lab.ask("DELETE", "/api/faults", {"ids": [7]}))[1]["lifted"] == 0
    for at, problem in (("cucm:8444", "has no TLS port 8444"), ("cucn:8443", "did you mean 'cucm:8443'?")):
        status, refused = await lab.ask("DELETE", "/api/faults", {"at": at})
        assert (status, refused["error"]["code"]) == (409, "unusable")
        assert problem in refused["error"]["problems"][0]
    status, lifted = await lab.ask("DELETE", "/api/faults", {"ids": [1]})
    assert (status, lifted) == (200, {"lifted": 1, "faults": []})
    assert (await lab.ask("POST", "/api/login", {"user": "emusk"}))[1]["ok"]


async def test_a_fault_presents_another_certificate_until_a_reset(lab: AdministeredLab) -> None:
    body = {"at": "cucm:8443", "fault": "Present", "parameters": {"certificate": "CallManager"}, "times": 2}
    status, injected = await lab.ask("POST", "/api/faults", body)
    assert (status, injected["parameters"], injected["times"]) == (200, {"certificate": "CallManager"}, 2)
    await lab.ask("POST", "/api/faults", {"at": "imp:8443", "fault": "Stall"})
    assert (await lab.ask("DELETE", "/api/faults", {"at": "imp.steven.lab:8443"}))[1]["lifted"] == 1  # as POST takes it
    assert (await lab.ask("DELETE", "/api/faults", {}))[1] == {"lifted": 1, "faults": []}


@pytest.mark.parametrize(
    ("body", "status", "problems"),
    [
        ({"at": "cucm:8443"}, 400, ["fault: field required"]),
        (
            {"at": "cumc:8443", "fault": "Expir"},
            409,
            ["fault: 'Expir' is not a fault; did you mean 'Expire'?", "at: 'cumc:8443' is not NODE:PORT of the lab"],
        ),
        (
            {"at": "cucm:8443", "fault": "Slow", "parameters": {"sise": 1, "times": 1}},
            409,
            ["parameters.times: ", "sise: is not a parameter of Slow; did you mean 'size'?"],
        ),
        ({"at": "cucm:1", "fault": "Stall"}, 409, ["cucm.steven.lab: has no TLS port 1"]),
        ({"at": "cucm:8443", "fault": "Answer", "parameters": {"status": 99}}, 409, ["Answer: 99 is not"]),
        ({"at": "cucm:8443", "fault": "Present", "parameters": {"certificate": "x"}}, 409, ["certificate: 'x' is"]),
        ({"at": "cucm:8443", "fault": "Stall", "times": 0}, 400, ["times: "]),
        ({"at": "cucm:8443", "fault": "Expire", "parameters": {"days": 1e300}}, 409, ["Expire: days = 1e+300"]),
        ({"at": "cucm:8443", "fault": "Truncate", "parameters": {"after": 1.5}}, 409, ["after: must be a whole"]),
        ({"at": "cucm:8443", "fault": "Slow", "parameters": {"size": 1.5}}, 409, ["size: must be a whole number"]),
        ({"at": "cucm:8443", "fault": "Answer", "parameters": {"status": 503.5}}, 409, ["status: must be a whole"]),
        ({"at": "cucm:8443", "fault": "SendAlert", "parameters": {"alert": 1.5}}, 409, ["alert: must be a whole"]),
    ],
)
async def test_an_impossible_fault_is_refused(
    lab: AdministeredLab, body: Any, status: int, problems: list[str]
) -> None:
    answered, answer = await lab.ask("POST", "/api/faults", body)
    assert answered == status, answer
    for problem, start in zip(answer["error"]["problems"], problems, strict=True):
        assert problem.startswith(start)
    assert (await lab.ask("GET", "/api/faults"))[1]["faults"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/lab", None),
        ("GET", "/api/certificates", None),
        ("GET", "/api/certificates/tomcat", None),
        ("PATCH", "/api/lab", {"advertise": "ip"}),
        ("POST", "/api/lab/discover", {"address": "cucm.steven.lab"}),
        ("POST", "/api/lab/refresh", None),
    ],
)
async def test_a_proxy_without_a_lab_says_what_to_start(admin: Administered, method: str, path: str, body: Any) -> None:
    status, answer = await admin.ask(method, path, body)
    assert (status, answer["error"]["code"]) == (409, "no-lab")
    assert "mralab lab" in answer["error"]["hint"]
