"""Lines that copying has broken or printed something before, and what is read from them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
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
from mralab.diagnose.findings import find

GOLDEN = Path(__file__).parent.parent / "golden"
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
        1.7e9, "emusk", "1", "GET", f"https://{HOST}:8443/a", f"https://{HOST}:8443/", "prefix", "Automatically generated rule"
    ),
    RequestSent(1.7e9, 7, TRACKING, IP, 8443, "GET /a HTTP/1.1", HEADERS),
    VerifyFailed(1.7e9, 1, HOST, "Terminate", "self signed certificate in certificate chain", HOST, IP, 1),
    HandshakeFailed(
        1.7e9, 1, HOST, "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
    ),
    ResponseSent(1.7e9, 7, "127.0.0.1", 40000, "HTTP/1.1 502 connect failed", HEADERS),
    RequestReceived(1.7e9, 8, TRACKING, "127.0.0.1", 40001, "GET http://vcs_control.example.test:8443/x HTTP/1.1", HEADERS),
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
    """As a mail program does: words that are longer than a line stay whole."""
    if not line.strip() or len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line, width, break_long_words=False, break_on_hyphens=False, initial_indent=indent, drop_whitespace=True
    )


def events_of(text: list[str]) -> list[Event | None]:
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
