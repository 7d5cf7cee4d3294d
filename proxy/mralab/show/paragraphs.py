"""Paragraphs broken between words only, so that names, URLs and fingerprints can be searched for and copied."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rich.text import Text

_NARROWEST: Final = 30


class Line(NamedTuple):
    """A paragraph in one style; empty: the terminal's own."""

    text: str
    style: str = ""


def wrapped(text: str, width: int, hang: str = "") -> list[str]:
    """Break a paragraph between words; the further rows of a list entry (``- ``), or all after ``hang``, are indented.

    A longer word has a row of its own that is wider than ``width``: print the rows with ``soft_wrap``.
    """
    indent = "  " if text.startswith("- ") else hang
    rows = textwrap.wrap(
        text, max(width, _NARROWEST), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return rows or [""]


def titled(title: str, lines: Iterable[Line], width: int, *, indent: int, margin: int) -> Iterator[Text]:
    """Yield the rows of a title and its paragraphs, which begin at column ``margin``."""
    rows = [(row, line.style) for line in lines for row in wrapped(line.text, width - margin)]
    for number, (row, style) in enumerate(rows):
        beginning = f"{' ' * indent}{'' if number else title:<{margin - indent}}"
        yield Text.assemble(beginning, (row, style)) if row else Text(beginning.rstrip())
