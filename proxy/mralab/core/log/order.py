"""Recognize a log whose lines are not in order of time, as searches export it, and put them in order.

Lines of TLS are tied to requests by their order, so a log that is read backwards gives wrong findings. Some searches
put the newest line first; some keep, or turn round, the lines of one millisecond. Stamps alone do not show the order: a
clock that was set back has falling stamps too, and all lines of a short log may have the same one. Therefore the lines
of transactions, and the WARNING and ERROR lines of handshakes, must be out of order as well.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from typing import Final, NamedTuple

MOST_TURNED: Final = 256 << 20
"""Bytes of a log that can be put in order, which takes memory."""

_RANKS: Final = {b"Receive Request": 0, b"Sending Request": 1, b"Receive Response": 2, b"Sending Response": 3}
_QUOTE: Final = rb"[\\\"'&#;A-Za-z0-9]{0,8}?"
_TRANSACTION = re.compile(
    rb"Detail="
    + _QUOTE
    + rb"((?:Receive|Sending) (?:Request|Response))"
    + _QUOTE
    + rb" Txn-id="
    + _QUOTE
    + rb"(\d{1,18})"
)
_HANDSHAKE = re.compile(
    rb"(?:verification failed for \(|SNI \(|(connection failed for) ?['\\&#;a-z0-9]{0,8}?)([\w.:\[\]-]{1,255})"
    rb"(?:\)|[\\']|&)"
)
_CLOCK = re.compile(rb"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)")
_HEAD_OF_BLOCK: Final = b"DEBUG"
_BLOCK: Final = b"HTTPMSG:"
_UNIT = re.compile(
    rb"traffic_server|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d|\A(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
)
_TXN: Final = b"#"
_SURE: Final = 4  # times as many pairs of lines backwards as forwards
_LEAST_TIES: Final = 3  # pairs of lines of one stamp that must be backwards in a log whose stamps rise
_LEAST_STEPS: Final = 2  # of a clock that only falls, where nothing else shows the order


class Order(NamedTuple):
    """The order of a log's lines: the newest first, and those of one stamp from the last to the first."""

    is_newest_first: bool = False
    has_ties_turned: bool = False


IN_ORDER: Final = Order()


@dataclass(slots=True)
class _Pairs:
    """Numbers of pairs of lines, about one thing, that follow each other in order of time or against it."""

    forwards: int = 0
    backwards: int = 0

    def add(self, difference: int) -> None:
        """Count a pair by the difference of its ranks."""
        self.forwards += difference > 0
        self.backwards += difference < 0

    @property
    def are_backwards(self) -> bool:
        return self.backwards > _SURE * self.forwards


def order_of(start: bytes) -> Order:
    """Return the order of a log that begins with these bytes (UTF-8, complete lines)."""
    pairs, ties = _Pairs(), _Pairs()
    latest: dict[bytes, tuple[int, bytes]] = {}
    clocks: list[bytes] = []
    for line in start.split(b"\n"):
        found = _CLOCK.search(line)  # of a line's two, in local time and in UTC, the first
        if found is not None:
            clocks.append(found[0])
        clock = clocks[-1] if clocks else b""
        for about, rank in _ranked(line):
            before, its_clock = latest.get(about, (rank, clock))
            if its_clock == clock:
                ties.add(rank - before)
            elif about.startswith(_TXN):  # a WARNING after an ERROR may be that of another attempt
                pairs.add(rank - before)
            latest[about] = rank, clock
    steps = _Pairs()
    for one, other in pairwise(clocks):
        steps.add((other > one) - (other < one))
    if pairs.forwards or pairs.backwards:
        is_newest_first = pairs.are_backwards and steps.are_backwards
    else:
        is_sure = ties.are_backwards or steps.backwards >= _LEAST_STEPS
        is_newest_first = is_sure and steps.backwards > 0 == steps.forwards
    if is_newest_first:
        return Order(True, ties.backwards >= ties.forwards)
    return Order(False, ties.backwards >= _LEAST_TIES and ties.are_backwards)


def _ranked(line: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield what a line is about, and its rank among the lines about that."""
    for detail, txn in _TRANSACTION.findall(line):
        yield _TXN + txn, _RANKS[detail]
    for failed, name in _HANDSHAKE.findall(line):
        yield name, bool(failed)


def arranged(clocks: Sequence[bytes], order: Order) -> list[int]:
    """Return the places of lines, or of groups of lines, in order of time, given their clocks."""
    ties = [[*group] for _, group in groupby(range(len(clocks)), key=lambda at: clocks[at])]
    if order.has_ties_turned:
        ties = [tie[::-1] for tie in ties]
    return [*chain.from_iterable(reversed(ties) if order.is_newest_first else ties)]


def clocks_of(texts: Iterable[bytes]) -> list[bytes]:
    """Return the first clock in each text; that of the text before, if it has none."""
    clocks: list[bytes] = []
    for text in texts:
        found = _CLOCK.search(text)
        clocks.append(found[0] if found is not None else clocks[-1] if clocks else b"")
    return clocks


def put_in_order(data: bytes, order: Order) -> tuple[bytes, Sequence[int]]:
    """Return a log's lines in order of time, and of each the number that it had.

    Lines without a stamp stay behind the line they follow, such as an HTTPMSG block, unless the block stands on its
    head too.
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    if _has_blocks_turned(lines):
        starts = [*range(len(lines))]
    else:
        starts = [0, *(at for at, line in enumerate(lines) if at and _UNIT.search(line))]
    ends = [*starts[1:], len(lines)]
    parts: list[bytes] = []
    numbers = array("L")
    for place in arranged(clocks_of(lines[start] for start in starts), order):
        parts += lines[starts[place] : ends[place]]
        numbers.extend(range(starts[place] + 1, ends[place] + 1))
    return b"\n".join(parts) + b"\n", numbers


def _has_blocks_turned(lines: Sequence[bytes]) -> bool:
    """Return whether the first HTTPMSG block stands before the line that it belongs to."""
    for at, line in enumerate(lines):
        if line.startswith(_BLOCK):
            above = next((each for each in reversed(lines[max(0, at - 2) : at]) if each.strip()), b"")
            return _HEAD_OF_BLOCK not in above
    return False
