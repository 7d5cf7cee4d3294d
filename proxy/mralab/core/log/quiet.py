"""Recognize lines of a log that need no reading, as bytes and ten times as fast as reading them.

Most of a customer's log comes from other modules, and most transactions succeed. One regular expression matches a run
of such lines and stops at the first line that it cannot prove to be one. A line is quiet if it is one of these:

- a line of another process, identified by stamp, host name and process name, or of another module, identified by
  stamp, host name and UTCTime (``envelope`` ignores its message);
- a line with none of the words that every relevant line has (``envelope.may_matter``);
- a well-formed line of a request or of a response below 400, INFO or DEBUG, of a process that ``Quiet`` knows.

The patterns of the last kind are made from the grammar's table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from string import Formatter
from typing import Final

from .cleaning import MONTH
from .events import Event, RequestAllowed, RequestReceived, RequestSent, ResponseReceived, ResponseSent
from .grammar import TEMPLATES
from .neighbours import TITLES

_END: Final = r"\r?\n"
_TWO: Final = "[0-9][0-9]"
_ISO: Final = (
    rf"[0-9]{{4}}-{_TWO}-{_TWO}T{_TWO}:{_TWO}:{_TWO}(?:[.,][0-9]{{1,9}})?(?:Z|[+-]{_TWO}:?{_TWO})? "  # faster than \d
)
_STAMP: Final = rf"(?:<\d{{1,3}}>)?(?:{_ISO}|{MONTH} [ \d]\d \d\d:\d\d:\d\d )"
_TEXT: Final = r"[ !#-\[\]-~]*+"  # within quotes: printable, nothing escaped
_UNQUOTED: Final = r"(?>[^_\n]++|_(?!server\[))*+"  # the rest of a line without a head in it
_FIELDS: Final = {"int": "[0-9]{1,18}", "utc": "[0-9 :,-]{23}"}
_GOOD: Final = r"HTTP/1\.[01] [123]\d\d"
_STARTS: Final[dict[type[Event], str]] = {
    RequestReceived: "[A-Z]",
    RequestSent: "[A-Z]",
    ResponseReceived: _GOOD,
    ResponseSent: _GOOD,
}
_HEADERS: Final = rf"(?> [A-Za-z][\w-]*+:{_UNQUOTED}\n)*+"
# Each word contains one of the letters f _ L q =, so only those characters are checked.
_WORDS: Final = (
    r"f(?<!traf)(?<!ertif)(?<!edgeconf)",
    r"_(?<!ET_)",
    r"L(?<!SSL)",
    r"q(?<!Req)",
    r"=(?<!Action=)",
)
# The beginning of a line that was broken in its head (``reader``).
_CUT_HEAD: Final = (
    rf"(?:<\d{{1,3}}>)?(?:{_ISO[:-1]}|{MONTH} [ \d]\d [\d:]{{8}})(?:[ \t]+\S*(?:[ \t]+t\S*)?)?[ \t]*\r?\n"
)
_NO_WORD: Final = rf"(?!\[|{_CUT_HEAD})(?>[^f_Lq=\n\0\x80-\xff]++|{'|'.join(_WORDS)})*+\n"
_OTHER: Final = (
    r"[\w.-]{1,64} (?!traffic_server|edgeconfigprovisioning|(?:WARNING|ERROR|DIAG|DEBUG):)"
    r"[\w./-]{1,64}(?:\[\d{1,10}\])?: "
    # A relay puts the sender's address before the sender's own stamp.
    rf"(?![\s\d]|[JFMASOND][a-z][a-z] )[ -~]{_UNQUOTED}\n"
)
_PROVISIONING: Final = (
    r'[\w.-]{1,64} edgeconfigprovisioning(?:\[\d{1,10}\])?: UTCTime="(?>[^A_\n]++|A(?!ction="Rec)|_(?!server\[))*+'
    rf'(?>Action="Received"(?>[^H_\n]++|H(?!TTPMSG:)|_(?!server\[))*+(?>{_END})?+HTTPMSG: ?(?>{_END})?+\|?'
    rf"{_GOOD}{_UNQUOTED})?+\n"
)
# SIP and other modules: the line has no process name, and its module follows the stamp.
_MODULE: Final = (
    r'[\w.-]{1,64} UTCTime="[\d :,-]{8,32}" Module="(?!network\.http\.trafficserver"|[\w.]*edgeconfigprovisioning)'
    r'[\w.]{1,80}" (?>[^_\n]++|_(?!server))*+\n'
)
_INFO_PATTERN: Final = 'INFO": Detail="'
_DEBUG_PATTERN: Final = 'DEBUG": Detail="'
_BEGINNING = re.compile(f"\n{_STAMP}".encode(), re.ASCII)
_TWIN = re.compile(rb'[^"\n]{0,400}UTCTime="[^"\n]{0,40}" Module="[^"\n]{0,40}" Level="DEBUG"')
_INFO: Final = b' Level="INFO": Detail="'
_MOST_SEARCHED: Final = 16  # transactions for which a search each is faster than a look at all
_GUARDS: Final = tuple(title.encode() for title in TITLES)


def is_twin(data: bytes, position: int) -> bool:
    """Return whether the line that begins here is a DEBUG twin."""
    return _TWIN.match(data, position) is not None


class Quiet:
    """Recognizes the quiet lines of a log.

    ``heads`` are the traffic_server processes whose successes are quiet, as in their lines: ``HOST
    traffic_server[PID]: ``. The lines of all other traffic_server processes need reading.
    """

    def __init__(self, heads: Sequence[bytes] = ()) -> None:
        """Build the expressions; that takes some milliseconds."""
        kinds = [_OTHER, _MODULE, _PROVISIONING]
        self._rows: dict[bytes, re.Pattern[bytes]] = {}
        if heads:
            names = "|".join(re.escape(head.decode("latin-1")) for head in heads)
            kinds.insert(0, rf"(?:{names})(?:{_ours(rf'{_STAMP}(?:{names})')})")
            self._rows = {
                head: re.compile(
                    re.escape(head) + rb'UTCTime="[\d :,-]{23}" Module="network\.http\.trafficserver" '
                    rb'Level="(?:INFO|DEBUG)": Detail="([^"]*)" Txn-id="(\d+)"'
                    rb'(?: TrackingID="[^"]*" (Dst-ip="[^"]*" Dst-port="\d+"))?'
                )
                for head in heads
            }
            self._allowed = re.compile(rf'{_STAMP}(?:{names})Event="Request Allowed"[^\n]*+\n'.encode(), re.ASCII)
        self._run = re.compile(rf"(?>{_STAMP}(?:{'|'.join(kinds)})|{_NO_WORD})*+".encode("latin-1"), re.ASCII)

    @property
    def heads(self) -> tuple[bytes, ...]:
        """The processes whose successful transactions are quiet."""
        return tuple(self._rows)

    def end(self, data: bytes, start: int) -> int:
        """Return where the run of quiet lines that begins at ``start`` ends; ``start`` itself if there is none.

        ``data`` contains complete lines only.
        """
        match = self._run.match(data, start)
        end = match.end() if match is not None else start
        if end == start:
            return start
        for title in _GUARDS:  # of whatever process
            if (hit := data.find(title, start, end)) >= 0:
                end = max(start, data.rfind(b"\n", start, hit) + 1)
        return end

    def transactions(self, head: bytes, data: bytes, start: int, end: int) -> list[tuple[bytes, bytes, bytes]]:
        """Return detail, Txn-id and destination of each transaction line of a process in a run, in order."""
        return self._rows[head].findall(data, start, end)

    def first_line(self, data: bytes, start: int, end: int) -> int:
        """Return where the first INFO line of a transaction between two places begins; ``end`` if there is none."""
        first = end
        for head in self._rows:
            for row in self._rows[head].finditer(data, start, end):
                begin = data.rfind(b"\n", 0, row.start()) + 1
                if begin >= start and not is_twin(data, begin):
                    first = min(first, begin)
                    break
        return first

    def last_line(self, data: bytes, start: int, end: int) -> int:
        """Return where the last INFO line of a transaction in a run begins; ``end`` if there is none."""
        last = data.rfind(_INFO, start, end)
        return data.rfind(b"\n", start, last) + 1 or start if last >= 0 else end

    def lines_of(
        self, head: bytes, data: bytes, start: int, end: int, counts: Mapping[bytes, int], whole: Collection[bytes]
    ) -> Iterator[tuple[int, int]]:
        """Yield where the lines of some transactions in a run begin and end.

        ``counts`` has the numbers of the transactions and how many lines of each are in the run. Of those in ``whole``,
        which are near the end of the run, the twins are among the lines, with the messages behind them.
        """
        if len(counts) > _MOST_SEARCHED:
            rows: Iterable[re.Match[bytes]] = self._rows[head].finditer(data, start, end)
        else:
            rows = (
                row
                for txn, count in counts.items()
                for row in self._search(head, txn, data, start, end, count, backwards=txn in whole)
            )
        for row in rows:
            if row[2] in counts:
                line = data.rfind(b"\n", start, row.start()) + 1 or start
                if row[2] in whole or not is_twin(data, line):
                    yield line, self._end_of(data, row, end)

    def _search(
        self, head: bytes, txn: bytes, data: bytes, start: int, end: int, count: int, *, backwards: bool
    ) -> Iterator[re.Match[bytes]]:
        """Yield the ``count`` lines of a transaction, from the end of the run if they are near it."""
        number = b' Txn-id="%b"' % txn
        position = end if backwards else start
        while count:
            position = data.rfind(number, start, position) if backwards else data.find(number, position + 1, end)
            if position < 0:
                return
            line = data.rfind(b"\n", start, position) + 1 or start
            row = self._rows[head].search(data, line, data.find(b"\n", position))
            if row is not None and row[2] == txn:
                count -= 1
                yield row

    def _end_of(self, data: bytes, row: re.Match[bytes], end: int) -> int:
        """Return where a line ends, including its message and the decision about its request."""
        stop = _next_stamp(data, row.end(), end)
        if row[1] == b"Receive Request" and (allowed := self._allowed.match(data, stop, end)) is not None:
            return allowed.end()
        return stop


def _next_stamp(data: bytes, position: int, end: int) -> int:
    """Return where the next line with a stamp begins."""
    found = _BEGINNING.search(data, position, end)
    return found.start() + 1 if found is not None else end


def _ours(head: str) -> str:
    """Return the pattern of what may follow a head: an allow-list decision, a form with or without twin, or a twin."""
    infos, twins = [], []
    common = ""
    for event, start in _STARTS.items():
        common, _, form = _form(event, TEMPLATES[event], start).partition(_INFO_PATTERN)
        before = form.partition(" Msg=")[0]
        block = rf" ?{_END}HTTPMSG: ?{_END}\|{start}{_UNQUOTED}\n{_HEADERS} ?{_END} \|{_END}"
        twin = f"{before}{block}"
        infos.append(rf"{form}{_END}(?>{head}{common}{_DEBUG_PATTERN}{twin})?+")
        twins.append(twin)
    allowed = _form(RequestAllowed, TEMPLATES[RequestAllowed])
    # The forms' common beginning is matched once.
    levels = rf"{_INFO_PATTERN}(?:{'|'.join(infos)})|{_DEBUG_PATTERN}(?:{'|'.join(twins)})"
    return rf"{common}(?:{levels})|{allowed}{_END}"


def _form(event: type[Event], template: str, start: str = "") -> str:
    """Return the pattern of a form whose start line begins as given."""
    parts = []
    for literal, name, kind, _ in Formatter().parse(template):
        parts.append(re.escape(literal).replace(r"\ ", " "))
        if name:
            parts.append((start if name == "start_line" else "") + _FIELDS.get(kind or "", _TEXT))
    return "".join(parts)
