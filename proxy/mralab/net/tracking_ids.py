"""TrackingIDs for requests whose client sent none: random UUIDs (RFC 9562 section 5.4)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

_COUNT: Final = 64  # made at a time: each system call costs a microsecond
_BITS: Final = int("00000000000040008000000000000000" * _COUNT, 16)  # version 4, variant 10
_MASK: Final = int("ffffffffffff0fff3fffffffffffffff" * _COUNT, 16)
_PARTS: Final = re.compile("(.{8})(.{4})(.{4})(.{4})(.{12})")


def _batch() -> list[str]:
    digits = f"{int.from_bytes(os.urandom(16 * _COUNT), 'big') & _MASK | _BITS:0{32 * _COUNT}x}"
    return ["-".join(parts) for parts in _PARTS.findall(digits)]


tracking_ids: Final[Iterator[str]] = chain.from_iterable(iter(_batch, []))
"""Endless. ``next`` runs no Python code, but once in 64 times."""
