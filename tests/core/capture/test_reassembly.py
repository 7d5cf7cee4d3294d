"""Reassembly of TCP streams: lost, repeated and reordered segments, gaps and limits."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.capture.packet import ACK, FIN, PSH, RST, SYN, Address
from mralab.core.capture.reassembly import Connection, Connections, Direction, Segment

CLIENT, SERVER = Address(b"\x0a\x30\x24\x2e", 30123), Address(b"\x0a\x30\x24\xd7", 8443)


class Recorder:
    """Replaces the TLS reader and records its input; ``None`` stands for missing bytes."""

    def __init__(self) -> None:
        self.pieces: list[bytes | None] = []
        self.held = 0

    def feed(self, data: bytes, packet: int) -> None:
        self.pieces.append(data)

    def lose(self) -> None:
        self.pieces.append(None)

    @property
    def whole(self) -> bytes:
        assert None not in self.pieces
        return b"".join(piece for piece in self.pieces if piece)


def direction(initial: int | None = None) -> tuple[Direction, Recorder]:
    made, recorder = Direction(), Recorder()
    made.side = recorder  # type: ignore[assignment]
    if initial is not None:
        made.begin(initial)
    return made, recorder


def segment(sequence: int, data: bytes, missing: int = 0) -> Segment:
    return Segment(1, 0.0, CLIENT, SERVER, sequence & 0xFFFFFFFF, ACK, data, missing)


@given(
    data=st.binary(min_size=1, max_size=200),
    initial=st.sampled_from([0, 1, 2**31 - 50, 2**32 - 50, 2**32 - 1]),
    seed=st.integers(0, 10_000),
)
def test_order_repetition_and_overlap_do_not_matter(data: bytes, initial: int, seed: int) -> None:
    chance = random.Random(seed)
    starts = list(range(0, len(data), 7))
    pieces = [(start, data[start : start + 7]) for start in starts]
    pieces += [(start, data[start : start + chance.randrange(1, 40)]) for start in chance.choices(starts, k=5)]
    chance.shuffle(pieces)
    made, recorder = direction(initial)
    for start, piece in pieces:
        made.take(segment(initial + 1 + start, piece))
    assert recorder.whole == data
    assert made.held == 0


def test_of_segments_that_differ_the_first_is_used() -> None:
    made, recorder = direction(0)
    made.take(segment(4, b"DEF"))
    made.take(segment(1, b"abc"))
    made.take(segment(1, b"XXXXXXghi"))
    assert recorder.whole == b"abcDEFghi"


def test_a_missing_segment_is_named_and_reading_goes_on() -> None:
    made, recorder = direction(0)
    made.take(segment(1, b"abc"))
    made.take(segment(10, b"jkl"))
    assert recorder.pieces == [b"abc"]
    made.close()
    assert recorder.pieces == [b"abc", None, b"jkl"]


def test_a_gap_is_skipped_when_too_many_bytes_wait_behind_it() -> None:
    made, recorder = direction(0)
    for number in range(1, 2000):
        made.take(segment(100 + number * 1000, b"x" * 1000))
        assert made.held <= 263_144
    assert recorder.pieces[0] is None


def test_a_flood_of_tiny_segments_is_bounded() -> None:
    made, _ = direction(0)
    for number in range(20_000):
        made.take(segment(100 + 2 * number, b"x"))
    assert made.held <= 1025


def test_bytes_beyond_snaplen_are_missing() -> None:
    made, recorder = direction(0)
    made.take(segment(1, b"abc", missing=7))
    made.take(segment(11, b"next"))
    assert recorder.pieces == [b"abc", None, b"next"]
    assert made.cut
    made.take(segment(1, b"abc", missing=7))  # a repetition adds nothing
    assert recorder.pieces == [b"abc", None, b"next"]


def test_a_stream_without_its_beginning_begins_with_its_first_segment() -> None:
    made, recorder = direction()
    made.take(segment(5000, b"middle"))
    made.take(segment(4000, b"before"))
    assert recorder.pieces == [b"middle"]


# -- connections


def packet(
    flags: int, *, back: bool = False, at: float = 0.0, sequence: int = 0, data: bytes = b"", port: int = 0
) -> Segment:
    client = CLIENT._replace(port=port or CLIENT.port)
    ends = (SERVER, client) if back else (client, SERVER)
    return Segment(1, at, *ends, sequence, flags, data)


def feed(*segments: Segment) -> tuple[list[Connection], Connections]:
    connections = Connections()
    return [found for one in segments for found in connections.take(one)], connections


@pytest.mark.parametrize(
    ("first", "client"),
    [(packet(SYN), CLIENT), (packet(SYN | ACK, back=True), CLIENT), (packet(PSH, data=b"x", back=True), CLIENT)],
)
def test_which_end_is_the_client(first: Segment, client: Address) -> None:
    _, connections = feed(first)
    (one,) = connections.finish()
    assert one.ends[one.client] == client


def test_ports_used_again_are_another_connection() -> None:
    ended, connections = feed(
        packet(SYN, sequence=1),
        packet(SYN | ACK, back=True),
        packet(RST),
        packet(ACK, back=True),  # a late packet of the same connection
        packet(SYN, sequence=999),
    )
    assert len(ended) == 1
    assert ended[0].reset_by == 0
    assert len(list(connections.finish())) == 1


def test_a_repeated_syn_is_the_same_connection() -> None:
    ended, connections = feed(*[packet(SYN, sequence=5)] * 3)
    (one,) = connections.finish()
    assert not ended
    assert not one.answered


def test_stray_acknowledgements_are_not_a_connection() -> None:
    _, connections = feed(packet(ACK), packet(FIN | ACK, back=True), packet(RST))
    assert list(connections.finish()) == []


def test_ended_and_silent_connections_are_removed() -> None:
    ended, _ = feed(
        packet(SYN, port=1),
        packet(RST, port=1),
        packet(SYN, port=2, at=10.0),
        packet(SYN, port=3, at=40.0),
        packet(SYN, port=4, at=5000.0),
    )
    assert [one.ends[0].port for one in ended] == [1, 2, 3]


def test_memory_is_bounded_however_many_connections_are_open() -> None:
    connections = Connections()
    ended = 0
    for number in range(30_000):
        port, host = number % 60_000, number // 60_000
        one = Segment(1, 0.0, Address(bytes((10, 0, 0, host)), port), SERVER, 0, SYN, b"")
        ended += len(list(connections.take(one)))
    assert 30_000 - ended <= 8192


def test_bytes_held_by_all_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from mralab.core.capture import reassembly

    monkeypatch.setattr(reassembly, "_MOST_HELD", 100_000)
    connections = Connections()
    left: list[Any] = []
    for port in range(1, 50):
        left += connections.take(packet(SYN, port=port))
        left += connections.take(packet(PSH, port=port, sequence=1000, data=bytes(10_000)))
    assert len(left) == 39
