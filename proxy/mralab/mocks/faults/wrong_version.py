"""Fault: another TLS version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import MralabError
from ..context import VERSIONS
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer


@dataclass(frozen=True)
class WrongVersion(Fault):
    """Speak only this TLS version, ``"1.0"`` to ``"1.3"``.

    A server that speaks older versions only answers a newer client with its own version, which that client may refuse.
    Older clients get OpenSSL's protocol_version alert.
    """

    only: str = "1.3"

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer with this version only."""
        if self.only not in VERSIONS:
            raise MralabError(f"WrongVersion: {self.only!r} is not one of {', '.join(VERSIONS)}")
        return replace(offer, tls=(self.only,))
