"""Exit codes of the commands: Ctrl-C, closed pipes, unwritable output, unusable paths."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest
from click.testing import CliRunner

from mralab.cli import main

from .command import mralab, mralab_process

MRALAB = [sys.executable, "-m", "mralab"]
FULL = "the output cannot be written: No space left on device\n"
CLOSED = "standard output is closed: the result cannot be printed\n"

SERVE = """
proxy.listen = "127.0.0.1:0"
verify.origin = "off"
[hosts]
"cucm.example.test" = { dial = "127.0.0.1" }
"""
PRINTING = [
    "--help",
    "--version",
    "demo --help",
    "trust list --help",
    "demo --out {folder}/out",
    "demo --out {folder}/out --json",
    "login emusk --via 127.0.0.1:1",
    "login emusk --via 127.0.0.1:1 --json",
    "preflight 127.0.0.1:1",
    "preflight 127.0.0.1:1 --json",
    "schema preflight",
    "lab --log {folder}/lab.log",
    "serve -c {folder}/serve.toml",
]
"""Commands that print at once and need no server."""
PROCESSES = [
    "--help",
    "login emusk --via 127.0.0.1:1 --json",
    "lab --log {folder}/lab.log",
    "serve -c {folder}/serve.toml",
]
"""Those that also run as a process, whose interpreter flushes its streams at its end: a kind of each."""
HERE = [command for command in PRINTING if not command.startswith(("lab", "serve"))]
"""Those that end by themselves, and leave nothing in a process that runs them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "serve.toml").write_text(SERVE)
    return tmp_path


def words(command: str, folder: Path) -> list[str]:
    return [*MRALAB, *command.format(folder=folder).split()]


