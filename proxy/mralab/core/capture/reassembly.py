"""Put the segments of TCP connections in order (RFC 9293), in bounded memory.

What arrives out of order waits; what arrives twice is dropped, and where two segments overlap, the first one counts.
A gap that stays is reported to the reader of the stream, which goes on behind it. Sequence numbers are compared
relative to the expected one, so they may wrap.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from .handshake import Side
from .packet import ACK, FIN, RST, SYN, Address

_MOST_WAITING: Final = 262144  # bytes of one direction that wait for a missing segment
_MOST_SEGMENTS: Final = 1024
_MOST_CONNECTIONS: Final = 8192
_MOST_HELD: Final = 64 << 20  # bytes of all connections
_LINGER: Final = 30.0  # seconds after its end in which packets of a connection may still arrive
_IDLE: Final = 3600.0  # seconds


class Segment(NamedTuple):
    """One TCP segment: packet number, seconds since the epoch, ends, and how many bytes were cut off its data."""

    packet: int
    at: float
    source: Address
    destination: Address
    sequence: int
    flags: int
    data: bytes
    missing: int = 0
    acknowledged: int = 0
    """The acknowledgement number, valid with the flag ACK."""


class Direction:
    """The bytes that one end sends."""

    __slots__ = (
        "_acknowledged",
        "_count",
        "_origin",
        "_position",
        "_waiting",
        "_waiting_bytes",
        "captured",
        "cut",
        "finished",
        "initial",
        "side",
    )

    def __init__(self) -> None:
        self.side = Side()
        self.finished = False
        """It has sent FIN."""
        self.captured = False
        """The capture has a packet of it."""
        self.cut = False
        """Packets were captured in part only (snaplen)."""
        self.initial: int | None = None
        """The sequence number of its SYN, if that was seen."""
        self._origin: int | None = None
        """The sequence number of its first byte."""
        self._position = 0
        """The bytes that were delivered or given up."""
        self._acknowledged = 0
        """The bytes that the other end has received."""
        self._waiting: list[tuple[int, int, int, bytes, int]] = []
        """A heap of segments behind a gap: position, counter, packet, data, missing bytes."""
        self._waiting_bytes = 0
        self._count = 0

    @property
    def held(self) -> int:
        """The number of bytes held."""
        return self._waiting_bytes + self.side.held

    def begin(self, sequence: int) -> None:
        """Take the sequence number of the SYN, which the first byte follows."""
        self.initial = sequence
        if self._origin is None:
            self._origin = sequence + 1

    def take(self, segment: Segment) -> None:
        """Take a segment with data."""
        if self._origin is None:
            self._origin = segment.sequence
        expected = self._origin + self._position
        ahead = _difference(segment.sequence, expected)
        if ahead > 0:
            self._count += 1
            entry = (self._position + ahead, self._count, segment.packet, segment.data, segment.missing)
            heapq.heappush(self._waiting, entry)
            self._waiting_bytes += len(segment.data)
            if self._waiting_bytes > _MOST_WAITING or len(self._waiting) > _MOST_SEGMENTS:
                self._give_up_gap()
            return
        self._deliver(self._position + ahead, segment.packet, segment.data, segment.missing)
        self._continue()

    def acknowledge(self, number: int) -> None:
        """Take an acknowledgement by the other end: what it has received was sent, whether it was captured or not."""
        if self._origin is not None:
            acknowledged = self._position + _difference(number, self._origin + self._position)
            self._acknowledged = max(self._acknowledged, acknowledged)

    def close(self) -> None:
        """Read what waits behind gaps: nothing else will arrive."""
        while self._waiting:
            self._give_up_gap()
        if self._acknowledged > self._position + 1:  # FIN counts as one
            self.side.lose()

    def _give_up_gap(self) -> None:
        self.side.lose()
        self._position = max(self._position, self._waiting[0][0])
        self._continue()

    def _continue(self) -> None:
        """Deliver the segments that waited for what has arrived."""
        while self._waiting and self._waiting[0][0] <= self._position:
            position, _, packet, data, missing = heapq.heappop(self._waiting)
            self._waiting_bytes -= len(data)
            self._deliver(position, packet, data, missing)

    def _deliver(self, position: int, packet: int, data: bytes, missing: int) -> None:
        known = self._position - position
        if known < len(data):
            self.side.feed(data[known:] if known else data, packet)
            self._position = position + len(data)
        if missing and position + len(data) + missing > self._position:
            self.cut = True
            self.side.lose()
            self._position = position + len(data) + missing


def _difference(number: int, expected: int) -> int:
    """Return how far a sequence number is ahead of another one, which may be behind a wrap."""
    return ((number - expected + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Connection:
    """One TCP connection. ``ends`` are in the order of its first packet, ``directions`` has what each of them sent."""

    __slots__ = ("answered", "directions", "ends", "first", "last", "opener", "packet", "reset_by")

    def __init__(self, segment: Segment) -> None:
        self.ends = (segment.source, segment.destination)
        self.directions = (Direction(), Direction())
        self.packet = segment.packet
        """The number of its first packet."""
        self.first = self.last = segment.at
        self.opener: int | None = None
        """The end that sent SYN, if that was seen."""
        self.answered = False
        """The other end has sent something."""
        self.reset_by: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing new can follow."""
        return self.reset_by is not None or all(one.finished for one in self.directions)

    @property
    def held(self) -> int:
        """The number of bytes held."""
        return self.directions[0].held + self.directions[1].held

    @property
    def client(self) -> int:
        """The end that is the client: it sent SYN or ClientHello; if neither was seen, the one with the higher port."""
        if self.opener is not None:
            return self.opener
        sides = [one.side for one in self.directions]
        for at in (0, 1):
            seen = sides[at].seen
            if seen.hello:
                return at if seen.of_client else 1 - at
        return int(self.ends[0].port < self.ends[1].port)

    def take(self, segment: Segment) -> None:
        """Take a segment of this connection."""
        sender = int(segment.source != self.ends[0])
        self.last = max(self.last, segment.at)
        direction = self.directions[sender]
        direction.captured = True
        if segment.flags & SYN:
            direction.begin(segment.sequence)
            self.opener = 1 - sender if segment.flags & ACK else sender
        if self.opener is not None and sender != self.opener:
            self.answered = True
        if segment.data or segment.missing:
            behind_syn = segment._replace(sequence=segment.sequence + 1) if segment.flags & SYN else segment
            direction.take(behind_syn)
        if segment.flags & ACK:
            self.directions[1 - sender].acknowledge(segment.acknowledged)
        if segment.flags & FIN:
            direction.finished = True
        if segment.flags & RST and self.reset_by is None:
            self.reset_by = sender

    def is_another(self, segment: Segment) -> bool:
        """Return whether a segment between the same ends opens a new connection."""
        if not segment.flags & SYN or segment.flags & ACK:
            return False
        known = self.directions[int(segment.source != self.ends[0])].initial
        return self.ended or (known is not None and known != segment.sequence) or self.answered

    def close(self) -> None:
        """Read what waits behind gaps."""
        for direction in self.directions:
            direction.close()


