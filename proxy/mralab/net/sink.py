"""Where log lines go: a file (or standard output), written in the background; the loop never waits for a disk.

Lines are collected and written by a thread of the loop's executor, one batch at a time, in order and whole. A file
that cannot be written costs the lines of that time, never the traffic: they are counted (``lost``), said once on
standard error, and writing goes on as soon as it works again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_DELAY: Final = 0.05  # seconds that lines wait for company
_MAX_BATCH: Final = 1 << 20  # bytes of text after which they do not wait
_MAX_WAITING: Final = 64 << 20  # bytes of text held while the disk does not take them


class LogSink:
    """Appends lines to ``file``; ``None`` is standard output. Call ``write`` in the loop, ``close`` at the end."""

    def __init__(self, file: Path | None, complain: Callable[[str], None] | None = None) -> None:
        self._file = file
        self._complain = complain or (lambda text: print(text, file=sys.stderr))  # noqa: T201 - that is the channel
        self._fd = -1
        self._waiting: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._failing = False
        self.written = 0
        """Entries written."""
        self.lost = 0
        """Entries that could not be."""

    def open(self) -> None:
        """Open the file now. Raises ``OSError``: at the start a log that cannot be written is an error."""
        self._fd = self._opened()

    def write(self, text: str) -> None:
        """Take one entry: one line, or an entry of several, each ending in a line feed."""
        if self._size > _MAX_WAITING:
            self.lost += 1
            return
        self._waiting.append(text)
        self._size += len(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start)
        elif self._size > _MAX_BATCH and self._writing is None:
            self._start()

    def reopen(self) -> None:
        """After a rotation: what is collected from now on goes to a new file."""
        self._waiting.append("")
        if self._writing is None:
            self._start()

    async def flush(self) -> None:
        """Wait until everything taken so far is written, or lost."""
        while self._waiting or self._writing is not None:
            if self._writing is None:
                self._start()
            if self._writing is not None:
                await asyncio.wait([self._writing])

    async def close(self) -> None:
        """Write what is left and close the file."""
        await self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None or not self._waiting:
            return
        batch, self._waiting, self._size = self._waiting, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._store, batch)
        self._writing.add_done_callback(self._stored)

    def _stored(self, _: asyncio.Future[None]) -> None:
        self._writing = None
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start)

    def _store(self, batch: list[str]) -> None:
        """In the executor's thread: write a batch; an empty entry in it means 'reopen here'."""
        entries: list[str] = []
        for entry in batch:
            if entry:
                entries.append(entry)
                continue
            self._append(entries)
            entries = []
            self._close_for_reopen()
        self._append(entries)

    def _close_for_reopen(self) -> None:
        if self._fd > 2:
            os.close(self._fd)
            self._fd = -1

    def _append(self, entries: list[str]) -> None:
        if not entries:
            return
        data = "".join(entries).encode("utf-8", "backslashreplace")
        try:
            if self._fd < 0:
                self._fd = self._opened()
            _write_all(self._fd, data)
        except OSError as error:
            self.lost += len(entries)
            if not self._failing:
                self._complain(f"mralab: the log {self._file} cannot be written: {error.strerror}; traffic goes on")
            self._failing = True
            self._close_for_reopen()
            return
        self.written += len(entries)
        if self._failing:
            self._complain(f"mralab: the log {self._file} is written again; {self.lost} entries were lost")
        self._failing = False

    def _opened(self) -> int:
        if self._file is None:
            return 1
        return os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
