"""The main paths in each mode: one process or two workers, a server connection per request or kept ones.

All other tests run once: in the test's own process with the defaults, or in the mode that they name.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from mralab.core.log.reader import read
from mralab.core.mra.target import Target, encode
from mralab.lab.login import login
from mralab.mocks.cucm import Cucm
from mralab.mocks.edge import Edge
from mralab.mocks.pki import mint
from tests.net.conftest import HOST, OK, Server, read_request, server_context
from tests.serving import Serving, complaints, control, running, serving, toml

MODES = [(workers, connections) for workers in (1, 2) for connections in ("per-request", "keep-alive")]
USERS = {"emusk": "secret"}
HEADER = "Url,Deployment,HttpMethods,MatchType,Description\n"


def answer_until_end(stream: object, server: Server) -> None:
    """Answer one request after another; the proxy decides when the connection ends."""
    while request := read_request(stream):
        server.requests.append(request)
        stream.sendall(OK)  # type: ignore[attr-defined]
        if b"\r\nConnection: close\r\n" in request:
            return


@dataclass
class Mode:
    """A running ``mralab serve`` and the servers behind it."""

    workers: int
    connections: str
    serving: Serving
    folder: Path
    good: Server
    unknown_ca: Server
    other_name: Server
    unlisted: Server

    def path(self, server: Server) -> str:
        """Return the request target for a server."""
        return f"/{encode(Target('steven.lab', 'https', HOST, server.port))}/cucm-uds/version"

    def get(self, server: Server) -> tuple[int, bytes]:
        """Return status and body of the response to a request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.serving.port, timeout=20)
        with contextlib.closing(client):
            client.request("GET", self.path(server), headers={"Connection": "close"})
            response = client.getresponse()
            return response.status, response.read()

    def statuses(self, server: Server) -> set[int]:
        """Return the statuses of requests enough to reach each worker: the kernel spreads connections over them."""
        return {self.get(server)[0] for _ in range(1 if self.workers == 1 else 16)}

    def api(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """Return the control API's JSON; the status must be 200."""
        status, answer = control(self.serving.admin, method, path, body)
        assert status == 200, answer
        return dict(answer)

    def findings(self) -> set[str]:
        """Return the codes of all findings."""
        findings = self.api("GET", "/api/findings")["findings"]
        assert isinstance(findings, list)
        return {finding["code"] for finding in findings}


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: f"{mode[0]}-{mode[1]}")
def mode(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mode]:
    workers, connections = request.param
    folder = tmp_path_factory.mktemp("mode")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificates = (ca.issue_cert(HOST), trustme.CA().issue_cert(HOST), ca.issue_cert("other.lab"), ca.issue_cert(HOST))
    with contextlib.ExitStack() as stack:
        good, unknown_ca, other_name, unlisted = (
            stack.enter_context(
                contextlib.contextmanager(Server(server_context(certificate), handle=answer_until_end).run)()
            )
            for certificate in certificates
        )
        listed = (good, unknown_ca, other_name)
        (folder / "rules.csv").write_text(
            HEADER + "".join(f'https://{HOST}:{it.port},,"GET,POST",prefix,\n' for it in listed)
        )
        config = {
            "release": "X14.2",
            "proxy": {"listen": "127.0.0.1:0", "workers": workers},
            "upstream": {"connections": connections},
            "trust": {"store": "ca.pem"},
            "allow": {"rules": "rules.csv", "automatic": False},
            "hosts": {HOST: {"ip": "10.48.36.215", "dial": "127.0.0.1"}},
        }
        process = stack.enter_context(serving(folder, toml(config)))
        yield Mode(workers, connections, process, folder, good, unknown_ca, other_name, unlisted)
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(15) == 0
        assert process.process.stderr is not None
        assert complaints(process.process.stderr.read()) == ""
        with (folder / "traffic_server.log").open(encoding="latin-1", newline="") as file:
            records = list(read(file))
        assert all(record.event is not None for record in records)
        assert len({record.pid for record in records}) == workers


def test_an_accepted_server_gets_the_request_and_the_client_its_response(mode: Mode) -> None:
    assert mode.get(mode.good) == (200, b"ok\n")
    assert mode.good.requests[-1].startswith(b"GET /cucm-uds/version HTTP/1.1\r\n")
    assert (b"\r\nConnection: close\r\n" in mode.good.requests[-1]) == (mode.connections == "per-request")


