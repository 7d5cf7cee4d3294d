"""JSON in one reading: what could be understood in two ways, or cut short by a later reader, is refused. Pure.

Two members of one name, of which readers keep the first or the last; NUL and other control characters, where C
libraries end a string (OpenSSL's cipher strings among them); numbers that a double cannot hold. Each problem names the
key that it is about. More of anything than the API has a use for is refused as well, before a check that takes long
sees it: the event loop that reads this may serve the traffic.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Final

_DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 40  # characters
_LONGEST_NAME: Final = 256
_LONGEST_TEXT: Final = 4096
_MOST_NAMES: Final = 256  # in one object
_MOST_ITEMS: Final = 1000  # in one list
_MOST_QUOTES: Final = 20_000
_LONGEST_BARE: Final = 65_536
_MOST_PROBLEMS: Final = 50
_BOM: Final = b"\xef\xbb\xbf"
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(r"[\[\]{}]")


class StrictJsonError(ValueError):
    """Text that is not JSON in one reading; every problem at once where the text can be read at all."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Object(dict[str, Any]):
    """A JSON object that knows which of its names stood there more than once."""

    twice: tuple[str, ...] = ()


def loads(data: bytes, long_texts: Collection[str] = ()) -> Any:
    """Read JSON in UTF-8, whole numbers with a fraction of zero as integers. Raises ``StrictJsonError``.

    Texts are short but those at the paths in ``long_texts``.
    """
    if data.startswith(_BOM):
        raise StrictJsonError("begins with a byte order mark (RFC 8259 section 8.1)")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise StrictJsonError(f"not UTF-8 text (byte {error.start})") from None
    if problem := _too_much(text):
        raise StrictJsonError(problem)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise StrictJsonError(str(error)) from None
    if problems := tuple(islice(_problems(value, long_texts), _MOST_PROBLEMS)):
        raise StrictJsonError(*problems)
    return value


def _too_much(text: str) -> str:
    """Say what is too large or too deep to be parsed. Takes a few passes of compiled code over the text."""
    if text.count('"') > _MOST_QUOTES:
        return f"has more than {_MOST_QUOTES} quotation marks"
    bare = _STRING.sub("", text)
    if len(bare) > _LONGEST_BARE:
        return f"has more than {_LONGEST_BARE} characters outside of texts"
    depth = 0
    for match in _BRACKET.finditer(bare):
        depth += 1 if match[0] in "[{" else -1
        if depth > _DEEPEST:
            return f"nested more than {_DEEPEST} deep"
    return ""


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    if len(pairs) > _MOST_NAMES:
        raise StrictJsonError(f"an object has more than {_MOST_NAMES} names")
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


def _problems(whole: Any, long_texts: Collection[str]) -> Iterator[str]:
    """What is wrong with names and strings, each with the path of its key."""
    rest: list[tuple[str, Any]] = [("", whole)]
    while rest:
        path, value = rest.pop()
        if isinstance(value, _Object):
            yield from (f"{_join(path, name)}: given more than once" for name in value.twice)
            for name in value:
                if len(name) > _LONGEST_NAME:
                    yield f"{_join(path, name)}: the name is longer than {_LONGEST_NAME} characters"
                elif wrong := _FORBIDDEN.search(name):
                    yield f"{_join(path, name)}: the name has {_named(wrong[0])}"
            rest += [(_join(path, name), item) for name, item in reversed(value.items())]
        elif isinstance(value, list) and len(value) > _MOST_ITEMS:
            yield f"{path or 'the list'}: has more than {_MOST_ITEMS} items"
        elif isinstance(value, list):
            rest += [(_join(path, str(place)), item) for place, item in reversed(list(enumerate(value)))]
        elif isinstance(value, str) and len(value) > _LONGEST_TEXT and path not in long_texts:
            yield f"{path or 'the text'}: is longer than {_LONGEST_TEXT} characters"
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
