"""pcapng blocks as bytes (draft-ietf-opsawg-pcapng): one section with one interface of raw IP packets."""

from __future__ import annotations

import struct
from typing import Final

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE: Final = 1
ENHANCED_PACKET: Final = 6
SECRETS: Final = 10
BYTE_ORDER: Final = 0x1A2B3C4D
LINKTYPE_RAW: Final = 101
"""Packets that begin with an IPv4 or IPv6 header: the proxy sees no link layer, so none is invented."""
TLS_KEY_LOG: Final = 0x544C534B

_END_OF_OPTIONS: Final = struct.pack("<HH", 0, 0)


def file_header(application: str) -> bytes:
    """Return the section header and the description of its interface; they begin a file.

    Times are in nanoseconds. The same ``application`` gives the same bytes, so that a file can be recognised.
    """
    section = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)  # the section's length is not known beforehand
    section += _option(4, application.encode()) + _END_OF_OPTIONS
    interface = struct.pack("<HHI", LINKTYPE_RAW, 0, 0)  # 0: packets are not cut
    interface += _option(2, b"mralab") + _option(9, b"\x09") + _END_OF_OPTIONS  # if_tsresol: 10**-9 seconds
    return _block(SECTION_HEADER, section) + _block(INTERFACE, interface)


def packet_block(packet: bytes, nanoseconds: int) -> bytes:
    """Return the block of one packet, captured at a time in nanoseconds since the epoch."""
    size = len(packet)
    head = struct.pack("<IIIII", 0, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, size, size)
    return _block(ENHANCED_PACKET, head + _padded(packet))


def secrets_block(lines: bytes) -> bytes:
    """Return the block of TLS secrets, as lines of an NSS key log. It applies to the packets that follow."""
    return _block(SECRETS, struct.pack("<II", TLS_KEY_LOG, len(lines)) + _padded(lines))


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
