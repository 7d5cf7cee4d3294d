"""A strict JSON parser: it refuses text that two parsers could read differently. Pure.

It refuses:

- repeated names, of which parsers keep the first or the last;
- control characters, since C libraries end a string at NUL (OpenSSL's cipher strings, for example);
- numbers that a double cannot represent;
- more names, items, characters or levels than the API needs, before any slow check: the event loop that parses this
  may serve the traffic.

Each problem names its key.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Final

LONGEST_NUMBER: Final = 40
LONGEST_KEY: Final = 256
LONGEST_TEXT: Final = 4096
"""Characters of a number, of a name in an object and of a text."""
_DEEPEST: Final = 32
_MOST_NAMES: Final = 256  # in one object
_MOST_ITEMS: Final = 1000  # in one list
_MOST_QUOTES: Final = 20_000
_LONGEST_BARE: Final = 65_536
_MOST_PROBLEMS: Final = 50
_BOM: Final = b"\xef\xbb\xbf"
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_STRING: Final = re.compile(r'"[^"\\]*+(?>\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(r"[\[\]{}]")


class StrictJsonError(ValueError):
    """Invalid or ambiguous JSON. ``problems`` has every problem if the text can be parsed at all."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Object(dict[str, Any]):
    """A JSON object with the names that it repeats."""

    repeated: tuple[str, ...] = ()


def loads(data: bytes, long_texts: Collection[str] = ()) -> Any:
    """Parse JSON in UTF-8. A number such as 4.0 becomes an integer. Raises ``StrictJsonError``.

    Only the texts at the paths in ``long_texts`` may be longer than 4096 characters.
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
    """Return what is too large or too deep to be parsed, or an empty string. Needs a few passes of compiled code."""
    if text.count('"') > _MOST_QUOTES:
        return f"has more than {_MOST_QUOTES} quotation marks"
    bare = _STRING.sub("", text)
    if len(bare) > _LONGEST_BARE:
        return f"has more than {_LONGEST_BARE} characters outside strings"
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
        value.repeated = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return value


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise StrictJsonError(f"the number {_shown(text)} is too large")
    return int(text)


def _number(text: str) -> float:
    """Return an integer for 4.0, which is an integer in JSON Schema."""
    value = float(text)
    if len(text) > LONGEST_NUMBER or not math.isfinite(value):
        raise StrictJsonError(f"the number {_shown(text)} is too large or too long")
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def _constant(name: str) -> Any:
    raise StrictJsonError(f"{name} is not a JSON number")


def _problems(whole: Any, long_texts: Collection[str]) -> Iterator[str]:
    """Yield the problems of names and strings, each with the path of its key."""
    remaining: list[tuple[str, Any]] = [("", whole)]
    while remaining:
        path, value = remaining.pop()
        if isinstance(value, _Object):
            yield from (f"{_join(path, name)}: given more than once" for name in value.repeated)
            for name in value:
                if len(name) > LONGEST_KEY:
                    yield f"{_join(path, name)}: the name is longer than {LONGEST_KEY} characters"
                elif wrong := _FORBIDDEN.search(name):
                    yield f"{_join(path, name)}: the name has {_character_name(wrong[0])}"
            remaining += [(_join(path, name), item) for name, item in reversed(value.items())]
        elif isinstance(value, list) and len(value) > _MOST_ITEMS:
            yield f"{path or 'the list'}: has more than {_MOST_ITEMS} items"
        elif isinstance(value, list):
            remaining += [(_join(path, str(place)), item) for place, item in reversed(list(enumerate(value)))]
        elif isinstance(value, str) and len(value) > LONGEST_TEXT and path not in long_texts:
            yield f"{path or 'the text'}: is longer than {LONGEST_TEXT} characters"
        elif isinstance(value, str) and (wrong := _FORBIDDEN.search(value)):
            yield f"{path or 'the text'}: has {_character_name(wrong[0])}"


def _character_name(character: str) -> str:
    kind = "half of a surrogate pair" if "\ud800" <= character <= "\udfff" else "a control character"
    return f"{kind} (U+{ord(character):04X})"


def _join(path: str, name: str) -> str:
    shown = _shown(name).encode("ascii", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return f"{path}.{shown}" if path else shown


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
