"""Lines of a traffic_server log -> events, as far as they tell: our own, a real Expressway's, and published ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

from .events import Event, RequestSent
from .logescape import unescape
from .logform import BY_TITLE, TWINS, WARNINGS, seconds_of


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a traffic_server process.

    ``event`` is None for a line that is none of the forms. ``at`` is the line's own stamp, in seconds since
    the epoch (0.0 when nothing so far had one); the event's ``at`` is its UTCTime. ``line`` counts from 1,
    ``text`` is the line without its end. ``hostname`` is empty and ``pid`` 0 where the line has none.
    ``level`` is INFO, DEBUG, WARNING or ERROR.
    """

    event: Event | None
    hostname: str
    pid: int
    at: float
    line: int
    text: str
    level: str


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "(?:" + "|".join(_MONTHS) + ")"
_HEAD = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?:(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?[ \t]+"
    rf"|({_MONTH} [ \d]\d \d\d:\d\d:\d\d)[ \t]+)?"
    r"(?:([^\s\[\]]{0,254}[^\s\[\]:])[ \t]+)?"
    r"traffic_server(?:\[(\d{1,10})\])?[ \t]*:[ \t]*",
    re.ASCII,
)
_STAMP = re.compile(rf"(?:<\d{{1,3}}>)?(?:\d{{4}}-\d\d-\d\d[T ]\d\d:|{_MONTH} [ \d]\d \d\d:)", re.ASCII)
_DIAGS = re.compile(rf"\[({_MONTH} [ \d]\d \d\d:\d\d:\d\d)\.(\d{{3}})\] ?", re.ASCII)
_LEVEL = re.compile(r'(?:[\[{][^\]}]{0,40}[\]}][ ]*)?([A-Z]{4,9})[ ]*:|.{0,200}?Level[ ]*=[ ]*"([A-Z]{4,9})', re.ASCII)
_LEVELS: Final = {"DIAG": "DEBUG", "DEBUG": "DEBUG", "WARN": "WARNING", "WARNING": "WARNING"} | dict.fromkeys(
    ("ERROR", "FATAL", "ALERT", "EMERGENCY"), "ERROR"
)
_TITLE = re.compile(r'(?<![\w-])(?:Detail|Event)\s*=\s*"\s*(' + "|".join(filter(None, BY_TITLE)) + ")", re.ASCII)
# Publishing turns quotes; Latin-1 reading of UTF-8 turns them again.
_TYPOGRAPHY: Final = str.maketrans(
    "\u201c\u201d\u201e\u201f\u2033\uff02\u2018\u2019\u201a\u201b\u2032\uff07\xa0",
    "\"\"\"\"\"\"'''''' ",
    "\ufeff",
)
_TWICE_TURNED: Final = {
    "\x98": "'",
    "\x99": "'",
    "\x9c": '"',
    "\x9d": '"',
    "\xc2\xa0": " ",
    "\xef\xbb\xbf": "",
}
_MOJIBAKE = re.compile("\xe2\x80([\x98\x99\x9c\x9d])|(\xef\xbb\xbf|\xc2\xa0)")
_HEADER = re.compile(r" ?([^\s:]+)[ \t]*: ?(.*)", re.DOTALL)
# Twice what the largest head allowed can hold; keeps a broken file from filling memory.
_MOST_HEADERS: Final = 65536


def read(lines: Iterable[str], year: int = 1970) -> Iterator[Record]:
    """Read the traffic_server lines among ``lines``, in order; never raises for what they contain.

    Lines of other processes are passed over. An INFO line and the DEBUG twin right behind it are one record,
    the headers of the twin's HTTPMSG block in the event; so a transaction line is held until the next one is
    there. ``year`` is that of stamps without one (diags.log, old syslog), which are taken as UTC.
    """
    return _Reader(year).run([lines] if isinstance(lines, str) else lines)


