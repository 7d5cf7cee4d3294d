"""Recognize a log whose newest lines come first, as searches export it, and turn it round.

Lines of TLS are tied to requests by their order, so a log that is read backwards gives wrong findings. Stamps alone do
not show the order: a clock that was set back has falling stamps too, and all lines of a short log may have the same
one. Therefore the lines of transactions, and the WARNING and ERROR lines of handshakes, must be backwards as well.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import Final

MOST_TURNED: Final = 256 << 20
"""Bytes of a log that can be turned round, which takes memory."""

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
_SURE: Final = 4  # times as many pairs of lines backwards as forwards


def is_newest_first(start: bytes) -> bool:
    """Return whether a log that begins with these bytes (UTF-8, complete lines) has its newest lines first."""
    # A line has its clock in local time and in UTC: the first one counts.
    clocks = [found.groups() for line in start.splitlines() if (found := _CLOCK.search(line)) is not None]
    if not clocks or clocks[0] < clocks[-1]:
        return False
    forwards = backwards = 0
    ranks: dict[bytes, int] = {}
    for detail, txn in _TRANSACTION.findall(start):
        rank = _RANKS[detail]
        before = ranks.get(txn, rank)
        forwards += rank > before
        backwards += rank < before
        ranks[txn] = rank
    if not forwards and not backwards and clocks[0] > clocks[-1]:
        latest: dict[bytes, bool] = {}
        for failed, name in _HANDSHAKE.findall(start):
            is_error, was_error = bool(failed), latest.get(name)
            forwards += is_error and was_error is False
            backwards += not is_error and was_error is True
            latest[name] = is_error
        return backwards > forwards
    return backwards > _SURE * forwards


def turned(data: bytes) -> tuple[bytes, Sequence[int]]:
    """Return a log's lines from the last to the first, and of each the number that it had.

    Lines without a stamp stay behind the line they follow, such as an HTTPMSG block, unless the block stands on its
    head too.
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    starts = (
        range(len(lines)) if _has_blocks_turned(lines) else [at for at, line in enumerate(lines) if _UNIT.search(line)]
    )
    parts: list[bytes] = []
    numbers = array("L")
    end = len(lines)
    for start in reversed(starts):
        parts += lines[start:end]
        numbers.extend(range(start + 1, end + 1))
        end = start
    parts += lines[:end]
    numbers.extend(range(1, end + 1))
    return b"\n".join(parts) + b"\n", numbers


def _has_blocks_turned(lines: Sequence[bytes]) -> bool:
    """Return whether the first HTTPMSG block stands before the line that it belongs to."""
    for at, line in enumerate(lines):
        if line.startswith(_BLOCK):
            above = next((each for each in reversed(lines[max(0, at - 2) : at]) if each.strip()), b"")
            return _HEAD_OF_BLOCK not in above
    return False
