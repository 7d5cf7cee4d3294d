"""Streams of expanded bytes, within bounds: what an archive contains must not exhaust time or memory."""

from __future__ import annotations

import io
import lzma
import tarfile as tar
import zipfile
import zlib
from typing import IO, Final, NamedTuple, Protocol

SNIFFED: Final = 1 << 16
"""Bytes at a file's start that decide what it is."""

MOST_TAR_HEADERS: Final = 2 << 20
"""Bytes of headers before a member of a tar archive: names, pax records and maps of sparse files are kept in memory."""


class Limits(NamedTuple):
    """Bounds of what one path may expand to. A ratio counts beyond ``free`` bytes only."""

    members: int = 10_000
    total: int = 1 << 37
    ratio: int = 250
    free: int = 1 << 28
    nested: int = 6  # .tar.gz is two: a rotated .gz in the .tar.gz of a peer in a .zip is the fourth


class ExpansionError(Exception):
    """An archive expands beyond the limits."""


class PackingError(Exception):
    """A member of an archive is packed by a method that cannot be read."""


UNREADABLE: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, tar.TarError, zipfile.BadZipFile,
                      ExpansionError, PackingError, NotImplementedError, RuntimeError)  # fmt: skip
"""What reading a damaged archive raises; NotImplementedError and RuntimeError come from zipfile."""


class Expanding(Protocol):
    """A stream of a decompressor or of an archive's member."""

    def read1(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, with one read of the stream behind it."""


class Budget:
    """What one path has expanded to so far."""

    def __init__(self, limits: Limits, compressed: int | None) -> None:
        self._limits = limits
        self._compressed = compressed
        self._members = self._bytes = 0

    def member(self) -> None:
        """Count a member."""
        self._members += 1
        if self._members > self._limits.members:
            raise ExpansionError(f"has more than {self._limits.members} members: the rest is not read")

    def expanded(self, size: int) -> None:
        """Count bytes."""
        self._bytes += size
        limits = self._limits
        if self._bytes > limits.total:
            raise ExpansionError(f"expands to more than {limits.total >> 30} GiB: the rest is not read")
        if self._compressed and self._bytes > max(limits.free, limits.ratio * self._compressed):
            raise ExpansionError(f"expands to more than {limits.ratio} times its size: the rest is not read")


class Counted(io.RawIOBase):
    """A stream of expanded bytes that keeps to a budget."""

    def __init__(self, stream: Expanding, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than Buffer
        """Read into a buffer."""
        data = self._stream.read1(min(len(buffer), 1 << 18))  # read() loses what precedes an error
        self._budget.expanded(len(data))
        buffer[: len(data)] = data
        return len(data)


class Peeked(io.RawIOBase):
    """A stream whose first bytes were read already, to see what it is.

    ``error`` is what the stream raised before it had as many. A read after that raises it.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.error: Exception | None = None
        pieces: list[bytes] = []
        missing = SNIFFED
        try:
            while missing > 0 and (piece := stream.read(missing)):
                pieces.append(piece)
                missing -= len(piece)
        except UNREADABLE as error:
            self.error = error
        self.start = b"".join(pieces)
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than Buffer
        """Read into a buffer."""
        data = self.start[self._at : self._at + len(buffer)]
        if data:
            self._at += len(data)
        elif self.error is not None:
            raise self.error
        else:
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def beginning(self, most: int) -> bytes:
        """Return the next bytes, ``most`` at most."""
        data = bytearray()
        while len(data) < most and (piece := self.read(min(most - len(data), 1 << 20))):
            data += piece
        return bytes(data)


class TarMember(tar.TarInfo):
    """A member whose header is read strictly: ``tarfile`` takes a damaged header for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile: tar.TarFile) -> TarMember:
        """Return the next member. Raise ReadError for a damaged header, EOFError where the archive ends before its end.

        The header of zeros that ends an archive raises as in the base class.
        """
        try:
            member = super().fromtarfile(tarfile)
        except tar.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except (tar.EmptyHeaderError, tar.TruncatedHeaderError):  # type: ignore[attr-defined]
            raise EOFError from None
        except tar.HeaderError as error:
            raise tar.ReadError(str(error)) from error
        if member.size < 0:
            raise tar.ReadError("a member of negative size")
        return member


class TarStream:
    """The bytes of a tar archive for ``tarfile``, up to ``bound``: where the next member's headers have to end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0
        self.bound = MOST_TAR_HEADERS

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if self._position > self.bound:
            raise ExpansionError(
                f"has a member with more than {MOST_TAR_HEADERS >> 20} MiB of headers: the rest is not read"
            )
        data = self._stream.read(size)
        self._position += len(data)
        return data
