"""``mralab lab`` as a process: its addresses and log, its servers, and its control API."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest
import trustme

from benchmarks.processes import free_port
from mralab.lab.nodes import NODES
from tests.serving import control

from .command import mralab


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mralab", "lab"]
    environment = {**os.environ, "TMPDIR": str(folder)}  # the log remains in this folder
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def login(via: str) -> bool:
    return bool(json.loads(mralab("login", "emusk", "--via", f"http://{via}", "--json").stdout)["ok"])


def test_a_lab_is_controlled_by_its_admin_port(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        start = json.loads(process.stdout.readline())
        assert start["pid"] == process.pid
        status, health = control(start["admin"], "GET", "/api/health")
        assert (status, health["status"]) == (200, "ok")
        checks = {check["name"]: check["address"] for check in health["checks"]}
        cucm = {f"{name} {port}" for name in ("cucm", "cucm-sub") for port in (443, 6970, 6971, 6972, 8443, 9443, 9444)}
        others = {f"{name} {port}" for name in ("imp", "unity") for port in (443, 8443)}
        others |= {"unity 7080", "unity 7443"}
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
    """End a lab and return the rest of its standard output."""
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


@pytest.mark.parametrize(("file", "arguments"), [("-", []), ("own.log", ["--log", "-"])])
def test_a_log_on_standard_output_follows_the_start_line(tmp_path: Path, file: str, arguments: list[str]) -> None:
    (tmp_path / "lab.toml").write_text(f'log.file = "{file}"\nproxy.listen = "127.0.0.1:0"\n')
    with lab("-c", "lab.toml", *arguments, cwd=tmp_path) as process:
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


def test_all_keys_that_a_lab_cannot_apply_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        """
        proxy.workers = 2
        trust.store = "none.pem"
        hosts."CUCM.steven.lab" = { dial = "127.0.0.1" }
        """
    )
    result = mralab("lab", "-c", "lab.toml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    for problem in ("hosts.'cucm.steven.lab': ", "proxy.workers: ", "none.pem"):
        assert problem in result.stderr


def test_a_request_for_get_edge_config_at_a_proxy_is_not_a_finding(tmp_path: Path) -> None:
    with lab(cwd=tmp_path) as process:
        start = start_of(process)
        assert not login(start["listening"])
        _, answer = control(start["admin"], "GET", "/api/findings")
        assert [finding["code"] for finding in answer["findings"]] == ["self-signed"]
        ended(process)


def test_suspicious_settings_are_warnings_at_the_start(tmp_path: Path) -> None:
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


@contextmanager
def on_a_terminal(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], str]]]:
    """Run a lab on a terminal; yield it and a function that reads its output up to a text."""
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "mralab", "lab", *arguments]
    environment = {**os.environ, "TMPDIR": str(cwd)}
    with subprocess.Popen(command, stdout=other_end, stderr=subprocess.PIPE, cwd=cwd, env=environment) as process:
        os.close(other_end)
        pieces: Queue[str] = Queue()
        thread = threading.Thread(target=_read_all, args=(terminal, pieces))
        thread.start()
        try:
            yield process, lambda wanted: _read_until(pieces, wanted)
        finally:
            process.kill()
            thread.join()
            os.close(terminal)


def _read_all(terminal: int, pieces: Queue[str]) -> None:
    """Read a terminal's output continuously: its buffer is small, and a full one would delay the end of the lab."""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while piece := os.read(terminal, 65536):
            pieces.put(piece.decode().replace("\r\n", "\n"))


def _read_until(pieces: Queue[str], wanted: str) -> str:
    text = ""
    while wanted not in text:
        text += pieces.get(timeout=20)
    return text


def test_a_terminal_shows_addresses_and_commands_to_paste_and_then_the_log(tmp_path: Path) -> None:
    with on_a_terminal("--listen", "127.0.0.1:0", cwd=tmp_path) as (process, read):
        text = read("The log:\n")
        commands = [line.split()[1:] for line in text.splitlines() if line.startswith("  mralab ")]
        assert [command[0] for command in commands] == [
            "login", "preflight", "findings", "trust", "trust", "xconfiguration",
        ]  # fmt: skip
        assert "cucm.steven.lab (10.48.36.215): 8443 on 127.0.0.1:" in text
        results = []
        for command in commands:
            line = " ".join((sys.executable, "-m", "mralab", *command))  # with *, which the shell expands
            results.append(subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=False).returncode)
        assert results == [1, 1, 1, 0, 0, 0]
        assert "Core server certificate verification failed for (cucm.steven.lab)" in read("depth=0")
        assert subprocess.run(
            [sys.executable, "-m", "mralab", *commands[0]], capture_output=True, timeout=60, check=False
        ).returncode == 0  # fmt: skip
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert [file.name for file in tmp_path.glob("*/*")] == ["traffic_server.log"]


def test_listen_admin_and_scenario(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "mine"\nadvertise = "ip"\ntrust = []\n[expect]\n')
    ports = [free_port(), free_port()]
    places = [f"127.0.0.1:{port}" for port in ports]
    options = ("--listen", places[0], "--admin", places[1])
    with lab(*options, "--scenario", "./mine.toml", cwd=tmp_path) as process:
        start = start_of(process)
        assert (start["listening"], start["admin"]) == tuple(places)
        assert not login(start["edge"])
        _, answer = control(start["admin"], "GET", "/api/findings")
        assert {(each["server"], each["code"]) for each in answer["findings"]} >= {("10.48.36.215", "unknown-ca")}
        ended(process)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--scenario", "fqnd"], "'fqnd' is not a scenario; did you mean 'fqdn'?"),
        (["--scenario", "./none.toml"], "none.toml: cannot be read"),
        (["--listen", "nonsense"], "proxy.listen"),
        (["--admin", "192.0.2.1:1"], "proxy.admin"),
        (["--like-trust", "x"], "--like-trust: needs --like DIR"),
        (["--like", ".", "--scenario", "fqdn", "--https-ciphers", "all"], "--like and --scenario: both decide"),
        (["--like", ".", "--scenario", "fqdn", "--https-ciphers", "all"], "--https-ciphers: with --like"),
        (["--like", "none"], "none: is not a folder"),
        (["--like", "."], "server certificates: none"),
    ],
)
def test_options_that_cannot_be_applied_are_refused(options: list[str], problem: str, tmp_path: Path) -> None:
    result = mralab("lab", *options, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert problem in result.stderr


def test_a_lab_of_lookalikes_prints_what_it_could_not_copy(tmp_path: Path) -> None:
    ca = trustme.CA()
    server = ca.issue_cert("cucm.example.test", common_name="cucm.example.test")
    for port in (8443, 6971, 6972):
        server.cert_chain_pems[0].write_to_path(str(tmp_path / f"cucm.example.test_{port}_ecdsa.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "trusted.crt"))
    with lab("--like", ".", "--like-trust", "trusted.crt", cwd=tmp_path) as process:
        start = start_of(process)
        assert not login(start["edge"])
        _, answer = control(start["admin"], "GET", "/api/findings")
        assert {(each["server"], each["code"]) for each in answer["findings"]} == {
            ("cucm.example.test", "issuer-missing")
        }
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    (note,) = err.splitlines()
    assert note.startswith("mralab: cucm.example.test: its issuer ")
