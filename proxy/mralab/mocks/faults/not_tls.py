"""Fault: a port without TLS."""

from __future__ import annotations

from dataclasses import dataclass

from ..effect import Effect, RawReply
from .registry import Fault


@dataclass(frozen=True)
class NotTls(Fault):
    """Answer the ClientHello in plain text, as a server without TLS on that port does."""

    data: bytes = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"

    def effect(self) -> Effect:
        """Return the effect that sends ``data``."""
        return RawReply(self.data)
