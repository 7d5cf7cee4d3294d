"""Fault: an HTTP error in place of the response."""

from __future__ import annotations

import http
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...errors import MralabError
from ..effect import Effect
from .registry import Fault

if TYPE_CHECKING:
    from ..context import TlsOffer

_HEAD_END: Final = b"\r\n\r\n"
_MAX_BUFFERED: Final = 65536


@dataclass(frozen=True)
class Answer(Fault):
    """Answer the request with this status in place of the server's response."""

    status: int = 503
    reason: str = ""

    def change_offer(self, offer: TlsOffer) -> TlsOffer:
        """Return the offer unchanged, after a check of status and reason."""
        if not 200 <= self.status <= 599:
            raise MralabError(f"Answer: {self.status} is not a final HTTP status (200 to 599)")
        if not all("\x20" <= character <= "\xff" and character != "\x7f" for character in self.reason):
            raise MralabError(f"Answer: reason = {self.reason!a}: must be one line of Latin-1 characters")
        return offer

    def effect(self) -> Effect:
        """Return the effect that answers the first request."""
        known = {status.value: status.phrase for status in http.HTTPStatus}
        reason = self.reason or known.get(self.status, "")
        head = f"HTTP/1.1 {self.status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return _Answer(head.encode("latin-1"))


class _Answer(Effect):
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._head = b""
        self._sent = False

    def request(self, data: bytes) -> bytes:
        self._head = (self._head + data)[-_MAX_BUFFERED:]
        if not self._sent and _HEAD_END in self._head:
            self._sent = True
            self.link.respond(self._data)
        return b""
