"""Events <-> lines of a traffic_server log: one grammar, both directions.

``_FORMS`` is the grammar: each row is an event and the text of its line as Expressway prints it, with
``{field}`` where the event's field stands. Writer and reader are both made from it, so what one writes the
other reads. The reader first takes a line at its word. Only a line that is not well formed is read again,
with patience, because published logs have lost quotes and blanks on their way and Traffic Server does not
escape: such a line is split at the keys of its form, in their order.

No text leaves its field. Control characters, quotes, backslashes and everything beyond ASCII are written
as ``\\n``, ``\\"``, ``\\x1B``, ``\\u{20AC}``, and the unquoted names of WARNING and ERROR lines also hide
blanks, quotes and parentheses, so that no name can pretend to be the rest of its line.

Longer than most modules here, because grammar, escaping, writer and reader are only right together.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from string import Formatter
from typing import Any, Final, NamedTuple, cast

from .events import (
    Event,
    HandshakeFailed,
    Headers,
    NameMismatch,
    RequestAllowed,
    RequestDenied,
    RequestReceived,
    RequestRejected,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)

# --- the grammar --------------------------------------------------------------------------------------------

_MODULE = 'UTCTime="{utc:utc}" Module="network.http.trafficserver" Level="INFO": '
_THREAD = "[ET_NET {thread:int}] "

_FORMS: Final[tuple[tuple[type[Event], str], ...]] = (
    (
        RequestReceived,
        _MODULE + 'Detail="Receive Request" Txn-id="{txn:int}" TrackingID="{tracking_id}" Src-ip="{src_ip}" '
        'Src-port="{src_port:int}" Last-via-addr="{last_via_addr}" Msg="{start_line}"',
    ),
    (
        RequestSent,
        _MODULE + 'Detail="Sending Request" Txn-id="{txn:int}" TrackingID="{tracking_id}" Dst-ip="{dst_ip}" '
        'Dst-port="{dst_port:int}" Msg="{start_line}"',
    ),
    (
        ResponseReceived,
        _MODULE + 'Detail="Receive Response" Txn-id="{txn:int}" TrackingID="" Src-ip="{src_ip}" '
        'Src-port="{src_port:int}" Msg="{start_line}"',
    ),
    (
        ResponseSent,
        _MODULE + 'Detail="Sending Response" Txn-id="{txn:int}" TrackingID="" Dst-ip="{dst_ip}" '
        'Dst-port="{dst_port:int}" Msg="{start_line}"',
    ),
    (
        RequestAllowed,
        'Event="Request Allowed" Detail="Access allowed" Reason="In allow list" Username="{username}" '
        'Deployment="{deployment}" Method="{method}" Request="{url}" Rule="{rule}" '
        'Match="{match}" Type="{type}" UTCTime="{utc:utc}"',
    ),
    (
        RequestDenied,  # emulated: no public document shows Expressway's own
        'Event="Request Denied" Detail="{detail}" Reason="{reason}" Username="{username}" '
        'Deployment="{deployment}" Method="{method}" Request="{url}" UTCTime="{utc:utc}"',
    ),
    (
        RequestRejected,  # emulated likewise
        'Event="Request Rejected" Detail="Malformed request" Reason="{reason}" Src-ip="{src_ip}" '
        'Src-port="{src_port:int}" UTCTime="{utc:utc}"',
    ),
    (
        VerifyFailed,
        _THREAD + "WARNING: Core server certificate verification failed for ({name:bare}). Action={action:bare} "
        "Error={error:prose} server={server:bare}({ip:bare}) depth={depth:int}",
    ),
    (
        NameMismatch,
        _THREAD + "WARNING: SNI ({name:bare}) not in certificate. Action={action:bare} server={server:bare}({ip:bare})",
    ),
    (HandshakeFailed, _THREAD + "ERROR: SSL connection failed for '{name:bare}': {error:prose}"),
)


class _Kind(NamedTuple):
    """How a field's text stands in a line: what reads it, what is escaped, and the bytes that never are."""

    pattern: str
    unsafe: re.Pattern[str]
    safe: bytes


def _kind(pattern: str, also_unsafe: str = "", edges: str = "") -> _Kind:
    unsafe = re.compile(rf"[^ -~]|[\\{re.escape(also_unsafe)}]{edges}")
    plain = (chr(code) for code in range(0x20, 0x7F))
    return _Kind(pattern, unsafe, "".join(c for c in plain if not unsafe.fullmatch(c)).encode())


