"""The members of a ZIP archive that lost its end, and with it the table of contents: read one after the other.

Each member has a header of its own (APPNOTE.TXT 4.3.7). One that was written to a pipe has its sizes behind its data,
so where it ends is known only once it is expanded.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from .expansion import PackingError

_HEADER: Final = struct.Struct("<4s5H3I2H")
_SIGNATURE: Final = b"PK\x03\x04"
_DIRECTORY: Final = b"PK\x01\x02"
_ENCRYPTED, _SIZES_BEHIND, _UTF_8 = 1, 8, 0x800
_STORED, _DEFLATED = 0, 8
_ZIP64: Final = 0xFFFFFFFF
_LONGEST_DESCRIPTOR: Final = 24
_PIECE: Final = 1 << 16


class Member(NamedTuple):
    """A member: its name, whether it is encrypted, and its content."""

    name: str
    is_encrypted: bool
    content: MemberContent


class _Source:
    """A stream of which bytes can be put back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._back = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes: fewer only at the end."""
        pieces = [self._back[:size]]
        self._back = self._back[size:]
        missing = size - len(pieces[0])
        while missing and (piece := self._stream.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def put_back(self, data: bytes) -> None:
        """Make these bytes the next ones."""
        self._back = data + self._back


class MemberContent(io.RawIOBase):
    """The expanded bytes of a member. ``size`` is that of its data, None if unknown."""

    def __init__(self, source: _Source, method: int, size: int | None) -> None:
        """Take the data from ``source``, which is at its beginning."""
        self._source = source
        self._method = method
        self._left = size
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if method == _DEFLATED else None

    @property
    def is_sized(self) -> bool:
        """Whether the size of the data is known."""
        return self._left is not None

    def readable(self) -> bool:
        """Return True."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none at the end. Raise EOFError where the archive ends before the member."""
        size = size if size > 0 else _PIECE
        if self._method not in (_STORED, _DEFLATED):
            raise PackingError("That compression method is not supported")
        while self._inflate is not None and not self._inflate.eof:
            piece = self._inflate.unconsumed_tail or self._raw(_PIECE)
            if data := self._inflate.decompress(piece, size):
                return data
        if self._inflate is not None:
            return b""
        return self._raw(size) if self._left else b""

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than Buffer
        """Read into a buffer."""
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _raw(self, most: int) -> bytes:
        """Return bytes of the data."""
        data = self._source.read(most if self._left is None else min(most, self._left))
        if not data:
            raise EOFError
        if self._left is not None:
            self._left -= len(data)
        return data

    def skip(self) -> None:
        """Go to the end of the data. Raise EOFError if the archive ends before it."""
        if self._left is not None:
            while self._left:
                self._raw(_PIECE)
            return
        while self.read1(_PIECE):
            pass
        if self._inflate is not None:
            self._source.put_back(self._inflate.unused_data)


def members(stream: IO[bytes]) -> Iterator[Member]:
    """Yield the members of an archive in order; each before the next is asked for.

    Raise EOFError where the archive ends in a member, PackingError where a member's end cannot be found.
    """
    source = _Source(stream)
    while True:
        data = source.read(_HEADER.size)
        if len(data) < _HEADER.size or not data.startswith(_SIGNATURE):
            return
        _, _, flags, method, _, _, _, size, _, name_size, extra_size = _HEADER.unpack(data)
        name = source.read(name_size).decode("utf-8" if flags & _UTF_8 else "cp437", "replace")
        extra = source.read(extra_size)
        is_unknown = bool(flags & _SIZES_BEHIND)
        content = MemberContent(source, method, None if is_unknown else _large(extra) if size == _ZIP64 else size)
        yield Member(name, bool(flags & _ENCRYPTED), content)
        if is_unknown and (method != _DEFLATED or flags & _ENCRYPTED):
            raise PackingError("a member whose size is not known before its end")
        content.skip()
        if is_unknown:
            _skip_descriptor(source)


def _large(extra: bytes) -> int:
    """Return the size of a member's data over 4 GB (APPNOTE.TXT 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1 and size >= 16 and at + 20 <= len(extra):
            return int(struct.unpack_from("<Q", extra, at + 12)[0])
        at += 4 + size
    return _ZIP64


def _skip_descriptor(source: _Source) -> None:
    """Go behind the checksum and sizes that follow a member, whose number of bytes depends on who wrote them."""
    data = source.read(_LONGEST_DESCRIPTOR + len(_SIGNATURE))
    ends = [at for at in (data.find(_SIGNATURE), data.find(_DIRECTORY)) if at >= 0]
    source.put_back(data[min(ends, default=len(data)) :])
