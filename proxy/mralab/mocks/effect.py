"""What a fault does to one connection of a mock server."""

from __future__ import annotations

from typing import Protocol

from .wire import Wire


class Link(Protocol):
    """The connection that an effect acts on. ``TlsTransport`` is one."""

    wire: Wire

    def feed(self, data: bytes) -> None:
        """Process bytes of the client without passing them to the effects again."""

    def respond(self, data: bytes) -> None:
        """Send the fault's own response and end the connection."""


class Effect:
    """Act on one connection. Each method returns the bytes to process or send. ``link`` is set before use."""

    link: Link

    def received(self, data: bytes) -> bytes:
        """Filter bytes from the client as they arrive, encrypted."""
        return data

    def sent(self, data: bytes) -> bytes:
        """Filter bytes to the client as they leave, encrypted."""
        return data

    def request(self, data: bytes) -> bytes:
        """Filter bytes from the client after decryption."""
        return data

    def response(self, data: bytes) -> bytes:
        """Filter bytes to the client before encryption."""
        return data

    def lift(self) -> None:
        """Resume a connection that is still open when its fault is lifted; process what is buffered."""

    def end(self) -> None:
        """Free what is buffered; the connection is closed."""


class RawReply(Effect):
    """Answer the client's first bytes with ``data``, unencrypted, and close."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._sent = False

    def received(self, data: bytes) -> bytes:
        """Drop the bytes; send ``data`` the first time."""
        if not self._sent:
            self._sent = True
            self.link.wire.write(self._data)
            self.link.wire.finish()
        return b""
