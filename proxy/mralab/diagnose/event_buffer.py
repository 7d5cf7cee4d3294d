"""A buffer for the latest events of a busy proxy. A ``Journal`` is built from them on demand.

Events of repeated requests arrive in brief (``core.log.planned``) and are kept so: they are made when they are read.
"""

from __future__ import annotations

from collections import deque
from itertools import chain as chained
from typing import Final

from ..core.log.events import Event, NameMismatch, RequestReceived, RequestRejected, ResponseReceived, VerifyFailed
from ..core.log.planned import REQUEST_LINES, RESPONSE_LINES, Brief, BriefRequest, BriefResponse
from .journal import Journal

_COPIES: Final = 4  # approximate number of events that contain the head of one request or response
_FIELD: Final = 150  # bytes of a field in addition to its characters: a tuple and two strings
_MOST_CHAINS: Final = 64
_BEGINNINGS: Final = frozenset((RequestReceived, RequestRejected, ResponseReceived, BriefRequest, BriefResponse))
"""Every request has one of these among its few events, invalid requests included."""

_SIZES: Final[dict[type, int]] = {BriefRequest: REQUEST_LINES, BriefResponse: RESPONSE_LINES}
"""The number of events of those that are more than one."""


class Recent:
    """Keep the latest events: about ``most`` / 2 to ``most``, with at most about ``most_text`` characters of heads and
    bytes of chains.

    ``take`` can be a proxy's listener, also of events in brief, and takes 0.2 microseconds. ``hostname`` and ``pid`` go
    into the header of log lines.
    """

    def __init__(self, hostname: str, pid: int, *, most: int = 20_000, most_text: int = 16 << 20) -> None:
        self._hostname = hostname
        self._pid = pid
        self._most = most
        self._most_text = most_text // _COPIES
        self._events: deque[Event | Brief] = deque()
        self._count = 0
        """Number of events, with those of briefs."""
        self._text = 0
        self._chains: dict[tuple[bytes, ...], None] = {}
        """The latest chains whose size ``_text`` contains: equal ones are one object (``net.chains``)."""
        self.lost = 0
        """Number of events dropped."""
        self.lost_requests = 0
        """Number of requests among them."""

    def take(self, event: Event | Brief) -> None:
        """Add an event, or the events of a brief."""
        self._events.append(event)
        self._count += _SIZES.get(type(event), 1)
        if type(event) in _BEGINNINGS:
            self._text += _text(event)
            if self._text > self._most_text or self._count > self._most:
                self._trim()
        elif isinstance(event, VerifyFailed | NameMismatch) and event.presented not in self._chains:
            self._text += self._add_chain(event.presented)

    def events(self) -> tuple[Event, ...]:
        """Return the events, oldest first."""
        items = (item.events() if isinstance(item, Brief) else (item,) for item in self._events)
        return tuple(chained.from_iterable(items))

    def journal_of(self, events: tuple[Event, ...]) -> Journal:
        """Return a journal of ``events``. Reads no other state, so another thread may call it."""
        journal = Journal(self._hostname, self._pid, most=5 * len(events) + 1)
        for event in events:
            journal.take(event)
        return journal

    def clear(self) -> None:
        """Drop all events and reset the counters."""
        self._events.clear()
        self._chains.clear()
        self._count = self._text = self.lost = self.lost_requests = 0

    def _trim(self) -> None:
        """Drop the older half."""
        before, left = self._count, self._count // 2
        while self._count > left:
            dropped = self._events.popleft()
            self._count -= _SIZES.get(type(dropped), 1)
            self.lost_requests += isinstance(dropped, RequestReceived | BriefRequest)
        self.lost += before - self._count
        self._chains.clear()
        self._text = sum(_text(event) for event in self._events if type(event) in _BEGINNINGS)
        chains = {event.presented for event in self._events if isinstance(event, VerifyFailed | NameMismatch)}
        self._text += sum(map(self._add_chain, chains))

    def _add_chain(self, chain: tuple[bytes, ...]) -> int:
        """Note a chain and return its size."""
        if len(self._chains) >= _MOST_CHAINS:
            del self._chains[next(iter(self._chains))]
        self._chains[chain] = None
        return sum(map(len, chain)) // _COPIES


def _text(event: Event | Brief) -> int:
    """Return the number of characters in an event that come from a client or a server."""
    if isinstance(event, BriefRequest):
        return len(event.plan.received.start_line) + len(event.tracking_id)
    if isinstance(event, BriefResponse):
        return len(event.plan.received.start_line)
    if isinstance(event, RequestRejected):
        return len(event.reason)
    if not isinstance(event, RequestReceived | ResponseReceived):
        return 0
    size = len(event.start_line)
    if isinstance(event, RequestReceived):
        size += len(event.tracking_id)
    for name, value in event.headers:  # empty except at DEBUG
        size += len(name) + len(value) + _FIELD
    return size
