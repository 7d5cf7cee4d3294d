"""Fault: a slow server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...core.counting import counted
from ...errors import MralabError
from ..effect import Effect
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class Slow(Fault):
    """Send everything in pieces of ``size`` bytes, one every ``every`` seconds."""

    size: int = 16
    every: float = 0.01

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer unchanged, after a check of the pace."""
        if self.size < 1 or not 0 < self.every < float("inf"):
            raise MralabError(
                f"Slow: {counted(self.size, 'byte')} every {self.every:g} s is not a speed",
                "size is 1 byte or more, every is a finite time above 0",
            )
        return offer

    def effect(self) -> Effect:
        """Return the effect that sets the pace."""
        return _Slow(self.size, self.every)


class _Slow(Effect):
    def __init__(self, size: int, every: float) -> None:
        self._size, self._every = size, every
        self._begun = False

    def sent(self, data: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            self.link.wire.pace(self._size, self._every)
        return data

    def lift(self) -> None:
        self._begun = True
        self.link.wire.pace(0, 0)
