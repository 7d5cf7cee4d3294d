"""Fault: no answer to the ClientHello."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ..effect import Effect
from .registry import Fault

_MAX_BUFFERED: Final = 65536


@dataclass(frozen=True)
class Stall(Fault):
    """Accept the ClientHello and stay silent for ``seconds``, or until the client leaves or the fault is lifted."""

    seconds: float | None = None

    def effect(self) -> Effect:
        """Return the effect that buffers what the client sends."""
        return _Stall(self.seconds)


class _Stall(Effect):
    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._buffered = bytearray()
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    def received(self, data: bytes) -> bytes:
        if self._over:
            return data
        if not self._buffered and self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.lift)
        self._buffered += data
        if len(self._buffered) > _MAX_BUFFERED:
            self.link.wire.abort()
        return b""

    def lift(self) -> None:
        buffered, self._buffered = bytes(self._buffered), bytearray()
        self.end()
        if buffered:
            self.link.feed(buffered)

    def end(self) -> None:
        self._over = True
        self._buffered.clear()
        if self._timer is not None:
            self._timer.cancel()
