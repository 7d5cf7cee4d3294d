"""TCP segments in IPv4 and IPv6 packets, as bytes (RFC 9293, RFC 791, RFC 8200)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10

_TCP: Final = 6
_HOP_LIMIT: Final = 64
_WINDOW: Final = 65535
_TCP_HEADER: Final = struct.Struct("!HHIIBBHHH")
_IPV4_HEADER: Final = struct.Struct("!BBHHHBBH")
_IPV6_HEADER: Final = struct.Struct("!IHBB")
_DO_NOT_FRAGMENT: Final = 0x4000


class Address(NamedTuple):
    """One end of a TCP connection: the IP address in network byte order (4 or 16 bytes) and the port."""

    ip: bytes
    port: int


def packet(
    source: Address,
    destination: Address,
    *,
    sequence: int,
    acknowledged: int,
    flags: int,
    payload: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """Return an IP packet with one TCP segment and right checksums.

    Both addresses are of one IP version. ``options`` are TCP options, padded to a multiple of 4 bytes.
    """
    segment = bytearray(
        _TCP_HEADER.pack(
            source.port,
            destination.port,
            sequence & 0xFFFFFFFF,
            acknowledged & 0xFFFFFFFF,
            (_TCP_HEADER.size + len(options)) << 2,  # in words, in the upper four bits
            flags,
            _WINDOW,
            0,
            0,
        )
    )
    segment += options
    segment += payload
    size = len(segment)
    if len(source.ip) == 4:
        pseudo = source.ip + destination.ip + struct.pack("!HH", _TCP, size)
        header = bytearray(
            _IPV4_HEADER.pack(0x45, 0, 20 + size, 0, _DO_NOT_FRAGMENT, _HOP_LIMIT, _TCP, 0) + source.ip + destination.ip
        )
        header[10:12] = checksum(header).to_bytes(2, "big")
    else:
        pseudo = source.ip + destination.ip + struct.pack("!II", size, _TCP)
        header = bytearray(_IPV6_HEADER.pack(0x60000000, size, _TCP, _HOP_LIMIT) + source.ip + destination.ip)
    segment[16:18] = checksum(pseudo + segment).to_bytes(2, "big")
    return bytes(header + segment)


def checksum(data: bytes | bytearray) -> int:
    """Return the Internet checksum (RFC 1071) of ``data``, whose last byte may lack its pair.

    The sum of 16-bit words in ones' complement is the whole number modulo 65535 (2**16 is 1 modulo 65535).
    """
    number = int.from_bytes(data, "big") << (8 * (len(data) % 2))
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))
