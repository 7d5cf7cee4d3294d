"""Read the bytes of a log into records: gigabytes in constant memory.

``LogReader`` accepts the bytes in pieces of any size. It counts what it does not read: the rest of lines that are too
long, and lines of binary data.

Reading a line takes about 10 microseconds, and most lines of a log are irrelevant. They are recognized as bytes
(``quiet``) and never decoded. With ``skip_successes`` successful transactions are skipped too, for a caller that only
needs the causes of failures. A transaction is skipped only if all of it lies in one run of quiet lines. The other
records keep their order. These are always read, because a fault may be tied to them:

- all lines within 4 KB before and after a WARNING or ERROR line;
- each request that is unanswered where a run ends, and the rest of its transaction;
- one successful transaction for each server and port, and another one after each line that is not quiet.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .encoding import Decoder
from .events import RequestReceived, RequestSent, ResponseReceived, ResponseSent
from .quiet import Quiet, is_twin
from .reader import LineReader, Record

BLOCK: Final = 1 << 20
"""Bytes that are processed at a time."""
LONGEST_LINE: Final = 1 << 20
"""Bytes of a line that are read; the rest is ignored."""
CONTEXT: Final = 1 << 12
"""Bytes before and after a WARNING or ERROR line in which every line is read."""

_MOST_OPEN: Final = 100_000
_MOST_TARGETS: Final = 10_000
_MOST_HEADS: Final = 4
_MOST_LEARNED: Final = 64  # building expressions takes milliseconds
_ENOUGH: Final = 20  # records of a process before its successes are skipped
_FAULT = re.compile(rb"[\[{]ET_|certificate verification failed|\) not in certificate|SSL connection failed")
_HEAD = re.compile(
    r"(?:<\d{1,3}>)?(?:\d{4}-\S{20,36}|[A-Z][a-z]{2} [ \d]\d [\d:]{8}) ([\w.-]{1,64} traffic_server\[\d{1,10}\]: )UTC"
)
_CONTROL = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
_MOST_CONTROL: Final = 0.1  # of a line of text
_SEEN: Final = 4096  # characters of a line that decide whether it is text

_Process = tuple[str, int]


class _Why(Enum):
    """Why lines of a transaction in a run are read."""

    EXAMPLE = auto()
    """It is the first that succeeded with its server and port."""
    BEGUN = auto()
    """The caller has records of its beginning."""
    UNANSWERED = auto()
    """Its end is not in the run."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines were read, and how many were not.

    ``lines`` counts all lines, ``cut`` those longer than ``LONGEST_LINE``, of which only the beginning was read, and
    ``binary`` those that are not text, which were not read. ``left_out`` counts the successful transactions without a
    record.
    """

    lines: int = 0
    cut: int = 0
    binary: int = 0
    left_out: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of two logs together."""
        return Counts(
            self.lines + other.lines,
            self.cut + other.cut,
            self.binary + other.binary,
            self.left_out + other.left_out,
        )


