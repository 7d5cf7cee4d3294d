"""Lines of other modules that explain a failed login."""

from __future__ import annotations

from pathlib import Path

import pytest

from mralab.core.log.events import (
    HttpErrorSent,
    LogEvent,
    ProvisioningAnswered,
    ProvisioningFailed,
    RequestSent,
    UserNotAuthenticated,
)
from mralab.core.log.reader import Record, read
from mralab.core.log.stream import LogReader
from mralab.diagnose.diagnosis import find

STAMP = "2014-09-25T17:46:20.920+00:00 exp-c "
AT = 1411667180.092  # UTCTime's "20,92" is 92 milliseconds
URL = "https://cucm.example.test:8443/cucm-uds/user/emusk/devices"
REASON = "<twisted.python.failure.Failure <type 'exceptions.Exception'>>"
RECEIVED = (
    'UTCTime="2014-09-25 17:46:20,92" Module="network.http.edgeconfigprovisioning" Level="DEBUG" Action="Received" '
    f'Request-url="{URL}"'
)
FAILED = (
    'UTCTime="2014-09-25 17:46:20,92" Module="developer.edgeconfigprovisioning.server" Level="DEBUG" '
    'CodeLocation="edgeprotocol(1018)" Detail="Failed to authenticate user against server" Username="emusk" '
    f"Server=\"('https', '192.0.2.10', 8443)\" Reason=\"{REASON}\""
)
PUBLISHED: dict[str, LogEvent] = {
    f"edgeconfigprovisioning {RECEIVED} HTTPMSG: |HTTP/1.1 401 Unauthorized": ProvisioningAnswered(
        AT, URL, "HTTP/1.1 401 Unauthorized"
    ),
    FAILED: ProvisioningFailed(AT, "emusk", "192.0.2.10", 8443, REASON),
    'edgeconfigprovisioning: Level="INFO" Detail="Failed to authenticate user against server" Username="emusk" '
    f'Server="cucm.example.test" Reason="{REASON}" UTCTime="2014-09-25 17:46:20,92"': ProvisioningFailed(
        AT, "emusk", "cucm.example.test", None, REASON
    ),
    'Event="Sending HTTP error response" Status="403" Reason="Forbidden" Dst-ip="198.51.100.7" Dst-port="40000" '
    'UTCTime="2014-09-25 17:46:20,92"': HttpErrorSent(AT, 403, "Forbidden", "198.51.100.7", 40000),
    'Event="Sending HTTP error response" Status="429" Reason="Too Many Requests" Dst-ip="198.51.100.7" Dst-port="x" '
    'UTCTime="2014-09-25 17:46:20,92"': HttpErrorSent(AT, 429, "Too Many Requests", "198.51.100.7", 0),
    'Detail="Authenticating user failed" Username="emusk" ClientId="198.51.100.7" Code="401" '
    'UTCTime="2014-09-25 17:46:20,92"': UserNotAuthenticated(AT, "emusk", "198.51.100.7", "401"),
    'UTCTime="2014-09-25 17:46:20,92" Detail="Authenticating user failed" Username="emusk" '
    'ClientId="198.51.100.7"': UserNotAuthenticated(AT, "emusk", "198.51.100.7", ""),
}


def streamed(*lines: str) -> list[Record]:
    data = "".join(f"{line}\n" for line in lines).encode()
    reader = LogReader(skip_successes=True)
    return [*reader.feed(data), *reader.close()]


@pytest.mark.parametrize("line", PUBLISHED)
@pytest.mark.parametrize("head", ["", STAMP, f"<134>{STAMP}", "Sep 25 17:46:20 exp-c ", "12:" + STAMP])
def test_published_forms(line: str, head: str) -> None:
    (record,) = read([head + line])
    assert record.event == PUBLISHED[line]
    assert (record.line, record.text) == (1, head + line)
    assert record.hostname == ("exp-c" if head else "")
    assert not record.is_unread
    assert [each.event for each in streamed(head + line)] == [record.event]


@pytest.mark.parametrize("process", ["traffic_server[2030]: ", "tvcs: ", "edgeauth[7]: "])
@pytest.mark.parametrize("line", [line for line, event in PUBLISHED.items() if "Prov" not in type(event).__name__])
def test_forms_of_any_process(process: str, line: str) -> None:
    (record,) = read([STAMP + process + line])
    assert record.event == PUBLISHED[line]
    assert [each.event for each in streamed(STAMP + process + line)] == [record.event]


