"""Envelopes of log lines: lines of traffic_server are found in any of them, lines of other processes are not read."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mralab.core.log.events import Event, HandshakeFailed, NameMismatch, RequestReceived, RequestSent, VerifyFailed
from mralab.core.log.reader import Record, read
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.diagnose.diagnosis import find

GOLDEN = Path(__file__).parents[2] / "golden"
STAMP, HEAD = "2022-07-11T18:55:26.016+02:00", "2022-07-11T18:55:26.016+02:00 vcsc traffic_server[18242]: "


def split(line: str) -> tuple[str, str]:
    """Return timestamp and payload of a line that Expressway wrote."""
    head, _, payload = line.partition("traffic_server[18242]: ")
    return head.split(" ")[0], payload


def in_csv(*cells: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def journald(line: str) -> str:
    _, payload = split(line)
    members = {"__REALTIME_TIMESTAMP": "1657558526016000", "_HOSTNAME": "vcsc", "SYSLOG_IDENTIFIER": "traffic_server"}
    return json.dumps({**members, "_PID": "18242", "PRIORITY": "4", "MESSAGE": payload})


def journald_bytes(line: str) -> str:
    return json.dumps(
        {"SYSLOG_IDENTIFIER": "traffic_server", "_PID": "18242", "MESSAGE": list(split(line)[1].encode())}
    )


def ietf(line: str) -> str:
    stamp, payload = split(line)
    return f'<134>1 {stamp} vcsc traffic_server 18242 ID47 [x@32473 iut="3"][y a="b]"] {payload}'


ENVELOPES: dict[str, Callable[[str], str]] = {
    "as written": lambda line: line,
    "priority": lambda line: f"<134>{line}",
    "RFC 5424": lambda line: f"<134>1 {split(line)[0]} vcsc traffic_server 18242 - - {split(line)[1]}",
    "RFC 5424 with a BOM": lambda line: f"<134>1 {split(line)[0]} vcsc traffic_server 18242 - - \ufeff{split(line)[1]}",
    "RFC 5424 with data": ietf,
    "RFC 5424 under a BSD head": lambda line: (
        f"Jul 11 18:55:27 192.0.2.7 1 {split(line)[0]} vcsc traffic_server 18242 - - {split(line)[1]}"
    ),
    "a relay's double head": lambda line: f"Jul 11 18:55:27 192.0.2.7 {line}",
    "a relay that adds a colon": lambda line: f"Jul 11 18:55:27 192.0.2.7: {line}",
    "a relay's ISO head": lambda line: f"2022-07-11T16:55:27Z relay.example.test {line}",
    "journald, short": lambda line: f"Jul 11 18:55:26 vcsc traffic_server[18242]: {split(line)[1]}",
    "journald, JSON": journald,
    "journald, JSON with bytes": journald_bytes,
    "a search engine's JSON": lambda line: json.dumps(
        {
            "_source": {
                "@timestamp": split(line)[0],
                "host": {"name": "vcsc"},
                "message": line,
                "event": {"original": line},
            }
        }
    ),
    "Splunk's JSON": lambda line: json.dumps({"preview": False, "result": {"_raw": line, "host": "vcsc"}}),
    "a container's JSON": lambda line: json.dumps(
        {"log": line + "\n", "stream": "stdout", "time": "2022-07-11T16:55:26Z"}
    ),
    "a member of pretty JSON": lambda line: f'      "message": {json.dumps(line)},',
    "grep": lambda line: f"exp-c.txt:1045:{line}",
    "grep in a folder": lambda line: f"./logs of c/exp-c.txt:{line}",
    "grep's context": lambda line: f"exp-c.txt-1045-{line}",
    "grep in colour": lambda line: (
        f"\x1b[35mexp-c.txt\x1b[m\x1b[36m:\x1b[m{line.replace('ET_NET', chr(27) + '[01;31mET_NET' + chr(27) + '[m')}"
    ),
    "line numbers": lambda line: f"   1045\t{line}",
    "a quote": lambda line: f"> {line}",
    "a quote of a quote": lambda line: f">> > {line}",
    "indented": lambda line: f"\t    {line}",
    "a chat": lambda line: f"[10:32 AM] Bob: {line}",
    "a list": lambda line: f"- `{line}`",
    "a table of a page": lambda line: f"| 7 | {line} |",
    "CSV": lambda line: in_csv("2022-07-11", "vcsc", line),
    "HTML": lambda line: f"<p>{html.escape(line)}</p>",
    "typographic quotes": lambda line: line.replace('="', "=\u201c").replace('" ', "\u201d "),
    "payload alone": lambda line: split(line)[1],
    "blanks behind": lambda line: f"{line} \t",
    "CRLF": lambda line: f"{line}\r\n",
    "visible line end": lambda line: f"{line}^M$",
    "UTF-16 read as bytes": lambda line: f"{chr(0).join(line)}{chr(0)}",
    "invisible characters": lambda line: line.replace(".", ".\u200b").replace("=", "\u2060="),
    "direction marks": lambda line: f"\u200e{line}\u202c",
    "wide blanks": lambda line: line.replace(" ", "\u3000"),
    "full-width forms": lambda line: line.replace('"', "\uff02").replace("=", "\uff1d").replace(":", "\uff1a"),
    "tabs for blanks": lambda line: line.replace(" ", "\t"),
    "doubled blanks": lambda line: line.replace(" ", "  "),
    "single quotes for double": lambda line: line.replace('"', "'"),
    "backticks for quotes": lambda line: line.replace('"', "``"),
    "linked URLs": lambda line: re.sub(r"(https?://[^ \"]+)", r"<\1>", line),
    "URL-encoded": urllib.parse.quote,
    "a page's words": lambda line: " ".join(f"<span>{html.escape(word)}</span>" for word in line.split(" ")),
    "hard blanks of a page": lambda line: f"<td>{html.escape(line).replace(' ', '&nbsp;')}</td>",
    "CDATA": lambda line: f"<log><![CDATA[{line}]]></log>",
    "TSV": lambda line: f"1\tvcsc\t{line}\tmain",
    "CSV without quotes": lambda line: f"1,vcsc,{line},main",
    "RTF": lambda line: f"{line}\\par",
    # the head is as written, since it has no quotes: only the payload shows what was done to the line
    "entities of a page": html.escape,
    "decimal entities": lambda line: line.replace('"', "&#34;").replace("'", "&#39;"),
    "hexadecimal entities": lambda line: line.replace('"', "&#x22;"),
    "entities of a feed": lambda line: html.escape(html.escape(line)),
    "highlighted words": lambda line: line.replace("WARNING", "<mark>WARNING</mark>").replace("Txn", "<b>Txn</b>"),
    "a JSON string without its quotes": lambda line: json.dumps(line)[1:-1],
    "a cell without its quotes": lambda line: line.replace('"', '""'),
    "equals signs of a mail": lambda line: line.replace("=", "=3D"),
    "escape as a word": lambda line: f"ESC[1m{line}ESC[0m",
    "escape of rsyslog": lambda line: f"{line.replace('WARNING', '#033[31mWARNING#033[0m')}#033[0m",
    "escape in a string": lambda line: f"\\x1b[1m{line}\\u001b[0m\\033[0m",
    "cells of a page": lambda line: f"<tr><td>7</td><td>{html.escape(line)}</td><td>main</td></tr>",
    "ligatures": lambda line: line.replace("ffi", "\ufb03").replace("fi", "\ufb01"),
    "hard hyphens": lambda line: line.replace("-", "\u2011"),
    "dashes": lambda line: line.replace("-", "\u2013"),
    "quotes of Windows-1252 in UTF-8 twice": lambda line: (
        line.replace('="', "=\u201c").replace('" ', "\u201d ").encode().decode("cp1252", "replace")
    ),
    "Graylog": lambda line: json.dumps({"host": "vcsc", "short_message": line[:60], "full_message": line}),
}


def golden(name: str) -> list[str]:
    return [line for line in (GOLDEN / name).read_text("utf-8").splitlines() if line]


def only(line: str) -> Record:
    (record,) = read([line])
    return record


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("name", ["article-6972-untrusted.log", "article-8443-success.log"])
def test_the_payload_is_found_wherever_it_starts(name: str, envelope: str) -> None:
    for line in golden(name):
        expected, got = only(line), only(ENVELOPES[envelope](line))
        assert got.event is not None
        assert expected.event is not None
        assert got.event._replace(at=0) == expected.event._replace(at=0)
        assert got.level == expected.level
        assert got.text == ENVELOPES[envelope](line).rstrip("\r\n")
        if envelope != "payload alone":
            assert (got.pid, got.hostname) in ((18242, "vcsc"), (18242, ""))


@pytest.mark.parametrize(
    "envelope", [name for name in ENVELOPES if name not in ("payload alone", "journald, JSON with bytes")]
)
def test_the_sender_s_own_stamp_counts(envelope: str) -> None:
    """A WARNING line has no other time than the one of its envelope."""
    record = next(read([ENVELOPES[envelope](golden("article-6972-untrusted.log")[3])], year=2022))
    shift = 7200 if envelope == "journald, short" else 0  # without a zone: UTC
    assert int(record.at) == 1657558526 + shift


NAMES = [f"cucm{number}.steven.lab" for number in range(4)]


def transaction(number: int, name: str, error: str) -> list[Event]:
    token = encode(Target("steven.lab", "https", name, 8443))
    ip = f"10.48.36.{number}"
    kept = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
    return [
        RequestReceived(
            1e9, number, "", "127.0.0.1", 30000, f"GET http://vcs_control.steven.lab:8443/{token}/x HTTP/1.1"
        ),
        RequestSent(1e9, number, "", ip, 8443, "GET /x HTTP/1.1"),
        NameMismatch(1e9, 0, name, "Terminate", name, ip)
        if error == "name"
        else VerifyFailed(1e9, 0, name, "Terminate", error, name, ip, 0),
        HandshakeFailed(1e9, 0, name, kept),
    ]


OTHERS = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=60).filter(lambda text: "traffic" not in text),
    st.sampled_from(
        [
            "Jul 11 18:55:26 vcsc sshd[1]: Accepted publickey for root",
            '2022-07-11T18:55:26.016+02:00 vcsc UTCTime="2022-07-11 16:55:26,000" Module="network.sip" Level="INFO": x',
            "2022-07-11T18:55:26.016+02:00 vcsc systemd[1]: Started traffic_server.service",
            "Here is what we see, can you help?",
            "{}",
            "[",
        ]
    ),
)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.sampled_from(["self signed certificate", "certificate has expired", "name"])
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(sorted(ENVELOPES)),
    st.lists(st.tuples(st.integers(0, 30), OTHERS), max_size=6),
)
def test_findings_do_not_depend_on_the_envelope_or_on_lines_between(
    faults: list[tuple[str, str]], envelope: str, others: list[tuple[int, str]]
) -> None:
    writer = LineWriter("vcsc", 18242, utc_offset=lambda _: 0)
    events = [event for number, (name, error) in enumerate(faults) for event in transaction(number, name, error)]
    lines = [writer.format(event).removesuffix("\n") for event in events]
    expected = [(each.code, each.server, each.port, each.count) for each in find(lines)]
    carried = [ENVELOPES[envelope](line) for line in lines]
    for place, other in others:
        carried.insert(min(place, len(carried)), other)
    assert [(each.code, each.server, each.port, each.count) for each in find(carried)] == expected


WARNING = "[ET_NET 1] WARNING: SNI (evil.test) not in certificate. Action=Terminate server=evil.test(192.0.2.1)"
SIP = f'{STAMP} vcsc UTCTime="2022-07-11 16:55:26,000" Module="network.sip" Level="INFO": Detail='


@pytest.mark.parametrize(
    "line",
    [
        f"{STAMP} vcsc sshd[1]: {HEAD}{WARNING}",
        f"{STAMP} vcsc sshd[1]: traffic_server[2]: {WARNING}",
        f"{STAMP} vcsc sshd[1]: {WARNING}",
        f"Jul 11 18:55:26 vcsc httpd[77]: 192.0.2.9 GET /{WARNING}",
        f"Jul 11 18:55:26 vcsc web: {WARNING}",
        f"<13>Jul 11 18:55:26 vcsc sshd[1]: {WARNING}",
        f"sshd[1]: traffic_server[2]: {WARNING}",
        f'{SIP}"{WARNING}"',
        f'{SIP}"Module="network.http.trafficserver""',
        json.dumps({"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": f"traffic_server[1]: {WARNING}"}),
        json.dumps({"message": f"{STAMP} vcsc sshd[1]: {HEAD}{WARNING}"}),
        f"grep.txt:7:{STAMP} vcsc sshd[1]: traffic_server[2]: {WARNING}",
    ],
)
def test_another_process_s_line_is_not_ours_whatever_it_quotes(line: str) -> None:
    assert [record.event for record in read([line])] == []


def test_a_header_of_a_request_is_not_a_line_of_its_own() -> None:
    event = RequestSent(0, 1, "", "10.0.0.1", 8443, "GET / HTTP/1.1", (("X", WARNING), ("Y", f"{HEAD}{WARNING}")))
    (record,) = read(LineWriter("vcsc", 1, debug=True).format(event).splitlines())
    assert record.event == event


def test_a_message_with_line_ends_brings_its_headers() -> None:
    twin = golden("debug-httpmsg-layout.log")
    message = "\n".join([twin[0].partition("traffic_server[2030]: ")[2], *twin[1:13]])
    carried = json.dumps({"SYSLOG_IDENTIFIER": "traffic_server", "_PID": "2030", "MESSAGE": message})
    (record,) = read([carried, ""])
    assert isinstance(record.event, RequestSent)
    assert dict(record.event.headers)["Host"] == "expc.cisco.com:6972"


def test_an_array_is_a_line_for_each_element() -> None:
    lines = golden("article-6972-untrusted.log")
    assert len([*read([json.dumps([{"message": line} for line in lines])])]) == len(lines)


JOINS: dict[str, Callable[[list[str]], str]] = {
    "nothing": "".join,
    "a blank": " ".join,
    "a tab": "\t".join,
    "an old Mac's line end": "\r".join,
    "U+2028": "\u2028".join,
    "\\n": "\\n".join,
    "#012": "#012".join,
    "^J": "^J".join,
    "<br>": lambda lines: "<br>".join(html.escape(line) for line in lines),
    "octet counting": lambda lines: "".join(f"{len(line) + 5} <134>{line}" for line in lines),
}


@pytest.mark.parametrize("join", JOINS)
def test_records_that_were_put_into_one_line_are_taken_apart(join: str) -> None:
    lines = golden("article-6972-untrusted.log")
    assert [record.event for record in read([JOINS[join](lines)])] == [record.event for record in read(lines)]


@pytest.mark.parametrize(
    "line",
    [
        f"{STAMP} vcsc sshd[1]: x {HEAD}{WARNING} {HEAD}{WARNING}",
        f"{STAMP} vcsc sshd[1]: x\r{HEAD}{WARNING}\r{HEAD}{WARNING}",
        json.dumps({"SYSLOG_IDENTIFIER": "sshd", "MESSAGE": f"{HEAD}{WARNING} {HEAD}{WARNING}"}),
    ],
)
def test_another_process_s_line_is_not_taken_apart(line: str) -> None:
    assert [*read([line])] == []


def test_a_client_cannot_begin_a_record_without_the_process_number() -> None:
    asked = f'{HEAD}UTCTime="2022-07-11 16:55:26,000" Module="network.http.trafficserver" Level="INFO": '
    asked += 'Detail="Receive Request" Txn-id="1" TrackingID="" Src-ip="127.0.0.1" Src-port="1" Last-via-addr="" '
    forged = f"{STAMP} vcsc traffic_server[7]: {WARNING}"
    escaped = f'{asked}Msg="GET /\\" {HEAD}{WARNING} HTTP/1.1"'
    assert [type(record.event) for record in read([escaped])] == [RequestReceived]
    assert [type(record.event) for record in read([f'{asked}Msg="GET /" {forged} HTTP/1.1"'])] == [RequestReceived]


def test_an_array_of_texts_is_a_line_for_each() -> None:
    lines = golden("article-6972-untrusted.log")
    assert [record.event for record in read([json.dumps(lines)])] == [record.event for record in read(lines)]
    assert [*read([json.dumps([f"{STAMP} vcsc sshd[1]: {HEAD}{WARNING}"])])] == []


# -- forms of Traffic Server itself


@pytest.mark.parametrize(
    ("payload", "level"),
    [
        ("WARNING: <SSLClientUtils.cc:88 (verify_callback)> {}", "WARNING"),
        ("WARNING: {}", "WARNING"),
        ("WARNING:{}", "WARNING"),
        ("DIAG: (ssl) {}", "DEBUG"),
        ("DIAG: <SSLClientUtils.cc:88 (verify_callback)> (ssl.error) {}", "DEBUG"),
    ],
)
@pytest.mark.parametrize("thread", ["[ET_NET 3] ", "{ET_NET 3} ", "{0x2b1acf6f7700} ", ""])
def test_source_locations_tags_and_levels(thread: str, payload: str, level: str) -> None:
    text = "SNI (192.0.2.10) not in certificate. Action=Terminate server=(null)(192.0.2.10)"
    record = only(f"[Jul 11 18:55:26.016] {thread}{payload.format(text)}")
    number = 3 if "ET_NET" in thread else -1
    assert record.event == NameMismatch(record.at, number, "192.0.2.10", "Terminate", "", "192.0.2.10")
    assert record.level == level


# -- lines broken by copying


def wrap_at(line: str, width: int) -> list[str]:
    return [line[start : start + width] for start in range(0, len(line), width)]


def wrap_words(line: str, width: int) -> list[str]:
    pieces, piece = [], ""
    for word in line.split(" "):
        if piece and len(piece) + len(word) >= width:
            pieces.append(piece)
            piece = word
        else:
            piece = f"{piece} {word}" if piece else word
    return [*pieces, piece]


@pytest.mark.parametrize("width", [72, 80, 100, 132, 200])
@pytest.mark.parametrize("wrap", [wrap_at, wrap_words])
@pytest.mark.parametrize("quote", ["", "> ", "    "])
def test_broken_lines_are_joined(wrap: Callable[[str, int], list[str]], width: int, quote: str) -> None:
    lines = golden("article-6972-untrusted.log")
    broken = [f"{quote}{piece}" for line in lines for piece in wrap(line, width)]
    got, expected = list(read(broken)), list(read(lines))
    assert [record.event for record in got] == [record.event for record in expected]
    assert find(broken)[0].code == "self-signed"


def test_what_follows_a_line_is_not_taken_for_its_rest() -> None:
    lines = golden("article-8443-success.log")
    spaced = [each for line in lines for each in (line, "and then it said, in the next line:")]
    assert [record.event for record in read(spaced)] == [record.event for record in read(lines)]


def test_a_piece_that_is_never_completed_is_unread_and_hides_nothing() -> None:
    lines = golden("article-6972-untrusted.log")
    cut = [*lines[:3], lines[3][:120], "", *lines[4:]]
    records = list(read(cut))
    assert [record.line for record in records if record.is_unread] == [4]
    assert [type(record.event) for record in records if record.event] == [
        type(record.event) for record in read([*lines[:3], *lines[4:]])
    ]


def _arrays(lines: list[str]) -> dict[str, str]:
    """Return one line of JSON with all of ``lines``, as search tools return them."""
    return {
        "a search engine's answer": json.dumps(
            {
                "took": 3,
                "hits": {"total": {"value": 2}, "hits": [{"_id": "1", "_source": {"message": line}} for line in lines]},
            }
        ),
        "Loki's answer": json.dumps(
            {
                "status": "success",
                "data": {
                    "result": [
                        {
                            "stream": {"app": "traffic_server"},
                            "values": [["1657561741491000000", line] for line in lines],
                        }
                    ]
                },
            }
        ),
        "a cloud's events": json.dumps(
            {"logGroup": "g", "events": [{"timestamp": 1657561741491, "message": line} for line in lines]}
        ),
        "texts in a member": json.dumps({"host": "vcsc", "lines": lines}),
        "objects in texts": json.dumps([{"log": json.dumps({"message": line}) + "\n"} for line in lines]),
    }


LINES = [f"{HEAD}{WARNING}", f"{HEAD}{WARNING.replace('Terminate', 'Continue')}"]


@pytest.mark.parametrize("form", _arrays([]))
def test_every_record_of_an_array_in_an_object_is_read(form: str) -> None:
    read_ = [record.event for record in read([_arrays(LINES)[form]])]
    assert None not in read_
    assert [event._replace(at=0.0) for event in read_ if event] == [
        record.event._replace(at=0.0) for record in read(LINES) if record.event
    ]
    assert len(read_) == len(LINES)


def test_an_object_s_process_is_that_of_its_arrays() -> None:
    assert [*read([json.dumps({"program": "sshd", "lines": LINES})])] == []
    assert [*read([json.dumps({"stream": {"app": "sshd"}, "values": [["1657561741491000000", WARNING]]})])] == []


def test_members_that_are_arrays_of_one() -> None:
    fields = {"host.name": ["vcsc"], "process.name": ["traffic_server"], "message": [WARNING], "tags": ["a", "b"]}
    (record,) = read([json.dumps(fields)])
    assert isinstance(record.event, NameMismatch)
    assert [*read([json.dumps({**fields, "process.name": ["sshd"]})])] == []


def test_a_tag_before_an_object() -> None:
    line = json.dumps({"ident": "traffic_server", "pid": "2030", "message": WARNING})
    (record,) = read([f"2022-07-11 17:49:01 +0000 expressway.log: {line}"])
    assert isinstance(record.event, NameMismatch)
    assert (record.event.name, record.event.ip) == ("evil.test", "192.0.2.1")
    assert len([*read([f"expressway.log: {line}"])]) == 1
    assert [*read([f"Jul 11 17:49:01 vcsc sshd[1]: {line}"])] == []


def test_nesting_has_a_limit() -> None:
    deep = json.dumps({"message": WARNING})
    for _ in range(300):
        deep = f'{{"a": [{deep}]}}'
    assert [*read([deep])] == []


# -- Markdown, as the article's translations are published


def published(lines: list[str]) -> list[str]:
    """Return a log after a Markdown converter: with escapes, bold type, blank lines and broken lines."""
    escaped = [re.sub(r"([_*<>#])", r"\\\1", line) for line in lines]
    bold = [line.replace("502 connect failed", "**502 connect failed**") for line in escaped]
    unquoted = [line.replace('TrackingID="" Src-ip', 'TrackingID=" Src-ip') for line in bold]
    broken = [part for line in unquoted for part in line.replace(":SSL routines", ":SSL\n\nroutines").split("\n")]
    return [text for line in broken for text in (line, "")]


@pytest.mark.parametrize("name", ["article-6972-untrusted.log", "article-8443-name-mismatch-debug.log"])
def test_a_log_that_went_through_markdown_gives_the_same_findings(name: str) -> None:
    lines = (GOLDEN / name).read_text("latin-1").splitlines()
    expected = [(each.code, each.server, each.ip, each.port, each.count) for each in find(lines)]
    assert [(each.code, each.server, each.ip, each.port, each.count) for each in find(published(lines))] == expected
    joined = [" ".join(lines)] if name.startswith("article-6972") else lines
    assert [each.code for each in find(published(joined))] == [code for code, *_ in expected]


def test_backslashes_of_a_client_are_not_taken_for_markdown() -> None:
    line = HEAD + 'UTCTime="2022-07-11 16:55:26,016" Module="network.http.trafficserver" Level="INFO": '
    line += 'Detail="Receive Request" Txn-id="1" TrackingID="" Src-ip="127.0.0.1" Src-port="1" Last-via-addr="" '
    (record,) = read([line + 'Msg="GET /a\\\\_traffic\\\\_server**b** HTTP/1.1"'])
    assert isinstance(record.event, RequestReceived)
    assert record.event.start_line == "GET /a\\_traffic\\_server**b** HTTP/1.1"


def test_each_record_of_a_line_is_its_own_evidence() -> None:
    lines = (GOLDEN / "article-6972-untrusted.log").read_text("latin-1").splitlines()
    (finding,) = find([" ".join(lines)])
    assert [text.partition("] ")[2].partition(":")[0] for text in finding.evidence] == ["WARNING", "ERROR"]


TEXTS: dict[str, Callable[[str], str]] = {
    "a ticket's JSON": lambda text: json.dumps({"id": 7, "description": f"Hello,\n\n{text}\nThanks"}),
    "a member on a line of its own": lambda text: f'  "description": {json.dumps(f"Hello,{chr(10)}{text}")},',
    "a string": lambda text: json.dumps(text.replace("\n", "\r\n")),
    "strings of an array": lambda text: json.dumps(["Hello", text]),
    "a quote in a comment": lambda text: json.dumps({"comments": [{"body": "> " + text.replace("\n", "\n> ")}]}),
}


@pytest.mark.parametrize("form", TEXTS)
def test_a_text_that_has_a_log_in_it(form: str) -> None:
    lines = golden("article-6972-untrusted.log")
    records = [*read([TEXTS[form]("\n".join(lines))])]
    expected = [record.event for record in read(lines)]
    assert [record.event for record in records] == expected
    assert all(json.dumps(line)[1:-1] not in records[0].text for line in lines[1:])  # evidence is one line


def test_quotes_that_a_shell_has_removed() -> None:
    lines = golden("article-6972-untrusted.log")
    assert [record.event for record in read([line.replace('"', "") for line in lines])] == [
        record.event for record in read(lines)
    ]


def test_a_header_in_a_text_is_not_a_line_of_its_own() -> None:
    block = ["HTTPMSG:", "|GET / HTTP/1.1", f" X: {HEAD}{WARNING}", " |"]
    message = "\n".join([golden("debug-httpmsg-layout.log")[0], *block])
    (record,) = read([json.dumps({"message": message})])
    assert isinstance(record.event, RequestSent)