def redirected(redirections: str, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with a shell's redirections, such as ``>&-``."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *words(command, folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def without_a_reader() -> Iterator[TextIO]:
    """Yield the writing end of a pipe whose reading end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as output:  # noqa: PTH123 - a descriptor
        yield output


@pytest.mark.parametrize("command", PROCESSES)
def test_a_process_with_a_closed_pipe_ends_with_141_without_a_message(command: str, folder: Path) -> None:
    with without_a_reader() as output:
        result = subprocess.run(
            words(command, folder), stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize("command", HERE)
def test_a_closed_pipe_is_141_without_a_message(command: str, folder: Path) -> None:
    with without_a_reader() as output:
        result = mralab(*command.format(folder=folder).split(), output=output)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", PROCESSES)
def test_unwritable_output_of_a_process_is_an_error(command: str, folder: Path) -> None:
    result = redirected(">/dev/full", command, folder)
    assert (result.returncode, result.stderr) == (2, FULL)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", HERE)
def test_unwritable_output_is_an_error(command: str, folder: Path) -> None:
    with open("/dev/full", "w") as output:  # noqa: PTH123 - a device
        result = mralab(*command.format(folder=folder).split(), output=output)
    assert (result.returncode, result.stderr) == (2, FULL)


@pytest.mark.parametrize("command", PROCESSES)
def test_closed_standard_output_of_a_process_is_an_error(command: str, folder: Path) -> None:
    result = redirected(">&-", command, folder)
    assert (result.returncode, result.stderr) == (2, CLOSED)


@pytest.mark.parametrize("command", PRINTING)
def test_closed_standard_output_is_an_error(command: str, folder: Path) -> None:
    with (
        CliRunner().isolation() as (_, stderr, _),
        contextlib.redirect_stdout(None),  # as in a process without standard output
        pytest.raises(SystemExit) as end,
    ):
        main(command.format(folder=folder).split())
    assert (end.value.code, stderr.getvalue().decode()) == (2, CLOSED)


@pytest.mark.parametrize(
    ("command", "code", "closed"),
    [
        ("login emusk --via 127.0.0.1:1 --json", 1, "<&-"),
        ("login emusk --via 127.0.0.1:1 --json", 1, "2>&-"),
        ("login emusk --via 127.0.0.1:1 --json", 1, "<&- 2>&-"),
        ("demo --out {folder}/out --json", 0, "<&-"),
        ("demo --out {folder}/out --json", 0, "2>&-"),
        ("demo --out {folder}/out --json", 0, "<&- 2>&-"),
    ],
)
def test_closed_standard_input_and_error_do_no_harm(command: str, code: int, closed: str, folder: Path) -> None:
    result = redirected(closed, command, folder)
    assert result.returncode == code
    json.loads(result.stdout)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_a_character_outside_the_output_encoding_is_escaped(encoding: str) -> None:
    result = subprocess.run(
        [*MRALAB, "login", "\u00fcn\u0142", "--via", "127.0.0.1:1"],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (result.returncode, result.stderr) == (1, b"")


# -- Ctrl-C


@contextmanager
def started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "command",
    [
        "login emusk --via {address}",
        "login emusk --via {address} --json",
        "preflight {address} --timeout 60",
        "trust list --admin {address}",
        "xconfiguration EdgeConfigServer VerifyOriginServer --admin {address}",
        "diagnostic-logging start --admin {address}",
    ],
)
def test_ctrl_c_while_a_server_is_silent_is_130(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with started([*MRALAB, *command.format(address=address).split()]) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "")


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_ctrl_c_during_a_demo_is_130(folder: Path, option: list[str]) -> None:
    first = folder / "fqdn-X14.0.7.log"
    with started([*MRALAB, "demo", "--out", str(folder), *option]) as process:
        while not first.exists():
            assert process.poll() is None
            time.sleep(0.01)  # waiting without a pause would use the CPU that the demo needs
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "")


@pytest.mark.parametrize("command", ["lab --log {folder}/lab.log", "serve -c {folder}/serve.toml"])
def test_ctrl_c_ends_a_server_with_0(command: str, folder: Path) -> None:
    with started(words(command, folder)) as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


# -- paths


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("demo --out /proc/none/x", "--out /proc/none/x: cannot be created: No such file or directory"),
        ("demo --out /dev/null", "--out /dev/null: not a folder"),
        ("demo --out {folder}/serve.toml", "serve.toml' is a file"),
        ("demo --out {folder}/taken", "/taken/fqdn-X14.2.log: cannot be replaced: Is a directory"),
        ("lab --log /proc/none/x", "/proc/none/x: the log cannot be written: No such file or directory"),
        ("lab --log {folder}", "is a directory"),
        ("lab -c {folder}", "is a directory"),
        ("lab -c {folder}/none.toml", "none.toml: cannot be read: No such file or directory"),
        ("lab -c {folder}/latin.toml", "latin.toml: is not UTF-8 text (byte 0)"),
        ("lab -c /proc/self/mem", "/proc/self/mem: cannot be read: Input/output error"),
        ("lab --https-ciphers ec", "HTTPS Ciphers: 'ec' is neither 'RSA Ciphers Only' nor"),
        ("serve -c {folder}/latin.toml", "latin.toml: is not UTF-8 text (byte 0)"),
        ("serve -c {folder}/log.toml", "log cannot be written: Is a directory"),
        ("login \udcff --via 127.0.0.1:1", "USER: has a control character, or is not UTF-8 text"),
        (
            "login emusk --via 127.0.0.1:1 --password \udcff",
            "--password: has a control character, or is not UTF-8 text",
        ),
        ("lab --log /proc/\udcff", "/proc/\\udcff"),
        ("preflight -c {folder}/none.toml", "none.toml: cannot be read: No such file or directory"),
        ("preflight 127.0.0.1:1 --trust {folder}/none.pem", "none.pem"),
    ],
)
def test_the_error_for_an_unusable_path_names_it(command: str, problem: str, folder: Path) -> None:
    (folder / "taken/fqdn-X14.2.log").mkdir(parents=True)
    (folder / "latin.toml").write_bytes(b"\xff")
    (folder / "log.toml").write_text('proxy = { listen = "127.0.0.1:0" }\nlog = { file = "taken" }\n')
    run = mralab_process if command.startswith("serve") else mralab  # its sockets are closed when the process ends
    result = run(*command.format(folder=folder).split())
    assert (result.returncode, result.stdout) == (2, "")
    assert problem in result.stderr
    assert "Traceback" not in result.stderr


def test_an_argument_of_a_process_that_is_not_utf_8_is_an_error() -> None:
    result = mralab_process("login", "\udcff", "--via", "127.0.0.1:1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("USER: has a control character, or is not UTF-8 text")


def test_ctrl_c_while_modules_are_imported_is_130(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*MRALAB, "--help"], capture_output=True, text=True, env=environment, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
