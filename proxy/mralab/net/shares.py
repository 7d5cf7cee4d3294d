"""The number of connections of each worker, in shared memory, so that workers can balance them.

Workers accept on one socket. Without balancing, the first worker to wake up would accept a whole burst while the others
sleep. A worker that has more connections than another waits a moment before it accepts, so that the other can.
"""

from __future__ import annotations

import mmap


class Shares:
    """One counter for each of ``count`` processes. Create it before forking them."""

    __slots__ = ("_counts",)

    def __init__(self, count: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * count)).cast("Q")

    def of(self, number: int) -> Share:
        """Return the share of process ``number``, set to 0: the process may replace one that crashed."""
        share = Share(self._counts, number)
        share.set(0)
        return share


class Share:
    """One process's counter."""

    __slots__ = ("_counts", "_number")

    def __init__(self, counts: memoryview[int], number: int) -> None:
        self._counts = counts
        self._number = number

    def set(self, connections: int) -> None:
        """Set the number of open connections of this process."""
        self._counts[self._number] = connections

    def is_ahead(self) -> bool:
        """Return whether another process has fewer connections."""
        return self._counts[self._number] > min(self._counts)
