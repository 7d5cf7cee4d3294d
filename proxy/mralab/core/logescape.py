"""How text stands in a line of the log: escaped so that it cannot leave its field, and can be read back.

Control characters, quotes, backslashes and everything beyond ASCII are written as ``\\n``, ``\\"``, ``\\x1B``,
``\\u{20AC}``, and the unquoted names of WARNING and ERROR lines also hide blanks, quotes and parentheses, so that no
name can pretend to be the rest of its line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class _Kind(NamedTuple):
    """How a field's text stands in a line: what reads it, what is escaped, and the bytes that never are."""

    pattern: str
    unsafe: re.Pattern[str]
    safe: bytes


def _kind(pattern: str, also_unsafe: str = "", edges: str = "") -> _Kind:
    unsafe = re.compile(rf"[^ -~]|[\\{re.escape(also_unsafe)}]{edges}")
    plain = (chr(code) for code in range(0x20, 0x7F))
    return _Kind(pattern, unsafe, "".join(c for c in plain if not unsafe.fullmatch(c)).encode())


KINDS: Final = {
    "": _kind(r'([^"\\]*+(?:\\.[^"\\]*+)*+)', also_unsafe='"'),
    # Blanks at either end would be lost to a reader that forgives lost blanks.
    "prose": _kind("(.*)", also_unsafe='"=', edges=r"|^ | \Z"),
    "bare": _kind(r"([^ ()'\"]*)", also_unsafe=" ()'\"="),
    "host": _kind(r"(\S*)", also_unsafe=" ()[]'\":"),
    "line": _kind("(.*)"),
    "header": _kind("([^: ]*)", also_unsafe=" :"),
}
_UNQUOTED: Final = frozenset(("bare", "host", "header"))

_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t"}
_LONG: Final = {long: short for short, long in _SHORT.items()}
_SEQUENCE = re.compile(r'\\(?:(["\\rnt])|x([0-9A-F]{2})|u\{(10[0-9A-F]{4}|[0-9A-F]{1,5})\}|)')


def _escape_quoted(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or _escape_bare(match)


def _escape_bare(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == '"' or match[0] not in _SHORT:
        return f"\\x{code:02X}" if code <= 0xFF else f"\\u{{{code:X}}}"
    return _SHORT[match[0]]


def escape_field(text: str, kind: str) -> str:
    """``text`` as it stands in a field of this kind (a key of ``KINDS``)."""
    return KINDS[kind].unsafe.sub(_escape_bare if kind in _UNQUOTED else _escape_quoted, text)


def escape(text: str) -> str:
    """``text`` as it stands between a line's quotes: printable ASCII, whatever it was; safe on a terminal."""
    return escape_field(text, "")


def unescape(text: str) -> str:
    """The text that ``escape`` was given.

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
