"""The terminal that results are printed on: its width, its colours, and whether it is one at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from rich.console import Console

PIPED_WIDTH: Final = 140
"""Columns of output that is no terminal's, unless COLUMNS says otherwise."""
TABLE_WIDTH: Final = 120
"""Columns from which a table is shown; below, a list with one block for each row."""
_UNKNOWN_WIDTH: Final = 80  # columns of a terminal that does not know its size, such as a serial line
_NARROWEST: Final = 20
_WIDEST: Final = 1000


class _Console(Console):
    """A console that does not handle broken pipes: rich would exit with 1, which means findings."""

    def on_broken_pipe(self) -> None:
        """Raise the ``BrokenPipeError`` that is being handled; ``cli.exit_codes`` handles it."""
        raise  # noqa: PLE0704 - rich calls this in its except clause


def console(*, stderr: bool = False) -> Console:
    """Return a console. It uses colour only on a terminal, and never with NO_COLOR; ``columns`` decides its width."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=columns(stream), highlight=False, emoji=False, markup=False)


def columns(stream: TextIO, environment: Mapping[str, str] = os.environ) -> int:
    """Return the width of a stream: that of COLUMNS, else the terminal's, else ``PIPED_WIDTH``."""
    given = environment.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and len(given) < 10 and int(given):
        return _bounded(int(given))
    if not stream.isatty():
        return PIPED_WIDTH
    try:
        return _bounded(os.get_terminal_size(stream.fileno()).columns or _UNKNOWN_WIDTH)
    except OSError:
        return _UNKNOWN_WIDTH


def _bounded(width: int) -> int:
    return min(max(width, _NARROWEST), _WIDEST)