class Connections:
    """All connections of a capture. ``take`` and ``finish`` yield those about which nothing more can be learned."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[Address, Address], Connection] = OrderedDict()
        """By both ends in order, the one with the latest packet last."""
        self._held = 0

    def take(self, segment: Segment) -> Iterator[Connection]:
        """Take a segment. A connection whose beginning was not captured begins with data."""
        source, destination = segment.source, segment.destination
        key = (source, destination) if source <= destination else (destination, source)
        connection = self._open.get(key)
        if connection is not None and connection.is_another(segment):
            yield self._remove(key)
            connection = None
        if connection is None:
            if not (segment.flags & SYN or segment.data):
                return
            yield from self._make_room(segment.at)
            connection = self._open[key] = Connection(segment)
        else:
            self._open.move_to_end(key)
        before = connection.held
        connection.take(segment)
        self._held += connection.held - before
        while self._held > _MOST_HELD and self._open:
            yield self._remove(next(iter(self._open)))

    def finish(self) -> Iterator[Connection]:
        """Yield the connections that are left."""
        while self._open:
            yield self._remove(next(iter(self._open)))

    def _make_room(self, now: float) -> Iterator[Connection]:
        while self._open:
            key, oldest = next(iter(self._open.items()))
            silent = now - oldest.last
            if len(self._open) < _MOST_CONNECTIONS and silent <= (_LINGER if oldest.ended else _IDLE):
                return
            yield self._remove(key)

    def _remove(self, key: tuple[Address, Address]) -> Connection:
        connection = self._open.pop(key)
        self._held -= connection.held
        connection.close()
        return connection
