"""The TCP side of a mock server's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ..tcp import reset

_HIGH_WATER: Final = 65536
_LINGER: Final = 5.0
"""Seconds that a client has to read a response before the connection is aborted."""


class Wire:
    """The TCP side of a connection: writes at once or at a pace, and closes, resets or half-closes it."""

    def __init__(self, raw: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        self.raw = raw
        self._protocol = protocol
        self._buffered = bytearray()
        self._size = 0
        self._interval = 0.0
        self._paused = False
        self._when_empty: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def pace(self, size: int, every: float) -> None:
        """Write ``size`` bytes every ``every`` seconds from now on. 0 bytes ends the pace and flushes the buffer."""
        self._size, self._interval = size, every
        if not size:
            self._step()

    def write(self, data: bytes) -> None:
        """Write at once, or buffer until the pace allows it."""
        if self.raw.is_closing():
            return
        if not self._size and not self._buffered:
            self.raw.write(data)
            return
        self._buffered += data
        if len(self._buffered) > _HIGH_WATER and not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        if self._timer is None:
            self._step()

    def _step(self) -> None:
        """Write the next piece; schedule the next step while bytes are buffered."""
        self._stop_timer()
        piece = bytes(self._buffered[: self._size or None])
        del self._buffered[: len(piece)]
        if piece and not self.raw.is_closing():
            self.raw.write(piece)
        if self._paused and len(self._buffered) <= _HIGH_WATER // 2:
            self._paused = False
            self._protocol.resume_writing()
        if self._buffered:
            self._schedule(self._interval, self._step)
        elif self._when_empty is not None:
            self._when_empty()

    def close(self) -> None:
        """Close once everything is written."""
        self._when_written(self.raw.close)

    def _when_written(self, action: Callable[[], object]) -> None:
        if self._buffered:
            self._when_empty = action
        else:
            action()

    def abort(self) -> None:
        """Close now and drop what is buffered."""
        self._buffered.clear()
        self._stop_timer()
        self.raw.abort()

    def finish(self) -> None:
        """Half-close, and read for ``_LINGER`` seconds more.

        A close with unread bytes makes the kernel send a reset, and the client loses its response.
        """
        self._when_written(self._finish)

    def _finish(self) -> None:
        if self.raw.can_write_eof() and not self.raw.is_closing():
            self.raw.write_eof()
            self._schedule(_LINGER, self.abort)
        else:
            self.raw.close()

    def reset(self) -> None:
        """Send a TCP reset once everything is written."""
        self._when_written(self._reset)

    def _reset(self) -> None:
        if self.raw.get_write_buffer_size():
            self._schedule(0.001, self._reset)
            return
        if not self.raw.is_closing():
            reset(self.raw)
        self.abort()

    def end(self) -> None:
        """Free the buffer and the timer; the connection is closed."""
        self._buffered.clear()
        self._stop_timer()

    @property
    def unsent(self) -> int:
        """Number of bytes written but not yet in the kernel."""
        return len(self._buffered) + self.raw.get_write_buffer_size()

    def _schedule(self, seconds: float, action: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
