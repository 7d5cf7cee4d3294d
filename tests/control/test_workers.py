"""Two workers with one port and one control API: a change applies to both and survives a crash."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from mralab.core.counting import counted
from tests.net.conftest import HOST, Server, server_context
from tests.serving import Serving, config_for, control, get, serving, token


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(ca: trustme.CA) -> Iterator[Server]:
    yield from Server(server_context(ca.issue_cert(HOST))).run()


@pytest.fixture
def two(tmp_path: Path, server: Server) -> Iterator[Serving]:
    """Two workers that do not trust the server's CA."""
    with serving(tmp_path, config_for(server, trustme.CA(), tmp_path, workers=2)) as running:
        yield running


def ask(running: Serving, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and JSON of the control API's answer."""
    return control(running.admin, method, path, body)


def statuses(running: Serving, server: Server) -> dict[int, set[int]]:
    """Return the status that each of the two workers answers from now on."""
    since = time.time()
    found: dict[int, set[int]] = {}
    for _ in range(500):
        get(running, server)
        _, answer = ask(running, "GET", "/api/transactions")
        for served in answer["transactions"]:
            if served["started"] >= since and served["status"]:
                found.setdefault(served["worker"], set()).add(served["status"])
        if len(found) == 2:
            return found
    pytest.fail(f"not every worker was asked: {found}")


def pids(running: Serving) -> dict[str, int]:
    """Return the workers' pids by name, once all are healthy."""
    for _ in range(200):
        status, health = ask(running, "GET", "/api/health")
        if status == 200:
            workers = [check for check in health["checks"] if check["name"].startswith("worker")]
            return {check["name"]: int(check["address"].removeprefix("pid ")) for check in workers}
        time.sleep(0.05)  # workers are other processes: only the health check shows that they are ready
    pytest.fail(f"never well: {health}")


def stderr_line(running: Serving) -> str:
    assert running.process.stderr is not None
    return running.process.stderr.readline()


def test_a_change_applies_in_every_worker(two: Serving, server: Server, ca: trustme.CA) -> None:
    assert statuses(two, server) == {0: {502}, 1: {502}}
    assert ask(two, "PATCH", "/api/config", {"verify": {"origin": "off"}})[0] == 200
    assert statuses(two, server) == {0: {200}, 1: {200}}
    assert ask(two, "POST", "/api/reset")[0] == 200
    assert statuses(two, server) == {0: {502}, 1: {502}}
    assert ask(two, "POST", "/api/trust", {"pem": ca.cert_pem.bytes().decode()})[1]["added"] == 1
    assert statuses(two, server) == {0: {200}, 1: {200}}

    _, answer = ask(two, "GET", "/api/findings")
    assert [finding["code"] for finding in answer["findings"]] == ["issuer-missing"]
    _, transactions = ask(two, "GET", "/api/transactions")
    started = [served["started"] for served in transactions["transactions"]]
    assert started == sorted(started)
    refused = sum(served["status"] == 502 for served in transactions["transactions"])
    assert answer["findings"][0]["count"] == 2 * refused
    _, log = ask(two, "GET", "/api/log")
    stamps = [line[:23] for line in log["lines"]]
    assert stamps == sorted(stamps)
    assert len({line.partition("traffic_server[")[2].partition("]")[0] for line in log["lines"]}) == 2


def test_events_come_from_every_worker(two: Serving, server: Server) -> None:
    connection = http.client.HTTPConnection(two.admin, timeout=20)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    assert response.readline() == b": follows\n"
    statuses(two, server)
    seen: set[int] = set()
    while seen != {0, 1}:
        line = response.readline()
        if line.startswith(b"data: "):
            seen.add(json.loads(line[6:])["worker"])
    connection.close()


def test_a_killed_worker_is_replaced_with_the_settings_in_force(two: Serving, server: Server) -> None:
    ask(two, "PATCH", "/api/config", {"verify": {"origin": "off"}})
    before = pids(two)
    os.kill(before["worker 0"], signal.SIGKILL)
    assert stderr_line(two) == f"mralab: worker 0 (pid {before['worker 0']}) ended with -9; starting it again\n"
    after = pids(two)
    assert after["worker 0"] != before["worker 0"]
    assert after["worker 1"] == before["worker 1"]
    assert statuses(two, server) == {0: {200}, 1: {200}}
    assert ask(two, "PATCH", "/api/config", {"verify": {"origin": "on"}})[0] == 200
    assert statuses(two, server) == {0: {502}, 1: {502}}
    two.process.send_signal(signal.SIGTERM)
    assert two.process.wait(15) == 0


def metric(running: Serving, name: str) -> float:
    """Return the sum of a metric's samples."""
    connection = http.client.HTTPConnection(running.admin, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    )


def test_the_losses_of_a_killed_worker_are_reported(two: Serving, server: Server) -> None:
    assert ask(two, "POST", "/api/diagnostic-logging/start")[0] == 200
    statuses(two, server)
    _, before = ask(two, "GET", "/api/transactions")
    assert before["lost"] == []
    requests, attempts = metric(two, "mralab_requests_total"), metric(two, "mralab_attempts_total")
    assert requests == before["total"]
    killed = pids(two)["worker 0"]
    os.kill(killed, signal.SIGKILL)
    assert "starting it again" in stderr_line(two)
    assert metric(two, "mralab_requests_total") == requests  # while it is away
    health = ask(two, "GET", "/api/health")[1]
    pids(two)
    for path in ("transactions", "findings", "log"):
        _, answer = ask(two, "GET", f"/api/{path}")
        (lost,) = answer["lost"]
        assert (lost["worker"], lost["pid"]) == (0, killed)
        assert lost["since"] < lost["until"] <= time.time()
        assert f"worker 0 (pid {killed}) ended with -9" in lost["what"]
        assert f"at least {counted(lost['requests'], 'request')}" in lost["what"]
        if path == "transactions":
            assert answer["total"] + lost["requests"] == before["total"]
    assert (metric(two, "mralab_requests_total"), metric(two, "mralab_attempts_total")) == (requests, attempts)
    assert metric(two, "mralab_workers_ended_total") == 1
    (check,) = (one for one in ask(two, "GET", "/api/health")[1]["checks"] if one["name"] == "worker 0")
    assert (check["ok"], check["note"]) == (True, f"was started again: pid {killed} ended with -9")
    assert health["status"] == "failing"

    connection = http.client.HTTPConnection(two.admin, timeout=20)
    connection.request("POST", "/api/diagnostic-logging/stop")
    archive = connection.getresponse().read()
    connection.close()
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        (note,) = (opened.extractfile(one) for one in opened if one.name.endswith("/INCOMPLETE.txt"))
        assert note is not None
        assert f"worker 0 (pid {killed}) ended at " in note.read().decode()

    assert ask(two, "POST", "/api/reset")[0] == 200
    assert ask(two, "GET", "/api/transactions")[1]["lost"] == []
    assert metric(two, "mralab_requests_total") == requests


def test_a_worker_that_ends_on_a_signal_reports_its_last_counters(two: Serving, server: Server) -> None:
    statuses(two, server)
    total = ask(two, "GET", "/api/transactions")[1]["total"]
    os.kill(pids(two)["worker 1"], signal.SIGTERM)
    assert "ended with 0; starting it again" in stderr_line(two)
    pids(two)
    _, answer = ask(two, "GET", "/api/transactions")
    assert answer["total"] + answer["lost"][0]["requests"] == total
    assert metric(two, "mralab_requests_total") == total


def test_health_fails_for_each_worker_that_cannot_log(two: Serving, server: Server, tmp_path: Path) -> None:
    log = tmp_path / "traffic_server.log"
    log.unlink()
    log.mkdir()
    statuses(two, server)
    status, answer = ask(two, "GET", "/api/health")
    failing = [check for check in answer["checks"] if not check["ok"]]
    assert (status, [check["name"] for check in failing]) == (503, ["log", "log"])
    assert [check["address"] for check in failing] == [f"{log} (worker 0)", f"{log} (worker 1)"]
    assert all("cannot be written: Is a directory; " in check["error"] for check in failing)
    assert all("lost since the start" in check["error"] for check in failing)
    log.rmdir()
    pids(two)


def test_a_hung_worker_is_named_and_applies_the_change_when_it_continues(two: Serving, server: Server) -> None:
    hung = pids(two)["worker 1"]
    os.kill(hung, signal.SIGSTOP)
    try:
        assert ask(two, "GET", "/api/log")[1]["silent"] == [f"worker 1 (pid {hung}): no answer within 2 s"]
        status, answer = ask(two, "PATCH", "/api/config", {"verify": {"origin": "off"}})
        assert (status, answer["error"]["code"]) == (504, "worker-silent")
        assert f"pid {hung}" in answer["error"]["message"]
        assert get(two, server) == 200
    finally:
        os.kill(hung, signal.SIGCONT)
    pids(two)
    assert statuses(two, server) == {0: {200}, 1: {200}}


def test_a_reload_applies_in_every_worker_and_a_refused_one_is_reported_once(
    two: Serving, server: Server, ca: trustme.CA, tmp_path: Path
) -> None:
    file = tmp_path / "mralab.toml"
    valid = file.read_text()
    file.write_text(valid + "[verfy]\n")
    two.process.send_signal(signal.SIGHUP)
    assert "reload refused" in stderr_line(two)
    assert "did you mean 'verify'?" in stderr_line(two)
    assert statuses(two, server) == {0: {502}, 1: {502}}
    file.write_text(valid)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "traffic_server.log").rename(tmp_path / "old.log")
    two.process.send_signal(signal.SIGHUP)
    for _ in range(200):
        if ask(two, "GET", "/api/trust")[1]["certificates"][0]["subject"] == ca_subject(ca):
            break
    ask(two, "GET", "/api/findings")  # answered by each after what came before
    assert statuses(two, server) == {0: {200}, 1: {200}}
    two.process.terminate()
    assert two.process.wait(15) == 0
    assert two.process.stderr is not None
    assert two.process.stderr.read() == ""
    assert 'Msg="HTTP/1.1 200 "' in (tmp_path / "traffic_server.log").read_text()


