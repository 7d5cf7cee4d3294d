"""What an exchange needs of its client: the interface between ``exchange`` and ``client_connection``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..core.http.framing import Body, Fields


class Client(Protocol):
    """The client side of an exchange. ``ClientConnection`` is one."""

    ip: str
    port: int
    body: Body | None
    """The reader of the request's body until all of it was received."""
    paused: bool
    """The client reads more slowly than the response comes."""
    on_writable: Callable[[bool], None] | None
    """Called with True when the client takes more of the response, with False when it does not."""

    def write(self, data: bytes) -> None:
        """Send bytes, if the client is still connected."""

    def can_continue(self) -> bool:
        """Return whether the connection can serve another request after this one."""

    def truncate(self) -> None:
        """End the connection with a reset: what was sent must not be taken for a complete response."""

    def start_body(self, sink: Callable[[bytes], None], end: Callable[[Fields], None]) -> None:
        """Pass the request's body to ``sink`` as it is received, and its trailers to ``end``."""

    def pause_reading(self, writable: bool) -> None:
        """Stop reading the request's body while the server is not ``writable``."""
