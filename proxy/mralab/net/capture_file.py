"""The files of a capture, and the thread that writes them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from ..errors import MralabError
from .sink import write_whole


class CaptureFile:
    """A file that is captured to. ``error`` is set once by the thread that writes it.

    ``confidential``: it may have what decrypts traffic, and traffic that is not encrypted. ``limit`` is its greatest
    size in bytes; 0 for none.
    """

    __slots__ = ("confidential", "error", "fd", "key", "limit", "path")

    def __init__(self, path: Path, key: str, fd: int) -> None:
        self.path = path
        self.key = key
        self.fd = fd
        self.error = ""
        self.confidential = True
        self.limit = 0

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end, or set ``error``."""
        try:
            if self.limit and os.fstat(self.fd).st_size + len(data) > self.limit:
                self.error = f"it has reached its limit of {self.limit >> 20} MB"
            else:
                write_whole(self.fd, data)
        except OSError as error:
            self.error = error.strerror or str(error)


def open_capture(path: Path, key: str, header: bytes) -> CaptureFile:
    """Open a file for appending, and write ``header`` if it is new. Raises ``MralabError``."""
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block the start
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        raise MralabError(f"{key}: {path}: cannot be written: {error.strerror}") from error
    try:
        if problem := _prepare(fd, header):
            raise MralabError(f"{key}: {path}: {problem}", "remove it, or name another file")
    except OSError as error:
        os.close(fd)
        raise MralabError(f"{key}: {path}: cannot be written: {error.strerror}") from error
    except BaseException:  # a refusal, or Ctrl-C: the descriptor must not stay open
        os.close(fd)
        raise
    return CaptureFile(path, key, fd)


def _prepare(fd: int, header: bytes) -> str:
    """Make the file private, with ``header`` if it is empty; return why it cannot be continued. Raises ``OSError``."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return "is not a regular file"
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        size = os.fstat(fd).st_size
        if header and size and (problem := _not_ours(fd, size, header)):
            return problem
        os.fchmod(fd, 0o600)  # it decrypts traffic, whatever its mode was before
        if not size:
            os.write(fd, header)
        return ""
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _not_ours(fd: int, size: int, header: bytes) -> str:
    """Return why a file cannot be continued as a capture, or nothing."""
    if os.pread(fd, len(header), 0) != header:
        return "exists and is not a capture of mralab's"
    # A block ends with its length, with which it begins as well.
    (length,) = struct.unpack("<I", os.pread(fd, 4, size - 4))
    if not 12 <= length <= size or os.pread(fd, 4, size - length + 4) != struct.pack("<I", length):
        return "ends in the middle of a packet"
    return ""


class CaptureWriter:
    """A thread that writes, started when first needed: the loop never waits for a disk."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[list[CaptureFile], bytes | Callable[[], None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._given = 0
        self._done = 0

    @property
    def waiting(self) -> int:
        """The bytes that are not written yet."""
        return self._given - self._done

    def put(self, files: list[CaptureFile], data: bytes) -> None:
        """Append ``data`` to each file."""
        self._given += len(data)
        self._start()
        self._tasks.put((files, data))

    def finish(self, file: CaptureFile) -> None:
        """Close a file after what is waiting for it."""
        self._start()
        self._tasks.put(([], lambda: os.close(file.fd)))

    async def wait(self, loop: asyncio.AbstractEventLoop, seconds: float) -> bool:
        """Wait until everything so far is written; return False if that took longer than ``seconds``."""
        if self._thread is None:
            return True
        done: asyncio.Future[None] = loop.create_future()

        def signal() -> None:
            loop.call_soon_threadsafe(_finish, done)

        self._tasks.put(([], signal))
        return bool((await asyncio.wait([done], timeout=seconds))[0])

    def close(self) -> None:
        """End the thread after what is waiting."""
        if self._thread is not None:
            self._tasks.put(None)

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: a disk that hangs must not delay the exit of the process.
            self._thread = threading.Thread(target=self._run, name="mralab-capture", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            files, work = task
            if callable(work):
                try:
                    work()
                except RuntimeError:  # the loop has ended without closing its capture: nothing waits any more
                    return
                continue
            for file in files:
                if not file.error:
                    file.append(work)
            self._done += len(work)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
