"""Results as a table or as a list, depending on the width; no word is broken in either."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mralab.show.screen import PIPED_WIDTH, TABLE_WIDTH, columns
from mralab.show.sheet import Column, Sheet, cell, show

COLUMNS = (Column("Server", "heading"), Column("Request"), Column("Host", "table"))
URL = "https://cucm.steven.lab:8443/cucm-uds/clusterUser?username=emusk"


def shown(sheet: Sheet, width: int) -> str:
    stream = io.StringIO()
    show(sheet, Console(file=stream, width=width, highlight=False, emoji=False, markup=False))
    return stream.getvalue()


def test_a_table_from_120_columns_and_a_list_below() -> None:
    sheet = Sheet(COLUMNS, ((cell("cucm"), cell(f"GET {URL}"), cell("cucm.steven.lab")),) * 2)
    table = shown(sheet, TABLE_WIDTH)
    assert table.startswith("┏")
    assert f"GET {URL}" in table
    block = f"cucm\n  Request  GET\n           {URL}\n"
    assert shown(sheet, 70) == f"{block}\n{block}"
    assert shown(sheet, TABLE_WIDTH - 1).startswith("cucm\n  Request  GET https:")


def test_a_list_if_a_word_does_not_fit_into_a_table() -> None:
    long = "x" * 400
    assert shown(Sheet(COLUMNS, ((cell("cucm"), cell(long), cell("")),)), 200) == f"cucm\n  Request  {long}\n"


def test_short_columns_get_what_they_need_before_long_ones_share_the_rest() -> None:
    sheet = Sheet(COLUMNS, ((cell("login works"), cell("word " * 80), cell("after the fix")),))
    assert "login works │ word" in shown(sheet, TABLE_WIDTH)
    assert max(map(len, shown(sheet, TABLE_WIDTH).splitlines())) == TABLE_WIDTH


HOSTILE = "evil\x1b[31m\u202egnp.exe\x07<script>alert(1)</script>[bold]:smile:\r\nnext"


@pytest.mark.parametrize("width", [60, 300])
def test_hostile_text_stays_visible_text(width: int) -> None:
    text = shown(Sheet(COLUMNS, ((cell(HOSTILE), cell(HOSTILE, style="red"), cell(HOSTILE)),)), width)
    assert not set(text) & set("\x1b\u202e\x07\r")
    visible = "evil\\x1B[31m\\u{202E}gnp.exe\\x07<script>alert(1)</script>[bold]:smile:\\r\\nnext"
    assert text.count(visible) == (2 if width == 60 else 3)


class Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("given", "terminal", "width"),
    [
        ("", False, PIPED_WIDTH),
        ("", True, 80),  # a terminal without a size
        ("60", False, 60),
        ("60", True, 60),
        ("0", False, PIPED_WIDTH),
        ("-5", False, PIPED_WIDTH),
        ("wide", False, PIPED_WIDTH),
        ("²", False, PIPED_WIDTH),
        ("1", False, 20),
        ("999999999", False, 1000),
        ("9" * 5000, False, PIPED_WIDTH),
    ],
)
def test_the_width_is_that_of_columns_or_of_the_terminal_or_140(given: str, terminal: bool, width: int) -> None:
    assert columns(Stream(terminal=terminal), {"COLUMNS": given}) == width
