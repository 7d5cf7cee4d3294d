"""Escape text in a log line, so that it cannot leave its field and can be read back.

Control characters, quotes, backslashes and everything beyond ASCII are written as ``\\n``, ``\\"``, ``\\x1B``,
``\\u{20AC}``, and the unquoted names of WARNING and ERROR lines also hide blanks, quotes and parentheses, so that no
name can pretend to be the rest of its line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t"}
_LONG: Final = {long: short for short, long in _SHORT.items()}


class _Table(dict[int, str]):
    """Table for ``str.translate``. A Python call for each character of 128 KB would block the event loop."""

    def __init__(self, unsafe: str, *, quoted: bool) -> None:
        super().__init__()
        for code in range(0x100):
            char = chr(code)
            if " " <= char <= "~" and char not in unsafe:
                self[code] = char
            elif char in _SHORT and (quoted or char != '"'):
                self[code] = _SHORT[char]
            else:
                self[code] = f"\\x{code:02X}"

    def __missing__(self, code: int) -> str:
        return f"\\u{{{code:X}}}"


class _Kind(NamedTuple):
    """How the text of a kind of field is written: the pattern that reads it, its escapes, its safe bytes.

    ``edges``: blanks at either end are escaped.
    """

    pattern: str
    table: _Table
    safe: bytes
    edges: bool


def _kind(pattern: str, also_unsafe: str = "", *, quoted: bool = True, edges: bool = False) -> _Kind:
    table = _Table("\\" + also_unsafe, quoted=quoted)
    safe = bytes(code for code, shown in table.items() if shown == chr(code) and not (edges and code == 0x20))
    return _Kind(pattern, table, safe, edges)


KINDS: Final = {
    "": _kind(r'([^"\\]*+(?>\\.[^"\\]*+)*+)', also_unsafe='"'),
    # The reader tolerates lost blanks, so it would not see blanks at either end.
    "prose": _kind("(.*)", also_unsafe='"=', edges=True),
    "bare": _kind(r"([^ ()'\"]*)", also_unsafe=" ()'\"=", quoted=False),
    "host": _kind(r"(\S*)", also_unsafe=" ()[]'\":", quoted=False),
    "line": _kind("(.*)"),
    "header": _kind("([^: ]*)", also_unsafe=" :", quoted=False),
}

_SEQUENCE = re.compile(r'\\(?:(["\\rnt])|x([0-9A-F]{2})|u\{(10[0-9A-F]{4}|[0-9A-F]{1,5})\}|)')


NO_NAME: Final = "(null)"
"""What Traffic Server prints where it has no name: no field's text may be written so that it reads as this."""


def escape_field(text: str, kind: str) -> str:
    """Return ``text`` escaped for a field of this kind (a key of ``KINDS``)."""
    _, table, _, edges = KINDS[kind]
    written = text.translate(table)
    if kind == "bare" and text == "null":
        return "\\x6Eull"
    if kind == "prose":
        written = written.replace(NO_NAME, "\\x28null)")
    if edges and text:
        if text[0] == " ":
            written = "\\x20" + written[1:]
        if text[-1] == " " and len(text) > 1:
            written = written[:-1] + "\\x20"
    return written


def visible(text: str) -> str:
    """Return a line as it stands, with escapes in place of what a terminal would act on or hide.

    Those are control, format (such as bidirectional overrides) and unassigned characters: all that ``str.isprintable``
    excludes. Quotes and backslashes stay, so that the line can be copied.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escape_field(char, "line") for char in text)


def escape(text: str) -> str:
    """Return ``text`` escaped for a quoted field: printable ASCII, safe on a terminal."""
    return escape_field(text, "")


def unescape(text: str) -> str:
    """Return the text that was given to ``escape``.

    A text with a backslash that starts none of our escapes (``DOMAIN\\user``) was not written by us and is
    left as it is, all of it.
    """
    if "\\" not in text:
        return text
    parts: list[str] = []
    start = 0
    for match in _SEQUENCE.finditer(text):
        short, byte, code = match.groups()
        if short:
            char = _LONG["\\" + short]
        elif byte or code:
            char = chr(int(byte or code, 16))
        else:
            return text
        parts += (text[start : match.start()], char)
        start = match.end()
    return "".join((*parts, text[start:]))
