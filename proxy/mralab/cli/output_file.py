"""A file that a command writes whole at its end: ``--html FILE``, and the archive of diagnostic logging.

What cannot be written is known before the command begins. A regular file is replaced in one step, so that a reader
never sees half of it, and a command that fails leaves the old one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final, Self

import click

from ..errors import MralabError

OUTPUT: Final = click.Path(dir_okay=False, allow_dash=True)
"""Type of an option that names an ``OutputFile``. It stays text, because ``Path`` does not tell ``./-`` from ``-``."""
_STDOUT: Final = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_IN_PLACE: Final = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of a folder in which no file can be replaced, while the file itself may be writable: a bind mount."""


class OutputFile:
    """The file ``name``; ``-`` is standard output. ``option`` is named in errors. Use it in a ``with`` statement.

    A regular file is replaced and keeps its mode; a new one has that of the umask. A symbolic link stays, and its
    target is replaced. A device such as /dev/null, or a pipe that is read, is opened on entering and written to.

    Raises (on entering):
        MralabError: it cannot be written, or is a folder, a block device, or a FIFO that nothing reads.
    """

    def __init__(self, name: str, option: str = "") -> None:
        self._name = name
        self._label = f"{option} {name}" if option else name
        self._file = Path(os.path.realpath(name))
        self._stream: int | None = None
        self._in_place = False

    @property
    def name(self) -> str:
        """The name as it was given; empty for standard output."""
        return "" if self.is_stdout else self._name

    @property
    def is_stdout(self) -> bool:
        """Whether ``write`` writes to standard output, where no other output may then be."""
        return self._name in _STDOUT

    def __enter__(self) -> Self:
        if self.is_stdout:
            return self
        try:
            self._check()
        except OSError as error:
            raise self._error(f"cannot be written: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def write(self, data: bytes) -> None:
        """Write ``data`` as the whole content. Raises ``MralabError``; ``OSError`` of standard output."""
        if self.is_stdout:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        try:
            if self._stream is not None:
                _write_all(self._stream, data)
            elif self._in_place:
                self._overwrite(data)
            else:
                self._replace(data)
        except OSError as error:
            raise self._error(f"cannot be written: {error.strerror}") from error

    def _check(self) -> None:
        """Raise ``MralabError`` or ``OSError`` if the file cannot be written. Open it if it is no regular file."""
        try:
            found = Path(self._name).stat()  # of the name itself: the pipe of /dev/fd/63 has no real path
        except FileNotFoundError:
            self._probe()
            return
        if stat.S_ISDIR(found.st_mode):
            raise self._error("is a folder")
        if stat.S_ISBLK(found.st_mode):
            raise self._error("is a block device")
        if not stat.S_ISREG(found.st_mode):
            self._stream = self._open_stream(is_fifo=stat.S_ISFIFO(found.st_mode))
            return
        if _is_stdout(found):
            raise self._error("is the file that standard output goes to")
        os.close(os.open(self._file, os.O_WRONLY))  # a file that is read-only is not replaced
        try:
            self._probe()
        except OSError as error:
            if error.errno not in _IN_PLACE:
                raise
            self._in_place = True

    def _open_stream(self, *, is_fifo: bool) -> int:
        try:
            stream = os.open(self._name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if is_fifo and error.errno == errno.ENXIO:
                raise self._error("is a FIFO that nothing reads") from error
            raise
        os.set_blocking(stream, True)
        return stream

    def _probe(self) -> None:
        """Create a file beside the file, and remove it."""
        temporary = self._temporary()
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.unlink()

    def _temporary(self) -> Path:
        return self._file.with_name(f".mralab-{os.urandom(8).hex()}.tmp")

    def _replace(self, data: bytes) -> None:
        temporary = self._temporary()
        stream = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask
        try:
            try:
                _copy_owner_and_mode(self._file, stream)
                _write_all(stream, data)
                os.fsync(stream)  # else a crash after the renaming may leave an empty file
            finally:
                os.close(stream)
            temporary.replace(self._file)
        except OSError as error:
            if error.errno not in _IN_PLACE or not self._file.exists():
                raise
            self._overwrite(data)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _overwrite(self, data: bytes) -> None:
        with self._file.open("wb") as stream:
            stream.write(data)

    def _error(self, problem: str) -> MralabError:
        return MralabError(f"{self._label}: {problem}", "choose another file")


def _is_stdout(found: os.stat_result) -> bool:
    try:
        return os.path.samestat(found, os.fstat(1))
    except OSError:
        return False


def _copy_owner_and_mode(file: Path, stream: int) -> None:
    """Give ``stream`` owner and mode of ``file``, if that exists."""
    try:
        old = file.stat()
    except FileNotFoundError:
        return
    with contextlib.suppress(OSError):  # only root may give a file away
        os.fchown(stream, old.st_uid, old.st_gid)
    os.fchmod(stream, stat.S_IMODE(old.st_mode))


def _write_all(stream: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(stream, rest) :]
