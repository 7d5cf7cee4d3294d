"""Join lines that were broken by copying.

A terminal breaks a line at its last column, also inside a word. A mail program or a page breaks it at a blank, which is
lost. One line does not show which of the two happened, so both are tried. Of the well-formed results the most plausible
is used: names without blanks, error texts that OpenSSL has, HTTP start lines. The widths of joined lines show how the
rest of the log was broken (``Wrapping``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from ..tls.tlserror import is_whole
from ..tls.verifyerror import ALL_TEXTS
from .events import Event, HandshakeFailed
from .grammar import BY_TITLE, read_diagnostic

_MOST_PIECES: Final = 64
_MOST_TEXT: Final = 1 << 16
_MOST_TRIED: Final = 6  # breaks for which both kinds are tried
_ENOUGH_BREAKS: Final = 2  # to tell from their widths how lines were broken
_LOST_BLANK: Final = 1  # a terminal loses a blank in the last column
_OPEN_STAMP: Final = 'UTCTime="'
_FIELD_INITIALS: Final = ("U", "E", "M")
_QUOTING = re.compile(r"[ \t]*(?:>[ \t]*)*")
_VERIFY_ERRORS: Final = frozenset(ALL_TEXTS)
_MESSAGE = re.compile(r"[!-~]+ [!-~]+ HTTP/\d\.\d|HTTP/\d\.\d \d{3} .*", re.DOTALL)
_PROSE: Final = frozenset(("error", "start_line", "type", "detail", "reason", "username"))


class Wrapping:
    """The width at which the lines of a log were broken, learned from those that were joined."""

    def __init__(self) -> None:
        """Begin without any broken line."""
        self.width = 0
        self._narrowest = 0
        self._breaks = 0

    def add(self, widths: Sequence[int]) -> None:
        """Add the widths of the pieces of a line, without the last one."""
        for width in widths:
            self._narrowest = width if not self._breaks else min(self._narrowest, width)
            self.width = max(self.width, width)
            self._breaks += 1

    @property
    def is_hard(self) -> bool | None:
        """Whether lines were broken at a column (True) or at blanks (False); None if not known yet."""
        if self._breaks < _ENOUGH_BREAKS:
            return None
        return self._narrowest >= self.width - _LOST_BLANK

    def goes_on(self, width: int, line: str) -> str | None:
        """Return what belongs between a line of this width and the next: "" or a blank, None for a line end."""
        if not self.width or not line.strip():
            return None
        if self.is_hard:
            return ("" if width >= self.width else " ") if width >= self.width - _LOST_BLANK else None
        return " " if width + 1 + len(line.split(None, 1)[0]) > self.width else None


class Broken:
    """The pieces of one line so far. ``joined`` is its event and level once the pieces make a well-formed line."""

    def __init__(self, payload: str, first: str, widths: Sequence[int], wrapping: Wrapping) -> None:
        """``payload`` is the part on the ``first`` line, ``widths`` are those of the lines so far."""
        self._quote = found[0] if (found := _QUOTING.match(first)) else ""
        self._pieces = [payload]
        self._parts: set[int] = set()
        """The pieces that follow the one before without a blank, by their place."""
        self._widths = [*widths]
        self._wrapping = wrapping
        self._size = len(payload)
        self.text = payload
        """The joined payload."""
        self.joined: tuple[Event, str] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a piece of the payload has been read."""
        return any(piece.strip() for piece in self._pieces)

    @property
    def is_in_stamp(self) -> bool:
        """Whether the next piece begins with the date of the payload's own stamp."""
        return self._pieces[-1].endswith(_OPEN_STAMP)

    def add_part(self, payload: str) -> bool:
        """Add the payload of a line that a relay split off."""
        self._parts.add(len(self._pieces))
        return self.add(payload)

    def add(self, line: str) -> bool:
        """Add the next line; return False if there are too many pieces for one line."""
        piece = line.removeprefix(self._quote)
        if len(piece) == len(line) and self._quote:
            piece = _QUOTING.sub("", line, count=1)
        self._size += len(piece)
        if len(self._pieces) >= _MOST_PIECES or self._size > _MOST_TEXT:
            return False
        self._pieces.append(piece)
        self._widths.append(len(line))
        if self._pieces[0][:1] in _FIELD_INITIALS and not piece.rstrip(" \t").endswith('"'):
            return True  # a line of fields ends with a quote
        best = -1
        for text in self._candidates():
            read = well_formed(text)
            if read is not None and (score := _plausibility(read[0])) > best:
                best, self.joined, self.text = score, read, text
        if self.joined is not None:
            self._wrapping.add(self._widths[:-1])
        return True

    @property
    def likeliest(self) -> str | None:
        """The most likely payload of a line that has other damage too; None if there is only one piece."""
        return next(iter(self._candidates())) if len(self._pieces) > 1 else None

    def _candidates(self) -> Iterator[str]:
        """Yield the ways to join the pieces, the most likely first."""
        broken = self._widths[-len(self._pieces) : -1]  # without the lines of the head
        widest = max(self._wrapping.width, *self._widths)
        is_hard = self._is_hard(widest)
        likely = ["" if is_hard and width >= widest else " " for width in broken]
        if len(broken) <= _MOST_TRIED:
            choices: list[tuple[str, ...]] = [(each, "" if each else " ") for each in likely]
        else:  # both are possible only if a piece fills its line
            unclear = [not is_hard and width >= widest for width in broken]
            if sum(unclear) > _MOST_TRIED:
                yield self._join([""] * len(broken))
                unclear = [False] * len(broken)
            choices = [(each, "") if open_ else (each,) for each, open_ in zip(likely, unclear, strict=True)]
        for part in self._parts:
            if part <= len(choices):  # the last one may have been one too many
                choices[part - 1] = ("",)
        for glue in product(*choices):
            yield self._join(glue)

    def _is_hard(self, widest: int) -> bool:
        known = self._wrapping.is_hard
        if known is not None:
            return known
        return len(self._widths) > _ENOUGH_BREAKS and min(self._widths[:-1]) >= widest - _LOST_BLANK

    @property
    def _indent(self) -> int:
        """Number of blanks before each further piece: a page's hanging indent. One blank may be the line's own."""
        indents = [len(piece) - len(piece.lstrip(" ")) for piece in self._pieces[1:] if piece.strip()]
        indent = min(indents, default=0)
        return indent if indent > 1 else 0

    def _join(self, glue: Sequence[str]) -> str:
        text = self._pieces[0]
        indent = self._indent
        for between, piece in zip(glue, (piece[indent:] for piece in self._pieces[1:]), strict=True):
            text = f"{text.rstrip(' ')} {piece.lstrip(' ')}" if between else text + piece
        return text.lstrip(" ")


def well_formed(payload: str) -> tuple[Event, str] | None:
    """Return event and level of a payload that is whole."""
    if payload.startswith(("[", "{")):
        read = read_diagnostic(payload, 0.0)
        is_cut = read is not None and isinstance(read[0], HandshakeFailed) and not is_whole(read[0].error)
        return None if is_cut else read
    for title, form in BY_TITLE.items():
        if title in payload and (read := form.read(payload, 0.0)) is not None:
            return read
    return None


def _plausibility(event: Event) -> int:
    """Return how many of an event's texts are plausible."""
    score = 0
    for name, value in zip(event._fields, event, strict=True):
        if not isinstance(value, str):
            continue
        if name == "error":
            score += value in _VERIFY_ERRORS or is_whole(value)
            score += ":SSL routines:" in value
        elif name == "start_line":
            score += _MESSAGE.fullmatch(value) is not None
        elif name not in _PROSE:
            score += " " not in value
    return score