class LogReader:
    """Reads one log. Call ``feed`` with its bytes, in pieces of any size, then ``close``; both return new records.

    A record's ``line`` is the number of the first physical line it was read from. UTF-16 is recognized, with a byte
    order mark or without. Nothing in a log makes it raise.
    """

    def __init__(
        self,
        year: int = 1970,
        *,
        latest: float = math.inf,
        skip_successes: bool = False,
        block: int = BLOCK,
        context: int = CONTEXT,
    ) -> None:
        """``year`` is used for stamps without one, and the year before if they would be after ``latest``.

        ``skip_successes`` skips transactions that succeeded.
        """
        self._reader = LineReader(year, latest)
        self._skip_successes = skip_successes
        self._block, self._context = block, context
        self._decoder = Decoder()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._is_cutting = False
        self._lines = self._cut = self._binary = self._left_out = 0
        self._others = self._quiet = Quiet()
        self._learned = 0
        self._records_of: Counter[bytes] = Counter()
        self._processes: dict[bytes, _Process] = {}
        self._open: dict[tuple[_Process, int], None] = {}
        """Unanswered transactions of which the caller has records."""
        self._targets: set[tuple[bytes, bytes]] = set()
        self._loud = 0
        """Bytes of a fault's context that follow: every line in them is read."""

    @property
    def counts(self) -> Counts:
        """The counts of the lines so far."""
        return Counts(self._lines, self._cut, self._binary, self._left_out)

    @property
    def lacks_year(self) -> bool:
        """Whether the year of stamps was assumed."""
        return self._reader.lacks_year

    @property
    def lacks_zone(self) -> bool:
        """Whether the zone of stamps was assumed to be UTC."""
        return self._reader.lacks_zone

    def feed(self, chunk: bytes) -> list[Record]:
        """Return the records that the next bytes of the log complete."""
        records: list[Record] = []
        for start in range(0, len(chunk), self._block):
            records += self._add(self._decoder.decode(chunk[start : start + self._block]))
        return records

    def close(self) -> list[Record]:
        """Return the remaining records. The log ends here."""
        records = self._add(self._decoder.decode(b"", final=True))
        data = b"".join(self._buffer)
        self._buffer, self._buffered = [], 0
        if data:
            records += self._read(data, is_last=True)
        return [*records, *self._noted(self._reader.flush())]

    def _add(self, data: bytes) -> list[Record]:
        """Collect bytes until there is a block, then read its complete lines."""
        if self._is_cutting:  # the rest of a line that is too long
            end = data.find(b"\n") + 1
            if not end:
                return []
            data, self._is_cutting = data[end:], False
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered < self._block:
            return []
        data = b"".join(self._buffer)
        end = data.rfind(b"\n") + 1
        records, rest = self._read_part(data[:end]) if end else ([], b"")
        line = data[end:]
        if len(line) > LONGEST_LINE:
            # Nothing may be held back before it: it would be read after this one.
            records += self._read(rest, is_last=True)
            rest = b""
            if part := _whole_elements(line):
                records += self._line(line[:part], is_part=True)
                line = line[part:]
            else:
                records += self._line(line)
                line = b""
                self._is_cutting = True
        self._buffer = [rest, line]
        self._buffered = len(rest) + len(line)
        return records

    def _read(self, data: bytes, *, is_last: bool) -> list[Record]:
        """Read all of these lines."""
        return self._read_part(data, is_last=is_last)[0]

    def _read_part(self, data: bytes, *, is_last: bool = False) -> tuple[list[Record], bytes]:
        """Read complete lines; also return those at the end that were not read, as possible context of the next."""
        records: list[Record] = []
        position, size = 0, len(data)
        while position < size:
            end = position
            if not self._reader.is_between_lines:
                pass  # the line may be part of the one before
            elif self._reads_transactions(data, position):
                end = self._others.end(data, position)
                self._lines += data.count(b"\n", position, end)
            elif (quiet := self._quiet_end(data, position)) > position:
                is_rest = quiet == size
                stop = quiet if is_rest and is_last else self._context_of(data, position, quiet)
                records += self._skip(data, position, stop)
                if is_rest:
                    return records, data[stop:]
                self._loud = quiet - stop
                position = end = stop
                if self._loud:
                    continue
            if end == position:
                end = _end_of_line(data, position)
                line = data[position:end]
                is_fault = _FAULT.search(line) is not None
                if is_fault or self._loud <= 0:
                    self._targets.clear()
                if is_fault:
                    self._loud = self._context + len(line)
                records += self._line(line)
            self._loud -= end - position
            position = end
        return records, b""

    def _reads_transactions(self, data: bytes, position: int) -> bool:
        """Return whether the line that begins here is read even if its transaction succeeds."""
        is_last_s_twin = not self._reader.is_idle and is_twin(data, position)
        return self._loud > 0 or not self._quiet.heads or is_last_s_twin

    def _quiet_end(self, data: bytes, start: int) -> int:
        """Return where the run of irrelevant lines that begins at ``start`` ends.

        Lines that ``quiet`` cannot judge are judged here one by one.
        """
        end = self._quiet.end(data, start)
        while end < len(data):
            stop = _end_of_line(data, end)
            if stop - end > LONGEST_LINE or self._reader.concerns(text := _text(data[end:stop])) or _is_binary(text):
                break
            end = self._quiet.end(data, stop)
        return end

    def _context_of(self, data: bytes, start: int, end: int) -> int:
        """Return where in a run the lines begin that must be read because of the line after the run."""
        needs_context = end == len(data) or _FAULT.search(data, end, _end_of_line(data, end)) is not None
        if needs_context:
            return self._quiet.first_line(data, max(start, end - self._context), end)
        return self._quiet.last_line(data, start, end)

    def _skip(self, data: bytes, start: int, end: int) -> list[Record]:
        """Skip a run, except for the lines of transactions that the caller needs."""
        quiet = self._quiet  # reading a record may replace it
        found = {head: quiet.transactions(head, data, start, end) for head in quiet.heads}
        # The record that waits for its twin is of a transaction that may go on here.
        records = [*self._noted(self._reader.flush())] if any(found.values()) else []
        wanted: list[tuple[int, int]] = []
        for head, transactions in found.items():
            needed = self._needed(head, transactions)
            counts = Counter(txn for _, txn, _ in transactions if txn in needed) if needed else {}
            unanswered = {txn for txn, why in needed.items() if why is _Why.UNANSWERED}
            wanted += quiet.lines_of(head, data, start, end, counts, unanswered)
        position = start
        for begin, stop in sorted(set(wanted)):
            self._lines += data.count(b"\n", position, begin)
            position = begin
            while position < stop:
                next_line = _end_of_line(data, position)
                records += self._line(data[position:next_line])
                position = next_line
        self._lines += data.count(b"\n", position, end)
        return records

    def _needed(self, head: bytes, transactions: list[tuple[bytes, bytes, bytes]]) -> dict[bytes, _Why]:
        """Return the numbers of the transactions in a run of which the caller needs records."""
        process = self._processes[head]
        unanswered: set[bytes] = set()
        answered: set[bytes] = set()
        received: set[bytes] = set()
        examples: set[bytes] = set()
        for detail, txn, target in transactions:
            if detail == b"Sending Response":
                unanswered.discard(txn)
                answered.add(txn)
            elif detail == b"Receive Response":
                received.add(txn)  # says nothing of a request whose other lines are lost
            else:
                unanswered.add(txn)
                if detail == b"Sending Request" and (head, target) not in self._targets:
                    self._targets.add((head, target))
                    examples.add(txn)
        if len(self._targets) > _MOST_TARGETS:
            self._targets.clear()
        needed = dict.fromkeys(examples, _Why.EXAMPLE)
        numbers = answered | received | unanswered
        if len(numbers) < len(self._open):
            begun = {txn for txn in numbers if (process, int(txn)) in self._open}
        else:
            begun = numbers & {b"%d" % number for each, number in self._open if each == process}
        needed |= dict.fromkeys(begun, _Why.BEGUN)
        needed |= dict.fromkeys(unanswered, _Why.UNANSWERED)
        self._left_out += sum(txn not in needed for txn in answered)
        return needed

    def _line(self, line: bytes, *, is_part: bool = False) -> list[Record]:
        """Read a line, or the part of one that comes before its end."""
        number = self._lines + 1
        self._lines += not is_part
        records: list[Record] = []
        while len(line) > LONGEST_LINE and (part := _whole_elements(line)):
            records += self._piece(line[:part], number)
            line = line[part:]
        if len(line) > LONGEST_LINE:
            self._cut += 1
            line = line[:LONGEST_LINE]
        return records + self._piece(line, number)

    def _piece(self, line: bytes, number: int) -> list[Record]:
        """Read a line, or a part of one, that is not too long."""
        text = _text(line)
        if _is_binary(text):
            self._binary += 1
            return []
        return [*self._noted(self._reader.line(text, number))]

    def _noted(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records and remember which transactions they belong to."""
        for record in records:
            if self._skip_successes:
                self._note(record)
            yield record

    def _note(self, record: Record) -> None:
        event = record.event
        if isinstance(event, ResponseSent):
            self._open.pop(((record.hostname, record.pid), event.txn), None)
        elif isinstance(event, RequestReceived | RequestSent | ResponseReceived):
            self._open[(record.hostname, record.pid), event.txn] = None
            if len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
            self._learn(record)

    def _learn(self, record: Record) -> None:
        """Skip the successes of a process once it has enough records to be worth the expressions."""
        found = _HEAD.match(record.text)
        if found is None or self._learned >= _MOST_LEARNED or len(self._records_of) > _MOST_TARGETS:
            return
        head = found[1].encode()
        self._records_of[head] += 1
        if self._records_of[head] == _ENOUGH:
            self._learned += 1
            self._processes[head] = record.hostname, record.pid
            self._quiet = Quiet([*self._quiet.heads, head][-_MOST_HEADS:])


def _whole_elements(line: bytes) -> int:
    """Return how many bytes at the beginning of a long line are whole elements of a JSON document; 0 if none are."""
    if line.lstrip(b" \t,")[:1] not in (b"{", b"["):
        return 0
    return line.rfind(b"},", 0, LONGEST_LINE) + 1


def _end_of_line(data: bytes, position: int) -> int:
    return data.find(b"\n", position) + 1 or len(data)


def _text(line: bytes) -> str:
    """Decode a line as UTF-8, or else as Windows-1252 or Latin-1, which accepts every byte."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")


def _is_binary(text: str) -> bool:
    """Return whether a line is not text. NULs do not count: a crash or UTF-16 leaves them in a text log."""
    sample = text[:_SEEN].rstrip("\r\n")
    if sample.isprintable() or "traffic_server" in sample:
        return False
    sample = sample.replace("\0", "")
    return len(_CONTROL.findall(sample)) > _MOST_CONTROL * len(sample)
