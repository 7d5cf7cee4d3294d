"""How many connections each of several workers has: told in memory that they share, so that none runs ahead.

Workers accept on one socket, and whoever is awake first would take everything that comes at once, while the others
sleep. One that has more than another leaves a newcomer to it for a moment.
"""

from __future__ import annotations

import mmap


class Shares:
    """One number for each of ``count`` processes. Made before they are forked."""

    __slots__ = ("_counts",)

    def __init__(self, count: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * count)).cast("Q")

    def of(self, number: int) -> Share:
        """The share of process ``number``, which begins with nothing (anew, where it takes a crashed one's place)."""
        share = Share(self._counts, number)
        share.tell(0)
        return share


class Share:
    """One process's share."""

    __slots__ = ("_counts", "_number")

    def __init__(self, counts: memoryview[int], number: int) -> None:
        self._counts = counts
        self._number = number

    def tell(self, connections: int) -> None:
        """Say how many connections are open here."""
        self._counts[self._number] = connections

    def is_ahead(self) -> bool:
        """Whether another process has fewer."""
        return self._counts[self._number] > min(self._counts)
