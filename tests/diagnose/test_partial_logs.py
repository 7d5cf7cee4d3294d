"""Incomplete logs: filtered lines, timestamps without year or zone, requests that never end."""

from __future__ import annotations

import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mralab.core.log.events import RequestSent, ResponseReceived
from mralab.core.log.reader import Record
from mralab.diagnose.diagnosis import Diagnosis
from mralab.show.diagnosis import diagnosis_text

from .test_conclusions import ADDRESSES, HOST, START, Log, archive, diagnosed, found, only

LINES = Log().untrusted().text.decode().splitlines()
RESPONSE = next(line for line in LINES if "Sending Response" in line)


def without(*words: str, lines: list[str] = LINES) -> list[str]:
    return [line for line in lines if not any(word in line for word in words)]


# --- filtered


@pytest.mark.parametrize("status", ["502 connect failed", "504 Connection Timed Out", "503 ", "429 Too Many Requests"])
def test_a_failed_response_alone_says_what_is_missing(status: str, tmp_path: Path) -> None:
    lines = [line.replace("502 connect failed", status) for line in LINES if "Sending Response" in line]
    (tmp_path / "a.log").write_text("\n".join(lines))
    result = diagnosed([tmp_path])
    assert found(result) == [("request-not-in-log", "", None, "missing-information")]
    assert "it shows neither the server nor what happened before" in result.findings[0].cause


def codes(folder: Path, lines: list[str]) -> list[tuple[str, int]]:
    (folder / "a.log").write_text("\n".join(lines))
    return [(one.code, one.count) for one in diagnosed([folder]).findings]


def test_a_response_after_the_lines_of_its_fault_is_explained(tmp_path: Path) -> None:
    lines = without("Receive Request", "Sending Request")
    assert codes(tmp_path, [*lines, *lines]) == [("self-signed", 2)]


def test_a_response_that_is_printed_twice_counts_once(tmp_path: Path) -> None:
    lines = without("ET_NET")
    assert codes(tmp_path, [*lines, RESPONSE]) == [("unreachable", 1)]


def test_a_log_without_any_line_of_tls_does_not_prove_that_the_connection_failed(tmp_path: Path) -> None:
    """A filter for Module= leaves out the WARNING and ERROR lines, and a refused certificate has the same 502."""
    (tmp_path / "a.log").write_text("\n".join(without("ET_NET")))
    filtered = only(diagnosed([tmp_path]))
    assert (filtered.code, filtered.confidence) == ("unreachable", "likely")
    assert "no [ET_NET ..] line" in filtered.confidence_reason
    assert "sure?  Likely: " in diagnosis_text(diagnosed([tmp_path]), 200)
    other = Log().untrusted(host="cucm2.example.test").text.decode()
    (tmp_path / "a.log").write_text("\n".join([*without("ET_NET"), other]))
    whole = next(one for one in diagnosed([tmp_path]).findings if one.code == "unreachable")
    assert whole.confidence == "certain"


@pytest.mark.parametrize("status", ["404", "401 Unauthorized", "200 "])
def test_other_responses_without_a_request_are_not_findings(status: str, tmp_path: Path) -> None:
    assert codes(tmp_path, [RESPONSE.replace("502 connect failed", status)]) == []


@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable", "500 Internal Server Error"])
def test_a_missing_receive_response_line_blames_no_server(status: str, tmp_path: Path) -> None:
    lines = [line.replace("502 connect failed", status) for line in without("ET_NET")]
    (tmp_path / "a.log").write_text("\n".join(lines))
    result = diagnosed([tmp_path])
    assert found(result) == [("answer-not-in-log", HOST, 8443, "missing-information")]


def test_a_failure_of_the_server_itself_is_not_a_finding_without_its_request(tmp_path: Path) -> None:
    log = Log().request().text.decode().replace("HTTP/1.1 200 ", "HTTP/1.1 503 ")
    assert codes(tmp_path, without("Receive Request", "Sending Request", lines=log.splitlines())) == []


def test_requests_that_never_end_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mralab.diagnose.diagnosis._MOST_REQUESTS", 100)
    diagnosis = Diagnosis()
    tracemalloc.start()
    try:
        for txn in range(20_000):
            if txn == 1000:
                before = tracemalloc.get_traced_memory()[0]
            for event in (
                RequestSent(1e9, txn, "", "192.0.2.1", 8443, "GET / HTTP/1.1"),
                ResponseReceived(1e9, txn + 1, "192.0.2.1", 8443, "HTTP/1.1 200 "),
            ):
                diagnosis.add(Record(event, "exp-c", 1, 1e9, txn, "x" * 500, "INFO"))
        assert tracemalloc.get_traced_memory()[0] - before < 500_000
    finally:
        tracemalloc.stop()


def test_a_request_whose_end_is_not_in_the_log(tmp_path: Path) -> None:
    """A log that was stopped too early is not called a good one."""
    start = [line for line in LINES if line][:2]
    (tmp_path / "a.log").write_text("\n".join(start))
    (check,) = diagnosed([tmp_path]).checks
    assert (check.category, check.subject) == ("missing-information", f"{HOST}:8443")
    assert check.text.startswith("1 request sent, and no line says what became of it")
    (tmp_path / "a.log").write_text(
        "\n".join([*start, *Log().request().text.decode().splitlines()]).replace('Txn-id="1"', 'Txn-id="9"', 2)
    )
    assert [one.category for one in diagnosed([tmp_path]).checks] == ["no-issue"]


# --- lines that come twice


