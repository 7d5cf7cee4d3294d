"""``mralab lab`` as a process: where it is, that everything in it answers, and that its control API acts on it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mralab.data import data_path
from tests.modes import KEPT
from tests.serving import control


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mralab", "lab"]
    if KEPT:
        shipped = data_path("config/lab.toml").read_text()
        (folder / "lab.toml").write_text(shipped.replace("[upstream]", '[upstream]\nconnections = "keep-alive"'))
        command += ["-c", str(folder / "lab.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def login(via: str) -> bool:
    command = [sys.executable, "-m", "mralab", "login", "emusk", "--via", f"http://{via}", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return bool(json.loads(result.stdout)["ok"])


def test_a_lab_is_controlled_by_its_admin_port(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        start = json.loads(process.stdout.readline())
        assert start["pid"] == process.pid
        status, health = control(start["admin"], "GET", "/api/health")
        assert (status, health["status"]) == (200, "ok")
        checks = {check["name"]: check["address"] for check in health["checks"]}
        assert set(checks) == {*("cucm 6970", "cucm 6971", "cucm 6972", "cucm 8443", "proxy", "edge", "worker 0")}
        assert (checks["proxy"], checks["edge"]) == (start["listening"], start["edge"])

        assert not login(start["edge"])
        _, answer = control(start["admin"], "GET", "/api/findings")
        assert [finding["code"] for finding in answer["findings"]] == ["self-signed"]
        control(start["admin"], "PATCH", "/api/config", {"release": "X14.0.7"})
        assert login(start["edge"])
        control(start["admin"], "POST", "/api/reset")
        assert control(start["admin"], "GET", "/api/findings")[1]["findings"] == []
        assert not login(start["edge"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr.read() == ""
