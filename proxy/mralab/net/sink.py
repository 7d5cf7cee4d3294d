"""Where log lines go: a file (or standard output), written by a thread of its own; the loop never waits for a disk.

Lines are collected and written one batch at a time, in order and whole. A file that cannot be written costs the lines
of that time, never the traffic: they are counted (``lost``), said once on standard error, and writing goes on as soon
as it works again. What a full disk took of a batch is taken back, so no line is torn; workers that share a file take
turns by its lock. A file that was deleted, or whose folder was, is made anew.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

_DELAY: Final = 0.05  # seconds that lines wait for company
_MAX_BATCH: Final = 1 << 20  # bytes of text after which they do not wait
_MAX_WAITING: Final = 64 << 20  # bytes of text held while the disk does not take them
_CALM: Final = 1.0  # seconds without a failure before writing is said to work again: a disk that fills up stutters
_LAST_SECONDS: Final = 5.0  # how long closing waits for a disk, or a pipe that nobody reads

_Batch = list[str]
_REOPEN: Final = ""  # among the entries of a batch: what follows goes to a new file


class LogCondition(NamedTuple):
    """Whether a log is written. ``error`` says why not; ``lost`` entries since the start, the latest at ``lost_at``.

    ``lost_at`` is in seconds since the epoch, 0.0 where nothing was lost.
    """

    error: str
    lost: int
    lost_at: float


class LogSink:
    """Appends lines to ``file``; ``None`` is standard output. Call ``write`` in the loop, ``close`` at the end."""

    def __init__(self, file: Path | None, complain: Callable[[str], None] | None = None) -> None:
        self._out = _Output(file, complain or (lambda text: print(text, file=sys.stderr)))  # noqa: T201 - the channel
        self._waiting: _Batch = []
        self._size = 0
        self._refused = 0
        self._refused_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._batches: SimpleQueue[tuple[_Batch, asyncio.Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def written(self) -> int:
        """Entries written."""
        return self._out.written

    @property
    def lost(self) -> int:
        """Entries that could not be."""
        return self._out.lost + self._refused

    def open(self) -> None:
        """Open the file now. Raises ``OSError``: at the start a log that cannot be written is an error."""
        self._out.open()
        # A daemon of its own: no slow job of the loop's executor holds it up, nor does an unread pipe hold up the exit.
        self._thread = threading.Thread(target=self._run, name="mralab-log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Take one entry: one line, or an entry of several, each ending in a line feed."""
        if self._size > _MAX_WAITING:
            self._refused += 1
            self._refused_at = time.time()
            return
        self._waiting.append(text)
        self._size += len(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start)
        elif self._size > _MAX_BATCH and self._writing is None:
            self._start()

    def reopen(self) -> None:
        """After a rotation: what is collected from now on goes to a new file."""
        self._waiting.append(_REOPEN)
        if self._writing is None:
            self._start()

    async def flush(self) -> None:
        """Wait until everything taken so far is written, or lost."""
        while self._waiting or self._writing is not None:
            if self._writing is None:
                self._start()
            if self._writing is not None:
                await asyncio.wait([self._writing])

    async def condition(self, seconds: float = 1.0) -> LogCondition:
        """Try the file now, as the next entries will find it, and return whether it takes them.

        Waits for the writing thread ``seconds`` at most.
        """
        if self._writing is None and not self._waiting:
            self._hand_over([])
        else:
            self._start()
        pending = self._writing
        if pending is not None and not (await asyncio.wait([pending], timeout=seconds))[0]:
            return LogCondition(f"takes no entries: nothing was written for {seconds:g} s", self.lost, self._lost_at())
        error = self._out.failure
        if not error and self._size > _MAX_WAITING:
            error = "takes entries too slowly: more than can be held are waiting"
        return LogCondition(error, self.lost, self._lost_at())

    def _lost_at(self) -> float:
        return max(self._out.lost_at, self._refused_at)

    async def close(self) -> None:
        """Write what is left, for a few seconds at most, and close the file."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()
        except TimeoutError:
            self._out.complain(f"mralab: the log {self._out.name} does not take its last lines; they are lost")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._batches.put(None)
        if self._thread is not None and self._writing is None:
            self._thread.join()  # it has nothing to do but close the file

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None or not self._waiting:
            return
        batch, self._waiting, self._size = self._waiting, [], 0
        self._hand_over(batch)

    def _hand_over(self, batch: _Batch) -> None:
        """Give the thread a batch to write; an empty one has it try the file."""
        self._writing = asyncio.get_running_loop().create_future()
        self._writing.add_done_callback(self._stored)
        self._batches.put((batch, self._writing))

    def _stored(self, _: asyncio.Future[None]) -> None:
        self._writing = None
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start)

    def _run(self) -> None:
        """The thread: batches as they come, until there are no more."""
        while (task := self._batches.get()) is not None:
            batch, done = task
            self._out.store(batch)
            try:
                done.get_loop().call_soon_threadsafe(_finish, done)
            except RuntimeError:  # the loop has ended without closing its log: nobody waits any more
                break
        self._out.end()


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class _Output:
    """The file as the writing thread has it."""

    def __init__(self, file: Path | None, complain: Callable[[str], None]) -> None:
        self._file = file
        self.complain = complain
        self.name = "on standard output" if file is None else str(file)
        self._fd = -1
        self._failing = False
        self._failed_at = 0.0
        self._failure = ""
        self.written = 0
        self.lost = 0
        self.lost_at = 0.0

    @property
    def failure(self) -> str:
        """Why entries are being lost; empty where they are written."""
        if self._failure:
            return f"cannot be written: {self._failure}"
        return f"was not written less than {_CALM:g} s ago" if self._failing and not self._is_calm() else ""

    def _is_calm(self) -> bool:
        return time.monotonic() - self._failed_at >= _CALM

    def open(self) -> None:
        """Open it, or make it. Raises ``OSError``."""
        if self._file is None:
            self._fd = 1
        else:
            self._fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def close(self) -> None:
        """Let go of it."""
        if self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def end(self) -> None:
        """Let go of it for good."""
        if self._failing and self._fd >= 0:  # the last that was written went well
            self._restored()
        elif self._failing and self.lost:
            self.complain(f"mralab: the log {self.name} could not be written to its end; {self.lost} entries were lost")
        self.close()

    def store(self, batch: _Batch) -> None:
        """Write a batch, with the rotations in it; try the file where there is nothing to write."""
        if not batch:
            self._try()
            return
        if _REOPEN not in batch:  # the rule: no walk through thousands of entries while the loop waits for the GIL
            self._append(batch)
            return
        entries: _Batch = []
        for entry in batch:
            if entry != _REOPEN:
                entries.append(entry)
                continue
            self._append(entries)
            entries = []
            self.close()
        self._append(entries)

    def _append(self, entries: _Batch) -> None:
        if not entries:
            return
        data = "".join(entries).encode("utf-8", "backslashreplace")
        try:
            self._open_again()
            _write_whole(self._fd, data)
        except OSError as error:
            self.lost += len(entries)
            self.lost_at = time.time()
            self._failed(error)
            return
        self.written += len(entries)
        self._succeeded()

    def _try(self) -> None:
        """Open the file as the next entry would; after a failure also write to it, and take that back."""
        try:
            self._open_again()
            if self._failure and stat.S_ISREG(os.fstat(self._fd).st_mode):
                _write_whole(self._fd, b"\n", keep=False)
        except OSError as error:
            self._failed(error)
            return
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            self._succeeded()

    def _open_again(self) -> None:
        """Open it where it is closed, and make it where it was deleted. Raises ``OSError``."""
        if self._fd < 0:
            self.open()
        elif self._file is not None and not os.fstat(self._fd).st_nlink:
            self.close()
            self.open()

    def _failed(self, error: OSError) -> None:
        self._failure = error.strerror or str(error)
        if not self._failing:
            self.complain(f"mralab: the log {self.name} cannot be written: {self._failure}; traffic goes on")
        self._failing = True
        self._failed_at = time.monotonic()
        self.close()

    def _succeeded(self) -> None:
        self._failure = ""
        if self._failing and self._is_calm():
            self._restored()

    def _restored(self) -> None:
        self.complain(f"mralab: the log {self.name} is written again; {self.lost} entries were lost")
        self._failing = False


def _write_whole(fd: int, data: bytes, *, keep: bool = True) -> None:
    """Write all of ``data``, or (to a file) nothing of it. Raises ``OSError``.

    Without ``keep`` nothing of it stays in the file: it was a test whether it can be written.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        _write_all(fd, data)
        return
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        size = os.fstat(fd).st_size
        try:
            _write_all(fd, data)
        except OSError:
            os.ftruncate(fd, size)
            raise
        if not keep:
            os.ftruncate(fd, size)
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