_KINDS: Final = {
    "": _kind(r'([^"\\]*+(?:\\.[^"\\]*+)*+)', also_unsafe='"'),
    # Blanks at either end would be lost to a reader that forgives lost blanks.
    "prose": _kind("(.*)", also_unsafe='"=', edges=r"|^ | \Z"),
    "bare": _kind(r"([^ ()'\"]*)", also_unsafe=" ()'\"="),
    "host": _kind(r"(\S*)", also_unsafe=" ()[]'\":"),
    "line": _kind("(.*)"),
    "header": _kind("([^: ]*)", also_unsafe=" :"),
}
_UNQUOTED: Final = frozenset(("bare", "host", "header"))
_OTHER_PATTERNS: Final = {"int": r"(-?\d{1,18})", "utc": r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})"}

# --- escaping -----------------------------------------------------------------------------------------------

_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t"}
_LONG: Final = {long: short for short, long in _SHORT.items()}
_SEQUENCE = re.compile(r'\\(?:(["\\rnt])|x([0-9A-F]{2})|u\{(10[0-9A-F]{4}|[0-9A-F]{1,5})\}|)')


def _escape_quoted(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or _escape_bare(match)


def _escape_bare(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == '"' or match[0] not in _SHORT:
        return f"\\x{code:02X}" if code <= 0xFF else f"\\u{{{code:X}}}"
    return _SHORT[match[0]]


def _escape(text: str, kind: str) -> str:
    return _KINDS[kind].unsafe.sub(_escape_bare if kind in _UNQUOTED else _escape_quoted, text)


def escape(text: str) -> str:
    """``text`` as it stands between a line's quotes: printable ASCII, whatever it was; safe on a terminal."""
    return _escape(text, "")


def unescape(text: str) -> str:
    """The text that ``escape`` was given.

    A text with a backslash that starts none of our escapes (``DOMAIN\\user``) was not written by us and is
    left as it is, all of it.
    """
    if "\\" not in text:
        return text
    parts: list[str] = []
    start = 0
    for match in _SEQUENCE.finditer(text):
        short, byte, code = match.groups()
        if short:
            char = _LONG["\\" + short]
        elif byte or code:
            char = chr(int(byte or code, 16))
        else:
            return text
        parts += (text[start : match.start()], char)
        start = match.end()
    return "".join((*parts, text[start:]))


# --- stamps -------------------------------------------------------------------------------------------------

_UTC = re.compile(r"\s*(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[,.](\d{1,9}))?", re.ASCII)


@lru_cache(maxsize=64)
def _epoch(text: str) -> int | None:
    """Seconds of ``YYYY-MM-DD HH:MM:SS``; None for a month or year that does not exist."""
    year, month, day, hour, minute, second = map(int, re.split("[- :]", text))
    try:
        return calendar.timegm((year, month, day, hour, minute, second))
    except (ValueError, OverflowError):
        return None


def _seconds(text: str, fraction: str | None, zone: str | None = None) -> float | None:
    second = _epoch(text)
    if second is None:
        return None
    if zone and zone != "Z":
        distance = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        second -= distance if zone[0] == "+" else -distance
    # A fraction shorter than three digits is a count of milliseconds that lost its zeros ("17:46:20,92").
    return (second * 1000 + int((fraction or "0")[:3])) / 1000


def _utc(text: str) -> float | None:
    match = _UTC.match(text)
    return None if match is None else _seconds(f"{match[1]} {match[2]}", match[3])


def _moment(text: str, milliseconds: str) -> float | None:
    second = _epoch(text)
    return None if second is None else (second * 1000 + int(milliseconds)) / 1000


# --- forms: what the table's rows become --------------------------------------------------------------------

_KEY = re.compile(r'([\w-]+)="(?:\{(\w+)(?::(\w+))?\}|([^"]*))"')
_AT_MSG = ' Msg="'
_Write = Callable[[str, str, Any], str]
_Make = Callable[["tuple[str, ...]", float], Event]


def _compile(source: str, **names: object) -> Any:
    """The function ``made`` of a source text generated from the table, as ``namedtuple`` generates its own.

    An f-string is more than twice as fast as ``%`` on the same template, and five lines are written for each
    request. Nothing of a log's content is ever in the source.
    """
    made: dict[str, Any] = dict(names)
    exec(source, made)  # noqa: S102 - see above
    return made["made"]


def _fields(template: str) -> list[tuple[str, str]]:
    return [(name, kind or "") for _, name, kind, _ in Formatter().parse(template) if name]


def _writer(event: type[Event], template: str) -> _Write:
    """``write(prefix, utc, event)``: the line. Fields are checked together and escaped only with a reason."""
    parsed = Formatter().parse(template)
    text = "".join(f"{literal!r} " + (f"f'{{{name}}}' " if name else "") for literal, name, _, _ in parsed)
    checks: list[str] = []
    for kind in _KINDS:
        names = [name for name, its_kind in _fields(template) if its_kind == kind]
        escapes = [f"{name} = escape({name}, {kind!r})" for name in names]
        if kind == "prose":  # its edges matter too, and its lines are few
            checks += (f"    {line}" for line in escapes)
        elif names:
            checks.append("    text = f'" + "".join(f"{{{name}}}" for name in names) + "'")
            checks.append(f"    if not text.isascii() or text.encode().translate(None, {_KINDS[kind].safe!r}):")
            checks += (f"        {line}" for line in escapes)
    head = ["def made(prefix, utc, event):", f"    {', '.join(event._fields)}, = event"]
    source = "\n".join((*head, *checks, f"    return f'{{prefix}}' {text} '\\n'"))
    return cast("_Write", _compile(source, escape=_escape))


def _pattern(template: str) -> re.Pattern[str]:
    """What the template's writer writes, exactly; outside quotes, lost blanks are forgiven."""
    quoted = '="' in template
    parts = []
    for literal, name, kind, _ in Formatter().parse(template):
        text = re.escape(literal).replace(r"\ ", " ")
        if not quoted:
            text = re.sub(r"(?<=[\]:.)]) | (?=\()", " *", text).replace("ET_NET ", r"ET_\w+ ")
        parts.append(text)
        if name:
            parts.append(_OTHER_PATTERNS.get(kind or "") or _KINDS[kind or ""].pattern)
    return re.compile("".join(parts) + (r"[ \t]*\Z" if quoted else ""), re.ASCII | re.DOTALL)


def _maker(event: type[Event], template: str) -> _Make:
    """``make(groups, at)``: the event of what ``_pattern`` found."""
    groups = []
    values = {"at": "at"}
    for name, kind in _fields(template):
        if kind == "utc":
            groups += ["utc", "milliseconds"]
            values["at"] = "moment(utc, milliseconds) or at"
        elif kind == "int":
            groups.append(name)
            values[name] = f"int({name})"
        else:
            groups.append(name)
            values[name] = f"unescape({name}) if '\\\\' in {name} else {name}"
    if "start_line" in event._fields:
        values.setdefault("start_line", "''")
    arguments = ", ".join(f"{name}={value}" for name, value in values.items())
    source = f"def made(groups, at):\n    {', '.join(groups)}, = groups\n    return event({arguments})"
    return cast("_Make", _compile(source, event=event, moment=_moment, unescape=unescape))


class _Shape(NamedTuple):
    match: Callable[[str], re.Match[str] | None]
    make: _Make
    level: str


class _Form:
    """One row of the table, with everything that is made from it."""

    def __init__(self, event: type[Event], template: str) -> None:
        self.event = event
        self.write = _writer(event, template)
        # The DEBUG twin has the HTTPMSG block in place of Msg; Expressway leaves the blank.
        self.has_twin = "headers" in event._fields
        twin = template.partition(_AT_MSG)[0].replace('Level="INFO"', 'Level="DEBUG"')
        self.write_twin = _writer(event, twin + " ") if self.has_twin else None
        self.shapes = [
            _Shape(_pattern(shape).match, _maker(event, shape), level)
            for shape, level in ((template, _level(template)), (twin, "DEBUG"))
            if shape == template or self.has_twin
        ]
        keys = [*_KEY.finditer(template)]
        self.title = next((key[4] for key in keys if key[4] and key[1] in ("Event", "Detail")), "")
        # Src and Dst are taken for each other: the article has a "Sending Response" with the server's.
        self._keys = [
            (re.compile(rf'(?<![\w-]){re.sub("Src|Dst", "(?:Src|Dst)", key[1])}\s*=[ \t]*"?'), key[2], key[3])
            for key in keys
        ]

    def read(self, payload: str, at: float) -> tuple[Event, str] | None:
        """Event and level of a well-formed payload."""
        for match, make, level in self.shapes:
            if found := match(payload):
                return make(found.groups(), at), level
        return None

    def read_patiently(self, payload: str, at: float) -> Event:
        """The event of a damaged payload: what stands between the keys, looked for in the form's order."""
        msg = payload.find("Msg=")
        found: list[tuple[int, int, str | None, str | None]] = []
        position = 0
        for key, name, kind in self._keys:
            limit = msg if msg >= 0 and name != "start_line" else len(payload)
            if match := key.search(payload, position, limit):
                position = match.end()
                found.append((match.start(), position, name, kind))
        ends = [*(start for start, *_ in found), len(payload)][1:]
        integers = ("txn", "src_port", "dst_port")
        values: dict[str, Any] = {
            name: 0 if name in integers else "" for name in self.event._fields if name not in self.event._field_defaults
        } | {"at": at}
        for (_, begin, name, kind), end in zip(found, ends, strict=True):
            text = payload[begin:end].strip(" \t").removesuffix('"')
            if kind == "utc":
                values["at"] = _utc(text) or at
            elif kind == "int":
                values[cast("str", name)] = _int(text)
            elif name:
                values[name] = unescape(text)
        return self.event(**values)


def _level(template: str) -> str:
    return next((level for level in ("WARNING", "ERROR") if f"] {level}: " in template), "INFO")


def _int(text: str) -> int:
    match = re.match(r"[0-9]{1,18}", text)
    return int(match[0]) if match else 0


_TABLE: Final = {event: _Form(event, template) for event, template in _FORMS}
_BY_TITLE: Final = {form.title: form for form in _TABLE.values() if form.title}
_WARNINGS: Final = tuple(_TABLE[event] for event in (VerifyFailed, NameMismatch, HandshakeFailed))
_WRITE: Final = {event: form.write for event, form in _TABLE.items()}
_WRITE_TWIN: Final = {event: form.write_twin for event, form in _TABLE.items() if form.write_twin}

# --- writing ------------------------------------------------------------------------------------------------

CONCEALED: Final = "<CONCEALED>"
_SECRET = re.compile(r"cookie|authorization|x-auth|token|secret|passw|api-?key", re.IGNORECASE)


def is_secret(header: str) -> bool:
    """Whether a header's value must never be logged: cookies, credentials, tokens."""
    return _SECRET.search(header) is not None


def _local_offset(second: float) -> int:
    return time.localtime(second).tm_gmtoff


class LineWriter:
    """Turns events into the lines of one traffic_server process.

    ``utc_offset`` gives the local time's distance from UTC in seconds at a moment (seconds since the epoch);
    by default the machine's. ``debug`` adds the HTTPMSG twin of events that carry headers.
    """

    __slots__ = (
        "_debug",
        "_local",
        "_millisecond",
        "_offset",
        "_prefix",
        "_second",
        "_tail",
        "_utc",
        "_utc_second",
        "_zone",
    )

    def __init__(
        self,
        hostname: str,
        pid: int,
        debug: bool = False,
        utc_offset: Callable[[float], int] | None = None,
    ) -> None:
        """``hostname`` and ``pid`` are what each line begins with."""
        self._debug = debug
        self._offset = utc_offset or _local_offset
        self._tail = f" {_escape(hostname, 'host') or '-'} traffic_server[{pid}]: "
        self._second = self._millisecond = -1
        self._local = self._zone = self._prefix = self._utc = self._utc_second = ""

    def format(self, event: Event) -> str:
        """The event's line with its line end; with ``debug`` also its twin, in the same text."""
        millisecond = int(event[0] * 1000 + 0.5)
        if millisecond != self._millisecond:
            self._tick(millisecond)
        line = _WRITE[type(event)](self._prefix, self._utc, event)
        if not self._debug:
            return line
        write_twin = _WRITE_TWIN.get(type(event))
        message = cast("RequestSent", event)
        if write_twin is None or not message.headers:
            return line
        twin = write_twin(self._prefix, self._utc, event)
        return f"{line}{twin}{_block(message.start_line, message.headers)}"

    def _tick(self, millisecond: int) -> None:
        second, fraction = divmod(millisecond, 1000)
        if second != self._second:
            minutes = self._offset(second) // 60
            sign, distance = ("-", -minutes) if minutes < 0 else ("+", minutes)
            local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second + minutes * 60))
            self._local = f"{local}."
            self._zone = f"{sign}{distance // 60:02d}:{distance % 60:02d}{self._tail}"
            self._utc_second = time.strftime("%Y-%m-%d %H:%M:%S,", time.gmtime(second))
            self._second = second
        digits = f"{fraction:03d}"
        self._prefix = f"{self._local}{digits}{self._zone}"
        self._utc = self._utc_second + digits
        self._millisecond = millisecond


def _block(start_line: str, headers: Headers) -> str:
    """The HTTPMSG block, laid out as in Cisco 225746."""
    lines = ["HTTPMSG:", "|" + _escape(start_line, "line")]
    for name, value in headers:
        shown = CONCEALED if is_secret(name) else " " + _escape(value, "line")
        lines.append(f" {_escape(name, 'header')}:{shown}")
    return "\n".join((*lines, " ", " |", "", ""))


# --- reading ------------------------------------------------------------------------------------------------


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
_TITLE = re.compile(r'(?<![\w-])(?:Detail|Event)\s*=\s*"\s*(' + "|".join(filter(None, _BY_TITLE)) + ")", re.ASCII)
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
                    if twin is not None or type(record.event) in _WRITE_TWIN:
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
            at = _seconds(stamp.replace("T", " "), fraction, zone) if stamp else self._of_the_year(old, None)
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
        return _seconds(f"{self._year:04d}-{month:02d}-{day} {stamp[7:15]}", fraction)


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
        for form in _WARNINGS:
            if read := form.read(payload, at):
                return *read, False
        return None, _level_of(payload), False
    title = _TITLE.search(payload)
    if title is None:
        return None, _level_of(payload), False
    form = _BY_TITLE[title[1]]
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
