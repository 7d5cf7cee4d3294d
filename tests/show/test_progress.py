"""Progress is one line on standard error, on a terminal only, and never in a result."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from mralab.show.progress import Progress

from .demo_output import process


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_replaces_the_one_before_and_nothing_is_left() -> None:
    stream = Terminal()
    line = Progress(stream, {"TERM": "xterm"})
    line.show("first")
    with line.hidden():
        stream.write("result\n")
    line.show("second")
    line.clear()
    assert stream.getvalue() == "\r\x1b[Kfirst\r\x1b[Kresult\n\r\x1b[Kfirst\r\x1b[Ksecond\r\x1b[K"


def test_a_long_line_is_cut_and_a_hostile_one_stays_text() -> None:
    stream = Terminal()
    Progress(stream, {"TERM": "xterm"}).show("\x1b[2J\u202e" + "x" * 3000)
    (shown,) = stream.getvalue().split("\r\x1b[K")[1:]
    assert shown.startswith("\\x1B[2J\\u{202E}xx")
    assert len(shown) < 1000


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_erase_gets_none(term: str) -> None:
    stream = Terminal()
    line = Progress(stream, {"TERM": term})
    line.show("first")
    line.clear()
    assert stream.getvalue() == ""


def test_a_run_prints_results_in_order_while_it_shows_progress(tmp_path: Path) -> None:
    shown = process(["run", "healthy", "expired"], tmp_path, 200, terminal=True)
    assert shown.code == 0
    assert re.sub(r"\x1b\[[\d;]*m", "", shown.out).splitlines()[1].startswith("OK     expired")
    assert "1 of 2 scenarios is done" in shown.err
    assert "done" not in shown.out


def test_json_has_progress_on_a_terminal_only(tmp_path: Path) -> None:
    assert "the scenario is done" in process(["run", "healthy", "--json"], tmp_path, 80, terminal=True).err
    assert process(["run", "healthy", "--json"], tmp_path, 80, terminal=False).err == ""