def test_a_line_that_two_relays_deliver_counts_once(tmp_path: Path) -> None:
    lines = Log().untrusted().misnamed(host="imp.example.test").text.decode().splitlines()
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.write_text("\n".join(lines))
    twice.write_text("\n".join(line for line in lines for _ in range(2)))
    assert [(one.code, one.count, one.confidence) for one in diagnosed([twice]).findings] == [
        (one.code, one.count, one.confidence) for one in diagnosed([once]).findings
    ]


def test_lines_of_the_same_second_may_be_two(tmp_path: Path) -> None:
    lines = [line for line in LINES if "WARNING" in line]
    (tmp_path / "a.log").write_text("\n".join(re.sub(r"\.\d{3}", "", line) for line in lines * 2))
    assert only(diagnosed([tmp_path])).count == 2


# --- lines that were cut


CUT = Log().untrusted().misnamed(host="imp.example.test").untrusted(host="cucm2.example.test", port=6972)
REACHED = {(HOST, 8443), ("imp.example.test", 8443), ("cucm2.example.test", 6972), ("", None)}


@pytest.mark.parametrize("width", range(45, 400, 5))
def test_a_part_of_a_number_or_an_address_is_not_taken_for_the_whole(width: int, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(line[:width] for line in CUT.text.decode().splitlines()))
    for finding in diagnosed([tmp_path]).findings:
        known = {(server, port) for server, port in REACHED if port == finding.port or finding.port is None}
        server = next((name for name, ip in ADDRESSES.items() if finding.server in (name, ip)), finding.server)
        assert server in {name for name, _ in known}
        assert finding.ip in ("", ADDRESSES.get(server))
        assert finding.port or finding.confidence == "uncertain"


def test_a_port_that_was_cut_off_comes_from_the_token(tmp_path: Path) -> None:
    lines = [line.partition(" Dst-port")[0] if "Sending Request" in line else line for line in LINES]
    (tmp_path / "a.log").write_text("\n".join(lines))
    finding = only(diagnosed([tmp_path]))
    assert (finding.code, finding.server, finding.port) == ("self-signed", HOST, 8443)


def test_an_answer_to_a_request_without_a_port_is_that_of_its_own_line(tmp_path: Path) -> None:
    lines = Log().request().text.decode().splitlines()
    cut = [line.partition(" Dst-port")[0] for line in lines if "Sending Request" in line]
    (tmp_path / "a.log").write_text("\n".join([*cut, *lines[2:]]))
    (check,) = diagnosed([tmp_path]).checks
    assert check.subject == "192.0.2.11:8443"


# --- stamps


@pytest.mark.parametrize("hours", [-8, -5, 0, 5.5, 9])
@pytest.mark.parametrize("form", ["%b %d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])
def test_stamps_without_a_zone_are_local_time(hours: float, form: str, tmp_path: Path) -> None:
    """The offset follows from UTCTime, which lines of TLS do not have."""
    text = Log().request().untrusted().text.decode()
    text = re.sub(
        r"(?m)^2026-\S+",
        lambda match: (datetime.fromisoformat(match[0]) + timedelta(hours=hours)).strftime(form),
        text,
    )
    (tmp_path / "a.log").write_text(text)
    finding = only(diagnosed([tmp_path]))
    assert finding.last == datetime.fromtimestamp(START + 2, UTC)
    assert (finding.category, finding.port) == ("issue-found", 8443)
    assert "answered before" in finding.history[0]


def test_stamps_without_a_year_get_that_of_the_lines_before(tmp_path: Path) -> None:
    text = Log(at=datetime(2021, 12, 31, 23, 59, 57, tzinfo=UTC).timestamp())
    for _ in range(4):
        text.untrusted()
    lines = re.sub(
        r"(?m)^20\S+", lambda match: datetime.fromisoformat(match[0]).strftime("%b %d %H:%M:%S"), text.text.decode()
    )
    (tmp_path / "a.log").write_text(lines)
    finding = only(diagnosed([tmp_path]))
    assert finding.first == datetime(2021, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert finding.last == datetime(2022, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_a_stamp_without_a_year_is_not_in_the_future(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    later = now + timedelta(days=40)
    warning = next(line for line in LINES if "WARNING" in line)
    (tmp_path / "a.log").write_text(re.sub(r"^\S+", later.strftime("%b %d %H:%M:%S"), warning))
    last = only(diagnosed([tmp_path])).last
    assert last is not None
    assert last < now


# --- what is shown


def test_a_finding_without_a_server_is_not_certain(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(RESPONSE)
    finding = only(diagnosed([tmp_path]))
    assert (finding.error, finding.confidence, finding.confidence_reason) == (
        "502 connect failed", "uncertain", "the lines name no server",
    )  # fmt: skip
    assert "A client was answered 502 connect failed, and" in finding.cause


def test_very_long_texts_are_shortened_on_the_screen(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(LINES).replace("self signed certificate", "x" * 300_000))
    result = diagnosed([tmp_path])
    assert len(only(result).cause) < 2000
    assert len(diagnosis_text(result, 100).plain) < 20_000


def test_many_problems_are_counted(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG....")
    text = diagnosis_text(diagnosed([tmp_path]), 100).plain
    assert text.count("is a picture") == 20
    assert "- and 5 more; --json lists all" in text


def test_the_name_of_a_peer_is_case_insensitive(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(archive("EXP-C1", Log("EXP-C1").untrusted()))
    (tmp_path / "b.log").write_bytes(Log("exp-c1").untrusted().text)
    finding = only(diagnosed([tmp_path]))
    assert (finding.peers, finding.count) == (("EXP-C1",), 2)
