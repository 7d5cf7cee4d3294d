"""Log lines that were broken or prefixed when they were copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    LogEvent,
    RequestAllowed,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.reader import read
from mralab.core.log.stream import LogReader
from mralab.core.log.writer import LineWriter
from mralab.diagnose.diagnosis import find

GOLDEN = Path(__file__).parents[2] / "golden"
WIDTHS = range(40, 221)
HOST, IP = "cucm.example.test", "192.0.2.10"
TOKEN = "ZXhhbXBsZS50ZXN0L2h0dHBzL2N1Y20uZXhhbXBsZS50ZXN0Lzg0NDM"
TRACKING = "bb0c8492-8c15-4537-a7d1-082dde781dbd"
HEADERS = (
    ("Host", f"{HOST}:8443"),
    ("User-Agent", "WebEx/0.0.0.0 (Windows NT 10.0; Win64; x64) of a client with a long name"),
    ("Via", "https/1.1 vcs[0f8c7a10-c853-4abc-aa16-0a290bf56fc8] (ATS), http/1.1 vcs[5f8c7a10-7feb-4abc-91e0] (ATS)"),
    ("Accept", "*/*"),
)
EVENTS: list[Event] = [
    RequestReceived(
        1.7e9, 7, TRACKING, "127.0.0.1", 40000, f"GET http://vcs_control.example.test:8443/{TOKEN}/a HTTP/1.1", HEADERS
    ),
    RequestAllowed(
        1.7e9,
        "emusk",
        "1",
        "GET",
        f"https://{HOST}:8443/a",
        f"https://{HOST}:8443/",
        "prefix",
        "Automatically generated rule",
    ),
    RequestSent(1.7e9, 7, TRACKING, IP, 8443, "GET /a HTTP/1.1", HEADERS),
    VerifyFailed(1.7e9, 1, HOST, "Terminate", "self signed certificate in certificate chain", HOST, IP, 1),
    HandshakeFailed(
        1.7e9, 1, HOST, "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
    ),
    ResponseSent(1.7e9, 7, "127.0.0.1", 40000, "HTTP/1.1 502 connect failed", HEADERS),
    RequestReceived(
        1.7e9, 8, TRACKING, "127.0.0.1", 40001, "GET http://vcs_control.example.test:8443/x HTTP/1.1", HEADERS
    ),
    ResponseReceived(1.7e9, 8, IP, 8443, "HTTP/1.1 200 OK", HEADERS),
]


def lines(*, debug: bool) -> list[str]:
    writer = LineWriter("exp-c", 2030, debug, lambda _: 3600)
    return "".join(map(writer.format, EVENTS)).removesuffix("\n").split("\n")


def on_a_terminal(line: str, width: int) -> list[str]:
    return [line[start : start + width] for start in range(0, len(line), width)] or [""]


def without_blanks_at_the_end(line: str, width: int) -> list[str]:
    pieces = on_a_terminal(line, width)
    return [*(piece.rstrip() if piece.strip() else piece for piece in pieces[:-1]), pieces[-1]]


def at_blanks(line: str, width: int) -> list[str]:
    """Break lines at blanks, as a mail program does: words longer than a line stay whole."""
    pieces: list[str] = []
    for word in line.split(" "):
        if pieces and pieces[-1].strip() and len(pieces[-1]) + 1 + len(word) > width:
            pieces.append(word)
        elif pieces:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces


def events_of(text: list[str]) -> list[LogEvent | None]:
    return [record.event for record in read(text)]


WRAPS = [on_a_terminal, without_blanks_at_the_end, at_blanks]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("debug", [False, True])
def test_lines_broken_at_any_width(wrap: Callable[[str, int], list[str]], debug: bool) -> None:
    whole = events_of(lines(debug=debug))
    assert len(whole) == len(EVENTS)
    wrong = [
        width
        for width in WIDTHS
        if events_of([piece for line in lines(debug=debug) for piece in wrap(line, width)]) != whole
    ]
    assert wrong == []


def with_a_hanging_indent(line: str, width: int) -> list[str]:
    first, rest = line[:width], line[width:]
    return [first, *(f"    {piece}" for piece in on_a_terminal(rest, width - 4) if piece)]


def in_parts_of_a_relay(line: str, width: int) -> list[str]:
    """Split a line's payload; each part has the head of the line."""
    head, mark, payload = line.partition("traffic_server[2030]: ")
    return [f"{head}{mark}{piece}" for piece in on_a_terminal(payload, width)]


@pytest.mark.parametrize("wrap", [with_a_hanging_indent, in_parts_of_a_relay])
def test_pieces_with_something_before_each(wrap: Callable[[str, int], list[str]]) -> None:
    whole = events_of(lines(debug=False))
    wrong = [
        width
        for width in range(90, 221)
        if events_of([piece for line in lines(debug=False) for piece in wrap(line, width)]) != whole
    ]
    assert wrong == []


