"""Reading of pcap and pcapng files, also damaged ones: intact packets are read, and the rest is reported."""

from __future__ import annotations

import io
import struct
import time

import pytest

from mralab.core.capture.reading import MOST_PACKET, CapturedPacket, NotACapture, is_capture, read_packets

AT = 1_657_551_344


def read(data: bytes) -> tuple[list[CapturedPacket], list[str]]:
    notes: list[str] = []
    return list(read_packets(io.BytesIO(data).read, notes.append)), notes


def pcap(*packets: bytes, order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1, length: int | None = None) -> bytes:
    data = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for packet in packets:
        size = len(packet)
        data += struct.pack(f"{order}IIII", AT, 500, size, size if length is None else length) + packet
    return data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}II", kind, len(body) + 12) + body + struct.pack(f"{order}I", len(body) + 12)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link: int = 1, options: bytes = b"", order: str = "<", snaplen: int = 0) -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, snaplen) + options, order)


def enhanced(data: bytes, units: int, number: int = 0, order: str = "<", length: int | None = None) -> bytes:
    size = len(data)
    head = (number, units >> 32, units & 0xFFFFFFFF, size, size if length is None else length)
    return block(6, struct.pack(f"{order}5I", *head) + data + bytes(-size % 4), order)


MICRO = AT * 1_000_000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1e-6), (0xA1B23C4D, 1e-9)])
def test_pcap_in_both_byte_orders_and_resolutions(order: str, magic: int, unit: float) -> None:
    data = pcap(b"one", b"second", order=order, magic=magic, link=101, length=1500)
    assert is_capture(data)
    found, notes = read(data)
    assert notes == []
    assert [one[1:] for one in found] == [(101, b"one", 1500), (101, b"second", 1500)]
    assert found[0].at == pytest.approx(AT + 500 * unit, abs=1e-7)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_in_both_byte_orders(order: str) -> None:
    found, notes = read(section(order) + interface(113, order=order) + enhanced(b"one", MICRO, order=order))
    assert (found, notes) == ([CapturedPacket(float(AT), 113, b"one", 3)], [])


def test_several_interfaces_each_with_its_own_link_type_and_clock() -> None:
    options = [
        b"",
        option(9, b"\x09"),
        option(9, b"\x83"),  # eighths of a second
        option(2, b"eth0") + option(14, struct.pack("<q", 10)) + option(0, b""),
    ]
    described = b"".join(interface(link, one) for link, one in enumerate(options))
    units = [MICRO, AT * 10**9, AT * 8, MICRO - 10_000_000]
    found, notes = read(section() + described + b"".join(enhanced(b"x", at, n) for n, at in enumerate(units)))
    assert notes == []
    assert [one.link_type for one in found] == [0, 1, 2, 3]
    assert [one.at for one in found] == pytest.approx([AT] * 4)


def test_options_of_length_zero_and_longer_than_their_block() -> None:
    odd = option(1, b"") + option(9, b"") + option(12, b"") + struct.pack("<HH", 9, 60000)
    found, notes = read(section() + interface(1, odd) + enhanced(b"x", MICRO))
    assert (found[0].at, notes) == (float(AT), [])


def test_a_new_section_forgets_the_interfaces_of_the_one_before() -> None:
    found, notes = read(
        section() + interface(1) + enhanced(b"x", MICRO) + section(">") + interface(101, order=">")
        + enhanced(b"y", MICRO, order=">") + section() + enhanced(b"z", MICRO)
    )  # fmt: skip
    assert [(one.link_type, one.data) for one in found] == [(1, b"x"), (101, b"y")]
    assert notes == [notes[0]]
    assert "interface that the file does not describe" in notes[0]


def test_simple_and_obsolete_packets_and_blocks_of_other_kinds() -> None:
    simple = block(3, struct.pack("<I", 9) + b"123456789")
    obsolete = block(2, struct.pack("<HHIIII", 0, 7, MICRO >> 32, MICRO & 0xFFFFFFFF, 3, 3) + b"old")
    others = block(5, bytes(12)) + block(10, struct.pack("<II", 0x544C534B, 0)) + block(0x80000BAD, b"")
    found, notes = read(section() + interface(1, snaplen=4) + others + obsolete + simple)
    assert (notes, [one.data for one in found]) == ([], [b"old", b"1234"])
    assert found[1].length == 9
    assert found[1].at == found[0].at  # the block has no timestamp


def test_an_impossible_time_is_replaced_by_that_of_the_packet_before() -> None:
    found, _ = read(section() + interface(1, option(9, b"\x00")) + enhanced(b"x", AT) + enhanced(b"y", 2**64 - 1))
    assert [one.at for one in found] == [AT, AT]


@pytest.mark.parametrize("data", [b"", b"\n", b"PK\3\4....", b"\x16\x03\x01\x02\x00", b"2022-07-11T16:55:44 vcsc"])
def test_other_files_are_not_captures(data: bytes) -> None:
    assert not is_capture(data)
    with pytest.raises(NotACapture):
        read(data)


WHOLE = {
    "pcap": pcap(b"first packet", b"second packet"),
    "pcapng": section() + interface(1) + enhanced(b"first packet", MICRO) + enhanced(b"second packet", MICRO),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_anywhere_gives_what_is_before(kind: str) -> None:
    whole = WHOLE[kind]
    (complete, _) = read(whole)
    for end in range(4, len(whole)):
        found, notes = read(whole[:end])
        cut = [one for one in found if one not in complete]
        assert len(cut) <= 1
        assert all(complete[len(found) - 1].data.startswith(one.data) for one in cut)
        assert notes == [] or (len(notes) == 1 and "ends in the middle" in notes[0])
    assert len(read(whole[:-1])[0]) == 2


@pytest.mark.parametrize("size", [MOST_PACKET + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_packet_of_a_giant_length_ends_the_reading(size: int) -> None:
    data = pcap(b"good") + struct.pack("<IIII", AT, 0, size, size) + b"x" * 100
    found, notes = read(data)
    assert [one.data for one in found] == [b"good"]
    assert notes == [f"packet 2 (byte 44) claims {size} bytes: the file is damaged there; the rest is not read"]


@pytest.mark.parametrize("size", [0, 4, 11, 13, 0x7FFFFFFC, 0xFFFFFFFF])
def test_a_block_of_an_impossible_length_ends_the_reading(size: int) -> None:
    before = section() + interface(1) + enhanced(b"good", MICRO)
    found, notes = read(before + struct.pack("<II", 6, size) + b"x" * 100)
    assert [one.data for one in found] == [b"good"]
    assert notes == [
        f"the block at byte {len(before)} claims {size} bytes: the file is damaged there; the rest is not read"
    ]


def test_a_packet_longer_than_its_block_is_cut_to_it() -> None:
    body = struct.pack("<5I", 0, MICRO >> 32, MICRO & 0xFFFFFFFF, 1000, 1000) + b"x" * 8
    found, notes = read(section() + interface(1) + block(6, body))
    assert (found[0].data, found[0].length, notes) == (b"x" * 8, 1000, [])


def test_a_file_of_nothing_but_headers() -> None:
    assert read(pcap()) == ([], [])
    assert read(section() + interface(1)) == ([], [])


def test_a_million_interfaces_take_neither_memory_nor_time() -> None:
    started = time.monotonic()
    found, notes = read(section() + interface(1) * 200_000 + enhanced(b"x", MICRO, 5000))
    assert found == []
    assert len(notes) == 1
    assert time.monotonic() - started < 20
