"""The files behind what ``mralab diagnose`` is given: logs, captures, certificates and configuration, archives opened.

What a file is, is decided by its content; only a peer's name comes from file names. Archives are read as streams and
never unpacked to disk, so that no member can be written anywhere. Expansion is bounded: a member count, a size, and a
ratio. Whatever cannot be read becomes one ``Problem``, and the rest is read all the same.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from . import zip_stream
from .expansion import (
    MOST_TAR_HEADERS,
    UNREADABLE,
    Budget,
    Counted,
    Expanding,
    ExpansionError,
    Limits,
    PackingError,
    Peeked,
    TarMember,
    TarStream,
)
from .file_kind import Kind, kind_of
from .file_names import is_log_name, oldest_first, order, peer_of, why_refused
from .mail import is_body, is_mail, parts


class Problem(NamedTuple):
    """What could not be read, or was left out, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read, now: the next one may make it unreadable, as both may come from one stream.

    ``path`` is what to show: a member of an archive is ``ARCHIVE:MEMBER``. ``peer`` is the host in the name of a file
    of a diagnostic-logging archive, or empty. ``size`` is the number of bytes, None if unknown.
    """

    path: str
    kind: Kind
    peer: str
    stream: IO[bytes]
    size: int | None = None


@dataclass(slots=True)
class Sources:
    """The sources of ``paths``, which are files, folders or ``-`` for ``standard_input``. Iterate once.

    ``problems`` fills while iterating, and ``unopened`` with those of ``paths`` that cannot be opened. ``found`` counts
    the sources. ``output`` is the file that the command writes: it is not read, even where one of ``paths`` is its
    folder.
    """

    paths: Iterable[str]
    standard_input: IO[bytes] | None = None
    limits: Limits = field(default_factory=Limits)
    output: Path | None = None
    problems: list[Problem] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)
    found: int = 0
    _opened: set[str] = field(default_factory=set)
    _seen: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Source]:
        for path in oldest_first(self.paths):
            for source in self._path(path):
                self.found += 1
                yield source

    def _path(self, path: str) -> Iterator[Source]:
        if path == "-":
            if self.standard_input is None:
                self._problem("standard input", "is closed")
                self.unopened.append(path)
            else:
                yield from self._file("standard input", self.standard_input, "", None)
            return
        if not path:
            self._problem("(an empty path)", "cannot be read: No such file or directory")
            self.unopened.append(path)
            return
        if self.output is not None:
            self._opened.add(os.path.realpath(self.output))
        for file in self._files(Path(path)):
            real = os.path.realpath(file)
            if real in self._opened:
                continue  # given twice, or a link to another
            self._opened.add(real)
            try:
                with self._open(file, path) as opened:
                    status = os.fstat(opened.fileno())
                    size = status.st_size if stat.S_ISREG(status.st_mode) else None
                    yield from self._file(str(file), opened, peer_of(file.name), size)
            except OSError as error:
                self._failed(str(file), error)

    def _open(self, file: Path, path: str) -> IO[bytes]:
        """Open a file of ``path``. Raises ``OSError``."""
        try:
            return file.open("rb")
        except OSError:
            if file == Path(path):
                self.unopened.append(path)
            raise

    def _files(self, path: Path) -> Iterator[Path]:
        """Yield the files of a path in the order of their names, those of subfolders included."""
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a folder that may not be entered
            yield path
            return

        def unreadable(error: OSError) -> None:
            self._failed(error.filename, error)
            if Path(error.filename) == path:
                self.unopened.append(str(path))

        for folder, folders, names in os.walk(path, onerror=unreadable):
            folders.sort()
            for name in folders:
                if os.path.islink(os.path.join(folder, name)):  # noqa: PTH114, PTH118 - as above
                    self._problem(str(Path(folder, name)), "is a link to a folder: not followed")
            for file in (Path(folder, name) for name in sorted(names, key=order)):
                if os.path.isfile(file):  # noqa: PTH113 - as above
                    yield file
                elif not os.path.islink(file):  # noqa: PTH114 - as above
                    self._problem(str(file), "is not a file: not read")
                else:
                    self._problem(str(file), "is a link that leads nowhere: not read")

    def _file(self, path: str, opened: IO[bytes], peer: str, size: int | None) -> Iterator[Source]:
        yield from self._content(path, opened, peer, size, Budget(self.limits, size), 0)

    def chunks(self, source: Source, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes of a source, ``size`` at most at once. What cannot be read becomes a problem."""
        try:
            while chunk := source.stream.read(size):
                yield chunk
        except UNREADABLE as error:
            self._failed(source.path, error)

    def whole(self, source: Source, most: int) -> bytes | None:
        """Return all bytes of a source, or None and a problem if there are more than ``most`` or it is damaged."""
        before = len(self.problems)
        data = bytearray()
        for chunk in self.chunks(source):
            data += chunk
            if len(data) > most:
                self._problem(source.path, f"has more than {most >> 20} MiB: not read")
                return None
        return None if len(self.problems) > before else bytes(data)

    def _content(
        self, path: str, stream: IO[bytes], peer: str, size: int | None, budget: Budget, depth: int
    ) -> Iterator[Source]:
        """Yield the sources in a stream, looking into archives."""
        peeked = Peeked(stream)
        start = peeked.start
        try:
            if peeked.error is not None and not start:
                raise peeked.error
            expand = next((expand for magic, expand in _EXPANDERS if start.startswith(magic)), None)
            if expand is not None or _is_tar(start) or start.startswith(_ZIP):
                if depth == self.limits.nested:
                    self._problem(path, f"an archive more than {depth} levels deep in another: not read")
                elif expand is not None:
                    inner = Counted(cast("Expanding", expand(cast("IO[bytes]", peeked))), budget)
                    yield from self._content(path, cast("IO[bytes]", inner), peer, None, budget, depth + 1)
                elif _is_tar(start):
                    yield from self._tar(path, peeked, peer, budget, depth)
                else:
                    yield from self._zip(path, stream, peeked, peer, budget, depth)
                return
            if start.startswith(_METADATA):
                return
            if is_mail(start) or is_body(start):
                yield from self._mail(path, peeked, peer, budget, depth)
                return
            kind, reason = kind_of(start)
            if kind is None:
                self._problem(path, reason)
                return
            if first := self._is_seen(path, size, start):
                self._problem(path, f"is the same as {first}: not read again")
                return
            yield Source(path, kind, peer, cast("IO[bytes]", peeked), size)
        except UNREADABLE as error:
            self._failed(path, error)

    def _is_seen(self, path: str, size: int | None, start: bytes) -> str:
        """Return the file that this one is a copy of, or nothing.

        Names of diagnostic logging have host and time. People keep the archive beside the folder it was unpacked to.
        """
        name = re.split(r"[/\\]", path)[-1]
        if not size or not peer_of(name):
            return ""
        if name.count(":") in (1, 3):  # ARCHIVE:MEMBER without a folder
            name = name.partition(":")[2]
        first = self._seen.setdefault((name, size, zlib.crc32(start)), path)
        return first if first != path else ""

    def _tar(self, path: str, peeked: Peeked, peer: str, budget: Budget, depth: int) -> Iterator[Source]:
        stream = TarStream(cast("IO[bytes]", peeked))
        is_empty = True
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", tarinfo=TarMember) as archive:
            for member in archive:
                stream.bound = archive.offset + MOST_TAR_HEADERS
                shown = f"{path}:{member.name}"
                budget.member()
                if member.isdir():
                    continue
                is_empty = is_empty and not member.size and member.isfile()
                if reason := why_refused(member.name) or ("" if member.isfile() else f"{_type(member)}: not read"):
                    self._problem(shown, reason)
                    continue
                content = archive.extractfile(member)
                if content is None or not member.size:
                    self._empty(shown)
                    continue
                if member.issparse():  # its holes are not in the archive
                    content = cast("IO[bytes]", Counted(cast("Expanding", content), budget))
                yield from self._content(shown, content, peer_of(member.name) or peer, member.size, budget, depth + 1)
        if is_empty:
            self._problem(path, _NO_FILE)

    def _mail(self, path: str, peeked: Peeked, peer: str, budget: Budget, depth: int) -> Iterator[Source]:
        if depth == self.limits.nested:
            self._problem(path, f"a message more than {depth} levels deep in another archive: not read")
            return
        data = peeked.beginning(_MOST_MAIL + 1)
        if len(data) > _MOST_MAIL:
            self._problem(path, f"a mail message of more than {_MOST_MAIL >> 20} MiB: save its attachments first")
            return
        try:
            for part in parts(data):
                budget.member()
                budget.expanded(len(part.content))
                shown = f"{path}:{part.name}"
                if part.content.strip():
                    named = peer_of(part.name) or peer
                    stream = io.BytesIO(part.content)
                    yield from self._content(shown, stream, named, len(part.content), budget, depth + 1)
        except ValueError as error:
            self._problem(path, str(error))

    def _zip(
        self, path: str, stream: IO[bytes], peeked: Peeked, peer: str, budget: Budget, depth: int
    ) -> Iterator[Source]:
        if depth or not stream.seekable():  # in another archive, or from a pipe; its table of contents is at its end
            data = peeked.beginning(_MOST_ZIP + 1)
            if len(data) > _MOST_ZIP:
                self._problem(
                    path, f"a ZIP archive of more than {_MOST_ZIP >> 20} MiB that is not a file: unpack it first"
                )
                return
            stream = io.BytesIO(data)
        if not zipfile.is_zipfile(stream):
            yield from self._zip_without_end(path, stream, peer, budget, depth)
            return
        with zipfile.ZipFile(stream) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if not any(member.file_size for member in members):
                self._problem(path, _NO_FILE)
            for member in members:
                shown = f"{path}:{member.filename}"
                budget.member()
                if member.flag_bits & 1:
                    self._problem(shown, "encrypted: unpack it with its password first")
                elif reason := why_refused(member.filename):
                    self._problem(shown, reason)
                elif not member.file_size:
                    self._empty(shown)
                else:
                    yield from self._zip_member(shown, archive, member, peer, budget, depth)

    def _empty(self, member: str) -> None:
        """Name an empty member of an archive, if it has the name of a log or a capture; many others are empty."""
        if is_log_name(member):
            self._problem(member, "is empty")

    def _zip_without_end(self, path: str, stream: IO[bytes], peer: str, budget: Budget, depth: int) -> Iterator[Source]:
        self._problem(path, "is a ZIP archive without its table of contents, so it is truncated: the rest is read")
        stream.seek(0)
        for member in zip_stream.members(stream):
            shown = f"{path}:{member.name}"
            budget.member()
            if member.is_encrypted:
                self._problem(shown, "encrypted: unpack it with its password first")
            elif reason := why_refused(member.name):
                self._problem(shown, reason)
            elif not member.name.endswith("/"):
                counted = cast("IO[bytes]", Counted(cast("Expanding", member.content), budget))
                yield from self._content(shown, counted, peer_of(member.name) or peer, None, budget, depth + 1)
                while not member.content.is_sized and counted.read(1 << 16):
                    pass  # the next member follows, if the limits allow to look for it

    def _zip_member(
        self, shown: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, peer: str, budget: Budget, depth: int
    ) -> Iterator[Source]:
        try:
            content = archive.open(member)
        except UNREADABLE as error:
            self._failed(shown, error)  # the other members may be good
            return
        with content:
            counted = Counted(cast("Expanding", content), budget)
            named = peer_of(member.filename) or peer
            yield from self._content(shown, cast("IO[bytes]", counted), named, member.file_size, budget, depth + 1)

    def _problem(self, path: str, reason: str) -> None:
        self.problems.append(Problem(path, reason))

    def _failed(self, path: str, error: Exception) -> None:
        """Note an error, unless it is that of a member, met again by its archive."""
        reason = _why(error)
        if not any(one.path.startswith(f"{path}:") and one.reason == reason for one in self.problems):
            self._problem(path, reason)


