"""JSON in one reading: what could be understood in two ways, or cut short by a later reader, is refused. Pure.

Two members of one name, of which readers keep the first or the last; NUL and other control characters, where C
libraries end a string (OpenSSL's cipher strings among them); numbers that a double cannot hold. Each problem names the
key that it is about.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

_DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 40  # characters
_BOM: Final = b"\xef\xbb\xbf"
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TOO_DEEP: Final = f"nested more than {_DEEPEST} deep"


class StrictJsonError(ValueError):
    """Text that is not JSON in one reading; every problem at once where the text can be read at all."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Object(dict[str, Any]):
    """A JSON object that knows which of its names stood there more than once."""

    twice: tuple[str, ...] = ()


def loads(data: bytes) -> Any:
    """Read JSON in UTF-8, whole numbers with a fraction of zero as integers. Raises ``StrictJsonError``."""
    if data.startswith(_BOM):
        raise StrictJsonError("begins with a byte order mark (RFC 8259 section 8.1)")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise StrictJsonError(f"not UTF-8 text (byte {error.start})") from None
    if _is_too_deep(text):
        raise StrictJsonError(_TOO_DEEP)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise StrictJsonError(str(error)) from None
    if problems := tuple(_problems(value)):
        raise StrictJsonError(*problems)
    return value


def _is_too_deep(text: str) -> bool:
    """Whether brackets outside of strings go deeper than ``_DEEPEST``; one walk, before anything recursive."""
    depth = 0
    for match in _STRUCTURE.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > _DEEPEST:
                return True
        elif mark in "]}":
            depth -= 1
    return False


_STRUCTURE: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    value = _Object(pairs)
    if len(value) < len(pairs):
        value.twice = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return value


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise StrictJsonError(f"the number {_shown(text)} is too large")
    return int(text)


def _number(text: str) -> float:
    """4.0 is an integer in JSON Schema."""
    value = float(text)
    if len(text) > _LONGEST_NUMBER or not math.isfinite(value):
        raise StrictJsonError(f"the number {_shown(text)} is too large or too long")
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def _constant(name: str) -> Any:
    raise StrictJsonError(f"{name} is not a JSON number")


def _problems(whole: Any) -> Iterator[str]:
    """What is wrong with names and strings, each with the path of its key."""
    rest: list[tuple[str, Any]] = [("", whole)]
    while rest:
        path, value = rest.pop()
        if isinstance(value, _Object):
            yield from (f"{_join(path, name)}: given more than once" for name in value.twice)
            for name in value:
                if wrong := _FORBIDDEN.search(name):
                    yield f"{_join(path, name)}: the name has {_named(wrong[0])}"
            rest += [(_join(path, name), item) for name, item in reversed(value.items())]
        elif isinstance(value, list):
            rest += [(_join(path, str(place)), item) for place, item in reversed(list(enumerate(value)))]
        elif isinstance(value, str) and (wrong := _FORBIDDEN.search(value)):
            yield f"{path or 'the text'}: has {_named(wrong[0])}"


def _named(character: str) -> str:
    kind = "half of a surrogate pair" if "\ud800" <= character <= "\udfff" else "a control character"
    return f"{kind} (U+{ord(character):04X})"


def _join(path: str, name: str) -> str:
    shown = _shown(name).encode("ascii", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return f"{path}.{shown}" if path else shown


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
