"""Fault: a chain without its intermediates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class DropIntermediates(Fault):
    """Send the certificate without its issuers."""

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer with every chain cut to its first certificate."""
        leaves = tuple(replace(each, chain=()) for each in offer.certified)
        # OpenSSL completes a lone certificate with the CAs of the CertificateRequest. Roots do not help it to do so.
        roots = tuple(each for each in offer.ask_client if each.issuer == each.subject)
        return replace(offer, certified=leaves, ask_client=roots)
