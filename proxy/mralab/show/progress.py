"""What a command is doing: one line on standard error, and only if that is a terminal.

It has no colour, so NO_COLOR does not change it, and it leaves nothing behind. There is no thread: the line changes
when the command calls ``show``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

from rich.cells import set_cell_size

from ..core.log.escape import visible
from .screen import columns

_CLEAR: Final = "\r\x1b[K"


class Progress:
    """The line. ``show`` changes it, ``clear`` removes it."""

    def __init__(self, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._is_shown = has_progress(self._stream, environment)
        self._text = ""

    def show(self, text: str) -> None:
        """Show a text in place of the one before. It is cut at the edge: a second row could not be removed."""
        self._text = text
        if self._is_shown and text:
            line = visible(text)
            width = columns(self._stream) - 1
            line = line if len(line) <= width and line.isascii() else set_cell_size(line, width).rstrip()
            self._stream.write(f"{_CLEAR}{line}")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown and self._text:
            self._stream.write(_CLEAR)
            self._stream.flush()

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove the line while results are printed: standard output may be the same terminal."""
        self.clear()
        yield
        self.show(self._text)


def has_progress(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether progress can be shown: on a terminal that can erase a line."""
    return stream.isatty() and environment.get("TERM", "") not in ("", "dumb")


@contextlib.contextmanager
def progress(text: str = "") -> Iterator[Progress]:
    """Show ``text`` on standard error while the context is open."""
    line = Progress()
    line.show(text)
    try:
        yield line
    finally:
        line.clear()
