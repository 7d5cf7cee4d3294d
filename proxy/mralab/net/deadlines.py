"""Time limits for many connections at the cost of one timer.

All waiters of one ``Deadlines`` have the same number of seconds, so the first to begin is the first to expire: a
dictionary in insertion order is the whole schedule. Ten thousand idle clients cost one timer, and beginning and ending
a limit costs two dictionary operations (a loop timer for each would cost about 2 microseconds and 200 bytes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Waiter = TypeVar("Waiter")


class Deadlines(Generic[Waiter]):
    """Call ``expired(waiter)`` when ``seconds`` have passed since ``begin(waiter)`` without an ``end(waiter)``.

    Times are the loop's, which is monotonic: changes of the system clock do not affect them.
    """

    __slots__ = ("_due", "_expired", "_loop", "_seconds", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, expired: Callable[[Waiter], object]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expired = expired
        self._due: dict[Waiter, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def change(self, seconds: float) -> None:
        """Change the limit. Waiters that have begun expire no later than one that begins now."""
        self._seconds = seconds
        latest = self._loop.time() + seconds
        for waiter, due in self._due.items():
            self._due[waiter] = min(due, latest)
        if self._timer is not None:
            self._timer.cancel()
            self._arm()

    def begin(self, waiter: Waiter) -> None:
        """Start the limit of a waiter, or restart it."""
        self._due.pop(waiter, None)
        self._due[waiter] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._fire)

    def end(self, waiter: Waiter) -> None:
        """End the limit of a waiter."""
        self._due.pop(waiter, None)

    def close(self) -> None:
        """End all limits."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        """Expire every waiter that is due, then set the timer for the next."""
        self._timer = None
        now = self._loop.time() + 0.001  # loop timers have a resolution of one millisecond
        due = self._due
        while due:
            waiter = next(iter(due))
            if due[waiter] > now:
                break
            del due[waiter]
            self._expired(waiter)
        if self._timer is None:
            self._arm()

    def _arm(self) -> None:
        self._timer = None
        if self._due:
            wait = max(0.001, self._due[next(iter(self._due))] - self._loop.time())
            self._timer = self._loop.call_later(wait, self._fire)
