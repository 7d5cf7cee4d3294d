"""TCP below asyncio: how to end a connection so that the peer does not take it for a normal end."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any


def reset(transport: asyncio.Transport) -> None:
    """Close a TCP connection with RST, which the peer cannot mistake for a normal end."""
    sock: Any = transport.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:  # closed meanwhile: there is no peer left to mislead
            return
    transport.abort()
