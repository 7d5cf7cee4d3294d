"""Rows of results: as a table if that fits, else as a list with one block for each row.

The table is shown if there are ``TABLE_WIDTH`` columns and every word fits into its column. A list has no such limits:
its rows are broken between words, and a longer word goes beyond the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.log.escape import visible
from .paragraphs import Line, titled
from .screen import TABLE_WIDTH

Cell = tuple[Line, ...]
"""The paragraphs of one cell."""

_INDENT: Final = 2


class Column(NamedTuple):
    """A column's title, and its place in a list.

    ``heading``: in the first row of the block. ``field``: below it, with the title before it. ``table``: nowhere,
    because another column has the same.
    """

    title: str
    place: Literal["heading", "field", "table"] = "field"


class Sheet(NamedTuple):
    """Columns and rows. Build cells with ``cell``. ``has_rules``: rows are separated by lines in a table."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    has_rules: bool = False


def cell(*texts: str, style: str = "") -> Cell:
    """Return a cell with a paragraph for each text. What a terminal would act on or hide is escaped."""
    return tuple(Line(visible(text), style) for text in texts)


def show(sheet: Sheet, console: Console) -> None:
    """Print a sheet in the form that fits the console's width."""
    widths = _widths(sheet, console.width) if console.width >= TABLE_WIDTH else None
    if widths is not None:
        console.print(_table(sheet, widths))
    else:
        console.print(_blocks(sheet, console.width), soft_wrap=True, end="")


def _widths(sheet: Sheet, width: int) -> list[int] | None:
    """Return a width for each column in which no word is broken; None if there is too little room."""
    columns = [
        [(column.title,), *(tuple(line.text for line in row[at]) for row in sheet.rows)]
        for at, column in enumerate(sheet.columns)
    ]
    widths = [max(cell_len(word) for word in _words(column)) for column in columns]
    wanted = [max(cell_len(text) for texts in column for text in texts) for column in columns]
    free = width - (3 * len(columns) + 1) - sum(widths)  # a blank on either side of each column, and the lines
    if free < 0:
        return None
    lacking = sorted((want - have, at) for at, (want, have) in enumerate(zip(wanted, widths, strict=True)))
    for number, (lack, at) in enumerate(lacking):  # the least first, so that the others share what it leaves
        given = min(lack, free // (len(lacking) - number))
        widths[at] += given
        free -= given
    return widths


def _words(column: Iterable[Iterable[str]]) -> list[str]:
    return ["", *(word for texts in column for text in texts for word in text.split(" "))]


def _table(sheet: Sheet, widths: Sequence[int]) -> Table:
    table = Table(show_lines=sheet.has_rules)
    for column, width in zip(sheet.columns, widths, strict=True):
        table.add_column(column.title, width=width)
    for row in sheet.rows:
        table.add_row(*(Text("\n").join(Text(line.text, line.style) for line in lines) for lines in row))
    return table


def _blocks(sheet: Sheet, width: int) -> Text:
    titles = [column.title for column in sheet.columns if column.place == "field"]
    margin = _INDENT + max(map(len, titles), default=0) + 2
    text = Text()
    for number, row in enumerate(sheet.rows):
        if number and titles:
            text.append("\n")
        cells = list(zip(sheet.columns, row, strict=True))
        headings = [lines for column, lines in cells if column.place == "heading"]
        heading = Text(": ").join(Text(" ").join(Text(line.text, line.style) for line in lines) for lines in headings)
        text.append_text(heading).append("\n")
        for column, lines in cells:
            if column.place == "field":
                for row_text in titled(column.title, lines, width, indent=_INDENT, margin=margin):
                    text.append_text(row_text).append("\n")
    return text
