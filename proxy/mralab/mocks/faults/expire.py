"""Fault: an expired certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ...errors import MralabError
from ..recipes import expired
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


_MOST_DAYS: Final = 20_000.0  # a certificate has no year before 1950 (RFC 5280 section 4.1.2.5.1): cryptography panics


@dataclass(frozen=True)
class Expire(Fault):
    """Present the same certificate, signed again so that it expired ``days`` ago. Needs its issuer's key."""

    days: float = 1.0

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer with expired certificates, after a check of ``days``."""
        if not 0 <= self.days <= _MOST_DAYS:
            raise MralabError(f"Expire: days = {self.days}: must be a number from 0 to {_MOST_DAYS:.0f}")
        return replace(offer, certified=tuple(expired(each, self.days) for each in offer.certified))
