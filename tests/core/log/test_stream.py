"""Logs as bytes: skipping successes changes no finding, and no input raises or uses unbounded memory."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    LogEvent,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.quiet import Quiet
from mralab.core.log.reader import Record, read
from mralab.core.log.stream import LONGEST_LINE, Counts, LogReader
from mralab.core.log.writer import LineWriter
from mralab.diagnose.diagnosis import Diagnosis, find
from mralab.diagnose.findings import Findings

TESTS = Path(__file__).parents[2]
LOGS = sorted([*(TESTS / "golden").glob("*.log"), *(TESTS / "field").glob("*.log")])
HEAD = b"exp-c traffic_server[2030]: "
OTHERS = (
    '2026-01-29T14:01:16.974-05:00 exp-c tvcs: UTCTime="2026-01-29 19:01:16,974" Module="network.sip" Level="DEBUG":  '
    'Action="Received" Local-ip="127.0.0.1"',
    '2026-01-29T14:01:16.974-05:00 exp-c UTCTime="2026-01-29 19:01:16,974" Module="network.sip" Level="DEBUG":  '
    'Action="Received" Local-ip="192.0.2.7" Local-port="5061" Detail="the certificate of traffic"',
    "SIPMSG:",
    "|REGISTER sip:example.test SIP/2.0",
    "Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK1029924421739071400",
    "",
    "|",
    '2026-01-29T14:01:16.974-05:00 exp-c edgeconfigprovisioning: UTCTime="2026-01-29 19:01:16,974" '
    'Module="network.http.edgeconfigprovisioning" Level="DEBUG" Action="Sent" Request-url="https://c.example.test/x"',
    '2026-01-29T14:01:16.974-05:00 exp-c UTCTime="2026-01-29 19:01:16,974" Module="developer.xcp.cm" Detail="x"',
    "Jan 29 14:01:16 exp-c sshd[1]: traffic_server[2030]: [ET_NET 1] WARNING: SNI (a) not in certificate.",
    "<134>Jan 29 14:01:16 exp-c web: the certificate has been uploaded, Request ",
    "the certificate",
    "\u201ctraffic\u201d",
)
TOKEN = "ZXhhbXBsZS50ZXN0L2h0dHBzL2EuZXhhbXBsZS50ZXN0Lzg0NDM"
SERVERS = [("a.example.test", "192.0.2.1", 8443), ("b.example.test", "192.0.2.2", 6972)]
HEADERS = (("Host", "cucm.example.test:8443"), ("User-Agent", "WebEx/0.0.0.0"), ("Via", "https/1.1 vcs[0f] (ATS)"))


def stream(data: bytes, size: int = 1 << 20, **settings: object) -> tuple[list[Record], Counts]:
    reader = LogReader(**settings)  # type: ignore[arg-type]  # whatever the test wants
    records = [record for start in range(0, len(data), size) for record in reader.feed(data[start : start + size])]
    records += reader.close()
    return records, reader.counts


def slowly(data: bytes) -> list[Record]:
    return [*read(data.decode("utf-8", "replace").split("\n"))]


def diagnosed(records: Iterable[Record]) -> Findings:
    diagnosis = Diagnosis()
    for record in records:
        diagnosis.add(record)
    return diagnosis.findings()


# -- the same records


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
@pytest.mark.parametrize("size", [1, 100, 4096])
def test_a_log_is_read_as_its_lines_are(path: Path, size: int) -> None:
    data = path.read_bytes()
    records, counts = stream(data, size, block=size)
    assert records == slowly(data)
    assert counts == Counts(lines=len(data.splitlines()))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_skipping_successes_changes_no_finding(path: Path) -> None:
    data = path.read_bytes()
    records, _ = stream(data, skip_successes=True)
    assert diagnosed(records) == find(data.decode().split("\n"))


def transaction(number: int, random_: random.Random) -> list[Event]:
    """Draw a transaction that succeeds, or fails in one of several ways."""
    host, address, port = random_.choice(SERVERS)
    url = f"GET http://vcs_control.example.test:8443/{TOKEN}/{number} HTTP/1.1"
    at = 1.7e9 + number / 100
    events: list[Event] = [
        RequestReceived(at, number, "t", "127.0.0.1", 30000, url, HEADERS),
        RequestAllowed(
            at, "user", "1", "GET", f"https://{host}:{port}/{number}", f"https://{host}:{port}/", "prefix", "x"
        ),
        RequestSent(at, number, "t", address, port, f"GET /{number} HTTP/1.1", HEADERS),
    ]
    kind = random_.random()
    if kind < 0.02:
        events.append(VerifyFailed(at, 1, host, "Terminate", "self signed certificate", host, address, 0))
        error = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
        events.append(HandshakeFailed(at, 1, host, error))
        return [*events, ResponseSent(at, number, "127.0.0.1", 30000, "HTTP/1.1 502 connect failed", HEADERS)]
    if kind < 0.03:
        events.append(NameMismatch(at, 2, host, "Continue", host, address))
    if kind < 0.04:
        denied = RequestDenied(at, "user", "1", "GET", f"https://{host}:{port}/{number}")
        return [events[0], denied, ResponseSent(at, number, "127.0.0.1", 30000, "HTTP/1.1 403 Forbidden")]
    if kind < 0.05:
        return events
    status = "HTTP/1.1 401 " if kind < 0.06 else "HTTP/1.1 200 "
    return [
        *events,
        ResponseReceived(at, number, address, port, status, HEADERS),
        ResponseSent(at, number, "127.0.0.1", 30000, status, HEADERS),
    ]


def log(transactions: int, seed: int, *, debug: bool, processes: int = 1, at_once: int = 3) -> bytes:
    """Draw transactions of several processes, ``at_once`` interleaved, with lines of other modules between them."""
    random_ = random.Random(seed)
    writers = [LineWriter("exp-c", 2030 + each, debug, lambda _: 3600) for each in range(processes)]
    waiting = [(random_.choice(writers), transaction(1000 + each, random_)) for each in range(transactions)]
    running: list[tuple[LineWriter, list[Event]]] = []
    parts: list[str] = []
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
        writer, events = random_.choice(running)
        parts.append(writer.format(events.pop(0)))
        running = [each for each in running if each[1]]
        while random_.random() < 0.3:
            parts.append(random_.choice(OTHERS) + "\n")
    return "".join(parts).encode()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.booleans(), st.integers(1, 6), st.integers(1, 5000))
def test_every_record_is_the_same(seed: int, debug: bool, processes: int, size: int) -> None:
    data = log(60, seed, debug=debug, processes=processes)
    records, counts = stream(data, size, block=2000)
    assert records == slowly(data)
    assert counts == Counts(lines=data.count(b"\n"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.booleans(), st.integers(1, 6), st.integers(2000, 20000), st.sampled_from([6, 40]))
@example(7, False, 6, 2000, 6)  # a pending record adds a process in the middle of a run
def test_only_successes_are_left_out(seed: int, debug: bool, processes: int, block: int, at_once: int) -> None:
    data = log(200, seed, debug=debug, processes=processes, at_once=at_once)
    records, counts = stream(data, skip_successes=True, block=block, context=500)
    everything = slowly(data)
    assert counts.lines == data.count(b"\n")
    by_line = {record.line: record for record in everything}
    assert [record.line for record in records] == sorted(record.line for record in records)
    read_lines = {record.line for record in records}
    left_out = [record for record in everything if record.line not in read_lines]
    for record in records:  # the DEBUG twin is skipped, so the event has no headers
        assert record.event is None or type(record.event) is type(by_line[record.line].event)
    assert not [record for record in left_out if record.is_unread]
    for record in left_out:
        event = record.event
        assert isinstance(event, RequestReceived | RequestAllowed | RequestSent | ResponseReceived | ResponseSent)
        if isinstance(event, ResponseReceived | ResponseSent):
            assert event.start_line == "HTTP/1.1 200 "
    ended = {(record.pid, record.event.txn): record for record in everything if isinstance(record.event, ResponseSent)}
    for record in left_out:
        if isinstance(record.event, RequestReceived | RequestSent):
            end = ended[record.pid, record.event.txn]
            assert isinstance(end.event, ResponseSent)
            assert end.event.start_line == "HTTP/1.1 200 "
    begun = {
        (record.pid, record.event.txn)
        for record in records
        if isinstance(record.event, RequestReceived | RequestSent | ResponseReceived)
    }
    assert [key for key, record in ended.items() if key in begun and record.line not in read_lines] == []


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("processes", [1, 2, 6])
def test_findings_do_not_depend_on_the_successes(debug: bool, processes: int) -> None:
    data = log(1500, 7, debug=debug, processes=processes, at_once=8)
    records, counts = stream(data, skip_successes=True, block=1 << 16)
    assert diagnosed(records) == find(data.decode().split("\n"))
    assert counts.left_out > (100 if processes < 6 else -1)  # more processes than are kept apart at a time


def test_most_of_a_log_of_successes_gives_no_record() -> None:
    writer = LineWriter("exp-c", 2030, True, lambda _: 0)
    good = [event for number in range(2000) for event in transaction(number, random.Random(3))]
    data = "".join(map(writer.format, good)).encode()
    records, counts = stream(data, skip_successes=True)
    assert counts.left_out > 1900
    assert len(records) < 400
    everything = {record.event.dst_ip for record in records if isinstance(record.event, RequestSent)}
    assert everything == {"192.0.2.1"}


# -- quiet lines

LINES = [line for path in LOGS for line in path.read_bytes().splitlines(keepends=True)]
WRITTEN = log(40, 5, debug=True).splitlines(keepends=True)
NEIGHBOURS = [
    b'2026-01-29T14:01:16.974-05:00 exp-c edgeconfigprovisioning[7]: UTCTime="2014-09-25 17:46:20,92" '
    b'Module="network.http.edgeconfigprovisioning" Level="DEBUG" Action="Received" Request-url="https://c/x" '
    b"HTTPMSG: |HTTP/1.1 401 Unauthorized\n",
    b'2026-01-29T14:01:16.974-05:00 exp-c tvcs: Event="Sending HTTP error response" Status="403" Reason="Forbidden"\n',
    b'2026-01-29T14:01:16.974-05:00 exp-c x: UTCTime="2014-09-25 17:46:20,92" Detail="Authenticating user failed"\n',
]
ANY_LINE = st.sampled_from([*LINES, *WRITTEN, *NEIGHBOURS, *(f"{line}\n".encode() for line in OTHERS)])
PIECE = st.sampled_from(
    [
        *(b"", b'"', b"\\", b" ", b"\0", b"\r", b"</", b"=", b"502", b"INFO", b"DEBUG", b"x: ", b"exp-c ", b"HTTPMSG:"),
        *(b"traffic_server[2030]: ", b"[ET_NET 1] ", b"Action=Terminate ", b'Msg="', b"certificate", b"\xe2\x80\x9d"),
        *(b"&quot;", b"Jan 29 14:01:16 ", b"2026-01-29T14:01:16Z h ", b'{"a": "'),
    ]
)
CUTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60), PIECE), max_size=3)


def cut(line: bytes, cuts: Iterable[tuple[int, int, bytes]]) -> bytes:
    for start, length, piece in cuts:
        line = line[:start] + piece + line[start + length :]
    return line.replace(b"\n", b"") + b"\n"


@settings(max_examples=1500, deadline=None)
@given(ANY_LINE, CUTS)
def test_a_quiet_line_gives_no_record(line: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    line = cut(line, cuts)
    if Quiet().end(line, 0) == len(line):
        assert [*read([line.decode("utf-8", "replace")])] == []


@settings(max_examples=1500, deadline=None)
@given(ANY_LINE, CUTS)
def test_a_quiet_line_of_traffic_server_is_of_a_success(line: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    line = cut(line, cuts)
    if Quiet([HEAD]).end(line, 0) == len(line):
        for record in read([line.decode("utf-8", "replace")]):
            assert isinstance(
                record.event, RequestReceived | RequestAllowed | RequestSent | ResponseReceived | ResponseSent
            )
            if isinstance(record.event, ResponseReceived | ResponseSent):
                assert record.event.start_line.split(" ")[1][0] in "123"


def test_what_succeeds_is_quiet() -> None:
    good = [event for number in range(5) for event in transaction(number, random.Random(3))]
    for debug in (False, True):
        data = "".join(map(LineWriter("exp-c", 2030, debug, lambda _: 0).format, good)).encode()
        assert Quiet([HEAD]).end(data, 0) == len(data)
        assert Quiet().end(data, 0) == 0
        assert Quiet([b"exp-d traffic_server[2030]: "]).end(data, 0) == 0
        windows = data.replace(b"\n", b"\r\n")
        assert Quiet([HEAD]).end(windows, 0) == len(windows)


def test_a_client_cannot_end_another_s_transaction() -> None:
    spoof = 'UTCTime="2026-01-29 19:01:16,974" Module="network.http.trafficserver" Level="INFO": '
    spoof = f'2026-01-29T14:01:16.974Z exp-c traffic_server[2030]: {spoof}Detail="Sending Response" Txn-id="1000"'
    header = f" X-A: {spoof}\n".encode()
    writer = LineWriter("exp-c", 2030, True, lambda _: 0)
    good = transaction(7, random.Random(3))
    data = "".join(map(writer.format, good)).encode().replace(b" User-Agent", header + b" User-Agent", 1)
    assert Quiet([HEAD]).end(data, 0) < data.index(header)


# -- other content of files

UNTRUSTED = (TESTS / "golden" / "article-6972-untrusted.log").read_bytes()
EVENTS = [record.event for record in slowly(UNTRUSTED)]


def events_of(data: bytes, size: int = 1 << 20) -> list[LogEvent | None]:
    return [record.event for record in stream(data, size)[0]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings(encoding: str, size: int, end: str) -> None:
    data = UNTRUSTED.decode().replace("\n", end).encode(encoding)
    assert events_of(data, size) == EVENTS
    assert events_of(b"\xfe\xff" + data if encoding == "utf-16-be" else data) == EVENTS


def test_bytes_that_are_not_utf_8() -> None:
    head = b"2026-01-29T14:01:16.974-05:00 exp-c traffic_server[1]: "
    data = head + b'Event="Request Denied" Detail="Access denied" Reason="Not in allow list" Username="M\xfcller"\n'
    (event,) = events_of(data)
    assert isinstance(event, RequestDenied)
    assert event.username == "M\xfcller"


@pytest.mark.parametrize("nuls", [b"\0" * 4096, b"\0\n\0\0\n", b"\0" * 3_000_000 + b"\n"])
def test_nul_bytes(nuls: bytes) -> None:
    first, *rest = UNTRUSTED.splitlines(keepends=True)
    assert events_of(first + nuls + b"".join(rest))[:1] == EVENTS[:1]
    assert events_of(first + nuls + b"".join(rest))[-4:] == EVENTS[-4:]


def test_binary_data_is_counted_and_hides_nothing() -> None:
    noise = random.Random(1).randbytes(200_000)
    records, counts = stream(UNTRUSTED + noise + b"\n" + UNTRUSTED)
    assert [record.event for record in records] == EVENTS * 2
    assert not [record for record in records if record.is_unread]
    assert 500 < counts.binary < 900
    assert counts.lines == (UNTRUSTED + noise + b"\n" + UNTRUSTED).count(b"\n")


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 5_000_000])
@pytest.mark.parametrize("skip_successes", [False, True])
def test_a_line_that_does_not_end_is_cut_and_counted(size: int, skip_successes: bool) -> None:
    mass = b"x" * (3 * LONGEST_LINE)
    records, counts = stream(UNTRUSTED + mass + b"\n" + UNTRUSTED + mass, size, skip_successes=skip_successes)
    assert [record.event for record in records] == EVENTS * 2
    assert [record.line for record in records] == [*range(1, 7), *range(8, 14)]
    assert counts == Counts(lines=14, cut=2)


def elements(form: str) -> list[str]:
    lines = UNTRUSTED.decode().splitlines() * 1500
    if form == "objects":
        return [json.dumps({"_source": {"message": line}, "sort": [1]}) for line in lines]
    if form == "payloads":
        of_journal = {"SYSLOG_IDENTIFIER": "traffic_server", "_PID": "2030"}
        return [json.dumps({**of_journal, "MESSAGE": line.partition("]: ")[2]}) for line in lines]
    return [json.dumps({"tags": ["a", {"b": {}}], "log": f"{line}\n"}) for line in lines]


@pytest.mark.parametrize("form", ["objects", "payloads", "texts"])
@pytest.mark.parametrize("frame", [("[", "]"), ('{"took": 7, "hits": {"hits": [', "]}}")])
@pytest.mark.parametrize("skip_successes", [False, True])
def test_a_document_in_one_long_line_is_read_in_parts(form: str, frame: tuple[str, str], skip_successes: bool) -> None:
    if form == "payloads" and frame[0] != "[":
        return  # the process of a part may be outside of it
    data = f"{frame[0]}{', '.join(elements(form))}{frame[1]}".encode()
    assert len(data) > 2 * LONGEST_LINE
    records, counts = stream(data + b"\n" + UNTRUSTED, skip_successes=skip_successes)
    assert counts == Counts(lines=7, cut=0)
    assert {record.line for record in records} == {1, *range(2, 8)}
    assert [type(record.event) for record in records] == [type(event) for event in EVENTS * 1501]


@pytest.mark.parametrize(
    "head", ["", "exp-c ", "2026-01-29T14:01:16.974-05:00 ", "2026-01-29T14:01:16.974-05:00 exp-c "]
)
def test_a_level_is_no_process(head: str) -> None:
    line = f"{head}WARNING: SNI (a) not in certificate. Action=Terminate server=a(192.0.2.1)\n"
    assert [type(event) for event in events_of(line.encode())] == [NameMismatch]


def test_most_lines_of_an_expressway_are_never_decoded() -> None:
    sip, *others = OTHERS[1:3]
    data = f"{sip}\n{others[0]}\n".encode() * 10
    assert Quiet().end(data, 0) == len(data)
    for module in ("network.http.trafficserver", "network.http.edgeconfigprovisioning"):
        assert Quiet().end(sip.replace("network.sip", module).encode() + b"\n", 0) == 0


def test_a_line_without_an_end_takes_no_more_memory() -> None:
    reader = LogReader()
    for _ in itertools.repeat(None, 300):
        reader.feed(b"traffic_server " * 70_000)
        assert sum(map(len, reader._buffer)) <= 2 * LONGEST_LINE
    reader.close()
    assert reader.counts.cut == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=300) | ANY_LINE, max_size=12), st.booleans(), st.integers(1, 300))
def test_nothing_raises(parts: list[bytes], skip_successes: bool, size: int) -> None:
    data = b"".join(parts)
    _, counts = stream(data, size, skip_successes=skip_successes, block=size)
    assert counts.cut == 0


def test_a_403_in_a_log_that_was_cut_at_its_start() -> None:
    data = (TESTS / "field" / "10-403-no-event.log").read_bytes().splitlines(keepends=True)[-1]
    (event,) = events_of(data)
    assert isinstance(event, ResponseSent)
    assert event.start_line == "HTTP/1.1 403 Forbidden"
