"""``preflight --axl``: the nodes of a cluster, and a password that is sent to a verified server only."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mralab.cli import main
from mralab.core.tls.fingerprint import fingerprint
from mralab.diagnose.axl import LARGEST_RESPONSE
from tests.cli.command import mralab

from .minted import mint, server_context

PASSWORD = "s3cret:with€"  # a colon and a letter beyond Latin-1
ROOT = mint("Root", ca=True)
GOOD = mint("cucm", ROOT, sans=["127.0.0.1"])
OWN = mint("own", sans=["127.0.0.1"])
ELSEWHERE = mint("elsewhere", ROOT, sans=["elsewhere.test"])


def answer(body: str | bytes, status: str = "200 OK", *fields: str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", "Content-Type: text/xml", *(fields or [f"Content-Length: {len(data)}"]), "", ""]
    return "\r\n".join(head).encode() + data


def envelope(body: str) -> str:
    return (
        "<?xml version='1.0' encoding='UTF-8'?><soapenv:Envelope "
        f'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>'
    )


def listed(*names: str, role: str = "CUCM Voice/Video") -> str:
    nodes = "".join(
        f"<processNode uuid='{{1}}'><name>{name}</name><processNodeRole>{role}</processNodeRole></processNode>"
        for name in names
    )
    return envelope(
        '<ns:listProcessNodeResponse xmlns:ns="http://www.cisco.com/AXL/API/12.5"><return>'
        f"{nodes}</return></ns:listProcessNodeResponse>"
    )


def fault(text: str) -> str:
    detail = f"<detail><axlError><axlcode>5</axlcode><axlmessage>{text}</axlmessage></axlError></detail>"
    return envelope(f"<soapenv:Fault><faultcode>x</faultcode><faultstring>y</faultstring>{detail}</soapenv:Fault>")


@contextlib.contextmanager
def axl(context: ssl.SSLContext, respond: Callable[[bytes], bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Serve AXL on a free port. Yields the port and the requests, an entry for each connection that got plaintext."""
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            if ending.is_set():
                connection.close()
                return
            with contextlib.suppress(OSError), connection, context.wrap_socket(connection, server_side=True) as tls:
                data = b""
                while piece := tls.recv(65536):
                    data += piece
                    head, _, body = data.partition(b"\r\n\r\n")
                    length = re.search(rb"Content-Length: (\d+)", head)
                    if length is not None and len(body) >= int(length[1]):
                        requests.append(data)
                        tls.sendall(respond(data))
                        break

    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], requests
        finally:
            ending.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("axl")
    (folder / "root.pem").write_text(ROOT.pem)
    return folder


def run(folder: Path, port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return mralab(
        "preflight",
        *("--axl", f"127.0.0.1:{port}", "--axl-user", "reader", "--timeout", "0.5", "--json"),
        *(arguments or ("--trust", str(folder / "root.pem"))),
        environment={"MRALAB_AXL_PASSWORD": PASSWORD},
    )


def failure(folder: Path, respond: Callable[[bytes], bytes]) -> str:
    """Return the first line of the error that a response leads to."""
    with axl(server_context(folder, GOOD), respond) as (port, _):
        result = run(folder, port)
    assert (result.returncode, result.stdout) == (2, "")
    assert PASSWORD not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) <= 2
    return lines[0].removeprefix(f"AXL at 127.0.0.1:{port}: ")


def test_each_node_is_checked_on_cucms_ports(folder: Path) -> None:
    nodes = listed("EnterpriseWideData", "PUB.invalid", "sub1.invalid", "::1")
    with axl(server_context(folder, GOOD), lambda _: answer(nodes)) as (port, requests):
        result = run(folder, port)
    assert result.returncode in (1, 3), result.stderr
    servers = [(check["host"], check["port"]) for check in json.loads(result.stdout)["servers"]]
    assert servers == [(host, port) for host in ("pub.invalid", "sub1.invalid", "::1") for port in (8443, 6972, 6971)]
    (request,) = requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /axl/ HTTP/1.1\r\n")
    assert b'SOAPAction: "CUCM:DB ver=12.5 listProcessNode"' in head
    assert f"Basic {base64.b64encode(f'reader:{PASSWORD}'.encode()).decode()}\r\n".encode() in head
    assert b"<processNodeRole>CUCM Voice/Video</processNodeRole>" in body
    assert PASSWORD not in result.stdout + result.stderr