def ca_subject(ca: trustme.CA) -> str:
    return x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject.rfc4514_string()


def test_workers_end_with_the_process_that_started_them(two: Serving) -> None:
    before = pids(two)
    two.process.kill()
    two.process.wait(15)
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_server(("127.0.0.1", two.port)).close()
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)  # another process frees the port: only binding it shows when
    for pid in before.values():
        wait_for_end(pid)


def wait_for_end(pid: int) -> None:
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)  # only a child process can be waited for
    pytest.fail(f"{pid} lives on")


def test_sigterm_refuses_new_connections_and_finishes_current_requests(tmp_path: Path, ca: trustme.CA) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(stream: Any, server: Server) -> None:
        stream.recv(65536)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        asked.set()
        go.wait(10)
        stream.sendall(b"ok\n")

    runner = Server(server_context(ca.issue_cert(HOST)), handle=slow).run()
    server = next(runner)
    with serving(tmp_path, config_for(server, ca, tmp_path, workers=2)) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
        connection.request("GET", f"/{token(server)}/x")
        response = connection.getresponse()
        assert asked.wait(10)
        running.process.send_signal(signal.SIGTERM)
        refused = False
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", running.port)).close()
            except ConnectionRefusedError:
                refused = True
                break
            time.sleep(0.01)  # another process closes the port: only connecting shows when
        assert refused
        assert running.process.poll() is None
        go.set()
        assert response.read() == b"ok\n"
        connection.close()
        assert running.process.wait(15) == 0
    next(runner, None)


def test_sigint_ends_every_worker(tmp_path: Path, server: Server, ca: trustme.CA) -> None:
    (tmp_path / "mralab.toml").write_text(config_for(server, ca, tmp_path, workers=8))
    command = ["mralab", "serve", "-c", str(tmp_path / "mralab.toml")]
    with subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(15) == 0
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc, which is Linux's")
def test_a_rush_of_connections_is_shared_evenly(two: Serving) -> None:
    pids = [int(pid) for pid in Path(f"/proc/{two.process.pid}/task/{two.process.pid}/children").read_text().split()]

    def descriptors() -> list[int]:
        return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids]

    before = descriptors()
    rush = [socket.create_connection(("127.0.0.1", two.port)) for _ in range(60)]
    try:
        end = time.monotonic() + 10
        while sum(taken := [now - then for now, then in zip(descriptors(), before, strict=True)]) < len(rush):
            assert time.monotonic() < end, taken
        assert max(taken) - min(taken) <= 4
    finally:
        for one in rush:
            one.close()