def test_an_unknown_ca_is_refused(mode: Mode) -> None:
    assert mode.statuses(mode.unknown_ca) == {502}
    assert mode.unknown_ca.requests == []
    assert "issuer-missing" in mode.findings()


def test_a_name_that_the_certificate_lacks_is_refused(mode: Mode) -> None:
    assert mode.statuses(mode.other_name) == {502}
    assert mode.other_name.requests == []
    assert "name-not-in-certificate" in mode.findings()


def test_a_server_that_no_rule_allows_is_not_dialled(mode: Mode) -> None:
    assert mode.statuses(mode.unlisted) == {403}
    assert mode.unlisted.connections == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"GARBAGE\r\n\r\n", b"HTTP/1.0 400 "), (b"GET /not-a-token/x HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 404 ")],
)
def test_a_malformed_request_is_rejected(mode: Mode, data: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", mode.serving.port), timeout=20) as client:
        client.sendall(data)
        assert client.makefile("rb").readline().startswith(status)


def test_requests_share_a_client_connection_and_kept_server_connections(mode: Mode) -> None:
    before = mode.good.connections
    client = http.client.HTTPConnection("127.0.0.1", mode.serving.port, timeout=20)
    with contextlib.closing(client):
        for _ in range(5):
            client.request("POST", mode.path(mode.good), body=b"x" * 100_000)
            assert client.getresponse().read() == b"ok\n"
            assert mode.good.requests[-1].endswith(b"\r\n\r\n" + b"x" * 100_000)
    opened = mode.good.connections - before
    assert opened <= 1 if mode.connections == "keep-alive" else opened == 5


def test_changes_by_the_control_api_reach_every_worker(mode: Mode) -> None:
    mode.api("PATCH", "/api/config", {"verify": {"origin": "off"}})
    assert mode.statuses(mode.unknown_ca) == {200}
    mode.api("POST", "/api/reset")
    assert mode.statuses(mode.unknown_ca) == {502}
    pem = (mode.folder / "ca.pem").read_text()
    mode.api("DELETE", "/api/trust", {"pem": pem})
    assert mode.statuses(mode.good) == {502}
    mode.api("POST", "/api/trust", {"pem": pem})
    assert mode.statuses(mode.good) == {200}
    assert mode.api("GET", "/api/health")["status"] == "ok"


def test_a_reload_reaches_every_worker(mode: Mode) -> None:
    file = mode.folder / "rules.csv"
    rules = file.read_text()
    kept = 'https://{0}:{1},,"GET,POST",prefix,\n'
    for text, status in ((rules.replace(kept.format(HOST, mode.good.port), ""), 403), (rules, 200)):
        file.write_text(text)
        mode.serving.process.send_signal(signal.SIGHUP)
        in_a_row = 0
        for _ in range(2000):
            in_a_row = in_a_row + 1 if mode.get(mode.good)[0] == status else 0
            if in_a_row == (1 if mode.workers == 1 else 16):
                break
        else:
            pytest.fail(f"the changed rules do not count in every worker: no {status}")


@pytest.mark.parametrize(("workers", "connections"), MODES)
async def test_a_login_is_accepted_once_its_certificates_are_trusted(
    tmp_path: Path, workers: int, connections: str
) -> None:
    pki = mint()
    (tmp_path / "trust.pem").write_text(pki["steven-DC-CA"].pem)
    async with Cucm(pki, USERS) as cucm:
        config = {
            "release": "X14.2",
            "proxy": {"listen": "127.0.0.1:0", "workers": workers},
            "upstream": {"connections": connections},
            "trust": {"store": "trust.pem"},
            "hosts": {cucm.fqdn: {"ip": cucm.ip, "dial": "127.0.0.1", "ports": cucm.ports}},
            "allow": {"rules": ""},
        }
        (tmp_path / "mralab.toml").write_text(toml(config))
        async with running(tmp_path) as (_, start):
            host, _, port = start["listening"].rpartition(":")
            async with Edge(lambda: (host, int(port)), cucm=cucm, users=USERS) as edge:
                url = f"http://127.0.0.1:{edge.port}"
                refused = await login("emusk", url, password=USERS["emusk"])
                assert [step.name for step in refused.steps if step.status == 502] != []
                pem = cucm.certificate("tomcat-ECDSA").pem
                assert (await asyncio.to_thread(control, start["admin"], "POST", "/api/trust", {"pem": pem}))[0] == 200
                accepted = await login("emusk", url, password=USERS["emusk"])
                assert accepted.ok, [step.meaning for step in accepted.steps]
        assert complaints((tmp_path / "stderr.txt").read_text()) == ""
