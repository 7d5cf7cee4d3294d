"""Health checks, each with its failure as text. Pure.

A check fails only if the program knows that something is broken now. Other useful facts are notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..net.sink import LogCondition
from ..net.traffic_server import Condition
from .report import utc_text


class Check(NamedTuple):
    """One health check. ``error`` is empty if it passed; ``note`` has details."""

    name: str
    address: str
    error: str
    note: str = ""


def as_message(condition: Condition) -> dict[str, Any]:
    """Return a process's condition as JSON data."""
    return {"log": list(condition.log), "accepting": condition.accepting, "full": condition.full}


def from_message(message: Mapping[str, Any]) -> Condition:
    """Return the condition that ``as_message`` made."""
    return Condition(LogCondition(*message["log"]), message["accepting"], full=message["full"])


def worker_checks(number: int, pid: int | None, condition: Condition | None, log: str, note: str) -> Iterator[Check]:
    """Yield the checks of one process and its log at ``log``. ``condition`` is None if it did not answer."""
    name = f"worker {number}"
    if pid is None:
        yield Check(name, "", "is being started again", note)
    elif condition is None:
        yield Check(name, f"pid {pid}", "does not answer", note)
    else:
        yield _log_check(condition.log, log)
        full = "as many connections are open as limits.connections allows: new ones wait" if condition.full else ""
        yield Check(name, f"pid {pid}", condition.accepting, "; ".join(filter(None, (note, full))))


def _log_check(log: LogCondition, where: str) -> Check:
    lost = ""
    if log.lost:
        entries = "1 entry was" if log.lost == 1 else f"{log.lost} entries were"
        lost = f"{entries} lost since the start, the last at {utc_text(log.lost_at)}"
    if log.error:
        return Check("log", where, f"{log.error}; {lost}" if lost else log.error)
    return Check("log", where, "", lost)
