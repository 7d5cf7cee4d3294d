"""Write the log to a file or standard output, in a separate thread: the loop never waits for a disk.

Lines are collected and written in batches, complete and in order. While the file cannot be written, lines are lost but
traffic continues: the lost lines are counted (``lost``), the failure is reported once on standard error, and writing
resumes as soon as it works again. If a full disk takes part of a batch, that part is removed, so no line is torn.
Workers that share a file lock it in turn. A deleted file is created again.
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
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

_DELAY: Final = 0.05  # seconds that lines wait to be written in one batch
_MAX_BATCH: Final = 1 << 20  # bytes that are written without waiting
_MAX_WAITING: Final = 64 << 20  # bytes held while the file cannot be written
_MAX_KEPT: Final = 4 << 20  # bytes of a buffer that is used again
_CALM: Final = 1.0  # seconds without a failure before recovery is reported: on a full disk, some writes still work
_LAST_SECONDS: Final = 5.0  # how long closing waits for a slow disk or an unread pipe


class _Batch(NamedTuple):
    """Entries to write together: the first ``size`` bytes of ``buffer``, and their number."""

    buffer: BytesIO
    size: int
    entries: int


_Batches = list[_Batch]
"""Each batch after the first one goes to a new file."""


class LogCondition(NamedTuple):
    """Whether a log can be written: ``error`` is the reason if not, otherwise empty.

    ``lost`` counts the entries lost since the start, the latest at ``lost_at``, in seconds since the epoch (0.0: none).
    """

    error: str
    lost: int
    lost_at: float


class LogSink:
    """Append lines to ``file``, or to standard output (None). Call ``write`` in the loop, ``close`` at the end."""

    def __init__(self, file: Path | None, complain: Callable[[str], None] | None = None) -> None:
        self._out = _Output(file, complain or (lambda text: print(text, file=sys.stderr)))  # noqa: T201 - the channel
        self._buffer = BytesIO()
        """The entries that wait, up to its position. Its memory is used again: a list of texts, joined and encoded by
        the thread, takes a microsecond more for each request."""
        self._entries = 0
        """The number of entries in the buffer."""
        self._handed: BytesIO | None = None
        """The buffer that the thread is writing."""
        self._spare: BytesIO | None = None
        """A buffer that was written."""
        self._rotated: _Batches = []
        """Batches for files before the latest ``reopen``."""
        self._size = 0
        self._refused = 0
        self._refused_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._batches: SimpleQueue[tuple[_Batches, asyncio.Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def written(self) -> int:
        """The number of entries written."""
        return self._out.written

    @property
    def lost(self) -> int:
        """The number of entries that could not be written."""
        return self._out.lost + self._refused

    def open(self) -> None:
        """Open the file and start the thread. Raises ``OSError``: a start fails if the log cannot be written."""
        self._out.open()
        # Not in the loop's executor, where slow jobs would delay it. A daemon, so an unread pipe does not block exit.
        self._thread = threading.Thread(target=self._run, name="mralab-log", daemon=True)
        self._thread.start()

    def write(self, text: str, entries: int = 1) -> None:
        """Queue a number of entries: each is one or more lines, each line ends in a line feed."""
        if self._size > _MAX_BATCH:
            if self._size > _MAX_WAITING:
                self._refused += entries
                self._refused_at = time.time()
                return
            if self._writing is None:
                self._start()
        self._size += self._buffer.write(text.encode("utf-8", "backslashreplace"))
        self._entries += entries
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start)

    def reopen(self) -> None:
        """Write further entries to a new file. Call this after a rotation."""
        self._rotated.append(self._take())
        if self._writing is None:
            self._start()

    async def flush(self) -> None:
        """Wait until all queued entries are written or lost."""
        while self._has_waiting or self._writing is not None:
            if self._writing is None:
                self._start()
            if self._writing is not None:
                await asyncio.wait([self._writing])

    async def condition(self, seconds: float = 1.0) -> LogCondition:
        """Test whether the next entries can be written, and return the result.

        Wait at most ``seconds`` for the writing thread.
        """
        if self._writing is None and not self._has_waiting:
            self._hand_over([])
        else:
            self._start()
        pending = self._writing
        if pending is not None and not (await asyncio.wait([pending], timeout=seconds))[0]:
            return LogCondition(f"is blocked: nothing was written for {seconds:g} s", self.lost, self._lost_at())
        error = self._out.failure
        if not error and self._size > _MAX_WAITING:
            error = "is written too slowly: no more entries can be buffered"
        return LogCondition(error, self.lost, self._lost_at())

    @property
    def _has_waiting(self) -> bool:
        return bool(self._entries or self._rotated)

    def _take(self) -> _Batch:
        """Return what is waiting, which then is no more."""
        batch = _Batch(self._buffer, self._buffer.tell(), self._entries)
        self._buffer = self._spare or BytesIO()
        self._spare, self._entries = None, 0
        return batch

    def _lost_at(self) -> float:
        return max(self._out.lost_at, self._refused_at)

    async def close(self) -> None:
        """Write the queued entries, for a few seconds at most, and close the file."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()
        except TimeoutError:
            self._out.complain(f"mralab: the log {self._out.name} does not accept the last lines; they are lost")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._batches.put(None)
        if self._thread is not None and self._writing is None:
            self._thread.join()  # only closing the file is left to do

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None or not self._has_waiting:
            return
        batches = [*self._rotated, self._take()]
        self._rotated, self._size = [], 0
        self._handed = batches[-1].buffer
        self._hand_over(batches)

    def _hand_over(self, batches: _Batches) -> None:
        """Give the thread batches to write; without any it tests the file."""
        self._writing = asyncio.get_running_loop().create_future()
        self._writing.add_done_callback(self._stored)
        self._batches.put((batches, self._writing))

    def _stored(self, _: asyncio.Future[None]) -> None:
        self._writing = None
        buffer, self._handed = self._handed, None
        if buffer is not None and buffer.tell() <= _MAX_KEPT:
            buffer.seek(0)
            self._spare = buffer
        if self._has_waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start)

    def _run(self) -> None:
        """Write batches until None is queued. Runs in the thread."""
        while (task := self._batches.get()) is not None:
            batches, done = task
            self._out.store(batches)
            try:
                done.get_loop().call_soon_threadsafe(_finish, done)
            except RuntimeError:  # the loop has ended without closing its log: nothing waits any more
                break
        self._out.end()


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class _Output:
    """The log file, as the writing thread uses it."""

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
        """Why entries are being lost; empty if they are written."""
        if self._failure:
            return f"cannot be written: {self._failure}"
        return f"could not be written less than {_CALM:g} s ago" if self._failing and not self._is_calm() else ""

    def _is_calm(self) -> bool:
        return time.monotonic() - self._failed_at >= _CALM

    def open(self) -> None:
        """Open the file, or create it. Raises ``OSError``."""
        if self._file is None:
            self._fd = 1
        else:
            self._fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def close(self) -> None:
        """Close the file."""
        if self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def end(self) -> None:
        """Report the state of a failing log and close the file for good."""
        if self._failing and self._fd >= 0:  # the last write succeeded
            self._restored()
        elif self._failing and self.lost:
            self.complain(f"mralab: the log {self.name} could not be written completely; {_lost(self.lost)}")
        self.close()

    def store(self, batches: _Batches) -> None:
        """Write batches, with a rotation between each two; test the file if there are none."""
        if not batches:
            self._try()
            return
        for number, batch in enumerate(batches):
            if number:
                self.close()
            self._append(batch)

    def _append(self, batch: _Batch) -> None:
        if not batch.entries:
            return
        try:
            self._open_again()
            write_whole(self._fd, batch.buffer.getbuffer()[: batch.size])
        except OSError as error:
            self.lost += batch.entries
            self.lost_at = time.time()
            self._failed(error)
            return
        self.written += batch.entries
        self._succeeded()

    def _try(self) -> None:
        """Open the file as the next entry would. After a failure, also write to it and remove what was written."""
        try:
            self._open_again()
            if self._failure and stat.S_ISREG(os.fstat(self._fd).st_mode):
                write_whole(self._fd, b"\n", keep=False)
        except OSError as error:
            self._failed(error)
            return
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            self._succeeded()

    def _open_again(self) -> None:
        """Open the file if it is closed, and create it if it was deleted. Raises ``OSError``."""
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
        self.complain(f"mralab: the log {self.name} is written again; {_lost(self.lost)}")
        self._failing = False


def write_whole(fd: int, data: bytes | memoryview, *, keep: bool = True) -> None:
    """Write all of ``data``, or none of it if ``fd`` is a regular file. Raises ``OSError``.

    Without ``keep``, remove it again: this tests whether the file can be written.
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


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _lost(entries: int) -> str:
    return f"{'1 entry was' if entries == 1 else f'{entries} entries were'} lost"
