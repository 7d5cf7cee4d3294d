"""The HTTPMSG block that follows a DEBUG line: the message's start line and headers.

Layout: Cisco 225746. A terminal or a mail program may have broken its lines too (``joining``).
"""

from __future__ import annotations

import re
from typing import Final

from .escape import unescape
from .events import RequestSent
from .joining import Wrapping

_HEADER = re.compile(r" ?([^\s:]+)[ \t]*: ?(.*)", re.DOTALL)
_OWN_HEADER = re.compile(r" [A-Z][\w-]*:", re.ASCII)
# Twice what the largest head allowed can hold; keeps a broken file from filling memory.
_MOST_HEADERS: Final = 65536


class Twin:
    """A DEBUG line's HTTPMSG block while it is read."""

    def __init__(self, event: RequestSent, wrapping: Wrapping) -> None:
        """``event`` is that of the DEBUG line: a ``RequestSent`` or another with headers."""
        self._event = event
        self._wrapping = wrapping
        self._width = 0
        """That of the line before."""
        self._start_line: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._open = False
        self._has_pipe = False
        """Whether the block is laid out as Expressway does it: a blank before each header."""

    def belongs_to(self, event: object) -> bool:
        """Return whether this is the twin of the event's line: the same but for the message."""
        if not isinstance(event, type(self._event)) or event.headers:
            return False
        return event._replace(at=0, start_line="") == self._event._replace(at=0, start_line="")

    @property
    def is_open(self) -> bool:
        """Whether ``HTTPMSG:`` has come."""
        return self._open

    def ends_with(self, line: str) -> bool:
        """Add a line; return whether the block ends with it. Lines before ``HTTPMSG:`` are ignored."""
        if not self._open:
            self._open = line.startswith("HTTPMSG:")
            line = line[8:]
            if not self._open or not line.strip():
                return False
        width, self._width = self._width, len(line)
        if not line:  # pages put blank lines between: Expressway's own has a blank in it
            self._width = width
            return False
        if self._start_line is None and line.startswith("|"):
            self._start_line = unescape(line[1:])
            self._has_pipe = True
        elif not line.strip(" \t|"):
            return True
        elif self._start_line is None:
            self._start_line = unescape(line.strip(" \t").removeprefix("|"))
        elif (between := self._between(width, line)) is not None:
            self._add(f"{between}{line}")
        elif (header := _HEADER.fullmatch(line)) and len(self._headers) < _MOST_HEADERS:
            self._headers.append((unescape(header[1]), unescape(header[2])))
        return False

    def _between(self, width: int, line: str) -> str | None:
        """Return what was between this line and the one before; None if it is a header of its own."""
        if not self._wrapping.width or _OWN_HEADER.match(line):
            return None
        between = self._wrapping.goes_on(width, line)
        if between is None and not self._wrapping.is_hard and (self._has_pipe and line[0] != " "):
            return " "  # a word longer than a line hides at which width the others were broken
        return between

    def _add(self, piece: str) -> None:
        """Add the rest of a line that was broken."""
        if self._headers:
            name, value = self._headers[-1]
            self._headers[-1] = name, value + unescape(piece)
        else:
            self._start_line = f"{self._start_line}{unescape(piece)}"

    def complete(self, event: RequestSent) -> RequestSent:
        """Return the event with what the block says."""
        return event._replace(start_line=event.start_line or self._start_line or "", headers=tuple(self._headers))
