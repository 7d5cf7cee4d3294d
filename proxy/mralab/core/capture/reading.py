"""Read pcap and pcapng files: packets out of a stream of bytes, whatever is damaged in it.

pcap as libpcap writes it (draft-ietf-opsawg-pcap), in both byte orders, with micro- or nanoseconds. pcapng
(draft-ietf-opsawg-pcapng) with any number of sections and interfaces. Lengths in a file are not believed: one that no
packet has ends the reading, and what was read before counts. Memory does not depend on the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from .pcapng import BYTE_ORDER, ENHANCED_PACKET, INTERFACE, SECTION_HEADER

MOST_PACKET: Final = 1 << 20
"""Bytes of a packet. Wireshark takes 256 KB of Ethernet; segmentation offload gives 64 KB."""
_MOST_BLOCK: Final = 16 << 20  # bytes; a block of any kind, as in Wireshark
_MOST_INTERFACES: Final = 4096
_LATEST: Final = 253_402_300_800.0  # seconds since the epoch: the year 10000, where datetime ends
_SIMPLE_PACKET: Final = 3
_OBSOLETE_PACKET: Final = 2
_TIME_RESOLUTION: Final = 9
_TIME_OFFSET: Final = 14
_MICROSECONDS: Final = 1e-6

# The magic number as it is in the file: the byte order and the seconds of one unit of time.
_PCAP: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
}
_PCAPNG: Final = SECTION_HEADER.to_bytes(4, "big")  # the same in both byte orders


class NotACapture(ValueError):  # noqa: N818 - named for what the input is
    """The bytes are neither pcap nor pcapng."""


class CapturedPacket(NamedTuple):
    """One packet: seconds since the epoch, link type (LINKTYPE_ of tcpdump.org), bytes, and its length on the wire."""

    at: float
    link_type: int
    data: bytes
    length: int


class _Damage(Exception):  # noqa: N818 - not an error of ours
    """Nothing can be read from here on."""


Read = Callable[[int], bytes]
"""Return at most so many bytes; nothing at the end, and only there."""


def is_capture(start: bytes) -> bool:
    """Return whether a file that begins with these bytes (4 are enough) is pcap or pcapng."""
    return start[:4] in _PCAP or start[:4] == _PCAPNG


def read_packets(read: Read, note: Callable[[str], None]) -> Iterator[CapturedPacket]:
    """Yield the packets of a capture. ``note`` is called with what cannot be read, as text.

    Raises ``NotACapture`` where the bytes do not begin as a capture does.
    """
    source = _Source(read)
    magic = source.take(4)
    try:
        if magic in _PCAP:
            yield from _read_pcap(source, *_PCAP[magic])
        elif magic == _PCAPNG:
            yield from _read_pcapng(source, note)
        else:
            raise NotACapture("neither pcap nor pcapng: it does not begin with the magic number of either")
    except _Damage as damage:
        note(str(damage))


class _Source:
    """A stream of bytes, with the number of those that were taken."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.position = 0

    def take(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        pieces = []
        while size and (piece := self._read(size)):
            pieces.append(piece)
            size -= len(piece)
            self.position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def need(self, size: int, of: str) -> bytes:
        """Return ``size`` bytes. Raises ``_Damage`` if there are fewer."""
        data = self.take(size)
        if len(data) < size:
            raise _Damage(f"the file ends in the middle of {of} (byte {self.position}); the rest is missing")
        return data


# -- pcap


def _read_pcap(source: _Source, order: str, unit: float) -> Iterator[CapturedPacket]:
    header = source.need(20, "its header")
    (network,) = struct.unpack_from(f"{order}I", header, 16)
    link_type = network & 0xFFFF  # the rest says whether frames have checksums
    record = struct.Struct(f"{order}IIII")
    number = 0
    while head := source.take(16):
        number += 1
        if len(head) < 16:
            raise _Damage(f"the file ends in the middle of packet {number} (byte {source.position})")
        seconds, fraction, size, length = record.unpack(head)
        if size > MOST_PACKET:
            raise _Damage(
                f"packet {number} (byte {source.position - 16}) claims {size} bytes: the file is damaged there; "
                "the rest is not read"
            )
        data = source.take(size)
        if data:
            yield CapturedPacket(seconds + fraction * unit, link_type, data, max(length, size))
        if len(data) < size:
            raise _Damage(f"the file ends in the middle of packet {number} (byte {source.position})")


# -- pcapng


class _Interface(NamedTuple):
    link_type: int
    most: int
    """Bytes of a packet that are captured (snaplen), 0: all."""
    unit: float
    """Seconds."""
    offset: int
    """Seconds added to each time."""


class _Section:
    """What blocks refer to: the byte order and the interfaces of their section."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[_Interface] = []
        self.at = 0.0
        """The time of the latest packet: a simple packet block has none."""


def _read_pcapng(source: _Source, note: Callable[[str], None]) -> Iterator[CapturedPacket]:
    section = _Section("<")
    unknown = 0
    head = _PCAPNG + source.need(4, "its header")
    while head:
        if len(head) < 8:
            raise _Damage(f"the file ends in the middle of a block (byte {source.position})")
        start = source.position - 8
        (kind,) = struct.unpack_from(f"{section.order}I", head)
        first = b""
        if head[:4] == _PCAPNG:
            first = source.need(4, "a section header")
            section = _Section(_order(first, start))
            kind = SECTION_HEADER
        (size,) = struct.unpack_from(f"{section.order}I", head, 4)
        if size < 12 + len(first) or size % 4 or size > _MOST_BLOCK:
            raise _Damage(
                f"the block at byte {start} claims {size} bytes: the file is damaged there; the rest is not read"
            )
        wanted = size - 8 - len(first)
        rest = source.take(wanted)
        body = (first + rest)[: size - 12]
        if kind == INTERFACE:
            if len(section.interfaces) < _MOST_INTERFACES:
                section.interfaces.append(_interface(body, section.order))
        elif kind in (ENHANCED_PACKET, _OBSOLETE_PACKET, _SIMPLE_PACKET):
            packet = _packet(kind, body, section)
            if packet is not None:
                section.at = packet.at
                if packet.data:
                    yield packet
            elif len(rest) == wanted:
                unknown += 1
                if unknown == 1:
                    note(f"the packet at byte {start} is of an interface that the file does not describe")
        if len(rest) < wanted:
            raise _Damage(f"the file ends in the middle of a block (byte {source.position})")
        head = source.take(8)
    if unknown > 1:
        note(f"{unknown} packets are of interfaces that the file does not describe")


def _order(mark: bytes, start: int) -> str:
    for order in "<>":
        if mark == struct.pack(f"{order}I", BYTE_ORDER):
            return order
    raise _Damage(f"the section at byte {start} has no byte order: the file is damaged there; the rest is not read")


def _interface(body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        return _Interface(-1, 0, _MICROSECONDS, 0)
    link_type, _, most = struct.unpack_from(f"{order}HHI", body)
    unit, offset = _MICROSECONDS, 0
    for code, value in _options(body[8:], order):
        if code == _TIME_RESOLUTION and len(value) == 1:
            unit = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        elif code == _TIME_OFFSET and len(value) == 8:
            (offset,) = struct.unpack(f"{order}q", value)
    return _Interface(link_type, most, unit, offset)


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(f"{order}HH", data, at)
        if not code:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


def _packet(kind: int, body: bytes, section: _Section) -> CapturedPacket | None:
    """Return the packet of a block; None if its interface is unknown."""
    order, interfaces = section.order, section.interfaces
    if kind == _SIMPLE_PACKET:
        if len(body) < 4 or not interfaces:
            return None
        (length,) = struct.unpack_from(f"{order}I", body)
        size = min(length, interfaces[0].most or length)
        return CapturedPacket(section.at, interfaces[0].link_type, body[4 : 4 + size], length)
    if len(body) < 20:
        return None
    number, high, low, size, length = struct.unpack_from(f"{order}IIIII", body)
    if kind == _OBSOLETE_PACKET:  # interface and dropped packets share the first word
        (number,) = struct.unpack_from(f"{order}H", body)
    if number >= len(interfaces):
        return None
    interface = interfaces[number]
    at = ((high << 32) | low) * interface.unit + interface.offset
    if not 0.0 <= at < _LATEST:
        at = section.at
    data = body[20 : 20 + min(size, MOST_PACKET)]
    return CapturedPacket(at, interface.link_type, data, max(length, len(data)))
