"""TCP segments from captured packets of any usual link layer.

dpkt parses the packets: it has no dependencies, loads in 30 ms, and its licence (BSD) fits ours, unlike scapy's (GPL).
It has no types, and damaged packets raise more than its own error; both stay in this module.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import dpkt  # type: ignore[import-untyped]  # no release has types
from dpkt import ethernet, ip, ip6, loopback, sll, sll2, tcp

from ..core.capture.packet import Address
from ..core.capture.reading import CapturedPacket
from ..core.capture.reassembly import Segment

_TCP: Final = 6
_ETHERNET: Final = 1
_DAMAGED: Final = (dpkt.UnpackError, struct.error, ValueError, IndexError, KeyError, AttributeError, RecursionError)
"""What dpkt raises for packets that are cut short or nonsense. RecursionError: frames nested a thousand times."""


def _raw(data: bytes) -> Any:
    return ip6.IP6(data) if data[:1] and data[0] >> 4 == 6 else ip.IP(data)


_LINK_TYPES: Final[dict[int, Callable[[bytes], Any]]] = {
    0: loopback.Loopback,  # NULL: BSD, macOS
    _ETHERNET: ethernet.Ethernet,
    12: _raw,  # RAW of some BSDs
    14: _raw,  # RAW of OpenBSD
    101: _raw,
    108: loopback.Loopback,  # LOOP: OpenBSD
    113: sll.SLL,
    228: ip.IP,
    229: ip6.IP6,
    276: sll2.SLL2,
}
"""By LINKTYPE_ (tcpdump.org/linktypes.html)."""


def is_known(link_type: int) -> bool:
    """Return whether packets of a link type can be read."""
    return link_type in _LINK_TYPES


def segment(packet: CapturedPacket, number: int) -> Segment | None:
    """Return the TCP segment of a packet; None if there is none that can be read.

    Fragments are no segments: TCP avoids them.
    """
    parse = _LINK_TYPES.get(packet.link_type)
    if parse is None:
        return None
    try:
        layer = parse(packet.data)
        while not isinstance(layer, ip.IP | ip6.IP6):
            layer = layer.data  # VLAN tags, or none: bytes have no data
        segment = layer.data
        if not isinstance(segment, tcp.TCP):
            return None
        if isinstance(layer, ip.IP):
            if layer.mf or layer.offset:
                return None
            size = layer.len - 20 - len(layer.opts)
        else:
            size = layer.plen - sum(header.length for header in layer.all_extension_headers)
        data = bytes(segment.data)
        size -= 20 + len(segment.opts)
        # A length of 0 (segmentation offload) says nothing: the packet is as long as it was captured.
        whole = max(size, len(data))
        return Segment(
            number,
            packet.at,
            Address(bytes(layer.src), segment.sport),
            Address(bytes(layer.dst), segment.dport),
            segment.seq,
            segment.flags & 0xFF,
            data,
            whole - len(data),
            segment.ack,
        )
    except _DAMAGED:
        return None