class _Reader:
    """The state between lines: a record that may get its headers yet, and the twin that brings them."""

    def __init__(self, year: int) -> None:
        self._year = year
        self._at = 0.0
        self._pending: Record | None = None
        self._twin: _Twin | None = None

    def run(self, lines: Iterable[str]) -> Iterator[Record]:
        number = 0
        for chunk in lines:
            many = "\n" in chunk and chunk.index("\n") < len(chunk) - 1
            for raw in chunk.removesuffix("\n").split("\n") if many else (chunk,):
                number += 1
                text = raw.rstrip("\r\n")
                if "traffic_server" not in text and self._twin is None and text[:1] != "[":
                    continue
                line = text if text.isascii() else _straighten(text)
                record, twin = self._record(line, text, number)
                if record is None:
                    if self._twin is not None and (_STAMP.match(line) or self._twin.ends_with(line)):
                        yield from self._flush()
                elif twin is not None and self._pending is not None and twin.belongs_to(self._pending):
                    self._twin = twin
                else:
                    yield from self._flush()
                    if twin is not None or type(record.event) in TWINS:
                        self._pending, self._twin = record, twin
                    else:
                        yield record
        yield from self._flush()

    def _flush(self) -> Iterator[Record]:
        pending, twin = self._pending, self._twin
        if pending is not None:
            self._pending = self._twin = None
            yield pending if twin is None else twin.complete(pending)

    def _record(self, line: str, text: str, number: int) -> tuple[Record | None, _Twin | None]:
        hostname, pid = "", 0
        if head := _HEAD.match(line):
            stamp, fraction, zone, old, host, process = head.groups()
            hostname, pid = unescape(host or ""), int(process or 0)
            at = seconds_of(stamp.replace("T", " "), fraction, zone) if stamp else self._of_the_year(old, None)
        elif head := _DIAGS.match(line):
            at = self._of_the_year(head[1], head[2])
        else:
            return None, None
        self._at = at = self._at if at is None else at
        payload = line[head.end() :]
        event, level, without_message = _event(payload, at)
        twin = _Twin(cast("RequestSent", event)) if without_message else None
        return Record(event, hostname, pid, at, number, text, level), twin

    def _of_the_year(self, stamp: str | None, fraction: str | None) -> float | None:
        if stamp is None:
            return None
        month = _MONTHS.index(stamp[:3]) + 1
        day = stamp[4:6].replace(" ", "0")
        return seconds_of(f"{self._year:04d}-{month:02d}-{day} {stamp[7:15]}", fraction)


class _Twin:
    """A DEBUG line's HTTPMSG block while it is read."""

    def __init__(self, event: RequestSent) -> None:
        self._event = event
        self._start_line: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._open = False

    def belongs_to(self, record: Record) -> bool:
        """Whether this is the twin of the record's line: the same but for the message."""
        event = cast("RequestSent", record.event)
        if type(event) is not type(self._event) or event.headers:
            return False
        return event._replace(at=0, start_line="") == self._event._replace(at=0, start_line="")

    def ends_with(self, line: str) -> bool:
        """Take one more line; whether the block is over with it. Before ``HTTPMSG:`` nothing is taken."""
        if not self._open:
            self._open = line.startswith("HTTPMSG:")
            line = line[8:]
            if not self._open or not line.strip():
                return False
        if self._start_line is None and line.startswith("|"):
            self._start_line = unescape(line[1:])
        elif not line.strip(" \t|"):
            return True
        elif self._start_line is None:
            self._start_line = unescape(line.strip(" \t").removeprefix("|"))
        elif (header := _HEADER.fullmatch(line)) and len(self._headers) < _MOST_HEADERS:
            self._headers.append((unescape(header[1]), unescape(header[2])))
        return False

    def complete(self, record: Record) -> Record:
        """The record with what the block told."""
        event = cast("RequestSent", record.event)
        return replace(
            record,
            event=event._replace(start_line=event.start_line or self._start_line or "", headers=tuple(self._headers)),
        )


def _event(payload: str, at: float) -> tuple[Event | None, str, bool]:
    """Event and level of a payload in any state of repair, and whether its message follows (DEBUG twin)."""
    if payload.startswith("["):
        for form in WARNINGS:
            if read := form.read(payload, at):
                return *read, False
        return None, _level_of(payload), False
    title = _TITLE.search(payload)
    if title is None:
        return None, _level_of(payload), False
    form = BY_TITLE[title[1]]
    if read := form.read(payload, at):
        return *read, read[1] == "DEBUG"
    has_message = not form.has_twin or "Msg=" in payload
    # Form of 2014: the message behind HTTPMSG, in the same line.
    head, _, message = (payload, "", "") if has_message else payload.partition("HTTPMSG:")
    event = form.read_patiently(head, at)
    if message:
        event = cast("RequestSent", event)._replace(start_line=unescape(message.strip(" \t|")))
    return event, _level_of(payload), not has_message and not message


def _level_of(payload: str) -> str:
    match = _LEVEL.match(payload)
    return _LEVELS.get(match[1] or match[2], "INFO") if match else "INFO"


def _straighten(line: str) -> str:
    return _MOJIBAKE.sub(lambda found: _TWICE_TURNED[found[1] or found[2]], line).translate(_TYPOGRAPHY)
