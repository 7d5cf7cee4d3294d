"""One TCP connection as packets, made from the bytes that a proxy sent and received on it.

A proxy sees a stream of bytes, not segments. Handshake, segmentation and acknowledgements are therefore synthetic;
ports, payload, order and the way the connection ended are real.
"""

from __future__ import annotations

import struct
from typing import Final

from .packet import ACK, FIN, PSH, RST, SYN, Address, packet

MAXIMUM_SEGMENT: Final = {4: 1460, 16: 1440}
"""TCP payload that fits into an Ethernet frame of 1500 bytes, by the length of the IP address."""
_MOST_UNACKNOWLEDGED: Final = 32768  # bytes after which the receiver sends an acknowledgement without data of its own


class Conversation:
    """The packets of one connection. Each method returns those of one step, in order.

    ``initial`` holds the initial sequence numbers of client and server. They should be random: Wireshark takes a SYN
    with a known sequence number for a retransmission if ports are used again.
    """

    __slots__ = ("_acknowledged", "_ends", "_finished", "_next", "_reset", "_size")

    def __init__(self, client: Address, server: Address, initial: tuple[int, int]) -> None:
        self._ends = (client, server)
        self._next = [initial[0] & 0xFFFFFFFF, initial[1] & 0xFFFFFFFF]
        """The sequence number of the next byte that client and server send."""
        self._acknowledged = [0, 0]
        """The last acknowledgement number that client and server have sent."""
        self._finished = [False, False]
        self._reset = False
        self._size = MAXIMUM_SEGMENT[len(client.ip)]

    @property
    def ended(self) -> bool:
        """Whether no further byte can follow in either direction."""
        return self._reset or all(self._finished)

    def finished(self, *, from_client: bool) -> bool:
        """Return whether this end has sent FIN, or one end has reset the connection."""
        return self._reset or self._finished[not from_client]

    def open(self) -> list[bytes]:
        """Return the three packets of the handshake."""
        options = struct.pack("!BBH", 2, 4, self._size) + bytes((1, 3, 3, 7))  # MSS; NOP, window scale 2**7
        return [
            self._packet(0, SYN, options=options),
            self._packet(1, SYN | ACK, options=options),
            self._packet(0, ACK),
        ]

    def data(self, data: bytes, *, from_client: bool) -> list[bytes]:
        """Return the segments that carry ``data``; none after FIN or RST of this end."""
        sender = int(not from_client)
        if self._reset or self._finished[sender]:
            return []
        packets = []
        for start in range(0, len(data), self._size):
            piece = data[start : start + self._size]
            last = start + self._size >= len(data)
            packets.append(self._packet(sender, PSH | ACK if last else ACK, piece))
            if (self._next[sender] - self._acknowledged[1 - sender]) & 0xFFFFFFFF >= _MOST_UNACKNOWLEDGED:
                packets.append(self._packet(1 - sender, ACK))
        return packets

    def fin(self, *, from_client: bool) -> list[bytes]:
        """Return the FIN of one end and its acknowledgement."""
        sender = int(not from_client)
        if self._reset or self._finished[sender]:
            return []
        finish = self._packet(sender, FIN | ACK)
        self._finished[sender] = True
        return [finish, self._packet(1 - sender, ACK)]

    def reset(self, *, from_client: bool) -> list[bytes]:
        """Return the RST of one end."""
        if self.ended:
            return []
        rst = self._packet(int(not from_client), RST | ACK)
        self._reset = True
        return [rst]

    def _packet(self, sender: int, flags: int, payload: bytes = b"", options: bytes = b"") -> bytes:
        acknowledged = self._next[1 - sender] if flags & ACK else 0
        made = packet(
            self._ends[sender],
            self._ends[1 - sender],
            sequence=self._next[sender],
            acknowledged=acknowledged,
            flags=flags,
            payload=payload,
            options=options,
        )
        self._acknowledged[sender] = acknowledged
        self._next[sender] = (self._next[sender] + len(payload) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        return made
