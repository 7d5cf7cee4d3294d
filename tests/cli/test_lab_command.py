"""``mralab lab`` as a process: where it is, that everything in it answers, and that its control API acts on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from mralab.lab.nodes import NODES
from tests.serving import control


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mralab", "lab"]
    environment = {**os.environ, "TMPDIR": str(folder)}  # the log stays there
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
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
        cucm = {f"{name} {port}" for name in ("cucm", "cucm-sub") for port in (443, 6970, 6971, 6972, 8443)}
        others = {f"{name} {port}" for name in ("imp", "unity") for port in (443, 8443)}
        assert set(checks) == {*cucm, *others, "proxy", "edge", "log", "worker 0"}
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


def start_of(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    start: dict[str, str] = json.loads(process.stdout.readline())
    return start


@contextmanager
def lab(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mralab", "lab", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> str:
    """End a lab; the rest of its standard output."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    return out


def test_the_log_is_where_the_start_line_says_and_stays(tmp_path: Path) -> None:
    with lab(cwd=tmp_path) as process:
        start = start_of(process)
        login(start["edge"])
        ended(process)
    log = Path(start["log"])
    assert log.parent.parent == tmp_path
    assert "502 connect failed" in log.read_text()


def test_an_existing_log_is_continued(tmp_path: Path) -> None:
    (tmp_path / "own.log").write_text("an earlier line\n")
    with lab("--log", "own.log", cwd=tmp_path) as process:
        start = start_of(process)
        login(start["edge"])
        ended(process)
    assert Path(start["log"]) == tmp_path / "own.log"
    assert (tmp_path / "own.log").read_text().startswith("an earlier line\n")
    assert "502 connect failed" in (tmp_path / "own.log").read_text()


@pytest.mark.parametrize(
    ("table", "arguments", "log"),
    [
        ("", [], "traffic_server.log"),
        ('log.file = "own.log"', [], "own.log"),
        ('log.file = "own.log"', ["--log", "other.log"], "other.log"),
    ],
)
def test_the_log_of_a_file_is_beside_it(tmp_path: Path, table: str, arguments: list[str], log: str) -> None:
    (tmp_path / "lab.toml").write_text(f'{table}\nproxy.listen = "127.0.0.1:0"\n')
    with lab("-c", "lab.toml", *arguments, cwd=tmp_path) as process:
        start = start_of(process)
        ended(process)
    assert Path(start["log"]) == tmp_path / log
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(("lab.toml", log))


def test_a_log_on_standard_output_follows_the_start_line(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('log.file = "-"\nproxy.listen = "127.0.0.1:0"\n')
    with lab("-c", "lab.toml", cwd=tmp_path) as process:
        start = start_of(process)
        assert start["log"] == "-"
        login(start["edge"])
        assert "502 connect failed" in ended(process)
    assert [file.name for file in tmp_path.iterdir()] == ["lab.toml"]


def test_what_the_control_api_shows_of_a_file_is_in_force(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "lab.toml").write_text(
        """
        release = "X14.0.7"
        proxy = { listen = "127.0.0.1:0", admin = "127.0.0.1:0" }
        trust.store = "ca.pem"
        upstream.prefer = "ecdsa"
        hosts."other.example.test" = { dial = "127.0.0.1", ports = { 8443 = 1 } }
        """
    )
    with lab("-c", "lab.toml", "--https-ciphers", "all", cwd=tmp_path) as process:
        start = start_of(process)
        _, shown = control(start["admin"], "GET", "/api/config")
        assert (shown["release"], shown["trust"]["store"], shown["upstream"]["prefer"]) == (
            "X14.0.7",
            "ca.pem",
            "ecdsa",
        )
        own = {host for node in NODES.values() for host in (node.fqdn, node.ip)}
        assert set(shown["hosts"]) == {*own, "other.example.test"}
        assert shown["hosts"]["imp.steven.lab"]["node"] == "imp"
        _, store = control(start["admin"], "GET", "/api/trust")
        assert len(store["certificates"]) == 2
        assert login(start["edge"])
        control(start["admin"], "PATCH", "/api/config", {"release": "X14.2"})
        assert not login(start["edge"])
        _, answer = control(start["admin"], "GET", "/api/findings")
        assert {(each["port"], each["code"]) for each in answer["findings"]} == {
            (8443, "self-signed"),
            (6972, "self-signed"),
        }
        ended(process)


def test_what_a_lab_cannot_do_is_said_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        """
        proxy.workers = 2
        trust.store = "none.pem"
        hosts."CUCM.steven.lab" = { dial = "127.0.0.1" }
        """
    )
    with lab("-c", "lab.toml", cwd=tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    for problem in ("hosts.'cucm.steven.lab': ", "proxy.workers: ", "none.pem"):
        assert problem in err


def test_a_proxy_that_is_asked_for_get_edge_config_has_no_finding_of_it(tmp_path: Path) -> None:
    with lab(cwd=tmp_path) as process:
        start = start_of(process)
        assert not login(start["listening"])
        _, answer = control(start["admin"], "GET", "/api/findings")
        assert [finding["code"] for finding in answer["findings"]] == ["self-signed"]
        ended(process)


def test_what_is_hardly_meant_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        '[proxy]\nlisten = "127.0.0.1:0"\n[trust]\nstore = ""\n[allow]\nrules = "r.csv"\n'
    )
    (tmp_path / "r.csv").write_text("Url,Deployment,HttpMethods,MatchType,Description\nhttps://a,,PATCH,,\n")
    with lab("-c", "lab.toml", cwd=tmp_path) as process:
        start_of(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    trust, rule = err.splitlines()
    assert trust.startswith('mralab: warning: trust.store: "" trusts no certificate, so every https server is refused')
    assert rule.startswith("mralab: warning: allow.rules: https://a:443/ allows PATCH, unknown to Expressway")
