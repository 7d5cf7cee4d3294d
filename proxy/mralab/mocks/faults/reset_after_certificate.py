"""Fault: a TCP reset in the middle of the handshake."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ..effect import Effect
from .registry import Fault

_RECORD_HEADER: Final = 5
_HANDSHAKE: Final = 22
_CERTIFICATE: Final = 11


@dataclass(frozen=True)
class ResetAfterCertificate(Fault):
    """Send ServerHello and Certificate, then reset. With TLS 1.3, which encrypts them: after the whole first flight."""

    def effect(self) -> Effect:
        """Return the effect that cuts the first flight and resets."""
        return _ResetAfterCertificate()


class _ResetAfterCertificate(Effect):
    def __init__(self) -> None:
        self._flight_sent = False

    def sent(self, data: bytes) -> bytes:
        if self._flight_sent:
            return b""
        self._flight_sent = True
        asyncio.get_running_loop().call_soon(self.link.wire.reset)
        return data[: _after_certificate(data)]


def _after_certificate(flight: bytes) -> int:
    """Return the end of the record with the Certificate message; the flight's length if there is no such record."""
    start = 0
    while start + _RECORD_HEADER < len(flight):
        end = start + _RECORD_HEADER + int.from_bytes(flight[start + 3 : start + _RECORD_HEADER], "big")
        if flight[start] == _HANDSHAKE and flight[start + _RECORD_HEADER] == _CERTIFICATE:
            return end
        start = end
    return len(flight)
