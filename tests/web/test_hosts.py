"""Hosts, outcomes, PEM bodies and HEAD: features of the Python API for other languages."""

from __future__ import annotations

import http.client
import io
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.core.mra.target import Target, encode
from tests.net.conftest import HOST, Server
from tests.serving import config_for, control, running

from .conftest import Administered

PEM = {"Content-Type": "application/x-pem-file"}


async def test_a_host_is_added_replaced_and_removed(admin: Administered) -> None:
    name = "Cucm.Example.test"
    status, answer = await admin.ask("PUT", f"/api/hosts/{name}", {"dial": "127.0.0.1", "ports": {"8443": 41021}})
    assert (status, answer["name"]) == (200, name.lower())
    assert (answer["host"]["dial"], answer["host"]["ports"]) == ("127.0.0.1", {"8443": 41021})
    status, answer = await admin.ask("PUT", f"/api/hosts/{name}", {"ip": "192.0.2.1"})
    assert (answer["host"]["ip"], answer["host"]["dial"], answer["host"]["ports"]) == ("192.0.2.1", "", {})
    assert await admin.ask("GET", f"/api/hosts/{name}") == (200, answer)
    assert list((await admin.ask("GET", "/api/hosts"))[1]["hosts"]) == [HOST, name.lower()]
    status, answer = await admin.ask("DELETE", f"/api/hosts/{name}")
    assert (status, list(answer["hosts"])) == (200, [HOST])
    status, answer = await admin.ask("DELETE", f"/api/hosts/{name}")
    assert (status, answer["error"]["code"]) == (404, "not-found")
    assert "GET /api/hosts" in answer["error"]["hint"]


async def test_a_reset_restores_the_hosts(admin: Administered) -> None:
    before = await admin.ask("GET", "/api/hosts")
    await admin.ask("PUT", "/api/hosts/other.example.test", {"dial": "127.0.0.1"})
    await admin.ask("DELETE", f"/api/hosts/{HOST}")
    await admin.ask("POST", "/api/reset")
    assert await admin.ask("GET", "/api/hosts") == before


async def test_an_ipv6_address_is_a_host(admin: Administered) -> None:
    assert (await admin.ask("PUT", "/api/hosts/2001:0DB8::1", {"dial": "127.0.0.1"}))[0] == 200
    assert (await admin.ask("GET", "/api/hosts/2001:db8::1"))[1]["name"] == "2001:db8::1"
    assert (await admin.ask("DELETE", "/api/hosts/2001:db8::1"))[0] == 200


@pytest.mark.parametrize(
    ("name", "body", "status", "problems"),
    [
        ("a.test", {"dail": "127.0.0.1", "port": "1"}, 400, ["port: ", "dail: unknown key; did you mean 'dial'?"]),
        ("a.test", {}, 409, ["hosts.'a.test': has neither ip, dial nor ports"]),
        ("a.test", {"dial": "localhost"}, 409, ["hosts.a.test.dial: "]),
        ("a..test", {"dial": "127.0.0.1"}, 409, ["hosts.'a..test': is not a host name"]),
        ("a%20b", {"dial": "127.0.0.1"}, 400, ["name: must be one name of"]),
        ("a.test", {"dial": "127.0.0.1", "ports": {"0": 1}}, 400, ["ports.0"]),
    ],
)
async def test_a_host_that_cannot_be_used_is_refused(
    admin: Administered, name: str, body: Any, status: int, problems: list[str]
) -> None:
    before = await admin.ask("GET", "/api/hosts")
    answered, answer = await admin.ask("PUT", f"/api/hosts/{name}", body)
    assert answered == status, answer
    for problem, start in zip(answer["error"]["problems"], problems, strict=True):
        assert problem.startswith(start)
    assert await admin.ask("GET", "/api/hosts") == before


async def test_hosts_reach_every_worker(tmp_path: Path, server: Server, ca: trustme.CA) -> None:
    config = config_for(server, ca, tmp_path, workers=2).replace(f'"{HOST}"', '"elsewhere.test"')
    rules = tmp_path / "rules.csv"
    rules.write_text(rules.read_text().replace(HOST, "here.test"))
    (tmp_path / "mralab.toml").write_text(config + '[verify]\norigin = "off"\n')
    async with running(tmp_path) as (_, start):
        status, answer = control(start["admin"], "PUT", "/api/hosts/here.test", {"dial": "127.0.0.1"})
        assert (status, answer["name"]) == (200, "here.test")
        status, answer = control(start["admin"], "GET", "/api/hosts")
        assert list(answer["hosts"]) == ["elsewhere.test", "here.test"]
        _, config_in_force = control(start["admin"], "GET", "/api/config")
        assert config_in_force["hosts"] == answer["hosts"]
        path = encode(Target("steven.lab", "https", "here.test", server.port))
        assert {status_of(start["listening"], path) for _ in range(8)} == {200}  # of either worker


