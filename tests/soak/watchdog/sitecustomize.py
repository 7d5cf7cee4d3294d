"""Records how long the proxy's event loop was blocked. Each process of a soak imports it at its start (PYTHONPATH).

A timer is due every ten milliseconds. The loop was blocked for the delay of the timer, but not longer than the CPU time
of the loop's thread in that interval: on a busy machine a thread waits for a processor, and the wall clock includes
that. So a call that blocks without computing is not detected here (ruff's ASYNC rules find these); a long computation
is. A computation in another thread that does not release the interpreter lock blocks the loop too. Therefore the CPU
time of the whole process counts as well, but, because its other threads do release the lock, only from ``SHARED``
seconds on.

``MRALAB_WATCHDOG`` names the file. It gets a line for each new longest time of a process: ``PID SECONDS LATE``.
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
