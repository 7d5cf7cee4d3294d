"""Capture one connection: a protocol and a transport that pass everything on, and show it to a ``Recorder``.

Not captured: an alert that ``ServerConnection`` reads from the socket itself, after an upload that the server reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from ..core.capture.conversation import Conversation
from ..core.capture.packet import Address

Ends = tuple[Address, Address]
"""Client and server of a connection, as captures show them."""


_ENDED: Final = asyncio.Protocol()


class Recorder(Protocol):
    """What a tap needs of a capture (``Capture``)."""

    def begin(self, ends: Ends) -> tuple[Conversation, Ends]:
        """Return the packets of a new connection, and its entry for ``forget``."""

    def forget(self, entry: Ends) -> None:
        """Allow another connection between the same two addresses."""

    def receiving(self) -> None:
        """Begin to process received bytes."""

    def received(self) -> None:
        """End what ``receiving`` began."""

    def packets(self, packets: list[bytes], *, confidential: bool = False) -> None:
        """Add packets, captured now. ``confidential``: they are of a client, whose connection is not encrypted."""


class Tap(asyncio.Protocol):
    """A protocol that passes everything on to another one and captures it.

    ``ends`` returns client and server of the connection as captures show them.
    """

    __slots__ = ("_capture", "_conversation", "_ends", "_entry", "_protocol", "_proxy_is_client")

    def __init__(
        self,
        protocol: asyncio.Protocol,
        capture: Recorder,
        ends: Callable[[asyncio.Transport], Ends],
        *,
        proxy_is_client: bool,
    ) -> None:
        self._protocol = protocol
        self._capture = capture
        self._ends = ends
        self._proxy_is_client = proxy_is_client
        self._conversation: Conversation | None = None
        self._entry: Ends | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Capture the TCP handshake and pass on a transport that captures what is sent."""
        plain = cast("asyncio.Transport", transport)  # uvloop's is one in all but inheritance
        try:
            ends = self._ends(plain)
        except (OSError, ValueError):  # the peer is gone already: there is nothing to capture
            self._protocol.connection_made(transport)
            return
        self._conversation, self._entry = self._capture.begin(ends)
        self._add(self._conversation.open())
        self._protocol.connection_made(_TappedTransport(plain, self))

    def data_received(self, data: bytes) -> None:
        """Capture bytes from the peer, then process them."""
        conversation, capture = self._conversation, self._capture
        if conversation is None:
            self._protocol.data_received(data)
            return
        capture.receiving()
        self._add(conversation.data(data, from_client=not self._proxy_is_client))
        try:
            self._protocol.data_received(data)
        finally:
            capture.received()

    def eof_received(self) -> bool | None:
        """Capture the peer's FIN."""
        if self._conversation is not None:
            self._add(self._conversation.fin(from_client=not self._proxy_is_client))
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Capture how the connection ended, as far as that was not seen already."""
        conversation = self._conversation
        if conversation is not None:
            if isinstance(exc, ConnectionError):
                self._add(conversation.reset(from_client=not self._proxy_is_client))
            elif not conversation.finished(from_client=self._proxy_is_client):
                self.closed()
        if self._entry is not None:
            self._capture.forget(self._entry)
        protocol, self._protocol = self._protocol, _ENDED  # else both would wait for the garbage collector
        protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()

    def _add(self, packets: list[bytes]) -> None:
        self._capture.packets(packets, confidential=not self._proxy_is_client)

    def sent(self, data: bytes) -> None:
        """Capture bytes that the proxy sends. They are captured when the transport takes them."""
        if self._conversation is not None:
            self._add(self._conversation.data(data, from_client=self._proxy_is_client))

    def closed(self) -> None:
        """Capture the proxy's FIN."""
        if self._conversation is not None:
            self._add(self._conversation.fin(from_client=self._proxy_is_client))

    def aborted(self) -> None:
        """Capture the proxy's RST: the connection ended before its streams did."""
        if self._conversation is not None:
            self._add(self._conversation.reset(from_client=self._proxy_is_client))


class _TappedTransport(asyncio.Transport):
    """A transport that captures what is written to it."""

    __slots__ = ("_tap", "_transport")

    def __init__(self, transport: asyncio.Transport, tap: Tap) -> None:
        super().__init__()
        self._transport = transport
        self._tap = tap

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._transport.is_closing():
            self._tap.sent(bytes(data))
        self._transport.write(data)

    def write_eof(self) -> None:
        self._tap.closed()
        self._transport.write_eof()

    def close(self) -> None:
        if not self._transport.is_closing():
            self._tap.closed()
        self._transport.close()

    def abort(self) -> None:
        self._tap.aborted()
        self._transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)
