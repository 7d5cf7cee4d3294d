"""What a fault can do to one connection of a mock server."""

from __future__ import annotations

from typing import Protocol

from mralab.mocks.wire import Wire


class Link(Protocol):
    """The connection that an effect acts on. ``TlsTransport`` is one."""

    wire: Wire

    def feed(self, data: bytes) -> None:
        """Process bytes of the client without asking the effects again."""

    def say(self, data: bytes) -> None:
        """Send a response of the fault's own and end the connection."""


class Effect:
    """What a fault does to one connection. Each method returns what it leaves unchanged. ``link`` is set before use."""

    link: Link

    def received(self, data: bytes) -> bytes:
        """Bytes from the client, as they come in."""
        return data

    def sent(self, data: bytes) -> bytes:
        """Bytes to the client, as they go out."""
        return data

    def request(self, data: bytes) -> bytes:
        """Bytes from the client, decrypted."""
        return data

    def answer(self, data: bytes) -> bytes:
        """Bytes to the client, before they are encrypted."""
        return data

    def lift(self) -> None:
        """The fault is lifted while this connection lives: let go of what is held."""

    def end(self) -> None:
        """The connection is gone: hold nothing."""
