"""Records missing from an answer because a worker ended or memory is limited. Pure.

An incomplete answer says so: from when, until when, from which worker, and how much if that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..core.counting import counted
from ..net.stats import GAUGES, merged
from .report import utc_text

_MOST_KEPT: Final = 64  # ended workers whose counters are kept apart for late reports; older ones are merged


class Loss(NamedTuple):
    """Records missing between two times (seconds since the epoch).

    At least ``requests`` were lost. ``entries`` are lost log entries, 0 if the number is not known.
    """

    worker: int
    pid: int
    since: float
    until: float
    requests: int
    entries: int
    what: str


def dropped(worker: int, pid: int, since: float, until: float, requests: int, entries: int) -> Loss:
    """Return the loss of a process's oldest entries and requests, discarded to stay within its memory limit."""
    oldest = "oldest log entry" if entries == 1 else f"oldest {entries} log entries"
    count = f"the {oldest} ({counted(requests, 'request')})"
    what = f"worker {worker} (pid {pid}) no longer holds {count} from {utc_text(since)} to {utc_text(until)} in memory"
    return Loss(worker, pid, since, until, requests, entries, what)


class Reports:
    """The latest report of each worker, and the losses with workers that ended.

    A report has ``pid`` and ``born`` (when the process started), ``requests`` (their number ``since`` the start or the
    last reset), and may have ``stats`` (as ``Stats.snapshot``).
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[int, float], int] = {}
        self._stats: dict[tuple[int, float], dict[str, Any]] = {}
        self._ended: dict[tuple[int, float], None] = {}
        self._merged = merged(())
        self._reset_at = 0.0
        self.count = 0
        """The number of workers that ended unexpectedly."""
        self.losses: list[Loss] = []
        """What was lost with these workers since the last reset."""

    def add(self, report: Mapping[str, Any]) -> None:
        """Store a worker's report. The counters of a worker that has ended meanwhile still count."""
        key = (report["pid"], report["born"])
        if "stats" in report:
            self._stats[key] = report["stats"]
        if key not in self._ended and report["since"] >= self._reset_at:
            self._requests[key] = report["requests"]

    def end(self, worker: int, pid: int, code: int, started: float, at: float) -> Loss:
        """Record that a worker ended with ``code``; return what is lost with it."""
        self.count += 1
        keys = [key for key in {**self._requests, **self._stats} if key[0] == pid and key not in self._ended]
        requests = sum(self._requests.pop(key, 0) for key in keys)
        self._ended.update(dict.fromkeys(keys))
        while len(self._ended) > _MOST_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            if (stats := self._stats.pop(oldest, None)) is not None:
                self._merged = merged((self._merged, _without_gauges(stats)))
        since = max(started, self._reset_at)
        known = f"at least {counted(requests, 'request')}" if requests else "how many requests is not known"
        what = (
            f"worker {worker} (pid {pid}) ended with {code}: its requests, log entries and findings from "
            f"{utc_text(since)} to {utc_text(at)} are not in this answer ({known}); see the log file"
        )
        loss = Loss(worker, pid, since, at, requests, 0, what)
        self.losses.append(loss)
        return loss

    def reset(self, at: float) -> None:
        """Discard the losses before ``at``. The counters of ``/metrics`` continue."""
        self._reset_at = at
        self.losses.clear()
        self._requests.clear()

    def since(self, at: float) -> list[Loss]:
        """Return the losses that extend beyond ``at``."""
        return [loss for loss in self.losses if loss.until >= at]

    def stats(self) -> dict[str, Any]:
        """Return the sum of all reports, so that no counter ever decreases. Gauges include running workers only."""
        return merged((self._merged, *self._latest()))

    def _latest(self) -> Iterator[dict[str, Any]]:
        for key, stats in self._stats.items():
            yield _without_gauges(stats) if key in self._ended else stats


def _without_gauges(stats: Mapping[str, Any]) -> dict[str, Any]:
    return {**stats, **dict.fromkeys(GAUGES, 0)}


def missing_of_recording(losses: Iterable[Loss], started: float) -> Iterator[str]:
    """Yield, as text, what is missing from a diagnostic log that was ``started`` then."""
    for loss in losses:
        since = utc_text(max(started, loss.since))
        yield (
            f"worker {loss.worker} (pid {loss.pid}) ended at {utc_text(loss.until)}; what it logged from {since} on is "
            f"not in this archive"
        )
