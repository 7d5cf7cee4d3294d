"""What serves a request in the callbacks of its server's connection, without a coroutine (``short_path``)."""

from __future__ import annotations

from typing import Protocol


class Consumer(Protocol):
    """Serves a request without a body whose response arrives whole.

    On a kept connection, set ``active`` and ``consumer`` and ``send`` the request. On a new one, set ``consumer``:
    ``ready`` does the rest. If anything else happens, the connection drops the consumer, which hands over to a
    coroutine. That waits until the connection is ready or, if the request was sent, calls ``begin`` and continues as if
    it had sent it.
    """

    def ready(self) -> None:
        """Send the request: the connection is verified."""

    def receive(self, data: bytes) -> bool:
        """Take the first bytes of a response and end the exchange; if False, a coroutine waits for them instead."""

    def hand_over(self) -> None:
        """Let a coroutine wait for the response: it will have an error."""
