"""The grammar of a traffic_server log: one table, from which the writer and the reader of each form are made.

``_FORMS`` is the grammar: each row is an event and the text of its line as Expressway prints it, with ``{field}``
where the event's field stands. Writer and reader are both made from it, so what one writes the other reads. A line is
first matched exactly. A line that is not well formed is read again, split at the keys of its form in their order:
published logs have lost quotes and blanks, and Traffic Server does not escape.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from functools import lru_cache
from string import Formatter
from typing import Any, Final, NamedTuple, cast

from .escape import KINDS, NO_NAME, escape_field, unescape
from .events import (
    Event,
    HandshakeFailed,
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
_NEVER_TWICE: Final = ("tracking_id",)
_ADDRESSES: Final = frozenset(("src_ip", "dst_ip"))
_MOST_KEPT: Final = 4096
_LONGEST_KEPT: Final = 512
_OTHER_PATTERNS: Final = {"int": r"(-?\d{1,18})", "utc": r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})"}

# -- stamps

_UTC = re.compile(r"\s*(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[,.](\d{1,9}))?", re.ASCII)


@lru_cache(maxsize=64)
def _epoch(text: str) -> int | None:
    """Return the seconds of ``YYYY-MM-DD HH:MM:SS``; None if there is no such date."""
    year, month, day, hour, minute, second = map(int, re.split("[- :]", text))
    try:
        return calendar.timegm((year, month, day, hour, minute, second))
    except (ValueError, OverflowError):
        return None


def seconds_of(text: str, fraction: str | None, zone: str | None = None) -> float | None:
    """Return seconds since the epoch of ``YYYY-MM-DD HH:MM:SS``, fraction and zone; None if there is no such date."""
    second = _epoch(text)
    if second is None:
        return None
    if zone and zone != "Z":
        distance = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        second -= distance if zone[0] == "+" else -distance
    # A fraction shorter than three digits is a count of milliseconds that lost its zeros ("17:46:20,92").
    return (second * 1000 + int((fraction or "0")[:3])) / 1000


def moment_of(text: str) -> float | None:
    """Return the seconds since the epoch of a ``UTCTime``; None if it is not a date and time."""
    match = _UTC.match(text)
    return None if match is None else seconds_of(f"{match[1]} {match[2]}", match[3])


def _moment(text: str, milliseconds: str) -> float | None:
    second = _epoch(text)
    return None if second is None else (second * 1000 + int(milliseconds)) / 1000


# -- what the table's rows become

_KEY = re.compile(r'([\w-]+)="(?:\{(\w+)(?::(\w+))?\}|([^"]*))"')
_AT_MSG = ' Msg="'
_Write = Callable[[str, str, Any], str]
_Make = Callable[["tuple[str, ...]", float], Event]


def compile_function(source: str, **names: object) -> Any:
    """Compile source text generated from the table, as ``namedtuple`` does, and return its function ``made``.

    An f-string is more than twice as fast as ``%`` on the same template, and five lines are written for each
    request. Nothing of a log's content is ever in the source.
    """
    made: dict[str, Any] = dict(names)
    exec(source, made)  # noqa: S102 - see above
    return made["made"]


def _fields(template: str) -> list[tuple[str, str]]:
    return [(name, kind or "") for _, name, kind, _ in Formatter().parse(template) if name]


class _Plain(set[str]):
    """Texts that need no escaping."""

    def __init__(self, safe: bytes) -> None:
        super().__init__()
        self._safe = safe

    def holds(self, text: str) -> bool:
        """Return whether a text needs no escaping; short ones are remembered."""
        if text == "null" or not text.isascii() or text.encode().translate(None, self._safe):
            return False  # in parentheses, "null" would read as an absent name
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self.add(text)
        return True


def _writer(event: type[Event], template: str) -> _Write:
    """Make ``write(prefix, utc, event)``, which returns the line. Only fields that need it are escaped.

    Which texts need none is remembered: a client's requests differ in little (0.2 microseconds a line).
    """
    parsed = Formatter().parse(template)
    text = "".join(f"{literal!r} " + (f"f'{{{name}}}' " if name else "") for literal, name, _, _ in parsed)
    checks: list[str] = []
    plain: dict[str, _Plain] = {}
    for kind in KINDS:
        names = [name for name, its_kind in _fields(template) if its_kind == kind]
        escapes = [f"{name} = escape({name}, {kind!r})" for name in names]
        if kind == "prose":  # its edges matter too, and its lines are few
            checks += (f"    {line}" for line in escapes)
        elif names:
            known = f"plain_{kind}"
            plain[known] = _Plain(KINDS[kind].safe)
            for name, line in zip(names, escapes, strict=True):
                if name in _NEVER_TWICE:
                    checks.append(
                        f"    if not {name}.isascii() or {name}.encode().translate(None, {KINDS[kind].safe!r}):"
                    )
                    checks.append(f"        {line}")
                else:
                    checks.append(f"    if {name} not in {known} and not {known}.holds({name}): {line}")
    head = ["def made(prefix, utc, event):", f"    {', '.join(event._fields)}, = event"]
    source = "\n".join((*head, *checks, f"    return f'{{prefix}}' {text} '\\n'"))
    return cast("_Write", compile_function(source, escape=escape_field, **plain))


def _pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of exactly what the template's writer writes. Blanks outside quotes may be missing."""
    quoted = '="' in template
    parts = []
    for literal, name, kind, _ in Formatter().parse(template):
        text = re.escape(literal).replace(r"\ ", " ")
        if not quoted:
            text = re.sub(r"(?<=[\]:.)]) | (?=\()", " *", text).replace("ET_NET ", r"ET_\w+ ")
        parts.append(text)
        if name:
            parts.append(_OTHER_PATTERNS.get(kind or "") or KINDS[kind or ""].pattern)
    return re.compile("".join(parts) + (r"[ \t]*\Z" if quoted else ""), re.ASCII | re.DOTALL)


