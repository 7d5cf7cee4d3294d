"""A case: everything that the given files say, by Expressway peer.

``Case.read`` takes each source as it comes, once, in bounded memory. A log's lines belong to the host that they name;
files of a diagnostic-logging archive belong to the host in the archive's name. ``conclusions`` compares the peers.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import BinaryIO, Final, NamedTuple, cast

from cryptography import x509

from ..core.log.encoding import Decoder
from ..core.log.events import HandshakeFailed, NameMismatch, VerifyFailed
from ..core.log.order import IN_ORDER, MOST_TURNED, order_of, put_in_order
from ..core.log.reader import Record, continues, is_cut
from ..core.log.stream import Counts, LogReader
from ..errors import TrustStoreError
from ..tls.trust_store import TrustStore, parse_pem
from .capture import CapturedConnection, CaptureNotes, read_capture
from .diagnosis import Diagnosis
from .file_kind import NOT_TEXT, Kind
from .file_names import role_of, time_of
from .ladder import LadderBuilder
from .occurrence import LogLine
from .sources import Problem, Source, Sources
from .xconf import ExpresswaySettings, parse_settings

Progress = Callable[[Source, int], object]
"""Called with a source and the number of bytes that were read of it since the last call."""

_WHAT: Final = {
    "ca": "file of certificates",
    "server": "file of certificates",
    "client": "file of certificates",
    "xconf_dump": "configuration dump",
    "xstat_dump": "status dump",
}
"""What files of a diagnostic-logging archive are, by the beginning of their name."""
_MOST_PEERS: Final = 256
_MOST_PEM: Final = 16 << 20
_MOST_CONNECTIONS: Final = 100_000
_STAMP: Final = re.compile(
    rb"(?m)^(?:<\d{1,3}>(?:1 )?)?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)(Z|[+-]\d\d:?\d\d)"
)
_AHEAD: Final = 86_400  # seconds: a stamp in local time may be this much ahead of UTC
_SEARCHED: Final = 1 << 16


class _Cut(NamedTuple):
    """A line that was cut at the end of a log, and where it stands."""

    text: bytes
    path: str = ""
    peer: str = ""
    line: int = 0


@dataclass(slots=True)
class PeerCase:
    """What is known of one Expressway. ``name`` is empty if no file names it."""

    name: str
    files: dict[str, None] = field(default_factory=dict)
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    ladder: LadderBuilder | None = None
    """Takes the records in place of ``diagnosis``, which is its own, if the case is to have ladders."""
    lines: int = 0
    outside: int = 0
    """Number of records before ``since`` and after ``until``."""
    first: datetime | None = None
    last: datetime | None = None
    written: dict[str, str] = field(default_factory=dict)
    """When the newest file of each kind was written that is used: a peer may have an archive from before and after."""
    settings: ExpresswaySettings | None = None
    trust_store: tuple[x509.Certificate, ...] | None = None
    certificate: x509.Certificate | None = None
    connections: deque[tuple[str, CapturedConnection]] = field(default_factory=lambda: deque(maxlen=_MOST_CONNECTIONS))

    def add(self, record: Record) -> None:
        """Add a record of its logs."""
        (self.ladder or self.diagnosis).add(record)

    def add_file(self, path: str) -> None:
        """Note a file, once."""
        self.files[path] = None

    def is_newest(self, path: str) -> bool:
        """Return whether no newer file of its kind was used; older ones say what no longer holds."""
        role, time = role_of(path), time_of(path)
        is_newest = time >= self.written.get(role, "")
        if is_newest:
            self.written[role] = time
        return is_newest

    def add_time(self, first: datetime | None, last: datetime | None) -> None:
        """Extend the time that the logs cover."""
        times = [time for time in (self.first, self.last, first, last) if time is not None]
        if times:
            self.first, self.last = min(times), max(times)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read. ``count`` is its number of lines, connections or certificates, None if it was not used."""

    path: str
    kind: Kind
    peer: str
    count: int | None


