"""The readings of a path: the paths that an allow list must allow before it may allow this one.

Servers, and proxies in front of them, interpret a path in different ways. An allow list that knows only one of them
lets ``/allowed/..%2fsecret`` and its many variants through. ``readings`` has the rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST_AMBIGUOUS_PATH = 1024
"""Characters of a path with more than one reading; a longer one is refused (see :func:`readings`)."""

MOST_READINGS = 64
"""Readings of one path before it is refused; twice-escaped traversals have about ten."""

_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"/{2,}")
_UNICODE_ESCAPE = re.compile(r"%[uU]([0-9A-Fa-f]{4})")
_ESCAPE = re.compile(r"%(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})")
# Overlong UTF-8: two to six octets for an ASCII character. The two high bits of the octets after the first may have any
# value, because some decoders do not check them (%c0%2e is a dot for these).
_ZERO, _ZERO_OR_ONE = "[\0\x40\x80\xc0]", "[\0\1\x40\x41\x80\x81\xc0\xc1]"
_OVERLONG = re.compile(
    "[\xc0\xc1][\0-\xff]|"
    + "|".join(f"{lead}{_ZERO * zeros}{_ZERO_OR_ONE}[\0-\xff]" for zeros, lead in enumerate("\xe0\xf0\xf8\xfc"))
)
_UTF8 = re.compile("[\x80-\xff]+")
# Characters that best-fit conversions turn into a slash or a backslash (code pages 932 and 949: the signs of yen and
# won). Other look-alikes have compatibility decompositions (NFKC).
_SLASH_LOOK_ALIKES = dict.fromkeys((0x2044, 0x2215, 0x29F8, 0x1F67C), "/") | dict.fromkeys(
    (0xA5, 0x20A9, 0x2216, 0x29F5, 0x29F9, 0x1F67D), "\\"
)
_NOT_STRUCTURE = re.compile(r"[^./\\%;:?#]+")
_SEPARATOR = re.compile(r"[/\\]")
_VISIBLE_NAME = re.compile(r"[!-*,\-0-~]")  # visible ASCII except '+' (a blank in forms), '.' and '/'
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters, but Default_Ignorable_Code_Point
_CUT = re.compile(r"\x00|%00|[?#]")


def readings(path: str) -> frozenset[str]:
    r"""Return every path that a reader could take ``path`` for. It is allowed only if all of them are.

    ``path`` may have a query; readings have none. Readers differ in whether, how often and in which order they

    - decode ``%xx`` (or ``%u002e``) and take overlong UTF-8 (RFC 3629 section 3),
    - turn compatibility characters (NFKC, NFKD) and best-fit look-alikes into ASCII, and ``\`` into a slash,
    - drop ``;parameters``, merge double slashes and remove dot segments (RFC 3986 section 5.2.4),
    - stop at a NUL, or at a decoded ``?`` or ``#``.

    The result is the closure of these steps. A reading that differs only in the spelling of a name is left out: only
    the place that a path leads to counts.

    Readers also drop characters: blanks and controls, invisible ones, those that they cannot decode. So a segment needs
    a character that every reader keeps: a letter, a digit or visible ASCII. A segment with dots and no such character
    is ``..`` for some reader; characters that best-fit conversions may turn into dots count as dots (``Po``: middle
    dots, bullets, other full stops). As it cannot be known, the path gets the reading ``""``, which no rule covers. The
    same applies to a segment without a name beside a dot segment (some readers count it as a folder, others do not), to
    an ambiguous path longer than ``LONGEST_AMBIGUOUS_PATH``, and to one with more than ``MOST_READINGS``.

    An ordinary path has one reading, itself, and costs a few searches.
    """
    bare = path.partition("?")[0]
    if not _is_ambiguous(bare):
        return frozenset((bare,))
    if len(bare) > LONGEST_AMBIGUOUS_PATH:
        return frozenset((bare, ""))
    found = {bare}
    pending = [bare]
    while pending:
        reading = pending.pop()
        if len(found) > MOST_READINGS:
            return frozenset((bare, ""))
        new = set(_next_readings(reading)) - found
        found |= new
        pending += new
    return frozenset(found)


def _is_ambiguous(path: str) -> bool:
    """Return whether a path could have several readings: the cheap test that ordinary paths end with."""
    return not path.isascii() or (
        "%" in path or "/." in path or "//" in path or ";" in path or "\\" in path or "/+" in path or "\0" in path
    )


def _next_readings(path: str) -> Iterator[str]:
    """Yield ``path`` after one further step of each kind of reader."""
    if "%" in path:
        yield unquote(path, "latin-1")
        if "%u" in path or "%U" in path:
            yield _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), path)
    text = path
    if not path.isascii():
        text = _OVERLONG.sub(_ascii_of_overlong, path)
        if text != path:
            yield text
        text = unicodedata.normalize("NFKD", _UTF8.sub(_decoded, text)).translate(_SLASH_LOOK_ALIKES)
        if _NOT_STRUCTURE.sub("", text) != _NOT_STRUCTURE.sub("", path):
            yield text
    if _has_nameless_segment(text):
        yield ""
    if "%" in text:
        kept = "".join(filter(_is_kept, text))
        if kept != text and _ESCAPE.search(kept) is not None:
            yield kept
    yield _CUT.split(path, maxsplit=1)[0]
    yield path.replace("\\", "/")
    if ";" in path:
        yield _PARAMETERS.sub("", path)
    if "//" in path:
        yield _SLASHES.sub("/", path)
    if "/." in path:
        yield _without_dot_segments(path)


def _ascii_of_overlong(match: re.Match[str]) -> str:
    """Return the character that a UTF-8 decoder reads that does not check for the shortest form."""
    return chr((ord(match[0][-2]) & 0x3F) << 6 | ord(match[0][-1]) & 0x3F)  # all bits before these are zero


def _decoded(match: re.Match[str]) -> str:
    """Return the characters of UTF-8 octets given in Latin-1. Octets that are not UTF-8 become surrogates."""
    return match[0].encode("latin-1").decode("utf-8", "surrogateescape")


def _is_kept(character: str) -> bool:
    """Return whether every reader keeps a character: visible ASCII, letters and digits."""
    return "!" <= character <= "~" or (character.isalnum() and character not in _BLANK_LETTERS)


def _has_nameless_segment(text: str) -> bool:
    """Return whether a segment has no character that every reader keeps, so that readers differ.

    One with dots is ``..`` for some of them. One without dots may vanish, which matters only beside a dot segment,
    because that then removes another folder. A colon ends a segment's name: NTFS has stream names after it.
    """
    dots = vanishing = False
    for segment in _SEPARATOR.split(text):
        if segment in ("", ".", ".."):
            dots = dots or segment != ""
            continue
        name = segment.partition(":")[0]
        if _VISIBLE_NAME.search(name) or any(_is_kept(character) for character in name if character > "~"):
            continue
        if "." in name or any(unicodedata.category(character) == "Po" for character in name if character > "~"):
            return True
        vanishing = True
    return dots and vanishing


def _without_dot_segments(path: str) -> str:
    """Return a path that starts with a slash without its dot segments (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
