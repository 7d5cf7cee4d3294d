"""The TCP side of a mock server's connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

_HIGH_WATER: Final = 65536
_LINGER: Final = 5.0
"""Seconds that a client has to read an answer after which nothing more is read of it."""


class Wire:
    """The TCP side of a connection: writes at once or at a pace, and ends it in the ways that a network can."""

    def __init__(self, raw: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        self.raw = raw
        self._protocol = protocol
        self._waiting = bytearray()
        self._size = 0
        self._every = 0.0
        self._paused = False
        self._at_end: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def pace(self, size: int, every: float) -> None:
        """From now on write ``size`` bytes every ``every`` seconds; 0 bytes: what waits and what comes, at once."""
        self._size, self._every = size, every
        if not size:
            self._step()

    def write(self, data: bytes) -> None:
        """Write, or let it wait for its turn."""
        if self.raw.is_closing():
            return
        if not self._size and not self._waiting:
            self.raw.write(data)
            return
        self._waiting += data
        if len(self._waiting) > _HIGH_WATER and not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        if self._timer is None:
            self._step()

    def _step(self) -> None:
        """Write the next piece; come back while there is more."""
        self._stop_timer()
        piece = bytes(self._waiting[: self._size or None])
        del self._waiting[: len(piece)]
        if piece and not self.raw.is_closing():
            self.raw.write(piece)
        if self._paused and len(self._waiting) <= _HIGH_WATER // 2:
            self._paused = False
            self._protocol.resume_writing()
        if self._waiting:
            self._later(self._every, self._step)
        elif self._at_end is not None:
            self._at_end()

    def close(self) -> None:
        """Close once all is written."""
        self._when_written(self.raw.close)

    def _when_written(self, do: Callable[[], object]) -> None:
        if self._waiting:
            self._at_end = do
        else:
            do()

    def abort(self) -> None:
        """Close now, whatever waits."""
        self._waiting.clear()
        self._stop_timer()
        self.raw.abort()

    def finish(self) -> None:
        """End this side and go on to read, for a while: a close before all is read would cost the client its answer."""
        self._when_written(self._finish)

    def _finish(self) -> None:
        if self.raw.can_write_eof() and not self.raw.is_closing():
            self.raw.write_eof()
            self._later(_LINGER, self.abort)
        else:
            self.raw.close()

    def reset(self) -> None:
        """Once all is written: a TCP reset instead of an orderly end."""
        self._when_written(self._reset)

    def _reset(self) -> None:
        if self.raw.get_write_buffer_size():
            self._later(0.001, self._reset)
            return
        if (sock := self.raw.get_extra_info("socket")) is not None and not self.raw.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def end(self) -> None:
        """The connection is gone."""
        self._waiting.clear()
        self._stop_timer()

    @property
    def waiting(self) -> int:
        """Bytes that were written here and are not yet in the kernel's hands."""
        return len(self._waiting) + self.raw.get_write_buffer_size()

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, do)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
