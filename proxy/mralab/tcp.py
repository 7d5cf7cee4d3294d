"""TCP connections: closed at the end of a block, reset instead of closed, ended by the peer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, and close the connection at the end of the block. Raises ``OSError``."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def reset(transport: asyncio.Transport) -> None:
    """Close a TCP connection with RST, which the peer cannot mistake for a normal end."""
    sock: Any = transport.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:  # closed meanwhile: there is no peer left to mislead
            return
    transport.abort()


def fin_received(transport: asyncio.Transport) -> bool:
    """Return whether the peer's FIN was received. Only for a connection of which nothing else is to be read."""
    try:
        return not os.read(transport.get_extra_info("socket").fileno(), 1)
    except OSError:
        return False
