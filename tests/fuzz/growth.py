"""Growth of every parser's time with its input, for each kind of hostile input in its grammar.

``growth`` measures CPU time for a size and for four times that size: a linear parser takes four times as long, a
quadratic one sixteen times. The time of the smallest input is subtracted, so that short times are enough. Ratios do not
depend on the speed of the machine, and CPU time of one thread does not depend on other load.

Run by ``make test`` (test_growth.py) with the table's pieces, and by ``make fuzz`` with random ones.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Final

from mralab.errors import MralabError

from .parsers import PARSERS, Parser

LARGEST: Final = 1 << 17
"""Bytes of the smaller input. The larger one is half of what a request to the control API may have."""
ENOUGH: Final = 0.0005
"""Seconds of CPU time that can be measured; input for which ``LARGEST`` takes less is not worth a measurement."""
SMALL: Final = 1 << 15
"""Bytes below which ``ENOUGH_FOR_SMALL`` can be measured: the memory for an input costs next to nothing."""
ENOUGH_FOR_SMALL: Final = 0.0002
LINEAR: Final = 4.0
BOUND: Final = 10.0
"""Times the CPU time for four times the size: above linear (4) with what memory adds, below quadratic (16)."""
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_MOST_KEPT: Final = 1 << 25  # the most that mallopt takes
REFUSALS: Final = (ValueError, MralabError)
"""What a parser may raise: a refusal costs time as well. Malformed, TargetError, NotDer, RulesError are ValueErrors."""


def _keep_freed_memory() -> None:
    """Make malloc keep freed memory. Otherwise each large input gets new pages, and the page faults take most time.

    glibc only (mallopt(3)); elsewhere nothing is set.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            library.mallopt(option, _MOST_KEPT)


def _seconds(parse: Callable[[bytes], object], data: bytes) -> float:
    collecting = gc.isenabled()
    gc.disable()  # the time of a collection depends on the memory of the whole process
    started = time.thread_time()
    try:
        with contextlib.suppress(*REFUSALS):
            parse(data)
        return time.thread_time() - started
    finally:
        if collecting:
            gc.enable()


def growth(parse: Callable[[bytes], object], make: Callable[[int], bytes]) -> float:
    """Return how many times as long ``parse`` takes for four times the input; ``LINEAR`` if it is always fast."""
    least = _least(parse, make(0))
    size, seconds = 1 << 10, 0.0
    while size < LARGEST:
        enough = least + (ENOUGH_FOR_SMALL if size < SMALL else ENOUGH)
        seconds = _least(parse, make(size), enough)
        if seconds >= enough:
            break
        size *= 2
    else:
        if _least(parse, make(4 * size), least + 4 * ENOUGH) < least + 4 * ENOUGH:
            return LINEAR
        seconds = _least(parse, make(size))
    ratio = _ratio(parse, make(size), make(4 * size), least, seconds)
    if ratio > BOUND:  # one step is slower where the memory for the input exceeds a cache, but the next one is not
        small = make(4 * size)
        ratio = min(ratio, _ratio(parse, small, make(16 * size), least, _least(parse, small)))
    return ratio


def _least(parse: Callable[[bytes], object], data: bytes, enough: float = 0.0) -> float:
    """Return the smaller of two measurements, because disturbances only add time.

    The second is made only if the first is at least ``enough``.
    """
    seconds = _seconds(parse, data)
    return min(seconds, _seconds(parse, data)) if seconds >= enough else seconds


def _ratio(parse: Callable[[bytes], object], small: bytes, large: bytes, least: float, seconds: float) -> float:
    """Return the ratio of two times, both without ``least``, the time of the smallest input.

    ``seconds`` is the first time of the smaller input.
    """
    ratio = float("inf")
    for _ in range(6):  # a disturbance of the single measurement of the larger input can only increase the ratio
        ratio = min(ratio, (_seconds(parse, large) - least) / max(seconds - least, ENOUGH_FOR_SMALL / 4))
        if ratio <= BOUND:
            break
        seconds = _least(parse, small)
    return ratio


def makers(parser: Parser) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Yield all hostile input of a parser: a description, and a function that makes it in a given size."""
    for (before, after), piece in itertools.product(parser.frames, parser.pieces):
        yield f"{before[-40:]!r} + {piece[:60]!r} * n + {after[:40]!r}", _maker(before, piece, after)


def _maker(before: bytes, piece: bytes, after: bytes) -> Callable[[int], bytes]:
    return lambda size: before + piece * max(1, (size - len(before) - len(after)) // len(piece)) + after


def too_long(parser: Parser) -> list[str]:
    """Return the descriptions of input for which a parser takes longer than linear time."""
    return [
        f"{described}: {ratio:.1f} times as long for four times the size"
        for described, make in makers(parser)
        if (ratio := growth(parser.parse, make)) > BOUND
    ]


def search(seconds: float, rnd: random.Random) -> list[str]:
    """Try random pieces for some seconds; return descriptions of input that takes longer than linear time."""
    found: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        name = rnd.choice(list(PARSERS))
        parser = PARSERS[name]
        piece = b"".join(rnd.choice(parser.pieces) for _ in range(rnd.randint(1, 4))) or b"a"
        before, after = rnd.choice(parser.frames)
        before += rnd.choice(parser.pieces)
        ratio = growth(parser.parse, _maker(before, piece, after))
        if ratio > BOUND:
            found.append(f"{name}: {before!r} + {piece!r} * n + {after!r}: {ratio:.1f} times")
    return found


_keep_freed_memory()
