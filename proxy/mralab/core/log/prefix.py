"""Remove what ``grep -n``, ``grep -H`` and their context options put before each line.

``12:``, ``FILE:12:`` and ``FILE:`` precede a matching line, ``12-``, ``FILE-12-`` and ``FILE-`` a line of context. A
prefix is recognized by the stamp that follows it. Lines of a message have no stamp: their prefix must continue the
last one.
"""

from __future__ import annotations

import re
from typing import Final

from .cleaning import MONTH

SEPARATOR: Final = "--"
"""The line between two groups of lines."""

_STAMPED = re.compile(
    r"(?:([^\s:\"=<>{}\[\]]{1,255}?)[:-])??(?:(\d{1,9})[:-])?"
    rf"(?=(?:<\d{{1,3}}>(?:1 )?)?(?:\d{{4}}-\d\d-\d\d[T ]\d\d:|{MONTH} [ \d]\d \d\d:))",
    re.ASCII,
)
_NUMBER = re.compile(r"[:-]?(\d{1,9})[:-]", re.ASCII)


class GrepPrefix:
    """The prefix of a log's lines."""

    def __init__(self) -> None:
        """Begin without a known prefix."""
        self._is_known = False
        self._file = ""
        self._number: int | None = None

    def is_separator(self, line: str) -> bool:
        """Return whether a line stands between two groups of lines."""
        return self._is_known and line == SEPARATOR

    def strip(self, line: str) -> str:
        """Return the line without the prefix."""
        stamped = _STAMPED.match(line)
        if stamped is not None:
            self._is_known = stamped.end() > 0
            self._file = stamped[1] or ""
            self._number = int(stamped[2]) if stamped[2] else None
            return line[stamped.end() :]
        if not self._is_known or not line.startswith(self._file):
            return line
        start = len(self._file)
        if self._number is None:
            return line[start + 1 :] if line[start : start + 1] in (":", "-") else line
        found = _NUMBER.match(line, start)
        if found is None or int(found[1]) != self._number + 1:
            return line
        self._number += 1
        return line[found.end() :]
