"""Addresses for preflight from a file and from logs, through the command."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mralab.core.log.events import Event, RequestDenied, RequestReceived
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from tests.cli.command import mralab

AT = 1_770_000_000.0


def requested(host: str, port: int, protocol: Any = "https") -> RequestReceived:
    token = encode(Target("steven.lab", protocol, host, port))
    return RequestReceived(AT, 1, "", "127.0.0.1", 40000, f"GET http://vcs_control.steven.lab:8443/{token}/x HTTP/1.1")


def log_of(*events: Event) -> str:
    writer = LineWriter("vcsc", 4711)
    return "".join(writer.format(event) for event in events)


def checked(*arguments: str) -> tuple[list[str], str]:
    """Return the checked servers, which do not respond, and the text on standard error."""
    result = mralab("preflight", *arguments, "--json", "--timeout", "0.3")
    assert result.returncode == 3, result.stderr
    servers = json.loads(result.stdout)["servers"]
    return [f"{check['host']}:{check['port']}" for check in servers], result.stderr


def failed(*arguments: str) -> str:
    result = mralab("preflight", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


def test_a_list_may_have_comments_blank_lines_and_repetitions(tmp_path: Path) -> None:
    (tmp_path / "servers").write_bytes(
        b"\xef\xbb\xbf# publisher\r\na.invalid:8443\r\n\r\n [::1]:1  # itself\nA.invalid:8443\n"
    )
    servers, errors = checked("--from-file", str(tmp_path / "servers"), "b.invalid:1")
    assert servers == ["b.invalid:1", "a.invalid:8443", "::1:1"]
    assert errors == ""


def test_every_bad_line_of_every_source_is_reported_at_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("good.test:1\nno-port\n\nx:99999\n")
    two.write_text("a b:1\n")
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "binary").write_bytes(b"\xff\0\xfe")
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    names = ("one", "two", "empty", "binary", "large", "none", "")
    files = [part for name in names for part in ("--from-file", str(tmp_path / name))]
    lines = failed(*files, "nonsense", "--from-log", str(two)).splitlines()
    assert lines[:4] == [
        "'nonsense' is not HOST:PORT: no port",
        f"{one}:2: 'no-port' is not HOST:PORT: no port",
        f"{one}:4: 'x:99999' is not HOST:PORT: port '99999' is not one of 1 to 65535",
        f"{two}:1: 'a b:1' is not HOST:PORT: host 'a b' has an illegal character ' '",
    ]
    for line, name in zip(lines[4:9], names[2:], strict=True):
        assert line.startswith(f"{tmp_path / name}: ")
    assert lines[9] == f"{two}: no request of a client to an HTTPS server in the log"
    assert len(lines) == 11


def test_a_log_gives_the_https_servers_that_clients_requested(tmp_path: Path) -> None:
    log = log_of(
        requested("cucm.invalid", 8443),
        requested("cucm.invalid", 6970, "http"),
        requested("cucm.invalid", 6972),
        requested("cucm.invalid", 8443),
        requested("2001:db8::1", 8443),
    )
    (tmp_path / "log").write_text(f"Nov  1 00:00:00 x kernel: y\n{log}")
    servers, errors = checked("--from-log", str(tmp_path / "log"))
    assert servers == ["cucm.invalid:8443", "cucm.invalid:6972", "2001:db8::1:8443"]
    assert errors == ""


def test_a_server_to_which_every_request_was_denied_is_not_dialled(tmp_path: Path) -> None:
    denied = RequestDenied(AT, "emusk", "1", "GET", "https://evil.invalid:443/x")
    log = log_of(requested("evil.invalid", 443), denied, requested("cucm.invalid", 8443))
    (tmp_path / "log").write_text(log)
    servers, errors = checked("--from-log", str(tmp_path / "log"))
    assert servers == ["cucm.invalid:8443"]
    assert errors == "evil.invalid:443: not checked, because the allow list denied every request to it\n"
    (tmp_path / "log").write_text(log_of(requested("evil.invalid", 443), denied))
    assert "the allow list denied every request" in failed("--from-log", str(tmp_path / "log"))


def packed(log: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("diagnostic_log_vcsc/loggingsnapshot_vcsc.txt")
        member.size = len(log)
        archive.addfile(member, io.BytesIO(log))
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["gzip", "archive", "utf-16", "truncated gzip", "long line"])
def test_a_log_in_other_forms(tmp_path: Path, form: str) -> None:
    log = log_of(requested("cucm.invalid", 8443))
    data = {
        "gzip": gzip.compress(log.encode()),
        "archive": packed(log.encode()),
        "utf-16": log.encode("utf-16"),
        "truncated gzip": gzip.compress((log * 1000).encode() + bytes(range(256)) * 999)[:-40],
        "long line": b"x" * (3 << 20) + b"\n" + log.encode(),
    }[form]
    (tmp_path / "log").write_bytes(data)
    servers, errors = checked("--from-log", str(tmp_path / "log"))
    assert servers == ["cucm.invalid:8443"]
    truncated = f"{tmp_path}/log: is truncated: the data up to its end is read\n"
    assert errors == (truncated if form == "truncated gzip" else "")


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"\x1f\x8bxxxxxxxxxxxxxxxxxx", bytes(range(256)) * 100, b"hello\n"])
def test_a_file_that_is_not_a_log_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    errors = failed("--from-log", str(tmp_path / "log"))
    assert all(line.startswith((f"{tmp_path}/log: ", "  hint: ")) for line in errors.splitlines())
    assert "no request of a client to an HTTPS server" in errors
