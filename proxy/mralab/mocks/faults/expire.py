"""Fault: an expired certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..recipes import expired
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class Expire(Fault):
    """Present the same certificate, signed again so that it expired ``days`` ago. Needs its issuer's key."""

    days: float = 1.0

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer with expired certificates."""
        return replace(offer, certified=tuple(expired(each, self.days) for each in offer.certified))
