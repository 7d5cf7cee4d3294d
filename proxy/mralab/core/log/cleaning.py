"""Undo what publishing, printing and exporting do to the characters of a log line.

``straighten`` accepts any line and leaves plain ASCII unchanged. ``mended`` yields repaired versions of a payload that
matched no form. ``records`` splits a line that contains several.
"""

from __future__ import annotations

import html
import itertools
import re
import urllib.parse
from collections.abc import Iterator
from typing import Final

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH: Final = "(?:" + "|".join(MONTHS) + ")"

_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_APOSTROPHES = "\u2018\u2019\u201a\u201b\u2032"
_BLANKS = "\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
_INVISIBLE = (
    "\xad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
# A PDF's text has "traffic" and "certificate" with these in them.
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"
}  # fmt: skip
_TYPOGRAPHY: Final = (
    dict.fromkeys(map(ord, _QUOTES), '"')
    | dict.fromkeys(map(ord, _DASHES), "-")
    | _LIGATURES
    | {0x2026: "..."}
    | dict.fromkeys(map(ord, _APOSTROPHES), "'")
    | dict.fromkeys(map(ord, _BLANKS), " ")
    | dict.fromkeys(map(ord, _INVISIBLE))
    | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms of ASCII
)
# UTF-8 that was read as Latin-1, or as Windows-1252, changes the typographic characters a second time.
_TWICE_TURNED: Final = {
    "\x90": "-",
    "\x91": "-",
    "\x93": "-",
    "\x94": "-",
    "\u201c": "-",
    "\u201d": "-",
    "\x98": "'",
    "\x99": "'",
    "\u02dc": "'",
    "\u2122": "'",
    "\x9c": '"',
    "\x9d": '"',
    "\u0153": '"',
    "\ufffd": '"',
    "\xc2\xa0": " ",
    "\xc2\xab": '"',
    "\xc2\xbb": '"',
    "\xef\xbb\xbf": "",
    "\x8b": "",
    "\u2039": "",
    "\xaf": " ",
}
_MOJIBAKE = re.compile(
    "\xe2(?:\x80|\u20ac)([\x90\x91\x93\x94\x98\x99\x9c\x9d\x8b\xaf\u201c\u201d\u02dc\u2122\u0153\u2039\ufffd])"
    "|(\xef\xbb\xbf|\xc2[\xa0\xab\xbb])"
)


# What a Markdown converter escapes. Only names that Expressway itself writes show that a line went through one.
_MARKDOWN_SIGNS: Final = ("traffic\\_server", "[ET\\_", "\\[ET\\_", "tls\\_process\\_", "ssl3\\_")
_MARKDOWN_ESCAPE = re.compile(r"\\(?:([_*\[\]<>#~`.+-])|.)", re.DOTALL)
_BOLD = re.compile(r"\*\*([^*\"]{1,200})\*\*")


def is_clean(text: str) -> bool:
    """Return whether ``straighten`` would leave a line as it is."""
    return text.isascii() and "\0" not in text and "\\_" not in text


def _without_markdown(line: str) -> str:
    """Return a line without the escapes and the bold type that a Markdown converter put into it."""
    if "\\_" not in line or not any(sign in line for sign in _MARKDOWN_SIGNS):
        return line
    line = _MARKDOWN_ESCAPE.sub(lambda found: found[1] or found[0], line)
    return _BOLD.sub(r"\1", line)


def straighten(line: str) -> str:
    """Return the line in the characters that Expressway wrote.

    Without typography, Markdown's escapes, invisible characters, and NULs of UTF-16.
    """
    line = _without_markdown(line)
    if "\0" in line:
        line = line.removeprefix("\xff\xfe").removeprefix("\xfe\xff").replace("\0", "")
    if line.isascii():
        return line
    return _MOJIBAKE.sub(lambda found: _TWICE_TURNED[found[1] or found[2]], line).translate(_TYPOGRAPHY)


# -- colours and pages

# Escape is shown as ^[ or ESC, escaped as \\x1b, \\u001b, \\033 or \\e, and as #033 by rsyslog.
_COLOUR = re.compile(
    r"(?:\x1b|\^\[|ESC(?=\[)|\\(?:x1[bB]|u001[bB]|033|e)|#033)"
    r"(?:\[[0-9;?]{0,16}[A-Za-z]|\]8;[^\x07\x1b]{0,1000}(?:\x07|\x1b\\))"
)
_ESCAPES: Final = ("\x1b", "^[", "ESC[", "b[", "\\033[", "\\e[", "#033[")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_CELL_END = re.compile(r"</(?:td|th|tr|p|div|li|pre)>", re.IGNORECASE)
_RAW_FIELD = re.compile(r'(?:UTCTime|Event|Module)="')


