"""A response head that is known but for the values of its Date, Age and Content-Length.

A server's responses to one request differ in little more than these. The rest of a head was parsed, and rewritten for
the client, when it came first; of another one with the same rest, only the three values are read. Heads are compared
byte for byte around them, and a value that is not plain (blanks at its edges, not ASCII, not a number) belongs to the
rest, so such a head is another one. Framing is as strict as ``framing`` is.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .framing import list_items
from .response_head import ForwardedResponse, Reply
from .rewrite import response_age

_VALUE = re.compile(
    rb"(\r\n(?:date|age|content-length): )([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)(?=\r\n)", re.IGNORECASE
)
_DATE, _AGE, _LENGTH = b"date", b"age", b"content-length"
_NUMBERS: Final = (_AGE, _LENGTH)
_MOST_DIGITS: Final = 10  # more than an Age needs, and any body that arrives in one piece


class ResponseTemplate(NamedTuple):
    """Made by ``template``.

    ``rest`` is the server's head without the values, ``names`` are those of the values, in lower case. ``sent`` is the
    head for the client, alternately text and the name of a value. ``has_body``: Content-Length is that of a body.
    """

    rest: list[bytes]
    names: list[bytes]
    sent: tuple[bytes, ...]
    has_body: bool

    def fill(self, data: bytes, now: float) -> tuple[bytes, int] | None:
        """Return the head for the client, and the length of the body, for a server's head; None if it is another one.

        ``now`` is in seconds since the epoch.
        """
        parts = _VALUE.split(data)
        values = parts[2::3]
        del parts[2::3]
        if parts != self.rest:
            return None
        by_name = dict(zip(self.names, values, strict=True))
        if any(name in by_name and not _is_number(by_name[name]) for name in _NUMBERS):
            return None
        length = int(by_name[_LENGTH]) if self.has_body else 0
        ages = [by_name[_AGE]] if _AGE in by_name else []
        by_name[_AGE] = b"%d" % response_age(by_name[_DATE], ages, int(now))
        sent = self.sent
        return b"".join([by_name[part] if index & 1 else part for index, part in enumerate(sent)]), length


def _is_number(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _MOST_DIGITS


def template(reply: Reply, response: ForwardedResponse) -> ResponseTemplate | None:
    """Return the template of a reply and the response made from it; None if a head like it needs to be parsed.

    ``reply`` must have a body of known length, or none.
    """
    parts = _VALUE.split(reply.data)
    values = parts[2::3]
    del parts[2::3]
    names = [name[2:-2].lower() for name in parts[1::2]]
    of_three = [name.lower() for name, _ in reply.head.fields if name.lower() in (_DATE, _AGE, _LENGTH)]
    options = list_items(reply.head.fields, b"connection")
    if of_three != names or len(set(names)) != len(names) or _DATE not in names or set(options) - {b"keep-alive"}:
        return None
    if not all(_is_number(value) for name, value in zip(names, values, strict=True) if name in _NUMBERS):
        return None
    has_body = reply.method != b"HEAD" and reply.head.status not in (204, 304)
    if has_body and _LENGTH not in names:
        return None
    sent = [response.data.partition(b"\r\n")[0] + b"\r\n"]
    for name, value in response.fields:
        sent[-1] += name + b": "
        if name.lower() in (_DATE, _AGE, _LENGTH):
            sent += [name.lower(), b"\r\n"]
        else:
            sent[-1] += value + b"\r\n"
    sent[-1] += b"\r\n"
    return ResponseTemplate(parts, names, tuple(sent), has_body)
