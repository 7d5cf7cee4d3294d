"""The chains that refused servers presented, as events carry them: bounded, and each one once in memory."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

LARGEST: Final = 64 << 10
"""Bytes of a chain that an event carries. OpenSSL accepts chains of 100 KB, real ones have less than 10 KB."""
_SHARED: Final = 64


def shared_chain(chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return a chain that equal chains share; an empty one if it is larger than ``LARGEST``.

    A failing server presents the same chain at each attempt, and thousands of events are kept.
    """
    return _shared(chain) if sum(map(len, chain)) <= LARGEST else ()


@lru_cache(maxsize=_SHARED)
def _shared(chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return chain
