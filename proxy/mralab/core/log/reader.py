"""Read the lines of a traffic_server log into events: our own logs, a real Expressway's and published excerpts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, cast

from ..tls.tlserror import is_whole, without_tail
from .cleaning import MONTH, MONTHS, is_clean, mended, records, straighten, unlink
from .envelope import Plain, is_changed, may_matter, plain, undone
from .escape import unescape
from .events import Event, HandshakeFailed, LogEvent, ProvisioningAnswered, RequestSent
from .grammar import BY_TITLE, TWINS, read_diagnostic, seconds_of
from .joining import Broken, Wrapping, well_formed
from .neighbours import Neighbour, is_failure, may_be_neighbour, read_fields, read_neighbour, status_line
from .order import IN_ORDER, arranged, clocks_of, order_of
from .prefix import GrepPrefix
from .twin import Twin


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a traffic_server process.

    ``event`` is None for a line that is none of the forms. ``at`` is the line's own stamp, in seconds since
    the epoch (0.0 when nothing so far had one); the event's ``at`` is its UTCTime. ``line`` counts from 1,
    ``text`` is the line without its end. ``hostname`` is empty and ``pid`` 0 where the line has none.
    ``level`` is INFO, DEBUG, WARNING or ERROR. ``payload`` is what Traffic Server itself wrote.
    """

    event: LogEvent | None
    hostname: str
    pid: int
    at: float
    line: int
    text: str
    level: str
    payload: str = ""

    @property
    def is_unread(self) -> bool:
        """Whether the line has a payload that matches no form."""
        return self.event is None and bool(self.payload.strip())


