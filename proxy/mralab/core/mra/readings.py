"""What readers could make of a path: the paths that must be allowed for one to be allowed.

Servers, and what stands before them, read one path in different ways; an allow list that knows a single one is passed
by ``/allowed/..%2fsecret`` and its many relatives. ``readings`` has the rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST_AMBIGUOUS_PATH = 1024
"""Characters of a path with more than one reading; a longer one is not read at all (see :func:`readings`)."""

MOST_READINGS = 64
"""Readings of one path worth following; twice-escaped traversals have about ten."""

_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"/{2,}")
_UNICODE_ESCAPE = re.compile(r"%[uU]([0-9A-Fa-f]{4})")
_ESCAPE = re.compile(r"%(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})")
# UTF-8 longer than it may be, two to six octets for an ASCII character, whatever the two high bits of the octets after
# the first are: some decoders do not look at them (%c0%2e is a dot for these).
_ZERO, _ZERO_OR_ONE = "[\0\x40\x80\xc0]", "[\0\1\x40\x41\x80\x81\xc0\xc1]"
_OVERLONG = re.compile(
    "[\xc0\xc1][\0-\xff]|"
    + "|".join(f"{lead}{_ZERO * zeros}{_ZERO_OR_ONE}[\0-\xff]" for zeros, lead in enumerate("\xe0\xf0\xf8\xfc"))
)
_UTF8 = re.compile("[\x80-\xff]+")
# What best-fit conversions take for a slash or a backslash (code pages 932 and 949: the signs of yen and won). Other
# look-alikes have compatibility decompositions (NFKC).
_SLASH_ALIKES = dict.fromkeys((0x2044, 0x2215, 0x29F8, 0x1F67C), "/") | dict.fromkeys(
    (0xA5, 0x20A9, 0x2216, 0x29F5, 0x29F9, 0x1F67D), "\\"
)
_NOT_STRUCTURE = re.compile(r"[^./\\%;:?#]+")
_SEPARATOR = re.compile(r"[/\\]")
_VISIBLE_NAME = re.compile(r"[!-*,\-0-~]")  # all of ASCII but controls, the blank, '+' (a blank in forms), '.' and '/'
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters, but Default_Ignorable_Code_Point
_CUT = re.compile(r"\x00|%00|[?#]")


def readings(path: str) -> frozenset[str]:
    r"""Return every path that two readers could make of one: it is allowed only if it is under each of them.

    ``path`` may carry a query; readings have none. The readers differ in whether and how often they decode
    ``%xx`` (or ``%u002e``), take overlong UTF-8 (RFC 3629 section 3), fold compatibility characters (NFKC, NFKD) and
    best-fit look-alikes into the ASCII they stand for, take ``\`` for a slash, drop ``;parameters``, fold double
    slashes, remove dot segments (RFC 3986 section 5.2.4), stop at NUL (or a decoded ``?`` or ``#``), and in the order
    in which they do so: this is the closure of all that. A reading that differs only in how a name is spelled is left
    out: what counts is where a path leads.

    Readers also drop characters: blanks and controls, what is invisible, what they cannot decode. So a segment needs
    something that every reader keeps, a letter, a digit or visible ASCII. One that has only dots besides, or what
    best-fit conversions may take for dots (``Po``: middle dots, bullets, other full stops), is ``..`` for some reader:
    nobody can tell, and the path gets the reading ``""``, which no rule covers. The same is due for a
    segment without a name beside a dot segment (it counts as a folder or not), for an ambiguous path longer than
    ``LONGEST_AMBIGUOUS_PATH``, and for one with more than ``MOST_READINGS``.

    An ordinary path has one reading, itself, and costs a few searches.
    """
    bare = path.partition("?")[0]
    if (
        not ("%" in bare or "/." in bare or "//" in bare or ";" in bare or "\\" in bare or "/+" in bare or "\0" in bare)
        and bare.isascii()
    ):
        return frozenset((bare,))
    if len(bare) > LONGEST_AMBIGUOUS_PATH:
        return frozenset((bare, ""))
    found = {bare}
    unread = [bare]
    while unread:
        one = unread.pop()
        if len(found) > MOST_READINGS:
            return frozenset((bare, ""))
        for other in _other_readings(one):
            if other not in found:
                found.add(other)
                unread.append(other)
    return frozenset(found)


def _other_readings(path: str) -> Iterator[str]:
    """What one more step of each kind of reader makes of ``path``."""
    if "%" in path:
        yield unquote(path, "latin-1")
        if "%u" in path or "%U" in path:
            yield _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), path)
    text = path
    if not path.isascii():
        text = _OVERLONG.sub(_ascii_of_overlong, path)
        if text != path:
            yield text
        text = unicodedata.normalize("NFKD", _UTF8.sub(_decoded, text)).translate(_SLASH_ALIKES)
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
    """Return the character that a UTF-8 decoder without a check for the shortest form makes of a sequence."""
    return chr((ord(match[0][-2]) & 0x3F) << 6 | ord(match[0][-1]) & 0x3F)  # the bits before these are zero


def _decoded(match: re.Match[str]) -> str:
    """Return the characters of UTF-8 octets given in Latin-1; octets that are no UTF-8 become surrogates."""
    return match[0].encode("latin-1").decode("utf-8", "surrogateescape")


def _is_kept(character: str) -> bool:
    """Whether every reader keeps a character: visible ASCII, letters and digits."""
    return "!" <= character <= "~" or (character.isalnum() and character not in _BLANK_LETTERS)


def _has_nameless_segment(text: str) -> bool:
    """Whether readers cannot agree on a segment: dots with nothing that all of them keep, or one that may vanish.

    What vanishes matters only beside a dot segment, which then removes another folder. A colon ends a segment's name:
    NTFS has stream names behind it.
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
    """RFC 3986 section 5.2.4 for a path that starts with a slash."""
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
