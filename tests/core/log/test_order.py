"""Logs that are not in order of time: they are recognized by their transactions and handshakes, and put in order."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mralab.core.log.events import RequestSent
from mralab.core.log.order import IN_ORDER, Order, order_of, put_in_order
from mralab.core.log.reader import read
from mralab.core.log.writer import LineWriter

from ...diagnose.test_conclusions import HOST, Log, diagnosed, found
from .test_stream import log

GOLDEN = Path(__file__).parents[2] / "golden"
WRITTEN = Log().request().untrusted().misnamed(host="imp.example.test").request(host="cucm2.example.test")
LINES = WRITTEN.text.decode().splitlines()


TURNED = Order(is_newest_first=True, has_ties_turned=True)


def in_csv(lines: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(
        [["_time", "_raw"], *([line.split(" ")[0], line] for line in lines)]
    )
    return out.getvalue()


EXPORTS: dict[str, Callable[[list[str]], str]] = {
    "text": lambda lines: "\n".join(lines) + "\n",
    "text without a last line end": "\n".join,
    "text of Windows": lambda lines: "\r\n".join(lines) + "\r\n",
    "CSV": in_csv,
    "a line of JSON for each": lambda lines: "".join(json.dumps({"_raw": line}) + "\n" for line in lines),
    "pretty JSON": lambda lines: json.dumps([{"_source": {"message": line}} for line in lines], indent=2),
    "JSON in one line": lambda lines: json.dumps({"hits": [{"message": line} for line in lines]}),
    "one stamp": lambda lines: "\n".join("2026-01-29T14:01:16Z " + line.partition(" ")[2] for line in lines),
    "handshakes only": lambda lines: "\n".join(line for line in lines if "ET_NET" in line),
}


def clock(line: str) -> str:
    return line.partition(" ")[0]


def with_ties_turned(lines: list[str]) -> list[str]:
    backwards = lines[::-1]
    return sorted(backwards, key=clock)


SORTS: dict[str, Callable[[list[str]], list[str]]] = {
    "the newest first": lambda lines: lines[::-1],
    "the newest first, ties as they were": lambda lines: sorted(lines, key=clock, reverse=True),
    "ties turned": with_ties_turned,
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("spread", [0, 1, 3])
def test_any_sort_of_a_search(sort: str, spread: int, tmp_path: Path) -> None:
    """``spread`` lines have a stamp, and the next ones another."""
    lines = [
        re.sub(r"\.000", f".{number // spread if spread else 0:03}", line, count=1) for number, line in enumerate(LINES)
    ]
    results = []
    for name, text in {"a": lines, "b": SORTS[sort](lines)}.items():
        (tmp_path / name).write_text("\n".join(filter(None, text)))
        report = diagnosed([tmp_path / name])
        results.append([(one.code, one.server, one.port, one.category, one.confidence) for one in report.findings])
    assert results[0] == results[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("export", EXPORTS)
def test_the_findings_do_not_depend_on_the_order(export: str, encoding: str, tmp_path: Path) -> None:
    results = []
    for name, lines in {"a": LINES, "b": LINES[::-1]}.items():
        file = tmp_path / name
        file.write_bytes(EXPORTS[export](lines).encode(encoding))
        report = diagnosed([file])
        results.append((found(report), [one.history for one in report.findings], report.checks, report.unread.lines))
    assert results[0] == results[1]
    assert len(results[0][0]) == 2 + (export != "handshakes only")  # redundancy-lost


def test_evidence_has_the_numbers_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(LINES[::-1]))
    evidence = [each for one in diagnosed([tmp_path]).findings for each in one.evidence]
    assert evidence
    for each in evidence:
        assert LINES[::-1][(each.line or 0) - 1] == each.text


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.log")), ids=lambda path: path.name)
def test_a_log_in_order_stays_as_it_is(path: Path) -> None:
    assert order_of(path.read_bytes()) == IN_ORDER


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("processes", [1, 3])
def test_a_busy_log_in_order_stays_as_it_is(seed: int, processes: int) -> None:
    assert order_of(log(60, seed, debug=bool(seed % 2), processes=processes, at_once=8)) == IN_ORDER


def test_a_clock_that_was_set_back_is_no_other_order() -> None:
    later, earlier = Log(at=2e9).request().untrusted(), Log(at=1e9).request().untrusted()
    assert order_of(later.text + earlier.text) == IN_ORDER
    tls = b"".join(line for line in (later.text + earlier.text).splitlines(True) if b"ET_" in line)
    assert order_of(tls) == IN_ORDER


BLOCK = LineWriter("exp-c1", 1, debug=True).format(
    RequestSent(1e9, 1, "", "192.0.2.1", 8443, "GET / HTTP/1.1", (("Host", HOST), ("X", "y")))
)


def test_a_block_stays_behind_its_line() -> None:
    lines = Log(at=1e9 + 10).untrusted().text.decode()
    data = (lines + BLOCK).encode()
    text, numbers = put_in_order(data, TURNED)
    assert [data.splitlines()[number - 1] for number in numbers] == text.splitlines()
    (first, *_) = read(text.decode().splitlines())
    assert isinstance(first.event, RequestSent)
    assert dict(first.event.headers) == {"Host": HOST, "X": "y"}


def test_a_block_that_stands_on_its_head_is_turned_too() -> None:
    lines = BLOCK.splitlines()
    text, _ = put_in_order("\n".join(reversed(lines)).encode(), TURNED)
    assert text.decode().splitlines() == lines


def test_rubbish_is_turned_without_loss() -> None:
    for data in (b"", b"\n", b"\n\n", b"a", b"a\n\nb", b"\0\xff\r\n\r", b"2026-01-29T14:01:16Z x\ny"):
        text, numbers = put_in_order(data, TURNED)
        assert sorted(text.removesuffix(b"\n").split(b"\n")) == sorted(data.removesuffix(b"\n").split(b"\n"))
        assert len(numbers) == text.count(b"\n")