_HEAD = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?:(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?[ \t]+"
    rf"|({MONTH} [ \d]\d \d\d:\d\d:\d\d)[ \t]+)?"
    r"(?:([^\s\[\]]{0,254}[^\s\[\]:])[ \t]+)?"
    r"traffic_server(?:\[(\d{1,10})\])?[ \t]*:[ \t]*",
    re.ASCII,
)
_STAMP = re.compile(rf"(?:<\d{{1,3}}>)?(?:\d{{4}}-\d\d-\d\d[T ]\d\d:|{MONTH} [ \d]\d \d\d:)", re.ASCII)
_DIAGS = re.compile(rf"\[({MONTH} [ \d]\d \d\d:\d\d:\d\d)\.(\d{{3}})\] ?", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NAME: Final = "traffic_server"
# A broken line that ends after its stamp or host name, or inside the process name. The next line continues it.
_CUT_HEAD = re.compile(
    r"(?:<\d{1,3}>)?(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
    rf"|{MONTH} [ \d]\d \d\d:\d\d:\d\d)(?:[ \t]+[^\s\[\]\"'=:]{{1,255}}"
    rf"(?:[ \t]+(?:{'|'.join(_NAME[:end] for end in range(len(_NAME), 0, -1))}|{_NAME}\[\d{{0,10}}\]?))?)?[ \t]*",
    re.ASCII,
)
_CUT_STAMP = re.compile(
    r"\d{1,4}|\d{4}-(?:\d{0,2}|\d\d-(?:\d{0,2}|\d\dT[\d:]{0,8}(?:[.,]\d{0,9})?(?:[+-][\d:]{0,5})?))", re.ASCII
)
_LONGEST_HEAD: Final = 400
_LEVEL = re.compile(r'(?:[\[{][^\]}]{0,40}[\]}][ ]*)?([A-Z]{4,9})[ ]*:|.{0,200}?Level[ ]*=[ ]*"([A-Z]{4,9})', re.ASCII)
_LEVELS: Final = {"DIAG": "DEBUG", "DEBUG": "DEBUG", "WARN": "WARNING", "WARNING": "WARNING"} | dict.fromkeys(
    ("ERROR", "FATAL", "ALERT", "EMERGENCY"), "ERROR"
)
_TITLE = re.compile(r'(?<![\w-])(?:Detail|Event)\s*=\s*"?\s*(' + "|".join(filter(None, BY_TITLE)) + ")", re.ASCII)
_QUOTED = re.compile(r"(?:>[ \t]?)+")
_DIAGNOSTICS: Final = ("[", "{", "WARNING", "ERROR", "DIAG")
_STARTS: Final = (*_DIAGNOSTICS, "UTCTime", "Event", "Module")
_LEFT_OVER: Final = frozenset("\"'`,;|)}]> \t")
_MOST_CUT: Final = 12
_QUARTER: Final = 900  # seconds: zones differ by quarters of an hour


def read(lines: Iterable[str], year: int = 1970) -> Iterator[Record]:
    """Read the traffic_server lines among ``lines``, in order; never raise for their content.

    The payload may start anywhere in a line (``envelope``), and lines that were broken by copying are joined
    (``joining``). Lines of other processes are skipped, except those that explain a failed login (``neighbours``). An
    INFO line and the DEBUG twin that follows it become one record, with the headers of the twin's HTTPMSG block in the
    event; so a transaction's record is yielded when the next line is read. ``year`` is used for stamps without one
    (diags.log, old syslog), which are taken as UTC. For files, ``stream`` is faster and reads bytes.
    """
    reader = LineReader(year)
    number = 0
    for chunk in [lines] if isinstance(lines, str) else lines:
        many = "\n" in chunk and chunk.index("\n") < len(chunk) - 1
        for raw in chunk.removesuffix("\n").split("\n") if many else (chunk,):
            number += 1
            yield from reader.line(raw, number)
    yield from reader.flush()


class LineReader:
    """Reads one line after the other: ``line`` and ``flush`` yield the records that are complete.

    The state between lines is a record that may get its headers yet, the twin that brings them, and a broken line.
    """

    def __init__(self, year: int = 1970, latest: float = math.inf) -> None:
        """``year`` is used for stamps that have none, and the year before if they would be after ``latest``."""
        self._year = year
        self._latest = latest
        self._shift = 0.0
        """Seconds between stamps without year or zone, read as UTC, and UTCTime in the same lines."""
        self.lacks_year = self.lacks_zone = False
        """Whether stamps lacked it, and no UTCTime has shown it: then it is the year of the constructor, or UTC."""
        self._knows_shift = False
        self._at = 0.0
        self._pending: Record | None = None
        self._twin: Twin | None = None
        self._broken: Broken | None = None
        self._first: Record | None = None
        """The record of the broken line, made from its first piece."""
        self._chunks: list[Record] = []
        """The records of the lines with heads that were added to it."""
        self._prefix = GrepPrefix()
        self._wrapping = Wrapping()
        self._head: tuple[str, int] | None = None
        """A line that was broken inside its head, and its number."""
        self._widths: list[int] = []
        """Widths of the lines that the current line's head was joined from."""
        self._awaiting: Record | None = None
        """The record of a response that edgeconfigprovisioning got; its status line follows."""

    @property
    def is_idle(self) -> bool:
        """Whether the next line is read independently of all earlier lines."""
        return self._pending is None and self.is_between_lines

    @property
    def is_between_lines(self) -> bool:
        """Whether the next line begins a record. It may be the DEBUG twin of the last one."""
        return self._twin is None and self._broken is None and self._awaiting is None and self._head is None

    def concerns(self, raw: str) -> bool:
        """Return whether a line would be part of a record if no other line came before it."""
        text = raw.rstrip("\r\n")
        line = text if is_clean(text) else straighten(text)
        if line[:1] == "[" or may_be_neighbour(line) or _CUT_HEAD.fullmatch(line) is not None:
            return True
        return may_matter(line) and (_HEAD.match(line) is not None or bool(plain(line)))

    def line(self, raw: str, number: int) -> Iterator[Record]:
        """Read the next line, the ``number``-th of the log."""
        text = raw.rstrip("\r\n")
        line = text if is_clean(text) else straighten(text)
        if self._twin is not None and self._broken is None and self._is_header(line):
            if self._twin.ends_with(line):
                yield from self._flush()
            return
        self._widths = []
        line = self._prefix.strip(line)
        if self._prefix.is_separator(line):
            yield from self.flush()
            return
        if line[:1] == ">" and self._twin is not None:
            line = _QUOTED.sub("", line)
        if self._head is not None:
            line, number = self._with_head(line, number)
        if len(line) < _LONGEST_HEAD and line[:1] not in (" ", "|", "[") and _CUT_HEAD.fullmatch(line) is not None:
            self._head = line, number
            return
        if self._broken is not None and self._broken.is_in_stamp and _HEAD.match(line) is None:
            yield from self._follow(line, text, number, stray=False)
            return
        if self._awaiting is not None:
            if line.startswith("HTTPMSG:") or not line.strip():
                return
            awaiting, self._awaiting = self._awaiting, None
            if (start_line := status_line(line)) is not None:
                if is_failure(start_line):
                    event = cast("ProvisioningAnswered", awaiting.event)
                    yield replace(awaiting, event=event._replace(start_line=start_line))
                return
        neighbour = read_neighbour(line, self._at, self._year) if may_be_neighbour(line) else None
        if neighbour is not None:
            yield from self._neighbour(neighbour, text, number)
            return
        if self._twin is None and self._broken is None and line[:1] != "[" and not may_matter(line):
            return
        if _DIAGS.match(line) is not None or (_HEAD.match(line) is not None and len(records(line)) == 1):
            yield from self._take(line, text, number)
            return
        found = plain(line) if may_matter(line) and not self._is_header(line) else []
        if not found or found[0].stray:
            yield from self._follow(line, text, number, stray=bool(found))
        is_one_of_several = len(found) > 1 and sum(_HEAD.match(each.line) is not None for each in found) > 1
        if is_one_of_several:
            found = _in_order(found)
        for each in () if found and found[0].stray else found:
            if _HEAD.match(each.line) is None:  # the rest of a message of several lines
                yield from self._follow(each.line, text, number, stray=False)
            elif self._broken is not None and each.bare and not (each.begins and self._broken.has_begun):
                yield from self._follow(line, text, number, stray=False)
            else:
                yield from self._take(each.line, each.line if is_one_of_several else text, number)

    def _with_head(self, line: str, number: int) -> tuple[str, int]:
        """Return the line joined to the head that the line before ended in, and the number of the first of the two."""
        head, first = cast("tuple[str, int]", self._head)
        self._head = None
        piece = line.lstrip("> \t") if head[:1] == ">" else line
        for joined in (f"{head.rstrip(' ')} {piece}", f"{head}{piece}"):
            found = _HEAD.match(joined)
            if (found is not None and (found[1] or found[4])) or _CUT_HEAD.fullmatch(joined) is not None:
                self._widths = [len(head), len(line)]
                return joined, first
        return line, number

    def _neighbour(self, found: Neighbour, text: str, number: int) -> Iterator[Record]:
        """Yield the record of another module's line, unless its status line follows."""
        yield from self.flush()
        self._at = found.at
        record = Record(found.event, found.hostname, found.pid, found.at, number, text, found.level, found.payload)
        if found.awaits_status:
            self._awaiting = record
        else:
            yield record

    def flush(self) -> Iterator[Record]:
        """Yield the records that are waiting for more lines."""
        self._awaiting = self._head = None
        yield from self._mend()
        yield from self._flush()

    def _is_header(self, line: str) -> bool:
        """Return whether a line is part of an open HTTPMSG block. A header is never a log line, whatever it contains.

        A stamp ends the block also where the whole log is indented: no field name has a blank or a colon in it.
        """
        if self._twin is None or not self._twin.is_open or line[:1] not in (" ", "|"):
            return False
        head = _HEAD.match(line.lstrip(" "))
        return head is None or not (head[1] or head[4])

    def _take(self, line: str, text: str, number: int) -> Iterator[Record]:
        """Read a line that has a head."""
        if self._broken is not None and (chunk := self._chunk(line)) is not None:
            self._chunks.append(self._record(line, text, number)[0])
            if not self._broken.add_part(chunk) or self._broken.joined is not None:
                yield from self._mend()
            return
        yield from self._mend()
        record, twin, broken = self._record(line, text, number)
        if twin is not None and self._pending is not None and twin.belongs_to(self._pending.event):
            self._twin = twin
            return
        if broken:
            if self._twin is not None:
                yield from self._flush()
            # Otherwise the last record stays pending, because the broken line may be its twin.
            blanks = line[len(line.rstrip(" \t")) :]  # a break at a column keeps them
            self._broken = Broken(record.payload + blanks, text, self._widths or [len(text)], self._wrapping)
            self._first, self._twin = record, twin
            return
        yield from self._flush()
        if twin is not None or type(record.event) in TWINS:
            self._pending, self._twin = record, twin
        else:
            yield record

    def _chunk(self, line: str) -> str | None:
        """Return the payload of a line if it is the rest of the one before: a relay splits what is too long for it.

        It repeats stamp, host and process for each part.
        """
        head, first = _HEAD.match(line), cast("Record", self._first)
        if head is None or not head[6] or not _begins(first.payload):
            return None
        payload = line[head.end() :]
        if line[head.end() - 2 : head.end()] == "  ":  # the part's own blank behind that of the head
            payload = f" {payload}"
        is_of_same = (unescape(head[5] or ""), int(head[6])) == (first.hostname, first.pid)
        return payload if is_of_same and not _begins(payload) else None

    def _follow(self, line: str, text: str, number: int, *, stray: bool) -> Iterator[Record]:
        """Read a line without a head: part of an HTTPMSG block, the rest of a broken line, or irrelevant."""
        if self._broken is not None and not line.startswith("HTTPMSG:"):
            if not line.strip():  # pages put blank lines between the pieces
                return
            over = _STAMP.match(line) is not None and not self._broken.is_in_stamp
            if over or not self._broken.add(line) or self._broken.joined is not None:
                yield from self._mend()
            return
        yield from self._mend()
        if self._twin is not None:
            if _STAMP.match(line) or self._twin.ends_with(line):
                yield from self._flush()
        elif stray:
            yield from self._flush()
            yield Record(None, "", 0, self._at, number, text, _level_of(line), line)

    def _mend(self) -> Iterator[Record]:
        """Finish the broken line: it is complete, or no more pieces follow."""
        broken, record, twin = self._broken, self._first, self._twin
        if broken is None or record is None:
            return
        chunks, self._chunks = self._chunks, []
        self._broken = self._first = self._twin = None
        if broken.joined is not None:
            chunks = []
            event, level = broken.joined
            event = event if event.at else event._replace(at=record.at)
            record = replace(record, event=event, level=level, payload=broken.text)
            is_twin = level == "DEBUG" and type(event) in TWINS
            twin = Twin(cast("RequestSent", event), self._wrapping) if is_twin else None
            if twin is not None and self._pending is not None and twin.belongs_to(self._pending.event):
                self._twin = twin
                return
        elif (text := broken.likeliest) is not None:
            damaged, level, without_message, whole = _event(text, record.at)
            if damaged is not None and whole and not without_message:
                record, twin, chunks = replace(record, event=damaged, level=level, payload=text), None, []
        yield from self._flush()
        if type(record.event) in TWINS and not chunks:
            self._pending, self._twin = record, twin
        else:
            yield record
            yield from chunks

    def _flush(self) -> Iterator[Record]:
        pending, twin = self._pending, self._twin
        if pending is not None:
            self._pending = self._twin = None
            yield pending if twin is None else replace(pending, event=twin.complete(cast("RequestSent", pending.event)))

    def _record(self, line: str, text: str, number: int) -> tuple[Record, Twin | None, bool]:
        """Return the record of a line with a head, its twin, and whether the next lines may continue it."""
        hostname, pid = "", 0
        if head := _HEAD.match(line):
            stamp, fraction, zone, old, host, process = head.groups()
            hostname, pid = unescape(host or ""), int(process or 0)
            stamped = seconds_of(stamp.replace("T", " "), fraction, zone) if stamp else self._of_the_year(old, None)
        else:
            head, zone = cast("re.Match[str]", _DIAGS.match(line)), None
            stamped = self._of_the_year(head[1], head[2])
        if stamped is not None and not zone and not self._knows_shift:
            self._knows_shift = "UTCTime" in line
            self.lacks_zone = not self._knows_shift
            self.lacks_year = self.lacks_zone and _ISO_DATE.search(head[0]) is None
        at = self._at if stamped is None else stamped if zone else stamped + self._shift
        self._at = at
        payload = _undone(unlink(line[head.end() :].rstrip(" \t")))
        event, level, without_message, whole = _event(payload, at)
        for other in mended(payload) if event is None else ():
            if (again := _event(other, at))[0] is not None:
                payload, (event, level, without_message, whole) = other, again
                break
        if event is not None and stamped is not None and not zone:
            # UTCTime has the year and the zone that the stamp lacks: lines of TLS have a stamp only.
            self._shift = _QUARTER * round((event.at - stamped) / _QUARTER)
            self._at = at = stamped + self._shift
        elif event is not None and stamped is None and event.at:
            self._at = at = event.at  # the next line of TLS has no time of its own
        if event is None and may_be_neighbour(payload) and (read := read_fields(payload, at, "traffic_server")):
            return Record(read[0], hostname, pid, at, number, text, level, payload), None, False
        twin = Twin(cast("RequestSent", event), self._wrapping) if without_message else None
        return Record(event, hostname, pid, at, number, text, level, payload), twin, not whole

    def _of_the_year(self, stamp: str | None, fraction: str | None) -> float | None:
        if stamp is None:
            return None
        month = MONTHS.index(stamp[:3]) + 1
        day = stamp[4:6].replace(" ", "0")
        at = seconds_of(f"{self._year:04d}-{month:02d}-{day} {stamp[7:15]}", fraction)
        if at is not None and at > self._latest:
            at = seconds_of(f"{self._year - 1:04d}-{month:02d}-{day} {stamp[7:15]}", fraction)
        return at


def is_cut(line: str) -> bool:
    """Return whether a line is the beginning of one of Traffic Server's: of its head, or up to its payload."""
    head = _HEAD.match(line)
    if head is None or not (head[1] or head[4]):
        return len(line) < _LONGEST_HEAD and (_CUT_HEAD.fullmatch(line) or _CUT_STAMP.fullmatch(line)) is not None
    payload = line[head.end() :]
    is_of_ours = _begins(payload) or any(start.startswith(payload) for start in _STARTS)
    return is_of_ours and well_formed(payload) is None


def continues(line: str, rest: str) -> bool:
    """Return whether ``rest`` completes a line that was cut."""
    joined = line + rest.rstrip("\r\n")
    head = _HEAD.match(joined)
    return head is not None and well_formed(joined[head.end() :].rstrip(" \t")) is not None


def _begins(payload: str) -> bool:
    """Return whether a payload begins as those of Traffic Server do."""
    return payload.startswith(_STARTS)


def _in_order(found: list[Plain]) -> list[Plain]:
    """Return the lines that stood in one, such as the answer of a search, the oldest first."""
    order = order_of("\n".join(each.line for each in found).encode("utf-8", "replace"))
    if order == IN_ORDER:
        return found
    records: list[list[Plain]] = []
    for each in found:
        if not records or _HEAD.match(each.line) is not None:
            records.append([])
        records[-1].append(each)
    clocks = clocks_of(record[0].line.encode("utf-8", "replace") for record in records)
    return [*chain.from_iterable(records[place] for place in arranged(clocks, order))]


def _undone(payload: str) -> str:
    """Return a payload as Traffic Server wrote it, if an envelope changed its characters."""
    if not is_changed(payload):
        return payload
    other = undone(payload)
    if payload.startswith(_DIAGNOSTICS):
        read, again = read_diagnostic(payload, 0.0), read_diagnostic(other, 0.0)
        is_better = again is not None and (read is None or _is_readable(again[0]) > _is_readable(read[0]))
        return other if is_better else payload
    title = _TITLE.search(payload)
    if title is not None and BY_TITLE[title[1]].read(payload, 0.0) is not None:
        return payload  # a client's text has what looks like a change
    return other if _TITLE.search(other) is not None or other.startswith(_DIAGNOSTICS) else payload


def _is_readable(event: Event) -> bool:
    """Return whether a diagnostic line has what Traffic Server writes where it has a choice of few words."""
    if isinstance(event, HandshakeFailed):
        return is_whole(event.error)
    return not getattr(event, "action", "").startswith("3D")


def _event(payload: str, at: float) -> tuple[Event | None, str, bool, bool]:
    """Return event and level of a payload, damaged or not; whether its message follows; whether it is complete.

    The message follows a DEBUG twin. A payload that is not whole may go on in the next lines.
    """
    if payload.startswith(_DIAGNOSTICS):
        read = read_diagnostic(payload, at)
        if read is None:
            return None, _level_of(payload), False, False
        if isinstance(read[0], HandshakeFailed):
            read = read[0]._replace(error=without_tail(read[0].error)), read[1]
        return *read, False, not isinstance(read[0], HandshakeFailed) or is_whole(read[0].error)
    title = _TITLE.search(payload)
    if title is None:
        return None, _level_of(payload), False, False
    form = BY_TITLE[title[1]]
    if read := form.read(payload, at):
        return *read, read[1] == "DEBUG", True
    for cut in range(1, min(_MOST_CUT, len(payload))):  # what the envelope left behind the payload
        if payload[-cut] not in _LEFT_OVER:
            break
        if read := form.read(payload[:-cut], at):
            return *read, read[1] == "DEBUG", True
    has_message = not form.has_twin or "Msg=" in payload
    # Form of 2014: the message behind HTTPMSG, in the same line.
    head, _, message = (payload, "", "") if has_message else payload.partition("HTTPMSG:")
    event = form.read_patiently(head, at)
    if message:
        event = cast("RequestSent", event)._replace(start_line=unescape(message.strip(" \t|")))
    return event, _level_of(payload), not has_message and not message, bool(message) or form.is_whole(payload)


def _level_of(payload: str) -> str:
    match = _LEVEL.match(payload)
    return _LEVELS.get(match[1] or match[2], "INFO") if match else "INFO"
