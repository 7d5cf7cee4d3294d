"""Findings from a log: cause, server, port and remedies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.reader import read
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.diagnose.diagnosis import Diagnosis, find
from mralab.diagnose.findings import Finding, summary
from tests.fuzz.growth import BOUND, growth

if TYPE_CHECKING:
    from collections.abc import Iterable

GOLDEN = Path(__file__).parent.parent / "golden"
NAME, IP = "cucm.steven.lab", "10.48.36.215"
VERIFY_FAILED = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
SELF_SIGNED = "self signed certificate"


def golden(name: str) -> list[str]:
    return (GOLDEN / name).read_text("latin-1").splitlines()


def log(events: Iterable[Event]) -> list[str]:
    """Return the events as lines, a millisecond apart unless they have a time."""
    writer = LineWriter("vcsc", 18242)
    return [
        writer.format(event if event.at else event._replace(at=1000 + number / 1000))
        for number, event in enumerate(events)
    ]


def received(txn: int, port: int = 8443, host: str = NAME) -> Event:
    token = encode(Target("steven.lab", "https", host, port))
    return RequestReceived(0, txn, "", "127.0.0.1", 30000 + txn, f"GET http://vcs_control:8443/{token}/x HTTP/1.1")


def sent(txn: int, port: int = 8443, ip: str = IP) -> Event:
    return RequestSent(0, txn, "", ip, port, "GET /x HTTP/1.1")


def untrusted(error: str = SELF_SIGNED, depth: int = 0, action: str = "Terminate", name: str = NAME) -> Event:
    return VerifyFailed(0, 0, name, action, error, name, IP, depth)


def failed(error: str = VERIFY_FAILED, name: str = NAME) -> Event:
    return HandshakeFailed(0, 0, name, error)


def got(txn: int, port: int = 8443, status: str = "200 OK") -> Event:
    return ResponseReceived(0, txn, IP, port, f"HTTP/1.1 {status}")


def answered(txn: int, status: str = "502 connect failed") -> Event:
    return ResponseSent(0, txn, "127.0.0.1", 30000 + txn, f"HTTP/1.1 {status}")


def refused_by(*lines: Event, port: int = 8443, host: str = NAME) -> list[Event]:
    """Return a transaction that ends in 502 after these lines."""
    return [received(1, port, host), sent(1, port), *lines, answered(1)]


def only(events: Iterable[Event]) -> Finding:
    (finding,) = find(log(events))
    return finding


# -- golden logs


def test_the_article_s_6972_is_a_self_signed_certificate() -> None:
    lines = golden("article-6972-untrusted.log")
    (finding,) = find(lines)
    assert (finding.code, finding.server, finding.ip, finding.port) == ("self-signed", NAME, IP, 6972)
    assert (finding.error, finding.depth, finding.action, finding.count) == (SELF_SIGNED, 0, "Terminate", 1)
    assert finding.evidence == (lines[3], lines[4])
    assert finding.first == finding.last == 1657558526.016
    assert [remedy.code for remedy in finding.remedies] == ["trust-certificate", "reissue", "verify-origin-off"]
    assert finding.remedies[0].where == "Expressway-C: Maintenance > Security > Trusted CA certificate"
    assert "tomcat-ECDSA" in finding.remedies[0].text
    assert "every peer" in finding.remedies[0].text
    # IM and Presence and Unity Connection have that menu as well, so the node is named.
    assert finding.remedies[1].where == f"{NAME}: Cisco Unified OS Administration > Security > Certificate Management"
    assert "xConfiguration EdgeConfigServer VerifyOriginServer: Off" in finding.remedies[-1].text
    assert finding.cause.startswith("cucm.steven.lab:6972 ")
    assert "218018" in finding.reference


def test_the_article_s_address_is_not_in_the_certificate() -> None:
    lines = golden("article-8443-name-mismatch-debug.log")
    (finding,) = find(lines)
    assert (finding.code, finding.server, finding.ip, finding.port) == ("name-not-in-certificate", IP, IP, 8443)
    assert finding.evidence == (lines[8], lines[9])
    assert "System > Server" in finding.cause
    assert [remedy.code for remedy in finding.remedies] == ["change-server-name", "reissue", "verify-origin-off"]


def test_the_published_unknown_ca_alert_is_a_refused_client_certificate() -> None:
    lines = golden("debug-httpmsg-layout.log")
    (finding,) = find(lines)
    assert (finding.code, finding.server, finding.port) == ("rejected-by-server", "expc.cisco.com", 6972)
    assert finding.evidence == (lines[14],)
    assert finding.remedies[0].code == "trust-us"
    assert "tomcat-trust" in finding.remedies[0].text
    assert "CallManager-trust" in finding.remedies[0].text
    assert "verify-origin-off" not in [remedy.code for remedy in finding.remedies]


def test_the_article_s_good_transaction_has_no_findings() -> None:
    assert find(golden("article-8443-success.log")) == ()


def test_an_empty_log_has_no_findings() -> None:
    assert find([]) == ()
    assert find(["", "rubbish", "traffic_server[1]: "]) == ()


# -- rules


@pytest.mark.parametrize(
    ("error", "depth", "code"),
    [
        ("self signed certificate", 0, "self-signed"),
        ("self-signed certificate", 0, "self-signed"),
        ("self signed certificate in certificate chain", 1, "unknown-ca"),
        ("self-signed certificate in certificate chain", 2, "unknown-ca"),
        ("unable to get local issuer certificate", 1, "unknown-ca"),
        ("unable to get local issuer certificate", 0, "issuer-missing"),
        ("unable to verify the first certificate", 0, "issuer-missing"),
        ("unable to get issuer certificate", 1, "partial-chain"),
        ("certificate has expired", 0, "expired"),
        ("certificate has expired", 1, "expired"),
        ("certificate is not yet valid", 0, "not-yet-valid"),
        ("unsupported certificate purpose", 0, "wrong-purpose"),
        ("unsuitable certificate purpose", 0, "wrong-purpose"),
        ("EE certificate key too weak", 0, "weak"),
        ("CA certificate key too weak", 1, "weak"),
        ("CA signature digest algorithm too weak", 1, "weak"),
        ("certificate chain too long", 8, "chain-too-long"),
        ("invalid CA certificate", 1, "invalid-ca"),
        ("path length constraint exceeded", 2, "invalid-ca"),
        ("certificate revoked", 0, "revoked"),
        ("", 0, "verify-failed"),
    ],
)
def test_verification_errors_are_judged_by_text_then_depth(error: str, depth: int, code: str) -> None:
    finding = only(refused_by(untrusted(error, depth), failed()))
    assert (finding.code, finding.port, finding.depth, finding.error) == (code, 8443, depth, error)
    assert len(finding.evidence) == 2
    assert finding.remedies[-1].code == "verify-origin-off"
    assert len(finding.remedies) > 1


def test_the_cause_of_a_missing_issuer_mentions_an_unknown_ca() -> None:
    finding = only(refused_by(untrusted("unable to get local issuer certificate"), failed()))
    assert "cannot tell" in finding.cause
    assert [remedy.code for remedy in finding.remedies][:2] == ["trust-certificate", "send-chain"]


def test_a_name_that_is_not_in_the_certificate() -> None:
    finding = only(refused_by(NameMismatch(0, 0, NAME, "Terminate", NAME, IP), failed()))
    assert (finding.code, finding.server, finding.port) == ("name-not-in-certificate", NAME, 8443)
    assert "System > Server on CUCM" not in finding.cause
    assert {remedy.code for remedy in finding.remedies} == {"change-server-name", "reissue", "verify-origin-off"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca", "rejected-by-server"),
        ("error:14094412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate", "rejected-by-server"),
        ("error:14094415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired", "rejected-by-server"),
        ("error:0A000418:SSL routines::tlsv1 alert unknown ca", "rejected-by-server"),
        ("error:0A00045C:SSL routines::tlsv13 alert certificate required", "rejected-by-server"),
        ("error:1408F10B:SSL routines:ssl3_get_record:wrong version number", "not-tls"),
        ("error:0A00010B:SSL routines::wrong version number", "not-tls"),
        ("error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure", "tls-mismatch"),
        ("error:1409442E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version", "tls-mismatch"),
        ("error:1417A0C1:SSL routines:tls_post_process_client_hello:no shared cipher", "tls-mismatch"),
        ("error:1425F102:SSL routines:ssl_choose_client_version:unsupported protocol", "tls-mismatch"),
        ("error:141A318A:SSL routines:tls_process_ske_dhe:dh key too small", "tls-mismatch"),
        ("error:14094438:SSL routines:ssl3_read_bytes:tlsv1 alert internal error", "handshake-failed"),
    ],
)
def test_handshake_errors(error: str, code: str) -> None:
    finding = only(refused_by(failed(error), port=6972))
    assert (finding.code, finding.server, finding.ip, finding.port) == (code, NAME, IP, 6972)
    assert finding.error == error
    assert (finding.action, finding.depth, len(finding.evidence)) == ("", None, 1)
    assert "verify-origin-off" not in [remedy.code for remedy in finding.remedies]


def test_an_error_without_its_warning_says_that_the_reason_is_missing() -> None:
    finding = only(refused_by(failed()))
    assert (finding.code, finding.port) == ("verify-failed", 8443)
    assert finding.remedies[0].code == "read-log"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("502 connect failed", "unreachable"),
        ("502 Connection refused", "unreachable"),
        ("502 ", "unreachable"),
        ("502 internal error - server connection terminated", "timeout"),
        ("502 Connection timed out", "timeout"),
        ("504 Connection Timed Out", "timeout"),
        ("504 Maximum Transaction Time Exceeded", "timeout"),
        ("502 Server Hangup", "bad-response"),
        ("502 Invalid HTTP Response", "bad-response"),
    ],
)
def test_responses_of_the_proxy_that_no_tls_line_explains(status: str, code: str) -> None:
    lines = log([received(1), sent(1), sent(1), answered(1, status)])
    (finding,) = find(lines)
    assert (finding.code, finding.server, finding.ip, finding.port) == (code, NAME, IP, 8443)
    assert finding.evidence == (lines[2].rstrip("\n"), lines[3].rstrip("\n"))


@pytest.mark.parametrize("status", ["502 Cannot find server.", "500 Cannot find server."])
def test_an_unresolved_name_comes_from_the_token(status: str) -> None:
    finding = only([received(1), answered(1, status)])
    assert (finding.code, finding.server, finding.ip, finding.port) == ("dns", NAME, "", 8443)


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Time-out", "500 Cannot find server."])
def test_a_5xx_of_the_server_itself_is_not_a_finding(status: str) -> None:
    assert find(log([received(1), sent(1), got(1, status=status), answered(1, status)])) == ()


def test_refusals() -> None:
    url = "https://cucm.steven.lab:6970/x"
    denied = only([received(1, 6970), RequestDenied(0, "emusk", "1", "GET", url), answered(1, "403 Forbidden")])
    assert (denied.code, denied.server, denied.port) == ("not-allowed", NAME, 6970)
    assert f"GET {url}" in denied.cause
    assert denied.remedies[0].code == "allow-rule"
    token = RequestDenied(0, "", "1", "GET", "http://vcs_control/x", "Invalid token", "token is not base64")
    bad = only([token, answered(1, "404 Not Found")])
    assert (bad.code, bad.server, bad.port) == ("bad-token", "", None)
    assert "token is not base64" in bad.cause


def test_a_fault_in_audit_mode_says_that_the_request_continued() -> None:
    events = [received(1), sent(1), untrusted(action="Continue"), got(1), answered(1, "200 OK")]
    finding = only(events)
    assert (finding.code, finding.action, finding.port) == ("self-signed", "Continue", 8443)
    assert "The request continued" in finding.cause
    assert "verify-origin-off" not in [remedy.code for remedy in finding.remedies]


def test_findings_of_an_audited_chain_are_in_order_and_consistent() -> None:
    issuer, echo = "unable to get local issuer certificate", "unable to verify the first certificate"
    chain = [untrusted(text, action="Continue") for text in (issuer, echo, "certificate has expired")]
    handshake = [*chain, NameMismatch(0, 0, NAME, "Continue", NAME, IP)]
    findings = find(log([received(1), sent(1), *handshake, got(1), answered(1, "200 OK")] * 2))
    assert [(finding.code, finding.count) for finding in findings] == [
        ("issuer-missing", 2),
        ("expired", 2),
        ("name-not-in-certificate", 2),
    ]
    assert findings[0].error == issuer  # what X14.2 logs
    assert "Fix this first" in findings[0].cause
    assert "Fix issuer-missing and expired first" in findings[2].cause
    assert "accepted" not in "".join(finding.cause for finding in findings)


def test_an_error_whose_text_is_lost_belongs_to_its_warning() -> None:
    finding = only(refused_by(untrusted(), failed("error:1416F086:lib(20):func(367):reason(134)")))
    assert (finding.code, len(finding.evidence)) == ("self-signed", 2)


def test_an_audited_fault_does_not_explain_a_timeout() -> None:
    events = [received(1), sent(1), untrusted(action="Continue"), answered(1, "504 Connection Timed Out")]
    assert [finding.code for finding in find(log(events))] == ["self-signed", "timeout"]


# -- joining


OTHER = "10.48.36.216"


def untrusted_at(ip: str) -> Event:
    return VerifyFailed(0, 0, NAME, "Terminate", SELF_SIGNED, NAME, ip, 0)


def test_a_retry_at_another_address_is_a_request_to_that_one() -> None:
    events = [received(1), sent(1), sent(1, ip=OTHER), received(2, 6972), sent(2, 6972, OTHER), untrusted_at(OTHER)]
    events += [answered(1), ResponseReceived(0, 2, OTHER, 6972, "HTTP/1.1 200 OK"), answered(2, "200 OK")]
    finding = only(events)
    assert (finding.code, finding.ip, finding.port, finding.tie) == ("self-signed", OTHER, 8443, "latest-port")


def test_a_retry_at_another_address_ends_the_request_to_the_first() -> None:
    events = [received(1), sent(1), sent(1, ip=OTHER), received(2, 6972), sent(2, 6972), untrusted(), answered(2)]
    finding = only(events)
    assert (finding.code, finding.ip, finding.port, finding.tie) == ("self-signed", IP, 6972, "only-port")


def test_a_fault_before_a_retry_at_another_address_belongs_to_the_first() -> None:
    events = [received(2, 6972), sent(2, 6972), received(1), sent(1), untrusted(), failed(), sent(1, ip=OTHER)]
    events += [got(2, 6972), answered(2, "200 OK"), ResponseReceived(0, 1, OTHER, 8443, "HTTP/1.1 200 OK")]
    finding = only([*events, answered(1, "200 OK")])
    assert (finding.code, finding.ip, finding.port) == ("self-signed", IP, 8443)


def test_the_failure_at_the_other_address_is_a_finding_of_its_own() -> None:
    events = [received(1), sent(1), untrusted(), failed(), sent(1, ip=OTHER), answered(1, "504 Connection Timed Out")]
    found = [(finding.code, finding.ip, finding.port) for finding in find(log(events))]
    assert found == [("self-signed", IP, 8443), ("timeout", OTHER, 8443)]


def test_a_retry_is_counted_and_the_latest_evidence_kept() -> None:
    lines = log([received(1), *[sent(1), untrusted(), failed()] * 2, answered(1), *refused_by(untrusted(), failed())])
    (finding,) = find(lines)
    assert finding.count == 3
    assert finding.evidence == (lines[10].rstrip("\n"), lines[11].rstrip("\n"))
    assert (finding.first, finding.last) == (1000.002, 1000.01)


def test_one_server_two_ports_two_findings_in_order_of_occurrence() -> None:
    events = [*refused_by(untrusted(), failed(), port=6972), *refused_by(untrusted(), failed())]
    assert [(finding.code, finding.port) for finding in find(log(events))] == [
        ("self-signed", 6972),
        ("self-signed", 8443),
    ]


def test_the_port_is_that_of_the_request_that_failed_not_of_the_last_one_sent() -> None:
    start = [received(1, 6972), sent(1, 6972), received(2, 8443), sent(2, 8443), untrusted(), failed()]
    fails = [*start, answered(1), got(2), answered(2, "200 OK")]
    assert (only(fails).port, only(fails).code) == (6972, "self-signed")
    passes_first = [*start, got(2), answered(2, "200 OK"), answered(1)]
    assert (only(passes_first).port, only(passes_first).code) == (6972, "self-signed")
    assert only(start).port == 8443  # undecided yet: the latest port


def test_two_ports_that_fail_together_are_distinguished_by_their_responses() -> None:
    events = [received(1, 6972), sent(1, 6972), received(2), sent(2), untrusted(), failed()]
    events += [untrusted("certificate has expired"), failed(), answered(1), answered(2)]
    assert [(finding.code, finding.port) for finding in find(log(events))] == [
        ("self-signed", 6972),
        ("expired", 8443),
    ]


def test_a_refused_port_beside_an_untrusted_one_is_still_unreachable() -> None:
    events = [*refused_by(untrusted(), failed(), port=6972), received(2), sent(2), answered(2)]
    assert [(finding.code, finding.port) for finding in find(log(events))] == [
        ("self-signed", 6972),
        ("unreachable", 8443),
    ]


def test_lines_of_two_threads_about_one_name_are_kept_apart() -> None:
    """Of two simultaneous attempts with different faults, each ERROR belongs to the WARNING of its own thread."""
    first = VerifyFailed(0, 1, NAME, "Terminate", SELF_SIGNED, NAME, IP, 0)
    second = VerifyFailed(0, 2, NAME, "Terminate", "certificate has expired", NAME, IP, 0)
    errors = [HandshakeFailed(0, thread, NAME, VERIFY_FAILED) for thread in (1, 2)]
    lines = log(refused_by(first, second, *errors))
    threads = [[line.partition("ET_NET ")[2][0] for line in finding.evidence] for finding in find(lines)]
    assert threads == [["1", "1"], ["2", "2"]]
    lost = log(refused_by(first, errors[1]))  # the WARNING's thread was damaged by copying
    (finding,) = find(lost)
    assert len(finding.evidence) == 2


def test_processes_have_transactions_of_their_own() -> None:
    writers = LineWriter("vcsc", 1), LineWriter("vcsc", 2)
    first, second = refused_by(untrusted(), failed(), port=6972), refused_by(untrusted(), failed(), port=8443)
    lines = [
        writer.format(event._replace(at=5.0))
        for pair in zip(first, second, strict=True)
        for writer, event in zip(writers, pair, strict=True)
    ]
    assert [finding.port for finding in find(lines)] == [6972, 8443]


def test_a_log_that_starts_in_the_middle() -> None:
    assert find(log([answered(1), answered(2, "504 Connection Timed Out")])) == ()
    finding = only([sent(1), untrusted(), failed(), answered(1)])
    assert (finding.code, finding.server, finding.port) == ("self-signed", NAME, 8443)
    finding = only([untrusted(), failed()])
    assert (finding.code, finding.ip, finding.port) == ("self-signed", IP, None)
    finding = only([failed("error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca")])
    assert (finding.code, finding.server, finding.ip, finding.port) == ("rejected-by-server", NAME, "", None)


def test_an_ipv6_server_is_shown_in_brackets() -> None:
    finding = only([received(1, host="2001:db8::1"), sent(1, ip="2001:db8::1"), answered(1)])
    assert finding.server == "2001:db8::1"
    assert "[2001:db8::1]:8443" in finding.cause


def test_lines_that_report_no_failure_are_ignored() -> None:
    events: list[Event] = [
        RequestAllowed(0, "emusk", "1", "GET", "https://a/", "https://a/", "prefix", "x"),
        RequestRejected(0, "127.0.0.1", 1, "Invalid method"),
    ]
    assert find(log(events)) == ()


def test_records_lines_text_and_a_running_diagnosis_agree() -> None:
    lines = golden("article-6972-untrusted.log")
    diagnosis = Diagnosis()
    seen = []
    for record in read(lines):
        diagnosis.add(record)
        seen.append(len(diagnosis.findings()))
    assert seen == [0, 0, 0, 1, 1, 1]
    assert diagnosis.findings() == find(lines) == find(read(lines)) == find("\n".join(lines))


def test_names_from_a_log_are_safe_on_a_terminal() -> None:
    name = "a\x1b[31m\n{server}"
    finding = only(refused_by(untrusted("x\x1b[2J\n", name=name), failed(name=name)))
    assert finding.server == name
    shown = [finding.cause, summary(finding), *(remedy.text + remedy.where for remedy in finding.remedies)]
    assert all(text.isprintable() for text in shown)


def test_the_summary_is_one_line() -> None:
    (finding,) = find(golden("article-6972-untrusted.log"))
    assert summary(finding).startswith("self-signed: cucm.steven.lab:6972 presented a self-signed certificate")
    assert summary(finding).endswith("(once, at 2022-07-11 16:55:26 UTC)")


def test_a_long_log_takes_linear_time() -> None:
    def make(size: int) -> bytes:
        events: list[Event] = []
        for txn in range(1, size // 600, 2):
            events += [received(txn, 6972), sent(txn, 6972), received(txn + 1), sent(txn + 1)]
            events += [untrusted(name=f"other{txn}"), failed(name=f"other{txn}")]
        return "".join(log(events)).encode()

    assert growth(lambda data: find(data.decode().splitlines(keepends=True)), make) < BOUND
