"""Fault points through the control API: faults in front of a mock in any language, with and without a lab."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mralab.control.fault_points import MOST
from mralab.lab.lab import Lab
from mralab.mocks.pki import mint
from tests.net.conftest import HOST, Server, server_context
from tests.serving import Serving, config_for, control, get, serving

from .conftest import Administered
from .labs import AdministeredLab, administered

CA = trustme.CA()
LEAF = CA.issue_cert(HOST)
OTHER_CA = trustme.CA()
ELSEWHERE = OTHER_CA.issue_cert(HOST)


def pem(leaf: trustme.LeafCert) -> str:
    return "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)


def key(holder: trustme.LeafCert | trustme.CA) -> str:
    return holder.private_key_pem.bytes().decode()


def both(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode() + key(ca)


def body(port: int, leaf: trustme.LeafCert = LEAF, **more: Any) -> dict[str, Any]:
    return {"port": port, "certificate": pem(leaf), "key": key(leaf), **more}


def unencrypted(made: Any) -> str:
    return str(
        made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def secret_lines(*keys: str) -> list[str]:
    return [line for text in keys for line in text.splitlines() if line and "-----" not in line]


@pytest.fixture
def server() -> Iterator[Server]:
    """A mock of the user's own: the standard library's ssl, with the certificate that the point presents too."""
    yield from Server(server_context(LEAF)).run()


@pytest.fixture
async def point(admin: Administered) -> AsyncIterator[dict[str, Any]]:
    """A fault point between the proxy, which trusts the CA, and the mock."""
    await admin.ask("POST", "/api/trust", {"pem": CA.cert_pem.bytes().decode()})
    status, opened = await admin.ask("POST", "/api/fault-points", body(admin.server.port, issuer=both(CA)))
    assert status == 201, opened
    dialled = {"dial": opened["host"], "port": opened["port"]}
    assert (await admin.ask("PUT", f"/api/hosts/{HOST}", dialled))[0] == 200
    yield opened


async def faults_of(running: Administered | AdministeredLab) -> list[Any]:
    return list((await running.ask("GET", "/api/faults"))[1]["faults"])


async def codes(admin: Administered) -> list[str]:
    return [each["code"] for each in (await admin.ask("GET", "/api/findings"))[1]["findings"]]


async def test_a_mock_behind_a_fault_point_answers(admin: Administered, point: dict[str, Any]) -> None:
    assert await admin.status() == 200
    assert await codes(admin) == []
    _, answer = await admin.ask("GET", "/api/fault-points")
    (listed,) = answer["fault_points"]
    assert listed["address"] == f"{point['host']}:{point['port']}"
    assert (listed["id"], listed["dial"]) == (1, f"127.0.0.1:{admin.server.port}")
    assert (listed["tls"], listed["versions"], listed["can_expire"], listed["faults"]) == (True, ["1.2"], True, [])
    assert listed["certificate"]["names"] == [HOST]
    assert listed["seen"] == [{"sni": HOST, "handshake": True, "alert": "", "faults": []}]
    assert f'{{"dial": "127.0.0.1", "port": {point["port"]}}}' in listed["hint"]
    assert admin.server.snis == [HOST]


@pytest.mark.parametrize(
    ("fault", "parameters", "code"),
    [
        ("SendAlert", {"alert": "handshake_failure"}, "tls-mismatch"),
        ("Expire", {"days": 3}, "expired"),
        ("Present", {"certificate": pem(ELSEWHERE) + key(ELSEWHERE)}, "issuer-missing"),
        ("NotTls", {}, "not-tls"),
    ],
)
async def test_a_fault_has_its_finding_until_it_is_lifted(
    admin: Administered, point: dict[str, Any], fault: str, parameters: Any, code: str
) -> None:
    wanted = {"at": point["address"], "fault": fault, "parameters": parameters}
    status, injected = await admin.ask("POST", "/api/faults", wanted)
    assert (status, injected["id"], injected["at"]) == (200, 1, point["address"]), injected
    assert await admin.status() == 502
    assert await codes(admin) == [code]
    _, answer = await admin.ask("GET", "/api/fault-points")
    (listed,) = answer["fault_points"]
    assert listed["seen"][-1]["faults"] == [fault]
    (in_force,) = listed["faults"]
    assert (in_force["id"], in_force["met"]) == (1, 2)  # both attempts
    assert (await admin.ask("GET", "/api/faults"))[1]["faults"] == [in_force]
    status, lifted = await admin.ask("DELETE", "/api/faults", {"at": point["address"]})
    assert (status, lifted) == (200, {"lifted": 1, "faults": []})
    assert await admin.status() == 200


async def test_a_stalled_handshake_goes_on_when_the_fault_is_lifted(admin: Administered, point: dict[str, Any]) -> None:
    await admin.ask("PATCH", "/api/config", {"upstream": {"connect_timeout": 0.1, "attempts": 1}})
    _, injected = await admin.ask("POST", "/api/faults", {"at": point["address"], "fault": "Stall"})
    assert await admin.status() in (502, 504)
    assert await codes(admin) == ["timeout"]
    await admin.ask("PATCH", "/api/config", {"upstream": {"connect_timeout": 20.0}})
    pending = asyncio.create_task(admin.status())
    async with asyncio.timeout(10):
        while (await faults_of(admin))[0]["met"] < 2:  # noqa: ASYNC110 - a connection is no event
            await asyncio.sleep(0.005)
    assert not pending.done()
    await admin.ask("DELETE", "/api/faults", {"ids": [injected["id"]]})
    assert await pending == 200


async def test_a_mock_in_plain_text_and_other_versions(admin: Administered) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    await admin.ask("POST", "/api/trust", {"pem": CA.cert_pem.bytes().decode()})
    async with await asyncio.start_server(respond, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        _, opened = await admin.ask("POST", "/api/fault-points", body(port, tls=False, versions=["1.2", "1.3"]))
        await admin.ask("PUT", f"/api/hosts/{HOST}", {"dial": opened["host"], "port": opened["port"]})
        assert await admin.status() == 204
        assert (opened["can_expire"], opened["versions"]) == (False, ["1.2", "1.3"])
        status, refused = await admin.ask("POST", "/api/faults", {"at": opened["address"], "fault": "Expire"})
        assert (status, refused["error"]["code"]) == (409, "unusable")
        assert "the issuer's key is unknown" in refused["error"]["message"]
        assert "POST /api/fault-points" in refused["error"]["hint"]
        await admin.ask("DELETE", f"/api/fault-points/{opened['id']}")  # the server waits for its connections


def is_refused(address: dict[str, Any]) -> bool:
    try:
        socket.create_connection((address["host"], address["port"]), 20).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_a_reset_closes_every_fault_point(admin: Administered, point: dict[str, Any]) -> None:
    await admin.ask("POST", "/api/faults", {"at": point["address"], "fault": "Stall"})
    await admin.ask("POST", "/api/reset")
    assert (await admin.ask("GET", "/api/fault-points"))[1] == {"fault_points": []}
    assert (await admin.ask("GET", "/api/faults"))[1]["faults"] == []
    assert is_refused(point)
    _, again = await admin.ask("POST", "/api/fault-points", body(1))
    assert again["id"] == 2  # an id is never another point's


async def test_one_is_closed_with_its_connections(admin: Administered, point: dict[str, Any]) -> None:
    _, other = await admin.ask("POST", "/api/fault-points", body(admin.server.port))
    reader, writer = await asyncio.open_connection(point["host"], point["port"])
    status, answer = await admin.ask("DELETE", f"/api/fault-points/{point['id']}")
    assert (status, [each["id"] for each in answer["fault_points"]]) == (200, [other["id"]])
    assert await reader.read() == b""
    writer.close()
    assert is_refused(point)
    status, answer = await admin.ask("DELETE", f"/api/fault-points/{point['id']}")
    assert (status, answer["error"]["code"]) == (404, "not-found")
    assert answer["error"]["hint"] == f"open ones: {other['id']}"


async def test_changes_are_events(admin: Administered) -> None:
    async with admin.session.get(f"http://{admin.address}/api/events") as response:
        assert await response.content.readline() == b": follows\n"
        _, opened = await admin.ask("POST", "/api/fault-points", body(1))
        await admin.ask("POST", "/api/faults", {"at": opened["address"], "fault": "Stall"})
        await admin.ask("DELETE", f"/api/fault-points/{opened['id']}")
        kinds: list[bytes] = []
        while len(kinds) < 3:
            line = await response.content.readline()
            kinds += [line] if line.startswith(b"event: ") else []
    assert kinds == [b"event: faults\n"] * 3


async def test_there_is_a_limit(admin: Administered) -> None:
    answers = await asyncio.gather(*(admin.ask("POST", "/api/fault-points", body(1)) for _ in range(MOST + 1)))
    assert sorted(status for status, _ in answers) == [201] * MOST + [409]
    (refused,) = [answer["error"] for status, answer in answers if status == 409]
    assert refused["problems"][0].startswith(f"{MOST} fault points are open, the most: 1, 2, ")
    assert "DELETE /api/fault-points/ID" in refused["hint"]


async def test_a_proxy_without_a_lab_has_faults_at_fault_points_only(admin: Administered) -> None:
    status, answer = await admin.ask("GET", "/api/faults")
    assert (status, answer["faults"]) == (200, [])
    assert {"Stall", "Expire", "Present"} <= {each["name"] for each in answer["known"]}
    for each in answer["known"]:  # for authors of any language: no class of ours, no type that JSON lacks
        assert not [word for word in ("Certified", "ALERTS", "``") if word in each["description"]]
        types = {name for parameter in each["parameters"] for name in parameter["type"].split(" | ")}
        assert types <= {"str", "int", "float", "None"}
    assert await admin.ask("DELETE", "/api/faults", {}) == (200, {"lifted": 0, "faults": []})
    wanted: dict[str, Any] = {"at": "cucm:8443", "fault": "Stall"}
    status, answer = await admin.ask("POST", "/api/faults", wanted)
    assert (status, answer["error"]["problems"]) == (
        409,
        ["at: 'cucm:8443' is not HOST:PORT of a fault point; there is none: POST /api/fault-points opens one"],
    )
    _, opened = await admin.ask("POST", "/api/fault-points", body(1))
    _, answer = await admin.ask("POST", "/api/faults", wanted)
    (problem,) = answer["error"]["problems"]
    assert problem == f"at: 'cucm:8443' is not HOST:PORT of a fault point; known: {opened['address']}"
    wanted = {"at": opened["address"], "fault": "Present", "parameters": {"certificate": "tomcat"}}
    _, answer = await admin.ask("POST", "/api/faults", wanted)
    assert answer["error"]["problems"] == ["certificate: 'tomcat' is not PEM with a certificate and its key"]


async def test_a_lab_has_both_and_one_count_of_faults() -> None:
    async with administered(Lab("X14.2", pki=mint())) as lab:
        _, opened = await lab.ask("POST", "/api/fault-points", body(1))
        at_node: dict[str, Any] = {"at": "cucm:8443", "fault": "Stall"}
        at_point = {"at": opened["address"], "fault": "Present", "parameters": {"certificate": "tomcat"}}
        _, first = await lab.ask("POST", "/api/faults", at_node)
        _, second = await lab.ask("POST", "/api/faults", at_point)
        assert (first["id"], second["id"], second["parameters"]) == (1, 2, {"certificate": "tomcat"})
        assert [each["at"] for each in await faults_of(lab)] == ["cucm:8443", opened["address"]]
        of_one_s_own = {**at_node, "fault": "Present", "parameters": {"certificate": pem(LEAF) + key(LEAF)}}
        _, third = await lab.ask("POST", "/api/faults", of_one_s_own)
        assert third["parameters"]["certificate"].startswith("OU=Testing cert")
        _, answer = await lab.ask("POST", "/api/faults", {**at_node, "at": "cucm:8444"})
        (problem,) = answer["error"]["problems"]
        assert problem.startswith("cucm.steven.lab: has no TLS port 8444; it has ")
        _, answer = await lab.ask("POST", "/api/faults", {**at_node, "at": "cumc:8443"})
        (problem,) = answer["error"]["problems"]
        assert problem.startswith(
            "at: 'cumc:8443' is not NODE:PORT of the lab or HOST:PORT of a fault point; did you mean 'cucm:8443'?"
        )
        assert "cucm:8443, " in problem
        assert opened["address"] in problem
        assert (await lab.ask("DELETE", "/api/faults", {"ids": [2]}))[1]["lifted"] == 1
        assert (await lab.ask("DELETE", f"/api/fault-points/{opened['id']}"))[0] == 200
        assert [each["id"] for each in await faults_of(lab)] == [1, 3]


# -- what is refused

BAD_PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ED25519 = unencrypted(ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    ("changes", "status", "problems"),
    [
        ({"certificate": None, "key": None, "port": None}, 400, ["port: ", "certificate: ", "key: "]),
        (
            {
                "port": 65536,
                "versions": ["1.4"],
                "certificate": BAD_PEM,
                "key": "x",
                "issuer": pem(ELSEWHERE),
                "tsl": 1,
            },
            400,
            [
                "port: ",
                "versions.0: input should be '1.0', '1.1', '1.2' or '1.3'",
                "tsl: unknown key; did you mean 'tls'?",
                "certificate: holds no certificate",
                "key: holds no unencrypted private key",
                "issuer: holds no unencrypted private key",
            ],
        ),
        ({"versions": []}, 400, ["versions: "]),
        (
            {"dial": "localhost", "certificate": BAD_PEM, "key": "x", "issuer": "x"},
            409,
            ["dial: 'localhost' is not an IP address", "certificate: ", "key: ", "issuer: ", "issuer: "],
        ),
        ({"dial": "fe80::1%lo"}, 409, ["dial: 'fe80::1%lo' has a zone"]),
        ({"key": key(ELSEWHERE)}, 409, ["key: the private key does not match the first certificate"]),
        ({"key": ED25519}, 409, ["key: the private key is neither RSA nor EC"]),
        ({"certificate": key(LEAF), "key": pem(LEAF)}, 409, ["certificate: holds no", "key: holds no"]),
        ({"issuer": both(OTHER_CA)}, 409, ["issuer: did not sign the first certificate of certificate"]),
        ({"issuer": CA.cert_pem.bytes().decode()}, 409, ["issuer: holds no unencrypted private key"]),
        ({"issuer": CA.cert_pem.bytes().decode() + key(OTHER_CA)}, 409, ["issuer: the private key does not match"]),
        ({"dial": key(LEAF)[:60]}, 409, ["dial: '(a private key)"]),
        ({key(LEAF)[:200]: 1}, 400, ["(a private key)"]),
    ],
)
async def test_what_cannot_be_is_refused_with_every_problem(
    admin: Administered, changes: dict[str, Any], status: int, problems: list[str]
) -> None:
    wanted = {name: value for name, value in (body(9443) | changes).items() if value is not None}
    answered, answer = await admin.ask("POST", "/api/fault-points", wanted)
    assert (answered, answer["error"]["code"]) == (status, "invalid" if status == 400 else "unusable"), answer
    for problem, start in zip(answer["error"]["problems"], problems, strict=True):
        assert problem.startswith(start), answer["error"]["problems"]
    assert not [line for line in secret_lines(key(LEAF), key(ELSEWHERE), key(CA), ED25519) if line in str(answer)]
    assert (await admin.ask("GET", "/api/fault-points"))[1] == {"fault_points": []}


async def test_the_control_api_is_no_mock(admin: Administered) -> None:
    port = int(admin.address.rpartition(":")[2])
    status, answer = await admin.ask("POST", "/api/fault-points", body(port))
    assert (status, answer["error"]["problems"]) == (409, [f"dial, port: {admin.address} is the control API itself"])


async def test_a_damaged_key_is_refused(admin: Administered) -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1 + 2, numbers.dmq1 + 2, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    status, answer = await admin.ask("POST", "/api/fault-points", body(1) | {"key": unencrypted(damaged)})
    assert (status, answer["error"]["problems"][0].partition(": its")[0]) == (409, "key: the private key is damaged")


async def test_a_fault_that_another_one_makes_impossible_is_refused(admin: Administered, point: dict[str, Any]) -> None:
    at = point["address"]
    presented = {"certificate": pem(ELSEWHERE) + key(ELSEWHERE)}
    await admin.ask("POST", "/api/faults", {"at": at, "fault": "Present", "parameters": presented})
    status, answer = await admin.ask("POST", "/api/faults", {"at": at, "fault": "Expire"})
    assert (status, "the issuer's key is unknown" in answer["error"]["message"]) == (409, True)
    assert await admin.status() == 502
    assert await codes(admin) == ["issuer-missing"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"fault": "Present", "parameters": {"certificate": pem(LEAF) + key(ELSEWHERE)}},
        {"fault": "Present", "parameters": {"certificate": key(ELSEWHERE)}},
        {"fault": "Present", "parameters": {"certificate": "".join(secret_lines(key(ELSEWHERE)))}},
        {"fault": "SendAlert", "parameters": {"alert": key(ELSEWHERE)}},
        {"fault": "Truncate", "parameters": {"after": key(ELSEWHERE)}},
        {"fault": key(ELSEWHERE)[:90]},
        {"at": key(ELSEWHERE)[:290], "fault": "Stall"},
    ],
)
async def test_no_message_has_a_key(admin: Administered, point: dict[str, Any], wanted: Any) -> None:
    status, answer = await admin.ask("POST", "/api/faults", {"at": point["address"], **wanted})
    assert status == 409
    assert not [line for line in secret_lines(key(ELSEWHERE)) if line[:20] in str(answer)]


async def test_no_key_is_shown_or_kept(
    admin: Administered, point: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    shown = [str(point)]
    async with admin.session.get(f"http://{admin.address}/api/events") as response:
        _, opened = await admin.ask("POST", "/api/fault-points", body(admin.server.port, issuer=both(CA)))
        presented = {"certificate": pem(ELSEWHERE) + key(ELSEWHERE)}
        wanted = {"at": point["address"], "fault": "Present", "parameters": presented}
        shown.append(str(await admin.ask("POST", "/api/faults", wanted)))
        await admin.status()
        paths = ("fault-points", "faults", "log", "findings", "transactions", "health", "config", "hosts")
        shown += [str(await admin.ask("GET", f"/api/{path}")) for path in paths]
        shown.append(str(await admin.ask("DELETE", f"/api/fault-points/{opened['id']}")))
        await admin.ask("POST", "/api/journal/clear")
        while (line := await response.content.readline()) != b"event: cleared\n":
            shown.append(line.decode())
    secret = secret_lines(key(LEAF), key(ELSEWHERE), key(CA))
    assert secret
    assert not [line for line in secret if line in "".join(shown)]
    assert list((tmp_path / "temporary").iterdir()) == []


# -- in a process


@pytest.fixture
def two(tmp_path: Path, server: Server) -> Iterator[Serving]:
    config = config_for(server, CA, tmp_path, workers=2)
    with serving(tmp_path, config) as running:
        yield running


def pid_of_worker_0(running: Serving) -> int:
    """Return its pid, once every worker is healthy."""
    for _ in range(200):
        status, health = control(running.admin, "GET", "/api/health")
        if status == 200:
            return next(int(each["address"][4:]) for each in health["checks"] if each["name"] == "worker 0")
        time.sleep(0.05)  # workers are processes that start: health is all there is to ask
    pytest.fail(f"never well: {health}")


def test_with_two_workers_and_a_crash(two: Serving, server: Server) -> None:
    status, point = control(two.admin, "POST", "/api/fault-points", body(server.port, issuer=both(CA)))
    assert status == 201
    control(two.admin, "PUT", f"/api/hosts/{HOST}", {"dial": point["host"], "port": point["port"]})
    assert {get(two, server) for _ in range(4)} == {200}
    with socket.create_connection((point["host"], point["port"]), 20) as open_connection:
        before = pid_of_worker_0(two)
        os.kill(before, signal.SIGKILL)
        assert two.process.stderr is not None
        assert two.process.stderr.readline().endswith("ended with -9; starting it again\n")
        assert pid_of_worker_0(two) != before
        assert {get(two, server) for _ in range(4)} == {200}
        control(two.admin, "POST", "/api/faults", {"at": point["address"], "fault": "Expire"})
        assert {get(two, server) for _ in range(4)} == {502}
        _, answer = control(two.admin, "GET", "/api/findings")
        assert [each["code"] for each in answer["findings"]] == ["expired"]
        # The new worker was forked while both sockets were open: a copy there would keep them open.
        assert control(two.admin, "DELETE", f"/api/fault-points/{point['id']}")[0] == 200
        assert open_connection.recv(1) == b""
    assert is_refused(point)
    two.process.terminate()
    assert two.process.wait(15) == 0
    assert two.process.stderr.read() == ""


def test_a_process_ends_with_a_fault_point_open(tmp_path: Path, server: Server) -> None:
    with serving(tmp_path, config_for(server, CA, tmp_path)) as running:
        _, point = control(running.admin, "POST", "/api/fault-points", body(server.port))
        anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
        client = http.client.HTTPSConnection(point["host"], point["port"], timeout=20, context=anything)
        client.request("GET", "/")
        assert client.getresponse().status == 200
        running.process.terminate()
        assert running.process.wait(15) == 0
        assert running.process.stderr is not None
        assert running.process.stderr.read() == ""
        client.close()
        assert is_refused(point)
