"""The journal: log lines, and the outcome of each request."""

from __future__ import annotations

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
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.core.outcome import Outcome
from mralab.diagnose.journal import Journal

NAME, IP = "cucm.steven.lab", "10.48.36.215"
VERIFY_ERROR = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
TOKEN = encode(Target("steven.lab", "https", NAME, 8443))


def received(txn: int) -> Event:
    return RequestReceived(1.0, txn, "t", "127.0.0.1", 5000 + txn, f"GET http://vcs_control/{TOKEN}/a b HTTP/1.1")


def allowed(txn: int) -> Event:
    url = f"https://{NAME}:8443/a"
    return RequestAllowed(1.0, "emusk", "1", "GET", url, f"https://{NAME}:8443/", "prefix", "x", txn)


def sent(txn: int) -> Event:
    return RequestSent(1.0, txn, "t", IP, 8443, "GET /a HTTP/1.1")


def answered(txn: int, status: str, outcome: Outcome, because: str = "") -> Event:
    return ResponseSent(1.5, txn, "127.0.0.1", 5000 + txn, f"HTTP/1.1 {status}", (), outcome, because)


def journal_of(*events: Event, most: int = 1000) -> Journal:
    journal = Journal("vcsc", 7, most=most)
    for event in events:
        journal.take(event)
    return journal


def test_lines_are_those_of_the_log() -> None:
    events = [received(1), allowed(1), sent(1)]
    writer = LineWriter("vcsc", 7)
    assert list(journal_of(*events).lines) == [writer.format(event).removesuffix("\n") for event in events]


def test_concurrent_requests_keep_their_own_faults() -> None:
    journal = journal_of(
        received(1),
        received(2),
        allowed(1),
        allowed(2),
        sent(1),
        sent(2),
        VerifyFailed(1.0, 0, NAME, "Terminate", "self signed certificate", NAME, IP, 0, 2),
        HandshakeFailed(1.0, 0, NAME, VERIFY_ERROR, 2),
        ResponseReceived(1.1, 1, IP, 8443, "HTTP/1.1 200 "),
        answered(1, "200 ", Outcome.PASSED),
        answered(2, "502 connect failed", Outcome.REFUSED),
    )
    first, second = journal.transactions
    assert (first.verdict, first.status, first.reason, first.faults) == ("passed", 200, "", [])
    assert (second.verdict, second.status, second.reason) == ("refused", 502, "connect failed")
    assert (second.faults, second.error) == (["self signed certificate"], VERIFY_ERROR)
    assert (second.server, second.ip, second.port, second.attempts, second.username) == (NAME, IP, 8443, 1, "emusk")
    assert second.seconds == 0.5
    assert [finding.code for finding in journal.findings] == ["self-signed"]


def test_each_end_of_a_request_has_its_outcome() -> None:
    mismatch = NameMismatch(1.0, 0, NAME, "Continue", NAME, IP, 3)
    journal = journal_of(
        received(1),
        RequestDenied(1.0, "", "1", "GET", f"https://{NAME}:8443/a", txn=1),
        answered(1, "403 Forbidden", Outcome.DENIED),
        received(2),
        allowed(2),
        sent(2),
        answered(2, "504 Connection Timed Out", Outcome.FAILED),
        received(3),
        allowed(3),
        sent(3),
        mismatch,
        ResponseReceived(1.1, 3, IP, 8443, "HTTP/1.1 200 OK"),
        answered(3, "200 OK", Outcome.TOLERATED),
        received(4),
    )
    assert [served.verdict for served in journal.transactions] == ["denied", "failed", "tolerated", "pending"]
    assert journal.transactions[0].denied == "Access denied: Not in allow list"
    assert (journal.transactions[0].server, journal.transactions[0].allowed) == ("", False)


def test_an_ipv6_server_is_named_without_brackets() -> None:
    allow = RequestAllowed(1.0, "", "1", "GET", "https://[2001:db8::1]:8443/a", "x", "prefix", "x", 1)
    (served,) = journal_of(received(1), allow).transactions
    assert (served.server, served.port) == ("2001:db8::1", 8443)


def test_a_journal_keeps_the_latest_lines_only() -> None:
    journal = journal_of(*(event for txn in range(50) for event in (received(txn), allowed(txn), sent(txn))), most=50)
    assert len(journal.lines) == 50
    assert [served.txn for served in journal.transactions] == list(range(40, 50))


def test_a_cleared_journal_is_empty_and_usable() -> None:
    journal = journal_of(received(1), allowed(1))
    journal.clear()
    journal.take(sent(1))
    journal.take(RequestRejected(2.0, "127.0.0.1", 1, "no request"))
    assert journal.transactions == ()
    assert len(journal.lines) == 2
