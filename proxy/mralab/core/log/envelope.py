"""Find the payload of a traffic_server line in whatever envelope carries it.

Logs reach the reader through relays, journald, JSON exporters, spreadsheets, ``grep``, web pages and chats. ``plain``
takes one such line and returns the lines that Expressway itself would have written: stamp, host name,
``traffic_server[PID]:`` and the payload. It searches for the payload, so it needs no list of envelopes.

A line of another process is never read as traffic_server's, whatever its message quotes. Otherwise anyone who can write
into sshd's log, for example, could forge lines of ours.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from .cleaning import MONTH, MONTHS, records, unwrap

_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_BSD = rf"{MONTH} {{1,2}}\d{{1,2}} (?:\d{{4}} )?\d\d:\d\d:\d\d(?:\.\d{{1,9}})?"
_STAMP = re.compile(rf"(?<![\w]){_ISO}|(?<![\w]){_BSD}", re.ASCII)
_BSD_PARTS = re.compile(r"(\w{3}) +(\d{1,2}) (?:(\d{4}) )?(\d\d:\d\d:\d\d)(\.\d+)?", re.ASCII)

# ``traffic_server[2030]:`` (BSD, RFC 3164) or ``traffic_server 2030 ID47 [data]`` (RFC 5424 section 6).
_DATA = r"""\[(?>[^\]"\\]|\\.|"(?>[^"\\]|\\.){0,256}+"){0,256}+\]"""
_PROCESS = re.compile(
    rf"(?<![\w./-])traffic_server(?:"
    rf"(?:\[(\d{{1,10}})\])?[ \t]*:[ \t]*"
    rf"|[ \t]+(\d{{1,10}}|-)[ \t]+[!-~]{{1,32}}[ \t]+(?:-|(?:{_DATA}){{1,8}})(?:[ \t]+|\Z)"
    rf")",
    re.ASCII,
)
# The process that wrote the line: a name after a stamp and at most a host name and RFC 5424's version.
_OWNER = re.compile(r"(?:[^\s:\[\]]{1,255}[ \t]+){0,2}([\w./-]{1,64})(?:\[\d{1,10}\])?:(?=[ \t]|\Z)", re.ASCII)
_TAG = re.compile(r"(?<![\w./-])([\w./-]{1,64})\[\d{1,10}\]:(?=[ \t]|\Z)", re.ASCII)
_HOST = re.compile(r"[^\s\[\]<>|\"']{0,254}[^\s\[\]<>|\"':]", re.ASCII)
_LONGEST_ENVELOPE: Final = 4096  # characters before a payload

# The payload's own first words.
_QUOTE = r"""[ \t]*=[ \t]*\\?"{0,2}[ \t]*"""
_FIELDS = re.compile(
    rf"(?:UTCTime{_QUOTE}\d{{4}}-\d\d-\d\d|Module{_QUOTE}network\.http\.trafficserver"
    rf"|Event{_QUOTE}Request (?:Allowed|Denied|Rejected))",
    re.ASCII,
)
_MODULE = re.compile(rf"\bModule{_QUOTE}([\w.]*)", re.ASCII)
_EVENT = re.compile(rf"Event{_QUOTE}Request (?:Allowed|Denied|Rej)", re.ASCII)
_ANY_FIELD = re.compile(r'\w[ \t]*=[ \t]*\\?"')
_THREAD = re.compile(r"[\[{]ET_\w{1,16} \d{1,6}[\]}]|\{0x[0-9a-f]{4,16}\} (?=[A-Z]{4,7}:)", re.ASCII)
_WORDS = re.compile(
    r"(?:\b(?:WARNING|ERROR|DIAG|DEBUG)[ \t]*:[ \t]*)?(?:<[^<>]{1,200}>[ \t]*)?(?:\([\w.]{1,40}\)[ \t]*)?"
    r"(Core server certificate verification failed for \(|SNI \([^()]{0,300}\) not in certificate"
    r"|SSL connection failed for ')"
)
_TRACE = re.compile(
    r"[\[{]ET_\w+ \d+[\]}]|network\.http\.trafficserver|certificate verification failed|\) not in certificate"
    r"|SSL connection failed for|Action[ \t]*=[ \t]*(?:Terminate|Continue)\b"
)

_BEGINNING = re.compile(rf"[ \t>|]*(?:UTCTime{_QUOTE}\d|Event{_QUOTE}Request|[\[{{]ET_\w)")

_DOUBLED = re.compile(r'(?:UTCTime|Module|Event|Detail)=""[A-Za-z0-9]')
_CELL = re.compile(r'(?>[^"]++|"")*+')
_NAME: Final = "traffic_server"
_STRING = re.compile(r'"(?>[^"\\]++|\\.)*+"')
_LARGEST_JSON: Final = 1 << 20  # characters of a line that is parsed as JSON


class Plain(NamedTuple):
    """A line without its envelope: ``STAMP HOST traffic_server[PID]: PAYLOAD``, or what an HTTPMSG block goes on with.

    ``stray`` is for a line that bears traces of traffic_server but has no place where a payload starts. ``bare`` is for
    one that has neither stamp nor process name: it may be part of a line that was broken, above all if it does not
    begin as a payload does (``begins``).
    """

    line: str
    stray: bool = False
    bare: bool = False
    begins: bool = False


def may_matter(text: str) -> bool:
    """Return whether a line may be of traffic_server. Each of its lines has one of these words."""
    return (
        "traffic" in text
        or "ET_" in text
        or "certificate" in text
        or "SSL connection" in text
        or "Request " in text
        or "Action=" in text
    )


def plain(line: str) -> list[Plain]:
    """Return the traffic_server lines in one line of a log, none where it is another process's.

    A JSON object is one line, or several where its message has line ends; a JSON array is one for each element.
    """
    line = unwrap(line)
    start = line.lstrip(" \t,>")[:1]
    if (
        (start in ("{", "[", '"') or (line.endswith("}") and ": {" in line[:260]))
        and len(line) <= _LARGEST_JSON
        and (found := _from_json(line)) is not None
    ):
        return found
    if '=\\"' in line and line.count(_NAME) > 1 and (strings := [*_from_strings(line)]):
        return strings
    one, *others = records(line)
    first = _from_record(one)
    return [*first, *(each for other in others for each in _from_record(other))] if first else []


def _from_strings(line: str) -> Iterator[Plain]:
    """Yield the lines in the strings of a JSON document that is not whole, because it is too long or was cut.

    What the document says of their process may be missing, so only whole lines count: a stamp, and the process.
    """
    for string in _STRING.finditer(line):
        if _NAME in string[0]:
            try:
                text = str(json.loads(string[0]))
            except ValueError:
                continue
            yield from _following(_lines(text), is_open=False)


def _from_record(line: str) -> list[Plain]:
    """Return the line of one record, nothing if another process wrote it."""
    located = _locate(line)
    if located is not None:
        bare = _PROCESS.search(line) is None and _STAMP.match(line.lstrip(" \t>|")) is None
        return [Plain(located, bare=bare, begins=_BEGINNING.match(line) is not None)]
    trace, module = _TRACE.search(line), _MODULE.search(line)
    if trace is None or (module is not None and module[1] != "network.http.trafficserver"):
        return []
    known = line[: trace.start()]
    return [Plain(line, stray=True)] if len(known) > _LONGEST_ENVELOPE or not _is_of_another(known) else []


def _locate(line: str) -> str | None:
    """Return the line without its envelope; None if it has no payload or another process wrote it."""
    process = _PROCESS.search(line)
    if process is not None:
        before, payload = line[: process.start()], line[process.end() :]
        if len(before) > _LONGEST_ENVELOPE or _is_of_another(before):
            return None
        pid = process[1] or process[2] or ""
        return _compose(before, pid.replace("-", ""), _tidy(payload))
    start = _payload_start(line)
    if start is None or start > _LONGEST_ENVELOPE or _is_of_another(line[:start]):
        return None
    before = line[:start]
    return _compose(before, "", _tidy(line[start:]))


def _payload_start(line: str) -> int | None:
    """Return where a payload starts that has no process name before it.

    What stands in a field is another module's text about traffic_server, not a line of it.
    """
    start = next((found.start() for form in (_FIELDS, _THREAD, _WORDS) if (found := form.search(line))), None)
    if start is None or _ANY_FIELD.search(line, 0, start):
        return None
    if _FIELDS.match(line, start):
        module = _MODULE.search(line, start)
        is_ours = module[1] == "network.http.trafficserver" if module is not None else _EVENT.match(line, start)
        return start if is_ours else None
    return start


def _is_of_another(before: str) -> bool:
    """Return whether the text before a payload names another process as the line's author."""
    for stamp in _STAMP.finditer(before):
        rest = before[stamp.end() :].lstrip(" \t")
        owner = _OWNER.match(rest)
        # A relay puts the sender's address, with a colon, before the sender's own stamp.
        if owner is not None and owner[1] != "traffic_server" and not _STAMP.match(rest[owner.end() :].lstrip(" \t")):
            return True
    tag = _TAG.search(before)
    return tag is not None and tag[1] != "traffic_server"


def _compose(before: str, pid: str, payload: str) -> str:
    stamp = None
    for stamp in _STAMP.finditer(before):  # noqa: B007 - the last one is the sender's own
        pass
    host = None
    words = before[stamp.end() :].split() if stamp is not None and before[-1:] in (" ", "\t") else []
    if words and _HOST.fullmatch(words[-1]) and not words[-1].isdigit():
        host = words[-1]
    parts = (_stamp_text(stamp[0]) if stamp is not None else "", host or "")
    head = " ".join(part for part in parts if part)
    return f"{head}{' ' if head else ''}traffic_server{f'[{pid}]' if pid else ''}: {payload}"


def _stamp_text(stamp: str) -> str:
    """Return a stamp in one of the reader's two forms: ISO with dashes, or BSD's fifteen characters."""
    if stamp[0].isdigit():
        return stamp.replace("/", "-")
    parts = _BSD_PARTS.match(stamp)
    if parts is None:
        return ""
    month, day, year, clock, fraction = parts.groups()
    if year is not None:
        return f"{year}-{MONTHS.index(month) + 1:02d}-{int(day):02d}T{clock}{fraction or ''}"
    return f"{month} {int(day):2d} {clock}{fraction or ''}"


def _tidy(payload: str) -> str:
    """Return the payload as it was before it became part of a JSON string, a spreadsheet cell or a page."""
    if '=\\"' in payload:
        payload = _json_string(payload)
    elif _DOUBLED.search(payload):
        cell = _CELL.match(payload)
        payload = (cell[0] if cell is not None else payload).replace('""', '"')
    if (words := _WORDS.match(payload)) is not None and not words[0].startswith(("WARNING", "ERROR", "DIAG", "DEBUG")):
        # The line has neither thread nor level.
        payload = f"{'ERROR' if words[1].startswith('SSL') else 'WARNING'}: {payload}"
    if payload.startswith(("[", "{", "WARNING", "ERROR", "DIAG")):
        payload = payload.partition('"')[0]  # these have no quotes: the rest is the envelope's
    return payload.rstrip(" \t`|,;")


_CHANGES: Final = ("&#", "&quot;", "&amp;", "=3D", "</", '=\\"', "[0m", "[m")
_CHANGED_CELLS: Final = ('UTCTime=""', 'Event=""', 'Module=""')
_QUOTED_PRINTABLE = re.compile(r'(?:UTCTime|Module|Event|Action|Error)=3D["A-Za-z0-9]')
_OCTET = re.compile(r"=([2-7][0-9A-F])")


def is_changed(payload: str) -> bool:
    """Return whether a payload may have been through a page, a mail, a JSON string or a cell of a table."""
    return payload.startswith(_CHANGED_CELLS) or any(sign in payload for sign in _CHANGES)


def undone(payload: str) -> str:
    """Return a payload without such changes. The head of its line shows none: it has no quotes."""
    text = unwrap(payload)
    if _QUOTED_PRINTABLE.search(text) is not None:
        text = _OCTET.sub(lambda found: chr(int(found[1], 16)), text)
    return _tidy(text)


def _json_string(text: str) -> str:
    """Return the text of a JSON string whose beginning is missing, up to the quote that ends it."""
    end = re.match(r'(?>[^"\\]++|\\.)*+', text, re.DOTALL)
    inner = end[0] if end is not None else text
    try:
        return str(json.loads(f'"{inner}"'))
    except ValueError:
        return inner.replace('\\"', '"')


# -- JSON

_MESSAGES: Final = ("MESSAGE", "full_message", "message", "msg", "_raw", "log", "line", "text", "body", "original")
_NAMES: Final = ("SYSLOG_IDENTIFIER", "_COMM", "programname", "program", "process", "appname", "app", "ident", "tag")
_HOSTS: Final = ("_HOSTNAME", "hostname", "host", "HOSTNAME", "logsource", "source_host")
_PIDS: Final = ("SYSLOG_PID", "_PID", "pid", "procid", "process_id")
_TIMES: Final = ("__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "@timestamp", "timestamp", "time", "ts", "_time")
_FACTS: Final = frozenset((*_NAMES, *_HOSTS, *_PIDS, *_TIMES))
_MOST_VALUES: Final = 4096  # of one object
_MOST_INHERITED: Final = 32  # members that an array's elements take from the object around it
_DEEPEST: Final = 16  # arrays and texts in each other
# fluentd's text before an object, a time and a tag; syslog writes neither this stamp nor a tag without one.
_TAGGED_JSON: Final = re.compile(
    r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? [+-]\d{4} )?[\w.*-]{1,200}: ?(?=\{\")", re.ASCII
)


def _part_of_array(text: str) -> list[Any] | None:
    """Return the elements of a JSON array's part: a line that is too long is read in parts (``stream``)."""
    if text[:1] not in ("[", "{") or not text.endswith(("}", "}]")):
        return None
    try:
        value = json.loads(f"[{text.removeprefix('[').removesuffix(']')}]")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


_MEMBER: Final = re.compile(r'"[\w.@ -]{1,200}"\s*:\s*"')


def _from_json(line: str) -> list[Plain] | None:
    """Return the lines in a JSON object, or in an array of objects or texts; None for anything else.

    A tag may precede it. A text, or a member of an object, may stand alone in its line.
    """
    text = line.strip().lstrip(">, \t").rstrip(",")
    tag = _TAGGED_JSON.match(text)
    if text.startswith('"'):
        text = f"{{{text}}}" if _MEMBER.match(text) is not None else f"[{text}]"
    try:
        value = json.loads(text[tag.end() :] if tag is not None else text)
    except (ValueError, RecursionError):
        value = _part_of_array(text)
    if value is None:
        return None
    elements = value if isinstance(value, list) else [value]
    if not any(isinstance(each, dict | str) for each in elements):
        return None
    return [*_from_values(elements, {}, 0)]


def _from_values(values: list[Any], facts: dict[str, Any], depth: int) -> Iterator[Plain]:
    """Yield the lines of an array's elements; ``facts`` are members of the enclosing objects."""
    for each in values:
        if isinstance(each, dict):
            yield from _from_object(each, facts, depth)
        elif isinstance(each, str) and not facts:
            first, *more = _lines(each)
            located = _from_record(first)
            yield from located
            yield from _following(more, is_open=bool(located))
        elif isinstance(each, str):
            yield from _from_members(facts | {"message": each}, depth)
        elif isinstance(each, list) and [type(part) for part in each] == [str, str] and each[0].isdigit():
            yield from _from_members(facts | {"time": each[0], "line": each[1]}, depth)  # Loki's pairs
        elif isinstance(each, list) and depth < _DEEPEST:
            yield from _from_values(each, facts, depth + 1)


def _from_object(value: dict[str, Any], facts: dict[str, Any], depth: int) -> Iterator[Plain]:
    """Yield the lines of a JSON object: from its own texts, or else from the records in its arrays."""
    arrays: list[list[Any]] = []
    own = dict(_flattened(value, arrays))
    found = [*_from_members(facts | own, depth)]
    yield from found
    if found or depth >= _DEEPEST:
        return
    inherited = [
        (key, own[key]) for key in own if key.rpartition(".")[2] in _FACTS or key.startswith(("host.", "process."))
    ]
    for array in arrays:
        yield from _from_values(array, facts | dict(inherited[:_MOST_INHERITED]), depth + 1)


def _from_members(flat: dict[str, Any], depth: int) -> Iterator[Plain]:
    """Yield the lines of the first text of an object that has a payload; nothing if another process wrote it."""
    names = [str(flat[key]) for key in flat if key.rpartition(".")[2] in _NAMES or key == "process.name"]
    if names and not any("traffic_server" in name for name in names):
        return
    by_rank = sorted(
        (key for key in flat if isinstance(flat[key], str)),
        key=lambda key: _MESSAGES.index(name) if (name := key.rpartition(".")[2]) in _MESSAGES else len(_MESSAGES),
    )
    for key in by_rank:
        text = str(flat[key])
        if (inner := _object_in(text)) is not None and depth < _DEEPEST:
            facts = {name: each for name, each in flat.items() if name.rpartition(".")[2] in _FACTS}
            if found := [*_from_object(inner, facts, depth + 1)]:
                yield from found
                return
            continue
        first, *more = _lines(text)
        located = _locate(first)
        if located is None and names and key.rpartition(".")[2] in _MESSAGES:
            located = f"traffic_server: {first}"
        if located is not None:
            yield Plain(_with_facts(located, flat))
            yield from _following(more, is_open=True)
            return
        if found := [*_following(more, is_open=False)]:  # such as a ticket that quotes a log
            yield from found
            return


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _following(lines: Iterable[str], *, is_open: bool) -> Iterator[Plain]:
    """Yield the further lines of a text: log lines with a stamp, and what follows such a line.

    ``is_open``: a log line precedes them. A header of an HTTPMSG block begins with a blank or a bar; it is never a log
    line.
    """
    for line in lines:
        record = _from_record(line) if line[:1] not in (" ", "|") and _STAMP.match(line.lstrip("> \t")) else []
        if record:
            is_open = True
            yield from record
        elif is_open:
            yield Plain(line)


def _object_in(text: str) -> dict[str, Any] | None:
    """Parse a text that is itself a JSON object: a container's log of a program that logs JSON."""
    if not (text.startswith("{") and text.rstrip().endswith("}")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _flattened(value: dict[str, Any], arrays: list[list[Any]]) -> Iterator[tuple[str, Any]]:
    """Yield keys and values, nested ones by their path. Bytes that journald gives as numbers become text.

    Other arrays are added to ``arrays``.
    """
    waiting: list[tuple[str, Any]] = list(reversed([*value.items()]))
    count = 0
    while waiting and count < _MOST_VALUES:
        key, each = waiting.pop()
        count += 1
        if isinstance(each, dict):
            waiting += [(f"{key}.{name}", inner) for name, inner in reversed([*each.items()])]
        elif isinstance(each, list) and each and all(isinstance(byte, int) and 0 <= byte < 256 for byte in each):
            yield key, bytes(each).decode("utf-8", "replace")
        elif isinstance(each, list) and len(each) == 1 and not isinstance(each[0], dict | list):
            waiting.append((key, each[0]))  # a search engine's "fields"
        elif isinstance(each, list):
            arrays.append(each)
        elif isinstance(each, str | int | float) and not isinstance(each, bool):
            yield key, each


def _with_facts(line: str, flat: dict[str, Any]) -> str:
    """Return the line with the stamp, host and process number from the object's other members."""
    head, mark, payload = line.partition("traffic_server")
    if not head:
        stamp = next((text for name in _TIMES if name in flat and (text := _time(flat[name]))), "")
        hosts = [str(flat[key]) for key in flat if key in _HOSTS or key in ("host.name", "host.hostname")]
        host = next((name for name in hosts if re.fullmatch(r"[\w.:-]{1,255}(?<!:)", name, re.ASCII)), "")
        head = f"{stamp}{' ' if stamp else ''}{host}{' ' if host else ''}"
    if payload.startswith(":"):
        pids = [str(flat[key]) for key in flat if key in _PIDS or key == "process.pid"]
        pid = next((number for number in pids if re.fullmatch(r"\d{1,10}", number, re.ASCII)), "")
        mark += f"[{pid}]" if pid else ""
    return f"{head}{mark}{payload}"


def _time(value: str | float) -> str:
    """Return the ISO stamp of a member: ISO already, or seconds, milliseconds or microseconds since the epoch."""
    if isinstance(value, str) and _STAMP.match(value):
        return _stamp_text(value.strip())
    try:
        number = float(value)
    except ValueError:
        return ""
    for scale in (1, 1e3, 1e6, 1e9):
        seconds = number / scale
        if 1e8 < seconds < 1e10:
            fraction = int(seconds % 1 * 1000)
            return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:03d}Z"
    return ""
