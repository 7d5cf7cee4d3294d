"""Count what one process of the proxy does: plain counters on the hot path, snapshots for readers.

Counting a request must cost almost nothing, so these are attributes and lists; ``/metrics`` renders snapshots.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from ..core.outcome import Outcome

LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DELAY_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SAMPLE_SECONDS: Final = 0.25
_SUMMED: Final = (
    "attempts",
    "pool_hits",
    "planned",
    "client_connections",
    "clients_open",
    "clients_refused",
    "server_connections",
    "servers_open",
    "servers_idle",
    "client_bytes_in",
    "client_bytes_out",
    "server_bytes_in",
    "server_bytes_out",
    "responses_cut",
    "log_written",
    "log_lost",
)
GAUGES: Final = ("clients_open", "servers_open", "servers_idle")
"""Current values; all others only grow."""
_MEASURED: Final = ("latency", "loop_delay")


class Histogram:
    """How often a measured number of seconds fell below each of ``bounds``, or above them all (the last count)."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one measurement."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Stats:
    """Counters of one process, all since its start. Names as in ``snapshot``.

    ``requests`` counts by (status, outcome): the status sent, 0 if the client was gone before. ``handshakes`` counts
    TLS handshakes with servers: ``verified``, ``unverified``, ``tolerated``, ``refused``, ``failed``.
    ``clients_refused`` are connections that could not be accepted because descriptors or memory ran out;
    ``responses_cut`` those that ended in the middle of a body. ``planned`` are requests served by the short path.
    """

    def __init__(self) -> None:
        self.begun = 0
        """Transactions begun, which is also the latest transaction's number; not in ``snapshot``."""
        self.requests: Counter[tuple[int, Outcome]] = Counter()
        self.handshakes: Counter[str] = Counter()
        self.latency = Histogram(LATENCY_BOUNDS)
        self.loop_delay = Histogram(DELAY_BOUNDS)
        self.attempts = 0
        self.pool_hits = 0
        self.planned = 0
        self.client_connections = 0
        self.clients_open = 0
        self.clients_refused = 0
        self.server_connections = 0
        self.servers_open = 0
        self.servers_idle = 0
        self.client_bytes_in = 0
        self.client_bytes_out = 0
        self.server_bytes_in = 0
        self.server_bytes_out = 0
        self.responses_cut = 0
        self.log_written = 0
        self.log_lost = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def served(self, status: int, outcome: Outcome, seconds: float) -> None:
        """Count one finished request."""
        self.requests[status, outcome] += 1
        latency = self.latency
        latency.counts[bisect_left(LATENCY_BOUNDS, seconds)] += 1  # ``observe``, without its call
        latency.total += seconds

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Measure, four times a second, how late the loop runs its timers: ``loop_delay``."""
        self._due = loop.time() + _SAMPLE_SECONDS
        self._timer = loop.call_later(_SAMPLE_SECONDS, self._sample, loop)

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop_delay.observe(max(0.0, loop.time() - self._due))
        self.watch(loop)

    def close(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def snapshot(self) -> dict[str, Any]:
        """Return all numbers as JSON data: ``requests`` is a list of [status, outcome, count]."""
        numbers: dict[str, Any] = {name: getattr(self, name) for name in _SUMMED}
        numbers["requests"] = [[status, outcome, count] for (status, outcome), count in self.requests.items()]
        numbers["handshakes"] = dict(self.handshakes)
        for name in _MEASURED:
            histogram: Histogram = getattr(self, name)
            numbers[name] = {
                "bounds": list(histogram.bounds),
                "counts": list(histogram.counts),
                "total": histogram.total,
            }
        return numbers


def merged(snapshots: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of several processes' snapshots, in the same form. Without snapshots, all numbers are 0."""
    whole = Stats().snapshot()
    requests: Counter[tuple[int, str]] = Counter()
    handshakes: Counter[str] = Counter()
    for snapshot in snapshots:
        for name in _SUMMED:
            whole[name] += snapshot[name]
        for status, outcome, count in snapshot["requests"]:
            requests[status, outcome] += count
        handshakes.update(snapshot["handshakes"])
        for name in _MEASURED:
            into = whole[name]
            into["counts"] = [a + b for a, b in zip(into["counts"], snapshot[name]["counts"], strict=True)]
            into["total"] += snapshot[name]["total"]
    whole["requests"] = [[status, outcome, count] for (status, outcome), count in requests.items()]
    whole["handshakes"] = dict(handshakes)
    return whole