def test_a_line_in_any_number_of_parts() -> None:
    head = "2026-01-29T14:01:16.974-05:00 exp-c traffic_server[2030]: "
    texts = [f"{head}[ET_NET 1] WARNING: something new", *[f"{head}x"] * 200, lines(debug=False)[3]]
    records = [*read(texts)]
    assert sum(record.is_unread for record in records) == 201
    assert isinstance(records[-1].event, VerifyFailed)


def test_lines_that_do_not_belong_together_stay_lines() -> None:
    """A line of an unknown form does not take the next one along."""
    head = "2026-01-29T14:01:16.974-05:00 exp-c1 traffic_server[2030]: "
    texts = [f"{head}[ET_NET 1] WARNING: something new", f"{head}more of it", f"{head}and more", lines(debug=False)[3]]
    records = [*read(texts)]
    assert [record.line for record in records] == [1, 2, 3, 4]
    assert [record.is_unread for record in records] == [True, True, True, False]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("width", [80, 120])
def test_blank_lines_between_the_pieces(wrap: Callable[[str, int], list[str]], width: int) -> None:
    pieces = [piece for line in lines(debug=False) for piece in wrap(line, width)]
    spaced = [each for piece in pieces for each in (piece, "")]
    assert events_of(spaced) == events_of(lines(debug=False))


def test_blank_lines_between_all_lines() -> None:
    spaced = [each for line in lines(debug=True) for each in (line, "")]
    assert events_of(spaced) == events_of(lines(debug=True))


@pytest.mark.parametrize("quote", ["> ", ">> ", "> > "])
@pytest.mark.parametrize("width", [76, 132])
def test_a_quoted_mail(quote: str, width: int) -> None:
    pieces = [quote + piece for line in lines(debug=True) for piece in at_blanks(line, width)]
    assert events_of(pieces) == events_of(lines(debug=True))


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("size", [50, 1 << 20])
@pytest.mark.parametrize("skip_successes", [False, True])
def test_bytes_are_joined_as_lines_are(width: int, size: int, skip_successes: bool) -> None:
    text = [piece for line in lines(debug=True) for piece in on_a_terminal(line, width)]
    data = "\n".join(text).encode()
    reader = LogReader(block=size, skip_successes=skip_successes)
    records = [*reader.feed(data), *reader.close()]
    assert records == [*read(text)]


def test_a_joined_record_has_the_number_of_its_first_line() -> None:
    text = [piece for line in lines(debug=False) for piece in on_a_terminal(line, 40)]
    begins = [number for number, piece in enumerate(text, 1) if piece.startswith("2023-11-14T")]
    assert [record.line for record in read(text)] == begins


# -- grep


def numbered(text: list[str], form: str, start: int = 12) -> list[str]:
    return [form.format(number) + line for number, line in enumerate(text, start)]


@pytest.mark.parametrize(
    "form",
    ["{}:", "{}-", "traffic_server.log:{}:", "traffic_server.log-{}-", "traffic_server.log:", "logs/exp-c-1.txt-"],
)
@pytest.mark.parametrize("debug", [False, True])
def test_the_prefixes_of_grep(form: str, debug: bool) -> None:
    text = numbered(lines(debug=debug), form)
    assert events_of(text) == events_of(lines(debug=debug))
    data = "\n".join(text).encode()
    reader = LogReader()
    assert [record.event for record in [*reader.feed(data), *reader.close()]] == events_of(lines(debug=debug))
    assert find(text)[0].evidence[0] == text[[" WARNING:" in line for line in text].index(True)]


def test_groups_of_lines_that_grep_separates() -> None:
    whole = lines(debug=True)
    cut = whole.index("HTTPMSG:") + 4  # in the middle of a message
    other = next(number for number, line in enumerate(whole) if "WARNING" in line)
    text = [*numbered(whole[:cut], "a.log-{}-", 1), "--", *numbered(whole[other:], "a.log-{}-", other)]
    events = events_of(text)
    assert [type(event) for event in events] == [
        RequestReceived, VerifyFailed, HandshakeFailed, ResponseSent, RequestReceived, ResponseReceived,
    ]  # fmt: skip
    assert isinstance(events[0], RequestReceived)
    assert [name for name, _ in events[0].headers] == ["Host", "User-Agent"]


def test_a_timestamp_is_not_a_prefix_of_grep() -> None:
    text = [
        "2026-01-29T14:01:16.974-05:00 exp-c traffic_server[2030]: [ET_NET 1] WARNING: SNI (a) not in certificate. x"
    ]
    (record,) = read(text)
    assert (record.hostname, record.pid, record.at) == ("exp-c", 2030, 1769713276.974)


def test_the_golden_logs_at_any_width() -> None:
    for path in sorted(GOLDEN.glob("*.log")):
        text = path.read_text("latin-1").removesuffix("\n").split("\n")
        expected = [type(event) for event in events_of(text)]
        for width in WIDTHS:
            got = [type(event) for event in events_of([piece for line in text for piece in on_a_terminal(line, width)])]
            assert (width, got) == (width, expected)
