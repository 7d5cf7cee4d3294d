"""Fault: a fatal TLS alert."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...core.nearest import did_you_mean
from ...errors import MralabError
from ..effect import Effect, RawReply
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer

_FATAL: Final = 2

ALERTS: Final = {
    description.name.removeprefix("ALERT_DESCRIPTION_").lower(): int(description)
    for description in ssl.AlertDescription
}
"""TLS alerts by the names of RFC 8446 6: ``"handshake_failure"``, ``"unknown_ca"``."""


@dataclass(frozen=True)
class SendAlert(Fault):
    """Answer the ClientHello with a fatal alert, given by its name in RFC 8446, such as ``unknown_ca``, or number.

    ``ALERTS`` has the names.
    """

    alert: str | int = "handshake_failure"

    @property
    def number(self) -> int:
        """The alert's number. Raises ``MralabError`` if there is no such alert."""
        number = self.alert if isinstance(self.alert, int) else ALERTS.get(self.alert.lower(), -1)
        if not 0 <= number <= 255:
            near = did_you_mean(str(self.alert), ALERTS) or f"; known: {', '.join(ALERTS)}"
            raise MralabError(f"SendAlert: {self.alert!r} is not a TLS alert{near}")
        return number

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer unchanged, after a check of the alert."""
        assert self.number >= 0  # noqa: S101 - reports an unknown alert when the fault is injected
        return offer

    def effect(self) -> Effect:
        """Return the effect that sends the alert."""
        return RawReply(bytes((21, 3, 3, 0, 2, _FATAL, self.number)))
