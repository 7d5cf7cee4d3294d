"""Mail messages (RFC 5322) that have a log in their text or attached: ``.eml`` files, as mail programs save them."""

from __future__ import annotations

import email
import quopri
import re
from collections.abc import Iterator
from email.message import Message
from typing import Final, NamedTuple, cast

_FIELD: Final = rb"[!-9;-~]{1,76}:[^\r\n]{0,998}\r?\n(?:[ \t][^\r\n]{0,998}\r?\n){0,50}"
_HEAD = re.compile(rb"(?:From [^\r\n]{0,998}\r?\n)?((?>" + _FIELD + rb"){2,200})\r?\n")
_SENDER = re.compile(rb"(?im)^(?:from|date|received|subject|return-path|delivered-to):")
_FORM = re.compile(rb"(?im)^(?:mime-version|content-type|message-id):")
_QUOTED = re.compile(rb'(?:UTCTime|Module|Detail)=3D"')
_SOFT_BREAK = re.compile(rb"=\r?\n")
_MOST_PARTS: Final = 200
_LONGEST_HEAD: Final = 1 << 16
_MOST_NESTED: Final = 100  # multipart bodies: the parser compares each line with the boundaries of all that are open


class Part(NamedTuple):
    """A text or an attachment: its file name, or its place among the parts, and its content, text as UTF-8."""

    name: str
    content: bytes


def is_mail(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is a mail message."""
    head = _HEAD.match(start)
    return head is not None and _SENDER.search(head[1]) is not None and _FORM.search(head[1]) is not None


def is_body(start: bytes) -> bool:
    """Return whether a log is the quoted-printable body of a message without the message's head."""
    return _QUOTED.search(start) is not None and _SOFT_BREAK.search(start) is not None


def parts(data: bytes) -> Iterator[Part]:
    """Yield the parts of a message. Of alternatives that say the same, only the first that has a text is yielded.

    A body without a head is one part. Raise ValueError for a message that nests too deeply.
    """
    if not is_mail(data[:_LONGEST_HEAD]):
        yield Part("quoted-printable", quopri.decodestring(data))
        return
    if data.lower().count(b"boundary=") > _MOST_NESTED:
        raise ValueError(f"has more than {_MOST_NESTED} bodies of several parts")
    try:
        message = email.message_from_bytes(data.removeprefix(b"\n"))
        yield from _of(message)
    except (RecursionError, LookupError) as error:
        raise ValueError(f"is no mail message that can be read: {type(error).__name__}") from None


def _of(message: Message) -> Iterator[Part]:
    waiting: list[Message] = [message]
    number = 0
    while waiting and number < _MOST_PARTS:
        part = waiting.pop()
        if part.is_multipart():
            inner = cast("list[Message]", part.get_payload())
            if part.get_content_type() == "multipart/alternative":
                inner = next(([each] for each in inner if each.is_multipart() or _content(each).strip()), [])
            waiting += reversed(inner)
            continue
        number += 1
        yield Part(part.get_filename() or f"part {number}", _content(part))


def _content(part: Message) -> bytes:
    """Return the decoded content of a part."""
    content = cast("bytes | None", part.get_payload(decode=True)) or b""
    charset = part.get_content_charset() or "utf-8"
    if part.get_content_maintype() != "text" or charset in ("utf-8", "us-ascii"):
        return content
    try:
        return content.decode(charset, "replace").encode()
    except LookupError:
        return content
