"""Logs whose newest lines come first: they are recognized by their transactions and handshakes, and turned round."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mralab.core.log.events import RequestSent
from mralab.core.log.order import is_newest_first, turned
from mralab.core.log.reader import read
from mralab.core.log.writer import LineWriter

from ...diagnose.test_conclusions import HOST, Log, diagnosed, found

GOLDEN = Path(__file__).parents[2] / "golden"
IN_ORDER = Log().request().untrusted().misnamed(host="imp.example.test").request(host="cucm2.example.test")
LINES = IN_ORDER.text.decode().splitlines()


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
    assert not is_newest_first(path.read_bytes())


def test_a_clock_that_was_set_back_is_no_other_order() -> None:
    later, earlier = Log(at=2e9).request().untrusted(), Log(at=1e9).request().untrusted()
    assert not is_newest_first(later.text + earlier.text)
    assert not is_newest_first(
        b"".join(line for line in (later.text + earlier.text).splitlines(True) if b"ET_" in line)
    )


BLOCK = LineWriter("exp-c1", 1, debug=True).format(
    RequestSent(1e9, 1, "", "192.0.2.1", 8443, "GET / HTTP/1.1", (("Host", HOST), ("X", "y")))
)


def test_a_block_stays_behind_its_line() -> None:
    lines = Log(at=1e9 + 10).untrusted().text.decode()
    data = (lines + BLOCK).encode()
    text, numbers = turned(data)
    assert [data.splitlines()[number - 1] for number in numbers] == text.splitlines()
    (first, *_) = read(text.decode().splitlines())
    assert isinstance(first.event, RequestSent)
    assert dict(first.event.headers) == {"Host": HOST, "X": "y"}


def test_a_block_that_stands_on_its_head_is_turned_too() -> None:
    lines = BLOCK.splitlines()
    text, _ = turned("\n".join(reversed(lines)).encode())
    assert text.decode().splitlines() == lines


def test_rubbish_is_turned_without_loss() -> None:
    for data in (b"", b"\n", b"\n\n", b"a", b"a\n\nb", b"\0\xff\r\n\r", b"2026-01-29T14:01:16Z x\ny"):
        text, numbers = turned(data)
        assert sorted(text.removesuffix(b"\n").split(b"\n")) == sorted(data.removesuffix(b"\n").split(b"\n"))
        assert len(numbers) == text.count(b"\n")
