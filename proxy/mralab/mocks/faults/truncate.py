"""Fault: a truncated response."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import MralabError
from ..effect import Effect
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class Truncate(Fault):
    """Send the first ``after`` bytes of the response, head included, then close without close_notify."""

    after: int = 100

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer unchanged, after a check of ``after``."""
        if self.after < 0:
            raise MralabError(f"Truncate: after = {self.after}: must be 0 bytes or more")
        return offer

    def effect(self) -> Effect:
        """Return the effect that cuts the response."""
        return _Truncate(self.after)


class _Truncate(Effect):
    def __init__(self, after: int) -> None:
        self._left = after

    def response(self, data: bytes) -> bytes:
        kept = data[: self._left]
        self._left -= len(kept)
        if not self._left:
            asyncio.get_running_loop().call_soon(self.link.wire.close)
        return kept
