"""Fault: another certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..recipes import Presentable, certified
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class Present(Fault):
    """Present another certificate, given by its name in a lab, or in PEM together with its key.

    Python also takes our ``Certified`` and a trustme ``LeafCert``.
    """

    certificate: Presentable

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer with this certificate only."""
        return replace(offer, certified=(certified(self.certificate),))
