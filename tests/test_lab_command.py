"""``mralab lab`` as a process: where it is, that everything in it answers, and that its control API acts on it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def ask(address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=20)
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {} if body is None else {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@contextmanager
def running() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mralab", "lab"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def login(via: str) -> bool:
    command = [sys.executable, "-m", "mralab", "login", "emusk", "--via", f"http://{via}", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return bool(json.loads(result.stdout)["ok"])


def test_a_lab_is_controlled_by_its_admin_port() -> None:
    with running() as process:
        assert process.stdout is not None
        assert process.stderr is not None
        start = json.loads(process.stdout.readline())
        assert start["pid"] == process.pid
        status, health = ask(start["admin"], "GET", "/api/health")
        assert (status, health["status"]) == (200, "ok")
        checks = {check["name"]: check["address"] for check in health["checks"]}
        assert set(checks) == {"proxy", "cucm 8443", "cucm 6972", "edge", "worker 0"}
        assert (checks["proxy"], checks["edge"]) == (start["listening"], start["edge"])

        assert not login(start["edge"])
        _, answer = ask(start["admin"], "GET", "/api/findings")
        assert [finding["code"] for finding in answer["findings"]] == ["self-signed"]
        ask(start["admin"], "PATCH", "/api/config", {"release": "X14.0.7"})
        assert login(start["edge"])
        ask(start["admin"], "POST", "/api/reset")
        assert ask(start["admin"], "GET", "/api/findings")[1]["findings"] == []
        assert not login(start["edge"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr.read() == ""
