"""The pace of new connections: preflight must not look like an attack, nor load a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

PER_SECOND: Final = 20.0


class Pace:
    """Gives turns at even intervals: at most ``per_second`` in a second, and the first at once.

    ``clock`` returns seconds; ``sleep`` waits for a number of seconds.
    """

    def __init__(
        self,
        per_second: float = PER_SECOND,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn. Turns are given in the order of the calls."""
        now = self._clock()
        start = max(now, self._next)
        self._next = start + self._interval
        if start > now:
            await self._sleep(start - now)
