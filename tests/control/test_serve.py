"""``mralab serve`` as a process: output, signals, errors, imports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.net.conftest import HOST, Server, server_context
from tests.serving import config_for, control, serving, token


@pytest.fixture
def server(ca: trustme.CA) -> Iterator[Server]:
    yield from Server(server_context(ca.issue_cert(HOST))).run()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def curl(*arguments: str) -> str:
    result = subprocess.run(
        ["curl", "-sS", "-x", "", "-i", *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    return result.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_curl_gets_its_answer_and_sigterm_ends_it(tmp_path: Path, server: Server, ca: trustme.CA, workers: int) -> None:
    with serving(tmp_path, config_for(server, ca, tmp_path, workers=workers)) as (process, port, _):
        answer = curl(f"http://127.0.0.1:{port}/{token(server)}/cucm-uds/version")
        assert answer.startswith("HTTP/1.1 200 ")
        absolute = f"http://vcs_control.steven.lab:8443/{token(server)}/cucm-uds/version"
        proxied = subprocess.run(
            ["curl", "-sS", "-i", "-x", f"http://127.0.0.1:{port}", absolute],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "no_proxy": ""},
        )
        assert proxied.stdout.startswith("HTTP/1.1 200 ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    log = (tmp_path / "traffic_server.log").read_text()
    assert log.count('Detail="Sending Request"') == 2


def test_sighup_applies_a_valid_configuration_and_ignores_an_invalid_one(
    tmp_path: Path, server: Server, ca: trustme.CA
) -> None:
    config = config_for(server, ca, tmp_path)
    with serving(tmp_path, config) as (process, port, _):
        url = f"http://127.0.0.1:{port}/{token(server)}/x"
        assert curl(url).startswith("HTTP/1.1 200")
        (tmp_path / "mralab.toml").write_text(config + "[verfy]\n")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert "reload refused" in process.stderr.readline()
        assert "verfy: unknown table or key; did you mean 'verify'?" in process.stderr.readline()
        assert curl(url).startswith("HTTP/1.1 200")
        (tmp_path / "mralab.toml").write_text(config)
        (tmp_path / "rules.csv").write_text("Url,Deployment,HttpMethods,MatchType,Description\n")
        (tmp_path / "traffic_server.log").rename(tmp_path / "rotated.log")
        process.send_signal(signal.SIGHUP)
        for _ in range(200):
            if curl(url).startswith("HTTP/1.1 403"):
                break
        else:
            pytest.fail("the removed rule still counts")


def test_a_reload_reports_keys_that_apply_at_the_next_start(tmp_path: Path, server: Server, ca: trustme.CA) -> None:
    config = config_for(server, ca, tmp_path)
    with serving(tmp_path, config) as (process, port, admin):
        changed = config.replace("127.0.0.1:0", "127.0.0.1:1") + '[log]\nfile = "other.log"\nlevel = "DEBUG"\n'
        (tmp_path / "mralab.toml").write_text(changed)
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        printed = process.stderr.readline()
        assert printed.startswith("mralab: reload: proxy.listen")
        assert printed.endswith(
            f"log.file: changed in {tmp_path / 'mralab.toml'}, but takes effect only at the next start\n"
        )
        shown = control(admin, "GET", "/api/config")[1]
        assert (shown["proxy"]["listen"], shown["log"]["level"]) == ("127.0.0.1:0", "DEBUG")
        assert shown["log"]["file"] == str(tmp_path / "traffic_server.log")
        assert curl(f"http://127.0.0.1:{port}/{token(server)}/x").startswith("HTTP/1.1 200")


def ended(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    (folder / "mralab.toml").write_text(config)
    return subprocess.run(
        [sys.executable, "-m", "mralab", "serve", "-c", str(folder / "mralab.toml")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = ended(tmp_path, f'[proxy]\nlisten = "127.0.0.1:{port}"\n')
    assert result.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on" in result.stderr
    assert result.stdout == ""


def test_an_admin_port_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = ended(tmp_path, f'[proxy]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:{port}"\n')
    assert result.returncode == 2
    assert f"proxy.admin: 127.0.0.1:{port} cannot be listened on" in result.stderr


def test_an_admin_port_outside_loopback_is_refused(tmp_path: Path) -> None:
    result = ended(tmp_path, '[proxy]\nadmin = "0.0.0.0:0"\n')
    assert result.returncode == 2
    assert "proxy.admin: '0.0.0.0' is not a loopback address" in result.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_start_prints_its_reason_once(tmp_path: Path, workers: int) -> None:
    result = ended(tmp_path, f'[proxy]\nlisten = "127.0.0.1:0"\nworkers = {workers}\n[log]\nfile = "none/x.log"\n')
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("none/x.log: the log cannot be written") == 1


def test_without_an_admin_port_the_start_line_has_none(tmp_path: Path, server: Server, ca: trustme.CA) -> None:
    config = config_for(server, ca, tmp_path).replace("[proxy]", '[proxy]\nadmin = ""')
    with serving(tmp_path, config) as (_, port, admin):
        assert admin == ""
        assert curl(f"http://127.0.0.1:{port}/{token(server)}/x").startswith("HTTP/1.1 200")


def test_a_bad_configuration_is_exit_2_with_every_problem(tmp_path: Path) -> None:
    result = ended(tmp_path, '[trust]\nstore = "no.pem"\n[allow]\nrules = "no.csv"\n')
    assert result.returncode == 2
    assert f"trust.store: {tmp_path}/no.pem: cannot be read" in result.stderr
    assert f"allow.rules: {tmp_path}/no.csv: cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_warnings_are_printed_at_the_start_and_at_a_reload(tmp_path: Path, workers: int) -> None:
    config = f'[proxy]\nlisten = "127.0.0.1:0"\nworkers = {workers}\n'
    trust = f"mralab: warning: trust.store: {tmp_path}/trust does not exist, so every https server is refused; "
    with serving(tmp_path, config) as (process, _, _):
        assert process.stderr is not None
        assert process.stderr.readline().startswith(trust)
        assert process.stderr.readline().startswith(f"mralab: warning: allow.rules: {tmp_path}/allowlist.csv does not")
        (tmp_path / "mralab.toml").write_text(config + '[hosts]\n"a" = { dial = "127.0.0.1" }\n')
        process.send_signal(signal.SIGHUP)
        assert process.stderr.readline().startswith(trust)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr.read() == ""


def test_the_error_for_an_unusable_address_has_a_fitting_hint(tmp_path: Path) -> None:
    elsewhere = ended(tmp_path, '[proxy]\nlisten = "192.0.2.1:8443"\n')
    assert elsewhere.returncode == 2
    assert elsewhere.stderr.endswith("hint: this machine has no such address\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = ended(tmp_path, f'[proxy]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
    assert busy.returncode == 2
    assert busy.stderr.endswith("hint: another program, or another key, uses this port; port 0 takes any free port\n")