_MOST_ZIP: Final = 64 << 20
_MOST_MAIL: Final = 64 << 20
_NO_FILE: Final = "has no file in it that is not empty"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_METADATA: Final = (b"\0\5\x16\7", b"\0\5\x16\0", b"\0\0\0\1Bud1")
"""AppleDouble, AppleSingle and .DS_Store: macOS puts them beside files, in archives too, and they say nothing."""
_EXPANDERS: Final[tuple[tuple[bytes, Callable[[IO[bytes]], IO[bytes]]], ...]] = (
    (b"\x1f\x8b", lambda stream: cast("IO[bytes]", gzip.GzipFile(fileobj=stream))),
    (b"BZh", lambda stream: cast("IO[bytes]", bz2.BZ2File(stream))),
    (b"\x5d\0\0", lambda stream: cast("IO[bytes]", lzma.LZMAFile(stream))),  # noqa: SIM115 - as below
    (b"\xfd7zXZ\0", lambda stream: cast("IO[bytes]", lzma.LZMAFile(stream))),  # noqa: SIM115 - its reader has no file to close
)


def _is_tar(start: bytes) -> bool:
    """Return whether this is a tar archive; one older than POSIX has a checksum and no magic number."""
    if start[257:262] == b"ustar":
        return True
    try:
        checksum = int(start[148:156].strip(b"\0 ").decode("ascii"), 8)
    except ValueError:
        return False
    return len(start) >= 512 and checksum == sum(start[:148]) + 8 * ord(" ") + sum(start[156:512])


def _type(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!a}"
    return "a device or pipe"


def _why(error: Exception) -> str:
    """Return why something cannot be read, in one line."""
    if isinstance(error, ExpansionError):
        return str(error)
    if isinstance(error, EOFError) or (isinstance(error, tarfile.TarError) and "unexpected end" in str(error)):
        return "is truncated: the data up to its end is read"
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error):  # its beginning was one
        return "is damaged after the compressed data: the data before that is read"
    if isinstance(error, NotImplementedError | PackingError):  # zipfile raises the first
        return f"is packed by a method that is not supported ({error}): unpack it first"
    if isinstance(error, zipfile.BadZipFile) and str(error) == "File is not a zip file":  # its beginning was one
        return (
            "is a ZIP archive without its table of contents, so it is truncated: send it again, or repair it (zip -FF)"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"is damaged: {(str(error).splitlines() or [type(error).__name__])[0]}"
