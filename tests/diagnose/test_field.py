"""Logs from customers: one for each kind of envelope and failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
)
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.diagnose.diagnosis import find
from mralab.diagnose.findings import Findings

FIELD = Path(__file__).parent.parent / "field"
CUCM = "cucm.example.test"
VERIFY_FAILED = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"


def findings_of(name: str) -> Findings:
    return find((FIELD / name).read_text("utf-8").splitlines())


@pytest.mark.parametrize("name", ["01-ietf.log", "03-relay-two-stamps.log", "06-grep.log"])
def test_any_envelope(name: str) -> None:
    (finding,) = findings_of(name)
    assert (finding.code, finding.server, finding.port, finding.count) == ("unknown-ca", CUCM, 8443, 1)
    assert len(finding.evidence) == 2


def test_source_locations_of_traffic_server_9() -> None:
    findings = findings_of("05-ats-location.log")
    assert [(each.code, each.server) for each in findings] == [
        ("unknown-ca", CUCM),
        ("name-not-in-certificate", "192.0.2.10"),
    ]


def test_a_warning_broken_over_three_lines() -> None:
    (finding,) = findings_of("09-wrapped.log")
    assert (finding.code, finding.server, finding.depth) == ("self-signed", CUCM, 0)


def test_a_403_that_no_event_explains() -> None:
    (finding,) = findings_of("10-403-no-event.log")
    assert (finding.code, finding.server, finding.port) == ("not-allowed", "cuc.example.test", 8443)
    assert "GET https://cuc.example.test:8443/vmrest/version" in finding.cause
    assert "Most often" in finding.cause
    assert [remedy.code for remedy in finding.remedies] == ["allow-rule", "check-domain", "check-clocks"]
    assert len(finding.evidence) == 2


def test_the_older_form_without_tracking_ids() -> None:
    (finding,) = findings_of("16-x12-5-form.log")
    assert (finding.code, finding.server, finding.port) == ("verify-failed", CUCM, 8443)


# -- unread lines


def lines_of(*events: Event) -> list[str]:
    writer = LineWriter("exp-c", 7, utc_offset=lambda _: 0)
    return [writer.format(event).removesuffix("\n") for event in events]


def test_unread_lines_are_counted_and_the_first_three_shown() -> None:
    head = "2026-01-29T14:01:16.974-05:00 exp-c traffic_server[2030]: "
    lines = [f"{head}[ET_NET 1] WARNING: something new {number}" for number in range(5)]
    found = find([*lines, f"{head}", "2026-01-29T14:01:16.974-05:00 exp-c sshd[1]: [ET_NET 1] WARNING: not ours"])
    assert not found
    assert (found.unread.lines, found.unread.examples) == (5, tuple(lines[:3]))
    assert str(found.unread).splitlines()[0] == "5 lines of traffic_server not understood; the first:"
    assert len(str(found.unread).splitlines()) == 4
    assert str(find([]).unread) == ""


def test_an_unread_line_is_safe_on_a_terminal() -> None:
    assert str(find(["[ET_NET 1] WARNING: \x1b[2J"]).unread).replace("\n", "").isprintable()


def test_no_line_is_reported_absent_if_some_lines_are_unread() -> None:
    failed = lines_of(HandshakeFailed(1e9, 1, CUCM, VERIFY_FAILED))
    (whole,) = find(failed)
    assert "is not in this log" in whole.cause
    (partly,) = find([*failed, "[ET_NET 1] WARNING: Core server certificate verif"])
    assert "is not in this log" not in partly.cause
    assert "1 line of traffic_server could not be read" in partly.cause


# -- answers without a dial


def received(txn: int = 1, path: str = "", method: str = "GET", scheme: str = "http", src: str = "127.0.0.1") -> Event:
    token = path or encode(Target("example.test", "https", CUCM, 8443)) + "/x"
    line = f"{method} {scheme}://vcs_control.example.test:8443/{token} HTTP/1.1"
    return RequestReceived(1e9, txn, "", src, 4000, line)


def answered(status: str, txn: int = 1) -> Event:
    return ResponseSent(1e9, txn, "127.0.0.1", 4000, f"HTTP/1.1 {status}")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("403 Forbidden", "not-allowed"),
        ("403 ", "not-allowed"),
        ("404 Not Found on Accelerator", "not-found"),
        ("429 Too Many Requests", "rate-limited"),
        ("400 Invalid HTTP Request", "invalid-request"),
        ("411 Content Length Required", "invalid-request"),
        ("500 Cannot find server.", "dns"),
        ("502 Cannot find server.", "dns"),
        ("502 connect failed", "not-dialled"),
        ("503 Service Unavailable", "not-dialled"),
        ("504 Connection Timed Out", "not-dialled"),
    ],
)
def test_an_error_response_without_a_dialled_server_is_a_finding(status: str, code: str) -> None:
    (finding,) = find(lines_of(received(), answered(status)))
    assert (finding.code, finding.server, finding.port, finding.ip) == (code, CUCM, 8443, "")
    unread = find([*lines_of(received(), answered(status)), "[ET_NET 1] WARNING: new"])[0]
    assert "Nothing was sent" not in unread.cause
    assert all(remedy.code != "verify-origin-off" for remedy in finding.remedies)


@pytest.mark.parametrize("status", ["200 OK", "204 ", "302 Found"])
def test_a_successful_response_is_not_a_finding(status: str) -> None:
    assert find(lines_of(received(method="OPTIONS"), answered(status))) == ()


def test_a_404_for_an_invalid_token_is_a_bad_token_finding() -> None:
    (finding,) = find(lines_of(received(path="xMC400C4/x"), answered("404 Not Found")))
    assert (finding.code, finding.server) == ("bad-token", "")


@pytest.mark.parametrize(
    "path", ["get_edge_config?service_name=_cisco-uds", "get_edge_config/", "get_edge_sso?email=a@b"]
)
def test_a_request_for_expressway_e_is_not_a_bad_token(path: str) -> None:
    domain = "ZXhhbXBsZS50ZXN0"  # example.test
    url = f"http://vcs_control.example.test:8443/{domain}/{path}"
    denied = RequestDenied(1e9, "", "1", "GET", url, "Invalid token", "it has 1 part, not 4")
    assert find(lines_of(received(path=f"{domain}/{path}"), denied, answered("404 Not Found"))) == ()
    assert find(lines_of(received(path=f"{domain}/{path}"), answered("404 Not Found"))) == ()
    assert (
        find(lines_of(received(path=f"{domain}/jabber-config.xml"), answered("404 Not Found")))[0].code == "bad-token"
    )


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_denial_and_its_response_are_one_finding(interleaved: bool) -> None:
    denied = RequestDenied(1e9, "", "1", "GET", f"https://{CUCM}:8443/x")
    other = [received(2)] if interleaved else []
    (finding,) = find(lines_of(received(), *other, denied, answered("403 Forbidden")))
    assert (finding.code, finding.count) == ("not-allowed", 1)


@pytest.mark.parametrize("reason", ["the request has passed this proxy before", "protocol upgrades are not supported"])
def test_an_invalid_request_is_a_finding(reason: str) -> None:
    denied = RequestDenied(1e9, "", "1", "GET", f"https://{CUCM}:8443/x", "Invalid request", reason)
    (finding,) = find(lines_of(received(), denied, answered("400 Cycle Detected")))
    assert finding.code == "invalid-request"
    assert reason in finding.cause
    assert [remedy.code for remedy in finding.remedies] == ["fix-request"]


def test_remedies_for_an_address_of_the_proxy_itself() -> None:
    reason = "the address leads back to this proxy"
    denied = RequestDenied(1e9, "", "1", "GET", f"https://{CUCM}:8443/x", "Invalid request", reason)
    (finding,) = find(lines_of(received(), denied, answered("400 Cycle Detected")))
    assert finding.code == "invalid-request"
    assert reason in finding.cause
    (remedy,) = finding.remedies
    assert remedy.code == "fix-address"
    assert CUCM in remedy.text
    assert "token" in remedy.text
    assert "[hosts]" in remedy.text


# -- the log of an Expressway-E


def forwarded(txn: int = 1) -> Event:
    token = encode(Target("example.test", "https", CUCM, 8443))
    return RequestSent(1e9, txn, "", "127.0.0.1", 8443, f"GET http://vcs_control.example.test:8443/{token}/x HTTP/1.1")


@pytest.mark.parametrize(
    "status", ["502 Next Hop Connection Failed", "502 Next Hop Connection Failed: list exhaust", "504 Next Hop Timeout"]
)
@pytest.mark.parametrize("sent", [[], [forwarded()], [forwarded(), forwarded()]])
def test_a_failed_connection_from_expressway_e_to_expressway_c(status: str, sent: list[Event]) -> None:
    (finding,) = find(lines_of(received(scheme="https", src="198.51.100.7"), *sent, answered(status)))
    assert (finding.code, finding.server, finding.port) == ("next-hop-failed", CUCM, 8443)
    assert "Expressway-E to Expressway-C" in finding.cause
    assert [remedy.code for remedy in finding.remedies] == ["check-traversal", "read-expressway-c"]


def test_a_response_of_expressway_c_refers_to_its_log() -> None:
    relayed = ResponseReceived(1e9, 1, "127.0.0.1", 8443, "HTTP/1.1 502 connect failed")
    (finding,) = find(lines_of(received(), forwarded(), relayed, answered("502 connect failed")))
    assert (finding.code, finding.server) == ("answered-by-expressway-c", CUCM)
    assert "whose own log says why" in finding.cause
    own = ResponseReceived(1e9, 1, "127.0.0.1", 8443, "HTTP/1.1 503 ")
    assert find(lines_of(received(), forwarded(), own, answered("503 "))) == ()  # CUCM's own, relayed twice


def test_a_refusal_by_expressway_e_itself() -> None:
    (finding,) = find(lines_of(received(scheme="https", src="198.51.100.7"), answered("403 Forbidden")))
    assert finding.code == "refused-by-edge"
    assert "Expressway-C itself" not in finding.cause