def status_of(listening: str, path: str) -> int:
    connection = http.client.HTTPConnection(listening, timeout=20)
    connection.request("GET", f"/{path}/x")
    status = connection.getresponse().status
    connection.close()
    return status


async def test_requests_are_judged_as_in_python(admin: Administered) -> None:
    _, before = await admin.ask("GET", f"/api/judged?server={HOST}")
    assert (before["refused"]["holds"], before["allowed"]["holds"]) == (False, False)
    assert before["refused"]["text"].endswith("no request came in")
    await admin.status()
    _, answer = await admin.ask("GET", f"/api/judged?server={HOST}&because=issuer-missing&port={admin.server.port}")
    assert (answer["refused"]["holds"], answer["allowed"]["holds"]) == (True, False)
    assert "was refused because of issuer-missing" in answer["refused"]["text"]
    _, answer = await admin.ask("GET", f"/api/judged?server={HOST}&because=expired")
    assert (answer["refused"]["holds"], "not expired" in answer["refused"]["text"]) == (False, True)
    await admin.ask("PATCH", "/api/config", {"verify": {"origin": "off"}})
    await admin.status()
    _, answer = await admin.ask("GET", f"/api/judged?server={HOST}")
    assert answer["allowed"]["holds"]


async def test_an_unknown_code_is_refused_with_the_nearest(admin: Administered) -> None:
    status, answer = await admin.ask("GET", f"/api/judged?server={HOST}&because=expird")
    assert (status, answer["error"]["code"]) == (400, "invalid")
    assert "did you mean 'expired'?" in answer["error"]["message"]
    status, answer = await admin.ask("GET", "/api/judged?sever=x")
    assert answer["error"]["problems"] == ["sever: unknown parameter; did you mean 'server'?", "server: is missing"]


async def test_certificates_are_trusted_and_distrusted_in_pem(admin: Administered, pem: str) -> None:
    url = f"http://{admin.address}/api/trust"
    async with admin.session.post(url, data=pem.encode(), headers=PEM) as response:
        assert (response.status, (await response.json())["added"]) == (200, 1)
    assert await admin.status() == 200
    async with admin.session.delete(url, data=pem.encode(), headers=PEM) as response:
        assert (response.status, (await response.json())["removed"]) == (200, 1)
    async with admin.session.post(url, data=b"not PEM", headers=PEM) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (409, "unusable")
    config = f"http://{admin.address}/api/config"
    async with admin.session.patch(config, data=pem.encode(), headers=PEM) as response:
        assert response.status == 415


@pytest.mark.parametrize("path", ["/api/health", "/api/findings", "/api/events", "/metrics", "/api/openapi.json"])
async def test_head_answers_as_get_without_a_body(admin: Administered, path: str) -> None:
    async with admin.session.head(f"http://{admin.address}{path}") as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/api/confg", {}),
        ("PUT", "/api/config", {"json": {}}),
        ("PATCH", "/api/config", {"data": b"{", "headers": {"Content-Type": "application/json"}}),
        ("PATCH", "/api/config", {"json": {"release": "X9"}}),
        ("PATCH", "/api/config", {"data": b"x", "headers": PEM}),
        ("POST", "/api/trust", {"data": b"x", "headers": PEM}),
        ("POST", "/api/trust", {"data": io.BytesIO(b"x" * (2 << 20)), "headers": PEM}),
        ("GET", "/api/log?most=x", {}),
        ("GET", "/api/hosts/x", {}),
        ("POST", "/api/diagnostic-logging/stop", {}),
        ("GET", "/api/scenarios", {}),
    ],
)
async def test_every_error_has_a_hint(admin: Administered, method: str, path: str, options: Any) -> None:
    async with admin.session.request(method, f"http://{admin.address}{path}", **options) as response:
        error = (await response.json())["error"]
    assert (response.status >= 400, bool(error["hint"]), bool(error["problems"])) == (True, True, True), error
