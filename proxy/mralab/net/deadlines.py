"""Time limits for many connections at the price of one timer.

Every waiter of one ``Deadlines`` has the same number of seconds, so the first to begin is the first to be due: a
dictionary in order of beginning is the whole schedule. Ten thousand idle clients cost one timer, and to begin and end a
limit costs two dictionary operations (a timer of the loop for each: about 2 microseconds and 200 bytes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Waiter = TypeVar("Waiter")


class Deadlines(Generic[Waiter]):
    """Calls ``expired(waiter)`` when ``seconds`` have gone since ``begin(waiter)`` without an ``end(waiter)``.

    Times are the loop's, which no step of the clock moves.
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
        """Another limit from now on; what runs already is due no later than what begins now."""
        self._seconds = seconds
        latest = self._loop.time() + seconds
        for waiter, due in self._due.items():
            self._due[waiter] = min(due, latest)
        if self._timer is not None:
            self._timer.cancel()
            self._arm()

    def begin(self, waiter: Waiter) -> None:
        """The limit runs from now; one that ran already begins anew."""
        self._due.pop(waiter, None)
        self._due[waiter] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._fire)

    def end(self, waiter: Waiter) -> None:
        """The limit runs no longer."""
        self._due.pop(waiter, None)

    def close(self) -> None:
        """No limit runs any longer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        """Everything that is due, then the timer for what is due next."""
        self._timer = None
        now = self._loop.time() + 0.001  # a loop's timers are exact to the millisecond
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