def test_nodes_of_another_role_are_left_out(folder: Path) -> None:
    nodes = listed("imp.invalid", role="CUCM IM and Presence")
    assert failure(folder, lambda _: answer(nodes)) == "the response has no node with the role CUCM Voice/Video"


@pytest.mark.parametrize(
    ("certificate", "arguments", "reason"),
    [
        (OWN, (), "the certificate is not verified (self-signed certificate). "),
        (OWN, ("--trust", "{root}"), "the certificate is not verified (self-signed certificate). "),
        (ELSEWHERE, ("--trust", "{root}"), "is not verified (it does not contain the name 127.0.0.1). "),
        (GOOD, ("--trust", "{root}", "--axl-fingerprint", fingerprint(OWN.der)), "not the certificate of --axl-fing"),
    ],
)
def test_a_server_that_is_not_verified_gets_no_byte(
    folder: Path, certificate: object, arguments: tuple[str, ...], reason: str
) -> None:
    context = server_context(folder, certificate)  # type: ignore[arg-type]
    with axl(context, lambda _: answer(listed("a.invalid"))) as (port, requests):
        result = run(folder, port, *(one.format(root=folder / "root.pem") for one in arguments or ("--timeout", "1")))
    assert (result.returncode, result.stdout, requests) == (2, "", [])
    message, hint = result.stderr.splitlines()
    assert "the password was not sent" in message
    assert reason.replace("self-signed", "self signed") in message.replace("self-signed", "self signed")
    assert f"SHA-256 fingerprint {fingerprint(certificate.der)}" in message  # type: ignore[attr-defined]
    assert f"CN={'own' if certificate is OWN else 'cucm' if certificate is GOOD else 'elsewhere'}" in message
    assert "hint: " in hint


@pytest.mark.parametrize("form", [str.upper, str.lower, lambda text: text.replace(":", "")])
def test_a_fingerprint_replaces_the_trust_store(folder: Path, form: Callable[[str], str]) -> None:
    with axl(server_context(folder, OWN), lambda _: answer(listed("a.invalid"))) as (port, requests):
        result = run(folder, port, "--axl-fingerprint", form(fingerprint(OWN.der)))
    assert (result.returncode, len(requests)) == (3, 1)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (answer("", "401 Unauthorized"), "user name or password is wrong, or the user is locked (401)"),
        (answer("", "403 Forbidden"), "user 'reader' is not authorized (403)"),
        (answer("<html>", "404 Not Found"), "there is no AXL service (404)"),
        (
            answer(fault("Node\nnot \x1b[31m here".replace("\x1b", "&#27;"))[:-3], "500 Error"),
            "the response (status 500) is not XML",
        ),
        (answer(fault("The database is down"), "500 Error"), "CUCM reports a fault (status 500): The database is down"),
        (answer("", "302 Found"), "the response (status 302) is not XML"),
        (answer("<a/>", "302 Found"), "unexpected status 302"),
        (answer("<a/>"), "the response has no node with the role CUCM Voice/Video"),
        (answer("{}"), "the response (status 200) is not XML"),
        (answer(b"\xff\xfe\0"), "the response (status 200) is not XML"),
        (answer(listed("a b")), "a node has a name that cannot be dialled: host 'a b' has an illegal character ' '"),
        (answer(listed("")), "a node has a name that cannot be dialled: the host is empty"),
        (answer(listed(*(f"n{number}" for number in range(1001)))), "the response has more than 1000 nodes"),
        (b"SSH-2.0-x\r\n\r\n", "the response is not HTTP: the status line is not 'HTTP/1.1 STATUS REASON'"),
        (b"", "the response is not HTTP: it ends before its head is complete"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000, "the response is not HTTP: its head is too large"),
        (answer("x", "200 OK", "Content-Length: 9"), "the response is incomplete"),
        (
            answer(
                '<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>',
            ),
            "the response (status 200) has XML that is not accepted",
        ),
    ],
)
def test_each_failure_is_one_line(folder: Path, response: bytes, message: str) -> None:
    assert failure(folder, lambda _: response) == message


