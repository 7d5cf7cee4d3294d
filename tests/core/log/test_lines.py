"""Log lines: golden lines are parsed, written lines are read back, and no value escapes its field."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mralab.core.log.escape import KINDS, escape, escape_field, unescape
from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    LogEvent,
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
from mralab.core.log.reader import Record, read
from mralab.core.log.writer import CONCEALED, LineWriter, is_secret

GOLDEN = Path(__file__).parents[2] / "golden"

TOKEN_6972 = "c3RldmVuLmxhYi9odHRwcy9jdWNtLnN0ZXZlbi5sYWIvNjk3Mg"
URL = f"GET http://vcs_control.steven.lab:8443/{TOKEN_6972}/CSFemusk.cnf.xml HTTP/1.1"
TRACKING = "bb0c8492-8c15-4537-a7d1-082dde781dbd"
VERIFY_ERROR = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
UNTRUSTED: list[Event] = [
    RequestReceived(1657558526.0, 191, TRACKING, "127.0.0.1", 35766, URL),
    RequestSent(1657558526.006, 191, TRACKING, "10.48.36.215", 6972, "GET /CSFemusk.cnf.xml HTTP/1.1"),
    RequestSent(1657558526.016, 191, TRACKING, "10.48.36.215", 6972, "GET /CSFemusk.cnf.xml HTTP/1.1"),
    VerifyFailed(
        1657558526.016,
        0,
        "cucm.steven.lab",
        "Terminate",
        "self signed certificate",
        "cucm.steven.lab",
        "10.48.36.215",
        0,
    ),
    HandshakeFailed(1657558526.016, 0, "cucm.steven.lab", VERIFY_ERROR),
    ResponseSent(1657558526.024, 191, "127.0.0.1", 35766, "HTTP/1.1 502 connect failed"),
]


def golden(name: str) -> list[str]:
    with (GOLDEN / name).open(encoding="latin-1", newline="") as file:
        return list(file)


def summer(_: float) -> int:
    return 7200


def one(line: str) -> Record:
    (record,) = read([line])
    return record


def event_of(line: str) -> LogEvent | None:
    return one(line).event


# -- golden lines


def test_the_article_s_refused_transaction_is_read_event_by_event() -> None:
    records = list(read(golden("article-6972-untrusted.log")))
    assert [record.event for record in records] == UNTRUSTED
    assert {(record.hostname, record.pid) for record in records} == {("vcsc", 18242)}
    assert [record.level for record in records] == ["INFO"] * 3 + ["WARNING", "ERROR", "INFO"]
    assert [record.line for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record.text + "\n" for record in records] == golden("article-6972-untrusted.log")
    assert records[0].at == 1657558526.0


def test_the_article_s_refused_transaction_is_written_as_it_is_printed() -> None:
    writer = LineWriter("vcsc", 18242, utc_offset=summer)
    assert [writer.format(event) for event in UNTRUSTED] == golden("article-6972-untrusted.log")


def test_the_article_s_good_transaction_is_written_as_printed_blemishes_aside() -> None:
    lines = golden("article-8443-success.log")
    writer = LineWriter("vcsc", 18242, utc_offset=summer)
    written = [writer.format(record.event) for record in read(lines) if isinstance(record.event, Event)]
    # The article lost a quote, printed one response with the server's address as Src, and its stamps are up to a
    # millisecond behind UTCTime: ours are equal.
    expected = [line.replace('TrackingID=" Src', 'TrackingID="" Src') for line in lines]
    expected[5] = expected[5].replace("Src-", "Dst-")
    assert [line.split(" ", 1)[1] for line in written] == [line.split(" ", 1)[1] for line in expected]


def test_a_response_whose_tracking_id_lost_its_quote_keeps_its_address() -> None:
    received, again, odd, sent = [record.event for record in read(golden("article-8443-success.log"))][3:]
    assert received == again == ResponseReceived(1657558525.955, 189, "10.48.36.215", 8443, "HTTP/1.1 200 ")
    assert odd == ResponseSent(1657558525.955, 189, "10.48.36.215", 8443, "HTTP/1.1 200 ")
    assert sent == ResponseSent(1657558525.955, 189, "127.0.0.1", 35764, "HTTP/1.1 200 ")


def test_the_article_s_debug_lines_become_the_events_of_their_transaction() -> None:
    received, sent, mismatch, failed = read(golden("article-8443-name-mismatch-debug.log"))
    assert isinstance(received.event, RequestReceived)
    assert received.event.start_line.endswith("/cucm-uds/user/emusk/devices?max=100 HTTP/1.1")
    assert received.level == "DEBUG"
    assert sent.event == RequestSent(
        1657561741.478,
        144,
        "0a334fa8-41e9-4b97-adf4-e165372c38cb",
        "10.48.36.215",
        8443,
        "GET /cucm-uds/user/emusk/devices?max=100 HTTP/1.1",
    )
    assert (sent.level, sent.line, mismatch.line) == ("INFO", 4, 9)
    ip = "10.48.36.215"
    assert mismatch.event == NameMismatch(1657561741.491, 2, ip, "Terminate", ip, ip)
    assert failed.event == HandshakeFailed(1657561741.491, 2, ip, VERIFY_ERROR)


def test_an_httpmsg_block_gives_its_headers_and_the_error_after_it_needs_no_blanks() -> None:
    sent, failed = read(golden("debug-httpmsg-layout.log"))
    assert isinstance(sent.event, RequestSent)
    assert sent.event.start_line == "GET /CSFmarcoalh.cnf.xml HTTP/1.1"
    assert sent.event.headers[:3] == (
        ("Host", "expc.cisco.com:6972"),
        ("Accept", "*/*"),
        ("Cookie", CONCEALED),
    )
    assert len(sent.event.headers) == 8
    assert sent.event.at == 1769713276.974
    assert failed.event == HandshakeFailed(
        1769713276.974,
        1,
        "expc.cisco.com",
        "error:14094418: SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca",
    )


def test_the_httpmsg_block_is_laid_out_as_published() -> None:
    lines = golden("debug-httpmsg-layout.log")
    sent, _ = read(lines)
    assert isinstance(sent.event, RequestSent)
    text = LineWriter("exp-c", 2030, debug=True, utc_offset=lambda _: -18000).format(sent.event)
    info, twin = text.split("\n", 1)
    assert info == lines[0].rstrip("\n").replace("DEBUG", "INFO") + 'Msg="GET /CSFmarcoalh.cnf.xml HTTP/1.1"'
    assert twin == "".join(lines[:14])


def test_a_response_body_of_another_log_is_not_ours() -> None:
    assert list(read(golden("get-edge-config-response.txt"))) == []


# -- writing


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (
            RequestAllowed(0, "emusk", "1", "GET", "https://a/b", "https://a/", "prefix", "Some rule"),
            'Event="Request Allowed" Detail="Access allowed" Reason="In allow list" Username="emusk" '
            'Deployment="1" Method="GET" Request="https://a/b" Rule="https://a/" Match="prefix" Type="Some rule" '
            'UTCTime="1970-01-01 00:00:00,000"',
        ),
        (
            RequestDenied(0, "", "1", "POST", "https://a/b"),
            'Event="Request Denied" Detail="Access denied" Reason="Not in allow list" Username="" '
            'Deployment="1" Method="POST" Request="https://a/b" UTCTime="1970-01-01 00:00:00,000"',
        ),
        (
            RequestRejected(0, "127.0.0.1", 5, "Invalid method"),
            'Event="Request Rejected" Detail="Malformed request" Reason="Invalid method" Src-ip="127.0.0.1" '
            'Src-port="5" UTCTime="1970-01-01 00:00:00,000"',
        ),
    ],
)
def test_utctime_is_the_last_field_of_event_lines(event: Event, payload: str) -> None:
    writer = LineWriter("vcsc", 7, utc_offset=lambda _: 0)
    assert writer.format(event) == f"1970-01-01T00:00:00.000+00:00 vcsc traffic_server[7]: {payload}\n"


@pytest.mark.parametrize(
    ("offset", "stamp"),
    [
        (7200, "2022-07-11T18:55:26.016+02:00"),
        (-18000, "2022-07-11T11:55:26.016-05:00"),
        (20700, "2022-07-11T22:40:26.016+05:45"),
        (-12600, "2022-07-11T13:25:26.016-03:30"),
        (0, "2022-07-11T16:55:26.016+00:00"),
    ],
)
def test_timestamps_are_local_and_have_an_offset(offset: int, stamp: str) -> None:
    line = LineWriter("vcsc", 1, utc_offset=lambda _: offset).format(UNTRUSTED[3])
    assert line.startswith(stamp + " vcsc ")
    assert one(line).at == 1657558526.016


def test_the_utc_offset_is_determined_once_a_second() -> None:
    asked: list[float] = []

    def offset(second: float) -> int:
        asked.append(second)
        return 3600 if second < 1000 else 7200

    writer = LineWriter("vcsc", 1, utc_offset=offset)
    stamps = [writer.format(RequestRejected(at, "", 0, ""))[:29] for at in (999.1, 999.9994, 999.9996, 1000.5)]
    assert asked == [999, 1000]
    assert stamps[1:3] == ["1970-01-01T01:16:39.999+01:00", "1970-01-01T02:16:40.000+02:00"]


def test_the_machine_s_offset_is_the_default() -> None:
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(1657558526))
    assert LineWriter("vcsc", 1).format(UNTRUSTED[0]).startswith(local)


def test_without_headers_or_without_debug_there_is_no_twin() -> None:
    bare = RequestSent(0, 1, "", "10.0.0.1", 8443, "GET / HTTP/1.1")
    full = bare._replace(headers=(("Host", "a"),))
    assert LineWriter("vcsc", 1, debug=True).format(bare).count("\n") == 1
    assert LineWriter("vcsc", 1).format(full).count("\n") == 1


@pytest.mark.parametrize(
    "name",
    [
        "Cookie",
        "cookie",
        "Set-Cookie",
        "Authorization",
        "Proxy-Authorization",
        "X-Auth",
        "x-auth-token",
        "X-API-Key",
        "Auth",
        "Authentication-Info",
        "X-CSRF",
        "X-JWT",
        "X-Session-Id",
        "JSESSIONID",
        "SAMLResponse",
        "X-Credentials",
        "X-Amz-Signature",
        "Private-Key",
        "X-Access-Key",
        "X-OTP",
    ],
)
def test_secrets_are_concealed(name: str) -> None:
    event = RequestSent(0, 1, "", "10.0.0.1", 8443, "GET / HTTP/1.1", ((name, "hunter2"), ("Accept", "*/*")))
    text = LineWriter("vcsc", 1, debug=True).format(event)
    assert f"\n {name}:{CONCEALED}\n Accept: */*\n" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "name", ["TrackingID", "Host", "User-Agent", "Content-Type", "WWW-Authenticate", "Via", "Keep-Alive"]
)
def test_other_headers_are_not_concealed(name: str) -> None:
    assert not is_secret(name)


# -- escaping


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('say "hi"', r"say \"hi\""),
        ("a\\b", r"a\\b"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\x00\x1b[31m\x7f", r"\x00\x1B[31m\x7F"),
        ("caf\xe9\x85\xa0", r"caf\xE9\x85\xA0"),
        ("\u2028\U0001f600", r"\u{2028}\u{1F600}"),
        ("/a/../b?c=%0d%0a&d=(e) 'f'", "/a/../b?c=%0d%0a&d=(e) 'f'"),
    ],
)
def test_escapes(text: str, written: str) -> None:
    assert escape(text) == written
    assert unescape(written) == text


@pytest.mark.parametrize(
    "foreign", [r"STEVEN\emusk", r"DOMAIN\user", r"a\x4", r"a\u20AC", r"C:\temp\nul\dir", "a\\", r"\x0a"]
)
def test_foreign_backslashes_stay(foreign: str) -> None:
    assert unescape(foreign) == foreign


@given(st.text())
def test_what_is_escaped_comes_back(text: str) -> None:
    assert escape(text).isascii()
    assert escape(text).isprintable()
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("kind", list(KINDS))
def test_escaping_takes_no_call_for_each_character(kind: str) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        written = escape_field('\xff\x00"\\ =' * 1000, kind)
    finally:
        sys.setprofile(before)
    assert written.startswith("\\xFF\\x00")
    assert calls < 50


# -- round trip and injection

texts = st.one_of(
    st.text(st.characters(max_codepoint=0xFF)),
    st.text(),
    st.lists(
        st.sampled_from(
            [
                *(
                    '"',
                    "\\",
                    "'",
                    "\r\n",
                    "\n",
                    "=",
                    " ",
                    ":",
                    "|",
                    "(",
                    ")",
                    "\x85",
                    "\u2028",
                    "x",
                    "Msg=",
                    "\\n",
                ),
                *('Msg="', "HTTPMSG:", "[ET_NET 0] ", 'Detail="Sending Response"', '" Dst-port="1'),
                *(" server=evil(6.6.6.6) depth=9", ") not in certificate. Action=Continue"),
                "2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: ",
            ]
        )
    ).map("".join),
)
ports = st.integers(0, 65535)
numbers = st.integers(0, 2**53)
moments = st.floats(0, 4e9)
headers = st.lists(st.tuples(texts.filter(bool), texts), max_size=4).map(tuple)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(RequestReceived, moments, numbers, texts, texts, ports, texts, headers, texts),
    st.builds(RequestAllowed, moments, *[texts] * 7),
    st.builds(RequestDenied, moments, *[texts] * 6),
    st.builds(RequestRejected, moments, texts, ports, texts),
    st.builds(RequestSent, moments, numbers, texts, texts, ports, texts, headers),
    st.builds(VerifyFailed, moments, ports, *[texts] * 5, st.integers(-1, 100)),
    st.builds(NameMismatch, moments, ports, *[texts] * 4),
    st.builds(HandshakeFailed, moments, ports, texts, texts),
    st.builds(ResponseReceived, moments, numbers, texts, ports, texts, headers),
    st.builds(ResponseSent, moments, numbers, texts, ports, texts, headers),
)


def as_logged(event: Event, debug: bool) -> Event:
    """Return an event as its lines show it: in milliseconds, with headers at DEBUG only and no secrets, few Txn-ids."""
    event = event._replace(at=int(event.at * 1000 + 0.5) / 1000)
    if isinstance(event, RequestReceived | RequestSent | ResponseReceived | ResponseSent):
        shown = tuple((name, CONCEALED if is_secret(name) else value) for name, value in event.headers)
        event = event._replace(headers=shown if debug else ())
    else:
        event = event._replace(txn=0)  # these lines have no Txn-id
    # No line has the fields that only the data plane knows.
    unlogged: dict[str, Any] = {
        "nearest": "",
        "unlisted": False,
        "dial": "",
        "presented": (),
        "outcome": None,
        "because": "",
    }
    return event._replace(**{name: value for name, value in unlogged.items() if name in event._fields})


@pytest.mark.parametrize(
    "event",
    [
        NameMismatch(0, 0, "null", "Terminate", "null", "null"),
        VerifyFailed(0, 0, "null", "Terminate", "no (null) issuer", "null", "null", 0),
        HandshakeFailed(0, 0, "null", "(null)"),
    ],
)
def test_a_host_called_null_is_not_read_as_an_absent_name(event: Event) -> None:
    assert event_of(LineWriter("vcsc", 1).format(event)) == event


@settings(max_examples=400)
@given(st.lists(events, max_size=4), st.booleans())
@example([RequestSent(0, 0, "Msg=", "", 0, "", (("|", ""),))], True)
@example([RequestReceived(0, 0, '" Src-ip="6.6.6.6', "1.1.1.1", 0, '" Txn-id="9', ())], False)
def test_what_is_written_is_read_back_and_stays_in_its_line(written: list[Event], debug: bool) -> None:
    writer = LineWriter("vcsc", 18242, debug, utc_offset=summer)
    texts = [writer.format(event) for event in written]
    for event, text in zip(written, texts, strict=True):
        held = getattr(event, "headers", ()) if debug else ()
        assert text.count("\n") == (6 + len(held) + 1 if held else 1)
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
    assert [record.event for record in read("".join(texts).splitlines(keepends=True))] == [
        as_logged(event, debug) for event in written
    ]


def test_a_name_cannot_imitate_the_rest_of_its_line() -> None:
    name = "a). Action=Continue Error=none server=b(1.1.1.1) depth=9 '"
    line = LineWriter("vcsc", 1).format(VerifyFailed(0, 0, name, "Terminate", "e", name, "10.0.0.1", 0))
    assert line.count("Action=") == line.count("server=") == line.count("depth=") == 1
    assert line.count("(") == 2
    assert r"a\x29.\x20Action\x3DContinue" in line


def test_a_hostname_cannot_imitate_the_rest_of_its_line() -> None:
    record = one(LineWriter("a b[1]: \n", 1).format(UNTRUSTED[0]))
    assert (record.hostname, record.event) == ("a b[1]: \n", UNTRUSTED[0])


# -- damage

WARNING = (
    "[ET_NET 12] WARNING: Core server certificate verification failed for (cucm.steven.lab). Action=Terminate "
    "Error=self-signed certificate server=cucm.steven.lab(2001:db8::1) depth=0"
)


def test_threads_addresses_and_wording_of_newer_builds() -> None:
    event = event_of(f"2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: {WARNING}\r\n")
    assert event == VerifyFailed(
        1657558526.016,
        12,
        "cucm.steven.lab",
        "Terminate",
        "self-signed certificate",
        "cucm.steven.lab",
        "2001:db8::1",
        0,
    )


def test_lost_blanks() -> None:
    event = event_of("2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]:" + WARNING.replace(": ", ":"))
    assert isinstance(event, VerifyFailed)
    assert (event.name, event.thread, event.depth) == ("cucm.steven.lab", 12, 0)
    line = golden("article-6972-untrusted.log")[1].replace('" ', '"').replace(": ", ":")
    assert event_of(line) == UNTRUSTED[1]


@pytest.mark.parametrize("quotes", ["\u201c|\u201d", "\u201e|\u201c", "\u2033|\u2033", "\xe2\x80\x9c|\xe2\x80\x9d"])
def test_typographic_quotes(quotes: str) -> None:
    left, _, right = quotes.partition("|")
    line = re.sub('"([^"]*)"', rf"{left}\1{right}", golden("article-6972-untrusted.log")[1])
    assert event_of(line) == UNTRUSTED[1]
    line = golden("article-6972-untrusted.log")[4].replace("'", "\u2019", 1).replace("'", "\u2018")
    assert event_of(line) == UNTRUSTED[4]


def test_the_form_of_2014() -> None:
    line = (
        'ExpresswayC traffic_server[15550]: Module="network.http.trafficserver" Level="INFO": '
        'Detail="Receive Request" Txn-id="2" Src-ip="10.48.79.80" Src-port="50314" Msg="GET / HTTP/1.1"'
    )
    record = one(line)
    assert record.event == RequestReceived(0, 2, "", "10.48.79.80", 50314, "GET / HTTP/1.1")
    assert (record.hostname, record.pid, record.at) == ("ExpresswayC", 15550, 0.0)
    assert event_of(line.removeprefix("ExpresswayC ")) == record.event
    inline = line.replace("INFO", "DEBUG").replace('Msg="GET / HTTP/1.1"', "HTTPMSG: |GET / HTTP/1.1")
    assert event_of(inline) == record.event
    with_stamp = one("Sep 25 17:46:20 " + line)
    assert with_stamp.at == 23132780
    assert next(read(["Sep 25 17:46:20 " + line], year=2014)).at == 1411667180


def test_diags_log_of_stock_traffic_server() -> None:
    (record,) = read([f"[Nov 23 20:31:19.123] {WARNING}\n"], year=2026)
    assert isinstance(record.event, VerifyFailed)
    assert (record.event.at, record.at, record.pid, record.level) == (1795465879.123,) * 2 + (0, "WARNING")


def test_a_line_without_a_stamp_has_the_time_of_the_one_before() -> None:
    lines = [golden("article-6972-untrusted.log")[0], f"traffic_server[1]: {WARNING}"]
    assert [record.at for record in read(lines)] == [1657558526.0] * 2


def test_a_line_without_a_stamp_has_the_utctime_of_the_one_before() -> None:
    lines = [line.partition("]: ")[2] for line in golden("article-6972-untrusted.log")]
    assert {int(record.event.at) for record in read(lines) if record.event} == {1657558526}


def test_unescaped_quotes_and_backslashes() -> None:
    line = golden("article-8443-success.log")[1].replace('"emusk"', r'"STEVEN\emusk"')
    event = event_of(line)
    assert isinstance(event, RequestAllowed)
    assert event.username == r"STEVEN\emusk"
    event = event_of(line.replace("emusk/devices", 'emusk/"quoted"'))
    assert isinstance(event, RequestAllowed)
    assert event.url == 'https://cucm.steven.lab:8443/cucm-uds/user/emusk/"quoted"'


def test_damaged_numbers_and_dates_do_not_stop_the_reader() -> None:
    line = golden("article-6972-untrusted.log")[1]
    event = event_of(line.replace('"6972"', '"x"').replace('"191"', '"' + "9" * 5000 + '"'))
    assert isinstance(event, RequestSent)
    assert event.dst_port == 0
    event = event_of(line.replace("2022-07-11", "2022-99-99"))
    assert isinstance(event, RequestSent)
    assert event.at == 0.0


def test_lines_of_other_processes_are_skipped_and_end_a_block() -> None:
    twin = golden("debug-httpmsg-layout.log")
    other = "2026-01-29T14:01:16.974-05:00 exp-c sshd[1]: traffic_server[2]: [ET_NET 0] WARNING: SNI (a)\n"
    records = list(read([other, *twin[:5], other, *twin[5:], "Jan 29 14:01:16 exp-c cron[2]: x: y\n"]))
    assert [type(record.event) for record in records] == [RequestSent, HandshakeFailed]
    assert isinstance(records[0].event, RequestSent)
    assert [name for name, _ in records[0].event.headers] == ["Host", "Accept"]


def test_a_block_survives_lost_pipes_and_a_lost_end() -> None:
    lines = [line.replace("|", "") for line in golden("debug-httpmsg-layout.log") if line.strip(" \n|")]
    sent, failed = read(lines)
    assert isinstance(sent.event, RequestSent)
    assert sent.event.start_line == "GET /CSFmarcoalh.cnf.xml HTTP/1.1"
    assert len(sent.event.headers) == 8
    assert isinstance(failed.event, HandshakeFailed)


def test_unknown_lines_of_traffic_server_are_records_without_event() -> None:
    head = "2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: "
    for payload, level in (
        ("[ET_NET 0] WARNING: scheme [https] vs. protocol [plaintext] mismatch", "WARNING"),
        ("[TS_MAIN] FATAL: no", "ERROR"),
        ("[ET_NET 0] NOTE: loading", "INFO"),
        ('Event="Sending HTTP response" Status="403"', "INFO"),
        ("", "INFO"),
    ):
        record = one(head + payload)
        assert (record.event, record.level, record.text) == (None, level, head + payload)


@given(st.lists(st.text() | st.binary().map(lambda data: data.decode("latin-1"))))
def test_rubbish_never_raises(lines: list[str]) -> None:
    list(read(lines))


@settings(max_examples=300)
@given(
    st.sampled_from([line for path in sorted(GOLDEN.glob("*.log")) for line in golden(path.name)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40), texts), max_size=3),
)
@example(golden("article-8443-name-mismatch-debug.log")[4], [(58, 0, "Msg=")])
def test_damaged_golden_lines_never_raise(line: str, cuts: list[tuple[int, int, str]]) -> None:
    for start, length, text in cuts:
        line = line[:start] + text + line[start + length :]
    list(read([line, *golden("debug-httpmsg-layout.log")[1:4]]))


SIZE = 300_000


@pytest.mark.parametrize(
    "filling",
    [
        "x",
        '"',
        "\\",
        " ",
        "(",
        " server=",
        ' Msg="',
        '\\"',
        "Detail=",
        "Txn-id  ",
        "\n ",
        "[",
        "=",
        "\u201c",
        " a:",
        "|",
    ],
)
def test_gigantic_lines_are_read_in_linear_time(filling: str) -> None:
    mass = filling * (SIZE // len(filling))
    head = "2022-07-11T18:55:26.016+02:00 vcsc traffic_server[1]: "
    lines = golden("article-6972-untrusted.log")
    for line in (
        mass,
        "traffic_server[1]" + mass,
        head + mass,
        head + WARNING.replace("self-signed", mass),
        lines[0].replace(TRACKING, mass),
        lines[0].replace("INFO", mass),
        lines[4].replace("cucm", mass),
        f"{lines[1].split('Msg')[0].replace('INFO', 'DEBUG')}\nHTTPMSG:\n|{mass}\n {mass}\n",
    ):
        list(read([line]))  # in quadratic time this would take very long; tests/fuzz/test_growth.py measures the growth


def test_very_long_values_are_written_completely_in_linear_time() -> None:
    writer = LineWriter("vcsc", 1)
    for filling in ("x", '"', "\n", "\u20ac"):
        event = RequestSent(0, 1, "", "", 0, filling * (SIZE // 4))
        assert event_of(writer.format(event)) == event
