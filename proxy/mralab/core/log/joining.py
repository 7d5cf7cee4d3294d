"""Lines that were broken by copying, and how they are joined again.

A terminal breaks at its last column, in the middle of a word; a mail program or a page breaks at a blank, which is
lost. Nothing in the pieces says which it was, so both are tried, and of the readings that are well formed the most
plausible one is taken: names without blanks, error texts that OpenSSL has, messages that are HTTP.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Final

from ..tls.tlserror import is_whole
from ..tls.verifyerror import ALL_TEXTS
from .events import Event, HandshakeFailed
from .grammar import BY_TITLE, read_diagnostic

_MOST_PIECES: Final = 24
_MOST_TEXT: Final = 1 << 16
_MOST_TRIED: Final = 6  # breaks of which each may have been either kind
_QUOTING = re.compile(r"[ \t]*(?:>[ \t]*)*")
_VERIFY_ERRORS: Final = frozenset(ALL_TEXTS)
_MESSAGE = re.compile(r"[!-~]+ [!-~]+ HTTP/\d\.\d|HTTP/\d\.\d \d{3} .*", re.DOTALL)
_PROSE: Final = frozenset(("error", "start_line", "type", "detail", "reason", "username"))


class Broken:
    """The pieces of one line so far. ``joined`` is its event and level once the pieces make a well-formed line."""

    def __init__(self, payload: str, width: int) -> None:
        """``payload`` is what the first piece has of it, ``width`` the length of the whole first line."""
        self._pieces = [payload]
        self._widths = [width]
        self._size = len(payload)
        self.text = payload
        """The payload as it was joined."""
        self.joined: tuple[Event, str] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there is anything of the payload yet."""
        return any(self._pieces)

    def add(self, line: str) -> bool:
        """Add the next line; False where a line cannot have that many pieces."""
        piece = line[found.end() :] if (found := _QUOTING.match(line)) else line
        self._size += len(piece)
        if len(self._pieces) >= _MOST_PIECES or self._size > _MOST_TEXT:
            return False
        self._pieces.append(piece)
        self._widths.append(len(line))
        best = -1
        for text in self._candidates():
            read = _well_formed(text)
            if read is not None and (score := _plausibility(read[0])) > best:
                best, self.joined, self.text = score, read, text
        return True

    def _candidates(self) -> list[str]:
        """The ways to join the pieces, those at blanks first."""
        breaks = len(self._pieces) - 1
        if breaks > _MOST_TRIED:
            return [" ".join(self._pieces), "".join(self._pieces), self._by_width()]
        return [self._join(glue) for glue in product((" ", ""), repeat=breaks)]

    def _by_width(self) -> str:
        """Joined as a terminal of fixed width broke them: a blank only where a piece is shorter than the widest."""
        widest = max(self._widths)
        return self._join(tuple("" if width >= widest else " " for width in self._widths[:-1]))

    def _join(self, glue: tuple[str, ...]) -> str:
        text = self._pieces[0]
        for between, piece in zip(glue, self._pieces[1:], strict=True):
            text = f"{text.rstrip(' ')} {piece}" if between else text + piece
        return text


def _well_formed(payload: str) -> tuple[Event, str] | None:
    if payload.startswith(("[", "{")):
        read = read_diagnostic(payload, 0.0)
        is_cut = read is not None and isinstance(read[0], HandshakeFailed) and not is_whole(read[0].error)
        return None if is_cut else read
    for title, form in BY_TITLE.items():
        if title in payload and (read := form.read(payload, 0.0)) is not None:
            return read
    return None


def _plausibility(event: Event) -> int:
    """How many of an event's texts look as they should."""
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