def unwrap(line: str) -> str:
    """Return the line without what a terminal, a page or a URL adds to it."""
    if "[" in line and any(escape in line for escape in _ESCAPES):
        line = _COLOUR.sub("", line)
    if "%" in line and " " not in line and "traffic_server%" in line:
        line = urllib.parse.unquote_plus(line)
    if "&" in line and _has_entities(line):
        line = html.unescape(line)
        if "&" in line and _has_entities(line):  # escaped twice, as in a feed
            line = html.unescape(line)
        line = line.replace("\xa0", " ")
    if "</" in line or "<br" in line:
        line = _MARKUP.sub("", _CELL_END.sub("\t", _BREAK.sub(" ", line)))
    return line


def _has_entities(line: str) -> bool:
    """Return whether the whole line is escaped for a page. Entities in a field of a raw line are a client's text."""
    if not any(name in line for name in ("&quot;", "&#", "&apos;", "&nbsp;", "&lt;", "&amp;quot;", "&amp;#")):
        return False
    return _RAW_FIELD.search(line) is None


# -- several records in one line

_HEAD = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
    rf"|{MONTH} [ \d]\d \d\d:\d\d:\d\d)[ \t]+"
    r"([^\s\[\]\"':]{1,255}[ \t]+traffic_server(?:\[\d{1,10}\][ \t]*:|[ \t]+\d{1,10}[ \t]))",
    re.ASCII,
)
_FRAME = re.compile(r"(\d{1,6}) (?=<\d{1,3}>)", re.ASCII)
_BETWEEN = re.compile(r"(?:(?:\\[nr]|#01[25]|\^[JM])|(?:\d{1,6} )?<\d{1,3}>(?:1 )?)\Z", re.ASCII)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_MOST_BETWEEN: Final = 4
_NAME: Final = "traffic_server"


def records(line: str) -> list[str]:
    """Return the records of which a line is made: one, unless several of one process were put into it.

    A further record begins only where stamp, host and process of the first are repeated and no quote is open: so no
    field can contain one, nor can anybody write one without knowing the process number.
    """
    first = line.find(_NAME)
    if first < 0 or line.find(_NAME, first + 1) < 0:
        return [line]
    if (framed := _frames(line)) is not None:
        return framed
    heads = list(_HEAD.finditer(line))
    if not heads:
        return [line]
    bounds = [0]
    for head in heads[1:]:
        if head[1] == heads[0][1] and _ESCAPED.sub("", line[bounds[-1] : head.start()]).count('"') % 2 == 0:
            bounds.append(head.start())
    bounds.append(len(line))
    if len(bounds) == 2:
        return [line]
    return [_without_separator(line[begin:end]) for begin, end in itertools.pairwise(bounds)]


def _frames(line: str) -> list[str] | None:
    """Return the messages of octet counting (RFC 6587); None if a count is wrong."""
    frames: list[str] = []
    position = 0
    while position < len(line):
        count = _FRAME.match(line, position)
        if count is None:
            return None
        end = count.end() + int(count[1])
        if end > len(line):
            return None
        frames.append(line[count.end() : end])
        position = end
    return frames


def _without_separator(piece: str) -> str:
    for _ in range(_MOST_BETWEEN):
        tail = piece[-32:]
        found = _BETWEEN.search(tail.rstrip(" \t"))
        if found is None:
            break
        piece = piece[: len(piece) - len(tail) + found.start()]
    return piece.rstrip()


# -- payloads

_BLANK_RUNS = re.compile(r"[ \t]{2,}|\t")
_OTHER_QUOTES = re.compile(r"=(''?|``?)([^'`]{0,4096})\1(?=[\s:]|\Z)")
_LINKED = re.compile(
    r'((?:Msg="[A-Z]{1,20} |Request="|Rule="))'
    r"(?:<(https?://[^<>\s\"|]{1,4096})(?:\|[^<>\s\"]{0,4096})?>|\[(https?://[^\]\s\"]{1,4096})\][(|][^)\s\"]{0,4096}\))"
)


def unlink(payload: str) -> str:
    """Return the payload without the marks that chats put around a URL; no URL begins with them."""
    if '"<http' not in payload and " <http" not in payload and "[http" not in payload:
        return payload
    return _LINKED.sub(lambda found: f"{found[1]}{found[2] or found[3]}", payload)


def mended(payload: str) -> Iterator[str]:
    """Yield repaired versions of a payload that matched no form: single blanks, double quotes."""
    single = _BLANK_RUNS.sub(" ", payload)
    if single != payload:
        yield single
    if "='" in single or "=`" in single:
        yield _OTHER_QUOTES.sub(r'="\2"', single)
    if "''" in single:
        yield single.replace("''", "'")