def test_a_response_without_end_is_bounded(folder: Path) -> None:
    endless = answer("x" * (LARGEST_RESPONSE + 70_000), "200 OK", "Connection: close")
    assert failure(folder, lambda _: endless) == "the response has more than 4 MB"


def test_a_chunked_response_after_an_interim_one(folder: Path) -> None:
    body = listed("a.invalid").encode()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    response = b"HTTP/1.1 100 Continue\r\n\r\n" + answer(chunked, "200 OK", "Transfer-Encoding: chunked")
    with axl(server_context(folder, GOOD), lambda _: response) as (port, _):
        assert run(folder, port).returncode == 3


@pytest.mark.parametrize("named", [True, False])
def test_another_axl_version_is_tried(folder: Path, named: bool) -> None:
    versions: list[str] = []

    def respond(request: bytes) -> bytes:
        found = re.search(rb"ver=(\S+)", request)
        assert found is not None
        versions.append(found[1].decode())
        if versions[-1] == "15.0":
            return answer(listed("a.invalid"))
        text = "Incorrect axl version." + (" Supported axl versions: [11.5,14,15]" if named else "")
        return answer(text, "599 ")

    with axl(server_context(folder, GOOD), respond) as (port, _):
        assert run(folder, port).returncode == 3
    assert versions == (["12.5", "15.0"] if named else ["12.5", "14.0", "15.0"])


def test_no_supported_version(folder: Path) -> None:
    response = answer("Incorrect axl version. Supported axl versions: [12.5]", "599 ")
    message = "CUCM does not support this AXL version (599); it supports 12.5"
    assert failure(folder, lambda _: response) == message


def test_no_server_or_no_tls_is_one_line(folder: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = run(folder, closed.getsockname()[1])
    assert result.stderr.endswith(": Connection refused\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def serve() -> None:
            connection, _ = silent.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        result = run(folder, silent.getsockname()[1])
        thread.join(10)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "TLS fails" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (("--axl", "cucm"), ["--axl needs --axl-user"]),
        (("--axl-user", "x"), ["need --axl: the CUCM publisher"]),
        (("--axl", "a b", "--axl-fingerprint", "AB:CD"), ["--axl needs", "'AB:CD' is not a SHA-256", "--axl 'a b' is"]),
        (("--axl", "cucm", "--axl-user", "a:b"), ["a user name with a colon cannot be sent"]),
    ],
)
def test_wrong_options_are_reported_at_once(arguments: tuple[str, ...], problems: list[str]) -> None:
    result = mralab("preflight", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == len(problems) + 1
    for line, problem in zip(lines, problems, strict=False):
        assert problem in line


def test_without_a_terminal_the_password_has_to_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MRALAB_AXL_PASSWORD", raising=False)
    result = CliRunner().invoke(main, ["preflight", "--axl", "127.0.0.1:1", "--axl-user", "x"], input="typed\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "no password for the AXL user 'x'\n  hint: set $MRALAB_AXL_PASSWORD, or run on a terminal\n"
    )


def test_on_a_terminal_the_password_is_prompted_for_and_not_echoed(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MRALAB_AXL_PASSWORD"}
    ours, theirs = os.openpty()
    with (
        open(ours, "r+b", buffering=0) as terminal,  # noqa: PTH123 - a descriptor
        axl(server_context(folder, GOOD), lambda _: answer(listed("a.invalid"))) as (port, requests),
    ):
        arguments = ("--axl", f"127.0.0.1:{port}", "--axl-user", "reader", "--trust", str(folder / "root.pem"))
        with subprocess.Popen(
            [sys.executable, "-m", "mralab", "preflight", *arguments],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # without a controlling terminal: the prompt reads standard input
        ) as process:
            os.close(theirs)
            assert process.stderr is not None
            prompt = b""
            while not prompt.endswith(b"Password of reader: "):  # the blank comes once echo is off
                piece = os.read(process.stderr.fileno(), 1)
                assert piece, prompt
                prompt += piece
            terminal.write(b"typed\n")
            output, errors = process.communicate(timeout=30)
    assert process.returncode == 3, errors
    assert base64.b64encode(b"reader:typed") in requests[0]
    assert b"typed" not in output + errors
