"""Decide which port of an address a TLS fault is about.

The lines of TLS name the server and, some of them, its address, but no port; the lines of requests have the port. The
steps are those of ``diagnosis``:

1. If all unanswered requests to the address went to one port, the fault is there. If there are none, because the log
   starts in the middle, it is at the port that was used last.
2. If requests to several ports are unanswered, the port stays undecided until one of them ends. A request that fails
   without a response from the server takes as many undecided faults as it had attempts: the most probable order. So
   does one that is sent to another address of its name. Once a single port is left, it gets the rest; that is certain
   if all other requests were answered.
3. A WARNING with Action=Continue (audit mode) does not stop its request, so no later line decides its port: the most
   recent port is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from .occurrence import Occurrence, Tie

_MOST_UNDECIDED: Final = 1_000
"""Bound for logs that never show how a request ended."""


class FaultPorts:
    """The requests to one address by port, and the TLS faults there, each counted once its port is decided."""

    def __init__(self, count: Callable[[Occurrence], object]) -> None:
        """``count`` is called with each fault once its port is decided."""
        self._count = count
        self._unanswered: Counter[int] = Counter()
        self._latest_port: int | None = None
        self._undecided: list[Occurrence] = []
        self._is_guessed = False
        """Whether the port of a fault that was undecided at the same time was the most probable one."""
        self._last_fault: dict[int | None, int] = {}
        """Port -> number of the latest record that reported a TLS fault there."""

    @property
    def undecided(self) -> Sequence[Occurrence]:
        """The faults whose port is not decided yet, each with the most probable one."""
        return self._undecided

    @property
    def _only_port(self) -> int | None:
        """The port of all unanswered requests; None if there are several ports or none."""
        return next(iter(self._unanswered)) if len(self._unanswered) == 1 else None

    def sent(self, port: int, *, is_first: bool) -> None:
        """Note an attempt of a request to connect to ``port``, its first or another."""
        if is_first:
            self._unanswered[port] += 1
        self._latest_port = port

    def ended(self, port: int) -> None:
        """Note the end of a request to ``port``. If a single port is left, decide on it for all undecided faults."""
        self._unanswered -= Counter([port])
        if (only := self._only_port) is not None:
            for fault in self._undecided:
                self.decide(fault, only, "latest-port" if self._is_guessed else "only-port")
            self._undecided.clear()

    def add(self, fault: Occurrence) -> None:
        """Add a TLS fault without a transaction: decide its port, or keep it undecided."""
        only_port = self._only_port
        fault.port = self._latest_port if only_port is None else only_port
        if only_port is not None:
            fault.tie = "only-port"
        else:
            fault.tie = "unknown-port" if fault.port is None else "latest-port"
        if fault.action == "Continue":
            self._count(fault)  # the request is answered like any other: no later line decides the port
        elif only_port is None and self._unanswered:
            self._is_guessed = self._is_guessed and bool(self._undecided)
            self._undecided.append(fault)
            if len(self._undecided) > _MOST_UNDECIDED:
                oldest = self._undecided.pop(0)
                self.decide(oldest, oldest.port, oldest.tie)
        else:
            self.decide(fault, fault.port, fault.tie)

    def decide(self, fault: Occurrence, port: int | None, tie: Tie) -> None:
        """Set the port of a fault and count it."""
        fault.port, fault.tie = port, tie
        self._last_fault[port] = max(fault.number, self._last_fault.get(port, 0))
        self._count(fault)

    def explains_failure(self, server: str, port: int | None, *, attempts: int, since: int) -> bool:
        """Return whether a TLS fault explains the failure of a request to ``server`` (name or address) and ``port``.

        ``since`` is the number of the record that sent it first. Its undecided faults, as many as its ``attempts``,
        get its port.
        """
        own = [fault for fault in self._undecided if fault.server in (server, fault.ip)]
        for fault in own[:attempts]:
            self._undecided.remove(fault)
            self._is_guessed = True
            self.decide(fault, port, "latest-port")
        return self._last_fault.get(port, -1) > since