def test_a_line_without_a_stamp_has_the_time_of_the_one_before() -> None:
    text = 'Event="Sending HTTP error response" Status="403" Reason="Forbidden"'
    first, second = read([STAMP + FAILED, text])
    assert isinstance(first.event, ProvisioningFailed)
    assert isinstance(second.event, HttpErrorSent)
    assert second.event.at == second.at == first.at == 1411667180.92


@pytest.mark.parametrize("head", [STAMP + "edgeconfigprovisioning: ", STAMP + "edgeconfigprovisioning[7]: ", STAMP, ""])
@pytest.mark.parametrize("message", ["HTTPMSG:\n|{}", "HTTPMSG: \n{}\n", "\nHTTPMSG:\n\n|{}\n Server: x\n \n |\n"])
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 ", "503 Service Unavailable"])
def test_a_message_on_the_next_lines(head: str, message: str, status: str) -> None:
    lines = [head + RECEIVED, *message.format(f"HTTP/1.1 {status}").split("\n")]
    (record,) = read(lines)
    assert record.event == ProvisioningAnswered(AT, URL, f"HTTP/1.1 {status}".strip())
    assert record.line == 1
    assert [each.event for each in streamed(*lines)] == [record.event]


@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
@pytest.mark.parametrize("form", [" HTTPMSG: |HTTP/1.1 {}", "\nHTTPMSG:\n|HTTP/1.1 {}"])
def test_a_successful_answer_is_not_a_login_failure(status: str, form: str) -> None:
    lines = f"{STAMP}edgeconfigprovisioning: {RECEIVED}{form.format(status)}".split("\n")
    assert [*read(lines)] == []
    assert streamed(*lines) == []


def test_a_missing_answer_hides_no_other_line() -> None:
    twin = [STAMP + "edgeconfigprovisioning: " + RECEIVED, STAMP + FAILED]
    (record,) = read(twin)
    assert isinstance(record.event, ProvisioningFailed)


@pytest.mark.parametrize(
    "line",
    [
        STAMP + "sshd[1]: Invalid user " + FAILED,
        STAMP + "sshd[1]: Invalid user edgeconfigprovisioning: " + FAILED,
        STAMP + "sshd[1]: " + FAILED,
        STAMP + "tvcs: " + RECEIVED + " HTTPMSG: |HTTP/1.1 401 Unauthorized",
        STAMP + 'tvcs: UTCTime="x" Detail="the line said Event=Sending HTTP error response"',
        STAMP + 'tvcs: UTCTime="x" Detail="Sending HTTP error response was seldom"',
        STAMP + "edgeconfigprovisioning: " + RECEIVED.replace("Received", "Sent"),
        STAMP + "edgeconfigprovisioning: Failed to authenticate user against server",
    ],
)
def test_lines_that_are_not_login_failures(line: str) -> None:
    assert [*read([line])] == []
    assert streamed(line) == []


def test_a_header_of_a_request_is_not_a_login_failure() -> None:
    head = STAMP + "traffic_server[2030]: "
    lines = [
        head + 'UTCTime="2014-09-25 17:46:20,920" Module="network.http.trafficserver" Level="DEBUG": '
        'Detail="Sending Request" Txn-id="1" TrackingID="" Dst-ip="192.0.2.10" Dst-port="8443" ',
        "HTTPMSG:",
        "|GET / HTTP/1.1",
        f" {FAILED}",
        " Host: x",
        " ",
        " |",
    ]
    (record,) = read(lines)
    assert isinstance(record.event, RequestSent)


def test_each_form_gives_a_finding_about_the_login() -> None:
    found = find([STAMP + line for line in PUBLISHED])
    assert {finding.code for finding in found} == {
        "login-rejected",
        "login-not-completed",
        "refused-by-edge",
        "rate-limited",
    }


def test_a_line_without_a_head_is_not_of_the_other_module() -> None:
    received, sent, _, warning, error, answered = (
        (Path(__file__).parents[2] / "golden" / "article-6972-untrusted.log").read_text().splitlines()
    )
    bare = warning[warning.index("[ET_NET") :]
    found = find([received, sent, STAMP + "edgeconfigprovisioning[7]: " + FAILED, bare, error, answered])
    (finding,) = (each for each in found if each.code != "login-not-completed")
    assert (finding.code, finding.port, finding.count) == ("self-signed", 6972, 1)
