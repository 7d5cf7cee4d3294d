"""``GET /metrics``: the proxy's counters in Prometheus' text format."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_COUNTERS: Final = {
    "attempts": ("mralab_attempts", "Attempts to send a request to a server"),
    "pool_hits": ("mralab_pool_hits", "Requests sent on a pooled connection"),
    "planned": ("mralab_requests_planned", "Requests served by the plan of an earlier one with the same head"),
    "client_connections": ("mralab_client_connections", "Client connections accepted"),
    "clients_refused": (
        "mralab_client_connections_refused",
        "Client connections refused for lack of file descriptors",
    ),
    "server_connections": ("mralab_server_connections", "Connections opened to servers"),
    "responses_cut": ("mralab_responses_cut", "Responses that ended in the middle of a body"),
    "log_written": ("mralab_log_entries_written", "Log entries written"),
    "log_lost": ("mralab_log_entries_lost", "Log entries that could not be written"),
}
_GAUGES: Final = {
    "clients_open": ("mralab_client_connections_open", "Client connections open"),
    "servers_open": ("mralab_server_connections_open", "Server connections open"),
    "servers_idle": ("mralab_pool_idle_connections", "Idle verified server connections"),
}
_BYTES: Final = (
    ("client", "in", "client_bytes_in"),
    ("client", "out", "client_bytes_out"),
    ("server", "in", "server_bytes_in"),
    ("server", "out", "server_bytes_out"),
)
_HISTOGRAMS: Final = {
    "latency": ("mralab_request_duration_seconds", "From a request's head to the end of its response"),
    "loop_delay": ("mralab_loop_delay_seconds", "Delay of the event loop behind its schedule"),
}


def exposition(snapshot: dict[str, Any], workers: int, up: int, ended: int = 0) -> bytes:
    """Return a snapshot of ``net.stats`` as text.

    ``up`` of ``workers`` processes answered. ``ended`` is the number of processes that ended and were replaced.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(snapshot, workers, up, ended))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, snapshot: dict[str, Any], workers: int, up: int, ended: int) -> None:
        self._numbers = snapshot
        self._workers = workers
        self._up = up
        self._ended = ended

    def collect(self) -> Iterator[Metric]:
        """Return the metric families."""
        numbers = self._numbers
        requests = CounterMetricFamily(
            "mralab_requests", "Finished requests by status sent and verdict", labels=["status", "verdict"]
        )
        for status, verdict, count in numbers["requests"]:
            requests.add_metric([str(status), verdict], count)
        yield requests
        handshakes = CounterMetricFamily("mralab_handshakes", "TLS handshakes with servers", labels=["result"])
        for result, count in numbers["handshakes"].items():
            handshakes.add_metric([result], count)
        yield handshakes
        moved = CounterMetricFamily("mralab_bytes", "Bytes received and sent", labels=["side", "direction"])
        for side, direction, name in _BYTES:
            moved.add_metric([side, direction], numbers[name])
        yield moved
        for name, (metric, text) in _COUNTERS.items():
            yield CounterMetricFamily(metric, text, value=numbers[name])
        for name, (metric, text) in _GAUGES.items():
            yield GaugeMetricFamily(metric, text, value=numbers[name])
        yield GaugeMetricFamily("mralab_workers", "Configured number of processes", value=self._workers)
        yield GaugeMetricFamily(
            "mralab_workers_up",
            "Processes that answered; for any other, its last report is counted",
            value=self._up,
        )
        yield CounterMetricFamily(
            "mralab_workers_ended",
            "Processes that ended and were replaced; their counts after their last report are lost",
            value=self._ended,
        )
        for name, (metric, text) in _HISTOGRAMS.items():
            measured = numbers[name]
            bounds = [*(repr(bound) for bound in measured["bounds"]), "+Inf"]
            buckets = list(zip(bounds, itertools.accumulate(measured["counts"]), strict=True))
            yield HistogramMetricFamily(metric, text, buckets=buckets, sum_value=measured["total"])
