"""The limits on clients: the ``[limits]`` table as running time limits.

A body, in either direction between client and proxy, must move by ``PROGRESS`` bytes (or to its end) in each
``idle_timeout``: one byte every few seconds does not keep a connection open longer than silence does. A client that
waits for the other side (back-pressure) is not held to this.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from ..config import LimitsTable
from .deadlines import Deadlines

PROGRESS: Final = 1024
_LINGER_SECONDS: Final = 2.0


class Limited(Protocol):
    """A client connection as its limits see it: each method is called when a limit has expired."""

    def silent_too_long(self) -> None:
        """End the connection: nothing was received between two requests."""

    def head_too_slow(self) -> None:
        """Answer 408: a request's head was not complete in time."""

    def body_too_slow(self) -> None:
        """Fail the request: too little of its body was received."""

    def reads_too_slowly(self) -> None:
        """End the connection: the client read too little of the response."""

    def lingered_long_enough(self) -> None:
        """Close the connection: the client had time to read the response."""


class ClientLimits:
    """The limits of all client connections of one proxy."""

    __slots__ = ("body", "head", "header_bytes", "idle", "linger", "silent", "unread")

    def __init__(self, loop: asyncio.AbstractEventLoop, table: LimitsTable) -> None:
        self.silent: Deadlines[Limited] = Deadlines(loop, 0, lambda client: client.silent_too_long())
        """Connected, but nothing received yet: the limit for heads and the idle limit both apply."""
        self.idle: Deadlines[Limited] = Deadlines(loop, 0, lambda client: client.silent_too_long())
        """Between two requests."""
        self.head: Deadlines[Limited] = Deadlines(loop, 0, lambda client: client.head_too_slow())
        """A request's head, from its first byte to its last."""
        self.body: Deadlines[Limited] = Deadlines(loop, 0, lambda client: client.body_too_slow())
        """A request's body must move."""
        self.unread: Deadlines[Limited] = Deadlines(loop, 0, lambda client: client.reads_too_slowly())
        """A response that the client reads slowly must move."""
        self.linger: Deadlines[Limited] = Deadlines(loop, _LINGER_SECONDS, lambda client: client.lingered_long_enough())
        """After the response: how long the client's bytes are still read and discarded."""
        self.apply(table)

    def apply(self, table: LimitsTable) -> None:
        """Put a table into force, also for limits that are running."""
        self.header_bytes = table.header_bytes
        self.silent.change(min(table.header_timeout, table.idle_timeout))
        self.head.change(table.header_timeout)
        for deadlines in (self.idle, self.body, self.unread):
            deadlines.change(table.idle_timeout)

    def close(self) -> None:
        """End all limits."""
        for deadlines in (self.silent, self.idle, self.head, self.body, self.unread, self.linger):
            deadlines.close()
