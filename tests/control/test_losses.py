"""Losses with ended workers are reported, and no counter decreases."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mralab.control.losses import Reports, dropped, missing_of_recording
from mralab.net.stats import GAUGES, Stats


def report(pid: int, requests: int, *, since: float = 1.0, attempts: int = 0, still_open: int = 0) -> dict[str, Any]:
    stats = {**Stats().snapshot(), "attempts": attempts, "clients_open": still_open}
    return {"pid": pid, "born": 1.0, "since": since, "requests": requests, "stats": stats}


def test_the_loss_is_at_least_the_last_report_of_the_ended_worker() -> None:
    reports = Reports()
    reports.add(report(10, 3))
    reports.add(report(11, 4))
    reports.add(report(10, 7))
    loss = reports.end(0, 10, -9, started=1.0, at=20.0)
    assert loss[:6] == (0, 10, 1.0, 20.0, 7, 0)
    assert "worker 0 (pid 10) ended with -9" in loss.what
    assert "at least 7 requests" in loss.what
    assert "1970-01-01T00:00:01.000Z to 1970-01-01T00:00:20.000Z" in loss.what
    assert reports.losses == [loss]
    assert reports.since(20.0) == [loss]
    assert reports.since(20.1) == []


def test_the_loss_of_a_worker_without_a_report_has_no_number() -> None:
    loss = Reports().end(1, 10, 1, started=5.0, at=6.0)
    assert loss.requests == 0
    assert "how many requests is not known" in loss.what


def test_a_reset_discards_earlier_losses() -> None:
    reports = Reports()
    reports.add(report(10, 7))
    reports.add(report(11, 5))
    reports.end(1, 11, -9, started=1.0, at=9.0)
    reports.reset(10.0)
    assert reports.losses == []
    reports.add(report(10, 7))  # it has not been reset yet
    assert reports.end(0, 10, -9, started=1.0, at=20.0)[2:5] == (10.0, 20.0, 0)
    reports.add(report(12, 2, since=10.5))
    assert reports.end(0, 12, -9, started=1.0, at=30.0).requests == 2


def test_gauges_include_running_workers_only() -> None:
    reports = Reports()
    reports.add(report(10, 1, attempts=2, still_open=5))
    reports.add(report(11, 1, attempts=3, still_open=6))
    assert "clients_open" in GAUGES
    assert (reports.stats()["attempts"], reports.stats()["clients_open"]) == (5, 11)
    reports.end(0, 10, -9, 1.0, 2.0)
    assert (reports.stats()["attempts"], reports.stats()["clients_open"]) == (5, 6)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.booleans()), max_size=300))
def test_counters_never_decrease(steps: list[tuple[int, int, bool]]) -> None:
    reports, before, next_pid = Reports(), 0, 3
    pids, attempts, total = [0, 1, 2], [0, 0, 0], 0
    for worker, more, ends in steps:
        attempts[worker] += more
        total += more
        late = report(pids[worker], 1, attempts=attempts[worker])
        reports.add(late)
        if ends:
            reports.end(worker, pids[worker], -9, 1.0, 2.0)
            if more % 2:
                reports.add(late)  # an answer that was under way
            pids[worker], attempts[worker], next_pid = next_pid, 0, next_pid + 1
        now = reports.stats()["attempts"]
        assert now >= before
        assert now == total
        before = now


def test_a_diagnostic_log_lists_what_is_missing() -> None:
    reports = Reports()
    loss = reports.end(1, 10, -9, started=1.0, at=20.0)
    assert list(missing_of_recording([loss], 5.0)) == [
        "worker 1 (pid 10) ended at 1970-01-01T00:00:20.000Z; what it logged from 1970-01-01T00:00:05.000Z on is "
        "not in this archive"
    ]


def test_records_dropped_from_memory_are_reported_with_their_number() -> None:
    loss = dropped(0, 10, 1.0, 2.0, 3, 15)
    assert loss[:6] == (0, 10, 1.0, 2.0, 3, 15)
    assert "the oldest 15 log entries (3 requests)" in loss.what