@dataclass(slots=True)
class Case:
    """The peers of a case, in the order in which they first appear, the files that were read, and what was not read.

    ``trust_store`` is that of peers without one of their own. Lines before ``since`` and after ``until`` are left out.
    ``ladders``: each peer has a ladder of its requests.
    """

    trust_store: TrustStore | None = None
    since: datetime | None = None
    until: datetime | None = None
    ladders: bool = False
    peers: dict[str, PeerCase] = field(default_factory=dict)
    files: list[ReadFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    without_zone: dict[str, bool] = field(default_factory=dict)
    """The logs whose stamps have no zone and no UTCTime shows it -> whether they lack the year, too."""
    _cut: _Cut | None = None
    """The last line of the latest log, if it is the beginning of one."""
    _spellings: dict[str, str] = field(default_factory=dict)
    """The first spelling of each peer's name: host names have no case."""

    @property
    def shows_anything(self) -> bool:
        """Whether any line of traffic_server, at whatever time, or any captured connection was read."""
        return any(peer.diagnosis.records or peer.outside or peer.connections for peer in self.peers.values())

    def read(self, sources: Sources, progress: Progress | None = None) -> None:
        """Read every source. What cannot be read becomes a problem."""
        for source in sources:
            before = len(sources.problems)
            count = self._read(sources, source, progress or _no_progress)
            if count is not None or len(sources.problems) == before:
                self.files.append(ReadFile(source.path, source.kind, source.peer, count))
        self._add_cut()
        self.problems += sources.problems

    def peer(self, name: str) -> PeerCase:
        """Return a peer, a new one for a new name. The last one takes all further names, so that memory is bounded."""
        name = self._spellings.setdefault(name.lower(), name) if len(self.peers) < _MOST_PEERS else name
        known = self.peers.get(self._spellings.get(name.lower(), name))
        if known is not None:
            return known
        if len(self.peers) >= _MOST_PEERS:
            return next(reversed(self.peers.values()))
        builder = LadderBuilder() if self.ladders else None
        diagnosis = builder.diagnosis if builder is not None else Diagnosis()
        return self.peers.setdefault(name, PeerCase(name, diagnosis=diagnosis, ladder=builder))

    def store_of(self, peer: PeerCase) -> TrustStore | None:
        """Return the trust store of a peer: its own, else the one that was given; None if neither is known."""
        return TrustStore(peer.trust_store) if peer.trust_store is not None else self.trust_store

    def _read(self, sources: Sources, source: Source, progress: Progress) -> int | None:
        """Read one file. Return what was counted in it, None if it was not used."""
        role = role_of(source.path)
        if source.kind == "log" and role in _WHAT:
            sources.problems.append(Problem(source.path, f"is no {_WHAT[role]} that can be read, as its name says"))
            return None
        match source.kind:
            case "log":
                return self._log(sources, source, progress)
            case "capture":
                return self._capture(sources, source, progress)
            case "certificates":
                return self._certificates(sources, source)
            case "configuration":
                return self._configuration(sources, source)
            case "status":
                return None

    def _log(self, sources: Sources, source: Source, progress: Progress) -> int | None:
        now = datetime.now(UTC)
        reader = LogReader(now.year, latest=now.timestamp() + _AHEAD, skip_successes=True)
        name = source.peer
        start = end = b""
        peers: dict[str, PeerCase] = {}
        chunks, numbers = _in_order(sources, source)
        chunks = chunks if numbers else self._seamless(chunks)
        previous = ""
        for chunk in _and_end(chunks):
            for record in reader.feed(chunk) if chunk is not None else reader.close():
                if record.text == previous and _is_delivered_twice(record):
                    continue
                previous = record.text
                name = source.peer or record.hostname or name
                peer = peers.get(name) or peers.setdefault(name, self.peer(name))
                if self._is_wanted(record.at):
                    number = numbers[record.line - 1] if numbers else record.line
                    peer.add(_placed(record, source.path, number))
                else:
                    peer.outside += 1
            if chunk is not None:
                start = start if len(start) >= _SEARCHED else start + chunk[:_SEARCHED]
                end = (end + chunk[-_SEARCHED:])[-_SEARCHED:]
                progress(source, len(chunk))
        if self._cut is not None:
            self._cut = self._cut._replace(path=source.path, peer=name, line=reader.counts.lines + 1)
        counts = reader.counts
        if not peers and counts.binary * 2 >= counts.lines > 0:
            sources.problems.append(Problem(source.path, NOT_TEXT))
            return None
        self.counts += counts
        if reader.lacks_zone:
            self.without_zone[source.path] = reader.lacks_year
        if not peers:
            peers[source.peer] = self.peer(source.peer)
        first, last = _times(start), _times(end)
        for peer in peers.values():
            peer.add_file(source.path)
            peer.add_time(first[0] if first else None, last[-1] if last else None)
            peer.lines += counts.lines
        return counts.lines + (self._cut is not None)

    def _seamless(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes of a log, behind the line that the log before was cut in if they go on with it.

        A line that is cut at the end of these bytes is kept for the next log.
        """
        waiting = b""
        for chunk in chunks:
            if self._cut is not None:
                line = self._cut.text.decode("utf-8", "replace")
                if continues(line, chunk.partition(b"\n")[0].decode("utf-8", "replace")):
                    waiting = self._cut.text
                    self._cut = None
                else:
                    self._add_cut()
            waiting += chunk
            end = waiting.rfind(b"\n") + 1
            if len(waiting) - end > _SEARCHED:
                end = len(waiting)
            yield waiting[:end]
            waiting = waiting[end:]
        if waiting and b"\0" not in waiting and is_cut(waiting.decode("utf-8", "replace")):
            self._cut = _Cut(waiting)
        else:
            yield waiting

    def _add_cut(self) -> None:
        """Read a line that was cut at the end of a log and that no other log goes on with."""
        if self._cut is None:
            return
        cut, self._cut = self._cut, None
        reader = LogReader(datetime.now(UTC).year, skip_successes=True)
        for record in [*reader.feed(cut.text), *reader.close()]:
            if self._is_wanted(record.at):
                self.peer(cut.peer or record.hostname).add(_placed(record, cut.path, cut.line))
        self.counts += reader.counts

    def _capture(self, sources: Sources, source: Source, progress: Progress) -> int | None:
        notes = CaptureNotes()
        peer = self.peer(source.peer)
        peer.add_file(source.path)
        count = 0
        for connection in read_capture(cast("BinaryIO", source.stream), notes):
            count += 1
            if self._is_wanted(connection.last):
                peer.connections.append((source.path, connection))
        progress(source, source.size or 0)
        sources.problems += [Problem(source.path, problem) for problem in notes.problems]
        return count

    def _certificates(self, sources: Sources, source: Source) -> int | None:
        data = sources.whole(source, _MOST_PEM)
        if data is None:
            return None
        try:
            certificates = parse_pem(data, source.path)
        except TrustStoreError as error:
            sources.problems += [_problem(source.path, problem) for problem in error.problems]
            return None
        role = role_of(source.path)
        peer = self.peer(source.peer)
        if source.peer and role == "ca":
            before = peer.written.get("ca")
            if peer.is_newest(source.path):
                same = peer.trust_store or () if peer.written["ca"] == before else ()
                peer.trust_store = (*same, *certificates)
        elif source.peer and role == "server":
            if peer.is_newest(source.path):
                peer.certificate = certificates[0]
        elif source.peer and role == "client":
            pass  # X15.5: what the peer presents to servers; nothing here depends on it yet
        else:
            sources.problems.append(
                Problem(
                    source.path, "is a certificate file: judge it with preflight --certificate, or pass it to --trust"
                )
            )
            return None
        peer.add_file(source.path)
        return len(certificates)

    def _configuration(self, sources: Sources, source: Source) -> int | None:
        settings = parse_settings(_lines(sources.chunks(source)))
        if not settings.lines:
            return None  # the XML twin: its layout is not public
        peer = self.peer(source.peer)
        if peer.is_newest(source.path):
            peer.settings = settings
        peer.add_file(source.path)
        return settings.lines

    def _is_wanted(self, at: float) -> bool:
        if not at or (self.since is None and self.until is None):
            return True
        return (self.since is None or at >= self.since.timestamp()) and (
            self.until is None or at <= self.until.timestamp()
        )


def _no_progress(_: Source, __: int) -> None:
    pass


def _and_end(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from chunks
    yield None


_MILLISECONDS: Final = re.compile(r"\d\d:\d\d:\d\d[.,]\d{3}")


def _is_delivered_twice(record: Record) -> bool:
    """Return whether a line that repeats the one before is a copy: of TLS, and from the same millisecond.

    Two relays, or two filters of one, deliver each line. Lines of transactions have a number: a copy does no harm.
    """
    is_of_tls = isinstance(record.event, VerifyFailed | NameMismatch | HandshakeFailed)
    return is_of_tls and _MILLISECONDS.search(record.text) is not None


def _in_order(sources: Sources, source: Source) -> tuple[Iterable[bytes], Sequence[int]]:
    """Return the bytes of a log, the oldest lines first.

    The numbers are those that its lines have in the file; there are none if they were in order.
    """
    chunks = sources.chunks(source)
    first = next(chunks, b"")
    start = Decoder().decode(first, final=True)
    order = order_of(start[: start.rfind(b"\n") + 1] or start)
    if order == IN_ORDER:
        return chain([first], chunks), ()
    data = bytearray(first)
    for chunk in chunks:
        data += chunk
        if len(data) > MOST_TURNED:
            sources.problems.append(
                Problem(
                    source.path, f"is not in order of time, and has more than {MOST_TURNED >> 20} MiB: sort it first"
                )
            )
            return chain([bytes(data)], chunks), ()
    text, numbers = put_in_order(Decoder().decode(bytes(data), final=True), order)
    return [text], numbers


def _placed(record: Record, path: str, number: int) -> Record:
    """Return a record whose text knows where it stands."""
    return replace(record, text=LogLine(record.text, path, number))


def _times(data: bytes) -> list[datetime]:
    """Return the times of the stamps in a piece of a log, in order of place. Stamps without a year are left out."""
    times = []
    for day, time, zone in _STAMP.findall(data):
        text = f"{day.decode()}T{time.decode().replace(',', '.')}{zone.decode().replace('Z', '+00:00')}"
        try:
            times.append(datetime.fromisoformat(text).astimezone(UTC))
        except (ValueError, OverflowError):  # such as month 13, or year 1 in a zone east of Greenwich
            continue
    return times


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file; a line longer than a chunk comes in pieces."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > _SEARCHED:
            yield rest
            rest = b""
    yield rest


def _problem(path: str, text: str) -> Problem:
    """Return a problem from ``PATH: REASON`` or ``PATH:LINE: REASON``."""
    rest = text.removeprefix(path)
    line, _, reason = rest.removeprefix(":").partition(": ")
    return Problem(f"{path}:{line}", reason) if line.isdigit() else Problem(path, rest.removeprefix(": "))
