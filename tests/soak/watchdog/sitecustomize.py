"""Loaded by each process of a soak at its start (PYTHONPATH): notes how long the proxy's loop was held.

A timer is due every ten milliseconds. The loop was held for as long as the timer came late, but for no longer than the
loop's thread used the processor in that time: on a busy machine a thread waits for its turn, and neither wall clock
nor another process's delay can tell how long that was. So a call that blocks without computing is not seen here (ruff's
ASYNC rules look for these), a long computation is, wherever it hides. A computation in another thread that does not
give the interpreter lock back holds the loop too: the whole process's time counts, but as it also has threads that
share, only from ``SHARED`` seconds on.

``MRALAB_WATCHDOG`` names the file. A line for each new longest time of a process: ``PID SECONDS LATE``.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from mralab.net.stats import Stats

_PERIOD = 0.01
_SHARED = 0.5
_watch = Stats.watch
_watched: set[int] = set()


class _Watchdog:
    def __init__(self, loop: asyncio.AbstractEventLoop, file: Path) -> None:
        self._loop = loop
        self._file = file
        self._longest = 0.02
        self._next()

    def _next(self) -> None:
        self._due = time.monotonic() + _PERIOD
        self._thread, self._process = time.thread_time(), time.process_time()
        self._loop.call_later(_PERIOD, self._note)

    def _note(self) -> None:
        late = time.monotonic() - self._due
        own, shared = time.thread_time() - self._thread, time.process_time() - self._process
        held = min(late, shared if shared > _SHARED else own)
        if held > self._longest:
            self._longest = held
            with self._file.open("a") as file:
                file.write(f"{os.getpid()} {held:.3f} {late:.3f}\n")
        self._next()


def _watch_loop(stats: Stats, loop: asyncio.AbstractEventLoop) -> None:
    _watch(stats, loop)
    if os.getpid() not in _watched:
        _watched.add(os.getpid())
        _Watchdog(loop, Path(os.environ["MRALAB_WATCHDOG"]))


if "MRALAB_WATCHDOG" in os.environ:
    setattr(Stats, "watch", _watch_loop)  # noqa: B010 - assigned, it would be a method of another type
