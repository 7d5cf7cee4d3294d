"""The two ways of serving that each test is to pass in: one process or two, a connection for each request or kept ones.

``MRALAB_WORKERS=1|2`` and ``MRALAB_CONNECTIONS=per-request|keep-alive``, read here alone, say what a test's proxy is
started with where the test itself does not: a test about a mode names it, and is the same in all four runs of
``make test-modes``. With two workers a test's proxy is ``mralab serve``, a process with two more; what cannot be, is
in ``INSIDE`` with its reason, and runs in the test's own process as ever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest


def _choice(name: str, *values: str) -> str:
    value = os.environ.get(name) or values[0]
    if value not in values:
        raise pytest.UsageError(f"{name}: must be {' or '.join(values)} (is {value!r})")
    return value


WORKERS: Final = int(_choice("MRALAB_WORKERS", "1", "2"))
CONNECTIONS: Final = _choice("MRALAB_CONNECTIONS", "per-request", "keep-alive")
KEPT: Final = CONNECTIONS == "keep-alive"

TESTS: Final = Path(__file__).parent
INSIDE: Final = {
    "net/test_scenarios.py::test_a_name_that_dns_does_not_know_ends_as_with_traffic_server": (
        "the name server is a patched getaddrinfo; tests/faults/test_names.py has a real one"
    ),
    "net/test_trust.py::test_a_store_on_disk_is_read_again_while_running": (
        "asks which error is raised; tests/faults/test_life.py does the same to processes"
    ),
    "net/test_verification.py::test_what_ended_is_freed_at_once_not_when_the_garbage_collector_comes": (
        "counts the objects that are left"
    ),
    "web/test_api.py::test_reset_calls_the_functions_registered_for_it": "puts something around it, as mralab.Lab does",
    "web/test_api.py::test_health_calls_the_probes": "puts something around it, as mralab.Lab does",
    "web/test_api.py::test_health_notices_a_proxy_that_no_longer_listens": (
        "stops the proxy alone; tests/test_workers.py kills and hangs workers"
    ),
    "web/test_api.py::test_health_fails_while_the_log_is_not_written": (
        "counts what this process has lost; tests/test_workers.py does the same to two"
    ),
    "web/test_api.py::test_health_fails_while_no_connection_can_be_accepted": "acts as if accepting had failed",
    "web/test_api.py::test_health_notes_that_new_connections_wait": "each worker has its own share of the connections",
    "web/test_api.py::test_records_dropped_from_memory_are_reported": "makes that memory small",
    "web/test_api.py::test_a_report_is_sent_only_if_the_counters_changed": "listens in place of the other process",
    "web/test_api.py::test_counters_stay_when_the_proxy_stops": "stops the proxy alone",
    "faults/test_clock.py::test_time_in_the_process_steps": (
        "time.time is patched; where libfaketime is installed, the test beside it asks processes"
    ),
}
"""What runs in the test's own process with two workers as well, and why."""
BY_NATURE: Final = "those of mralab.Proxy and mralab.Lab (one process by nature), and of parts that serve nothing"


def moded(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a configuration with this run's mode where they say none."""
    return {
        **tables,
        "proxy": {"workers": WORKERS, **tables.get("proxy", {})},
        "upstream": {"connections": CONNECTIONS, **tables.get("upstream", {})},
    }


def is_inside(request: pytest.FixtureRequest) -> bool:
    """Whether a test's proxy is one in the test's own process."""
    name = f"{request.path.relative_to(TESTS).as_posix()}::{request.function.__name__}"
    return WORKERS == 1 or name in INSIDE


def summary() -> list[str]:
    """What is to be said of a run."""
    mode = f"workers = {WORKERS}, {CONNECTIONS}"
    if WORKERS == 1:
        return [mode]
    return [
        mode,
        f"in the tests' own process as ever: {BY_NATURE};",
        *(f"  {name}: {why}" for name, why in INSIDE.items()),
    ]


def complaints(stderr: str) -> str:
    """What ``mralab serve`` wrote on standard error besides warnings about its settings, which tests choose oddly."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.startswith("mralab: warning: "))
