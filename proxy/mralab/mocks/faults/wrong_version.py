"""Fault: another TLS version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import MralabError
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class WrongVersion(Fault):
    """Speak only this TLS version, ``"1.2"`` or ``"1.3"``. Other clients get OpenSSL's protocol_version alert."""

    only: str = "1.3"

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer with this version only."""
        if self.only not in ("1.2", "1.3"):
            raise MralabError(f"WrongVersion: {self.only!r} is neither '1.2' nor '1.3'")
        return replace(offer, tls=(self.only,))