def _maker(event: type[Event], template: str) -> _Make:
    """Make ``make(groups, at)``, which returns the event for the groups of ``_pattern``."""
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
    return cast("_Make", compile_function(source, event=event, moment=_moment, unescape=unescape))


class _Shape(NamedTuple):
    match: Callable[[str], re.Match[str] | None]
    make: _Make
    level: str


class _Form:
    """One row of the table, with its writers and its patterns."""

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
        """Return event and level of a well-formed payload, None for any other."""
        for match, make, level in self.shapes:
            if found := match(payload):
                return make(found.groups(), at), level
        return None

    def is_whole(self, payload: str) -> bool:
        """Return whether a damaged payload has its last field and ends with that field's quote."""
        last = self._keys[-1][0].search(payload)
        return last is not None and payload[last.end() :].rstrip(" \t").endswith('"')

    def read_patiently(self, payload: str, at: float) -> Event:
        """Return the event of a damaged payload: find the keys in the form's order and take the text between them."""
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
            text = payload[begin:end].strip(" \t")
            is_cut = end == len(payload) and payload[begin - 1] == '"' and '"' not in text
            if is_cut and (kind == "int" or name in _ADDRESSES):
                continue  # a part of a number or an address is another one
            if end == len(payload) and text.count('"') == 1:  # the rest is the envelope's
                text = text.partition('"')[0]
            text = text.removesuffix('"')
            if kind == "utc":
                values["at"] = moment_of(text) or at
            elif kind == "int":
                values[cast("str", name)] = _int(text)
            elif name in _ADDRESSES:
                values[name] = re.split(r'[\s"]', text, maxsplit=1)[0]  # the key behind it may be lost
            elif name:
                values[name] = unescape(text)
        return self.event(**values)


_DIAGNOSTIC = re.compile(
    # Thread, level, and what Traffic Server's diags.log adds: source location and debug tag (src/tscore/Diags.cc).
    r"(?:[\[{](?:(ET_\w+ -?\d{1,18})|0x[0-9a-f]{1,16})[\]}] *)?(WARNING|ERROR|DIAG|DEBUG|NOTE) *: *"
    r"(?:<[^<>]{1,200}> *)?(?:\([\w.]{1,40}\) *)?",
    re.ASCII,
)


def read_diagnostic(payload: str, at: float) -> tuple[Event, str] | None:
    """Return event and level of a WARNING or ERROR line, None for one that is none of the forms.

    A line may have more, or less, in it than Expressway's: Traffic Server 9 puts its source location before the text,
    prints handshake errors at DIAG, and ``(null)`` where it has no name. The thread of a line without one is -1.
    """
    if NO_NAME not in payload:
        for form in WARNINGS:
            if read := form.read(payload, at):
                return read
    head = _DIAGNOSTIC.match(payload)
    if head is None:
        return None
    text = payload[head.end() :].replace(NO_NAME, "")
    for level in ("WARNING", "ERROR"):
        for form in WARNINGS:
            if read := form.read(f"[{head[1] or 'ET_NET -1'}] {level}: {text}", at):
                return read[0], "DEBUG" if head[2] in ("DIAG", "DEBUG") else level
    return None


def _level(template: str) -> str:
    return next((level for level in ("WARNING", "ERROR") if f"] {level}: " in template), "INFO")


def _int(text: str) -> int:
    match = re.match(r"[0-9]{1,18}", text)
    return int(match[0]) if match else 0


TEMPLATES: Final = dict(_FORMS)
"""By event, the text of its line, with ``{field}`` or ``{field:kind}`` where a field stands."""
TABLE: Final = {event: _Form(event, template) for event, template in _FORMS}
BY_TITLE: Final = {form.title: form for form in TABLE.values() if form.title}
WARNINGS: Final = tuple(TABLE[event] for event in (VerifyFailed, NameMismatch, HandshakeFailed))
TWINS: Final = frozenset(event for event, form in TABLE.items() if form.has_twin)
LEVELS: Final = {event: _level(template) for event, template in _FORMS}
"""By event, the level of its line."""
WRITE: Final = {event: (form.write, form.write_twin) for event, form in TABLE.items()}
"""By event, the writer of its line, and that of its DEBUG twin up to the block if it has one."""
