"""What an answer about the past does not hold, because a worker ended or memory is limited. Pure.

An answer that lacks something says so: from when, until when, of whom, and how much as far as it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ..net.stats import GAUGES, merged

_MOST_KEPT: Final = 64  # ended workers whose numbers are kept apart: no late answer comes from an older one


class Loss(NamedTuple):
    """What is missing between two times (seconds since the epoch).

    ``requests`` were lost at least; ``entries`` of the log, where that is known, else 0.
    """

    worker: int
    pid: int
    since: float
    until: float
    requests: int
    entries: int
    what: str


def dropped(worker: int, pid: int, since: float, until: float, requests: int, entries: int) -> Loss:
    """The oldest entries and requests that a process no longer holds, because it keeps only so many in memory."""
    count = f"the oldest {entries} log entries ({requests} requests)"
    what = f"worker {worker} (pid {pid}) no longer holds {count} from {_stamp(since)} to {_stamp(until)} in memory"
    return Loss(worker, pid, since, until, requests, entries, what)


class Reports:
    """What each worker last reported of itself, and what those that ended took along.

    A report has ``pid`` and ``born`` (when that process began), ``requests`` (how many came ``since`` then, or since it
    was last reset), and may have ``stats`` (as ``Stats.snapshot``).
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[int, float], int] = {}
        self._stats: dict[tuple[int, float], dict[str, Any]] = {}
        self._ended: dict[tuple[int, float], None] = {}
        self._gone = merged(())
        self._reset_at = 0.0
        self.count = 0
        """Workers that ended before their time."""
        self.losses: list[Loss] = []
        """What they took along, since the last reset."""

    def hear(self, report: Mapping[str, Any]) -> None:
        """Take a worker's report. One of a worker that has ended meanwhile still counts."""
        key = (report["pid"], report["born"])
        if "stats" in report:
            self._stats[key] = report["stats"]
        if key not in self._ended and report["since"] >= self._reset_at:
            self._requests[key] = report["requests"]

    def end(self, worker: int, pid: int, code: int, started: float, at: float) -> Loss:
        """Note that a worker ended with ``code``; return what is lost with it."""
        self.count += 1
        mine = [key for key in {**self._requests, **self._stats} if key[0] == pid and key not in self._ended]
        requests = sum(self._requests.pop(key, 0) for key in mine)
        self._ended.update(dict.fromkeys(mine))
        while len(self._ended) > _MOST_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            if (stats := self._stats.pop(oldest, None)) is not None:
                self._gone = merged((self._gone, _without_gauges(stats)))
        since = max(started, self._reset_at)
        known = f"at least {requests} requests" if requests else "how many requests is not known"
        what = (
            f"worker {worker} (pid {pid}) ended with {code}: its requests, log entries and findings from "
            f"{_stamp(since)} to {_stamp(at)} are not in this answer ({known}); see the log file"
        )
        loss = Loss(worker, pid, since, at, requests, 0, what)
        self.losses.append(loss)
        return loss

    def reset(self, at: float) -> None:
        """Forget what was lost: everything before is to be forgotten. Counters of ``/metrics`` go on."""
        self._reset_at = at
        self.losses.clear()
        self._requests.clear()

    def since(self, at: float) -> list[Loss]:
        """What ended workers took along that reaches beyond ``at``."""
        return [loss for loss in self.losses if loss.until >= at]

    def stats(self) -> dict[str, Any]:
        """The sum of all that was reported, so that no counter ever goes backwards. Gauges are those of the living."""
        return merged((self._gone, *self._latest()))

    def _latest(self) -> Iterator[dict[str, Any]]:
        for key, stats in self._stats.items():
            yield _without_gauges(stats) if key in self._ended else stats


def _without_gauges(stats: Mapping[str, Any]) -> dict[str, Any]:
    return {**stats, **dict.fromkeys(GAUGES, 0)}


def missing_of_recording(losses: Iterable[Loss], started: float) -> Iterator[str]:
    """What a diagnostic log that was ``started`` then does not hold, in words."""
    for loss in losses:
        since = _stamp(max(started, loss.since))
        yield (
            f"worker {loss.worker} (pid {loss.pid}) ended at {_stamp(loss.until)}; what it logged from {since} on is "
            f"not in this archive"
        )


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
