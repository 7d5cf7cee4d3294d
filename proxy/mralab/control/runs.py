"""Runs of scenarios in the background: one at a time, and the latest are kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import MralabError
from .run_report import RunReport

KEPT: Final = 20
"""Runs that are kept, the latest ones."""
State = Literal["running", "done", "failed"]
_log = logging.getLogger(__name__)

Stage = Literal["", "before", "after", "fixed"]
Progress = Callable[[Literal["before", "after", "fixed"]], None]
"""Called with the name of each stage when it begins: ``before``, ``after``, ``fixed``."""
Work = Callable[[str, Progress], Awaitable[RunReport]]
"""Runs the scenario of this name."""


class BusyError(MralabError):
    """A run is in progress, and only one runs at a time."""


class NotKeptError(MralabError):
    """No run with this number is kept."""


@dataclass(slots=True)
class Run:
    """One run. ``state`` ``failed`` means that it could not be completed, for the reason ``error``.

    ``stage`` is the latest that has begun. Times are in seconds since the epoch; ``ended`` is None until it ends.
    """

    id: int
    scenario: str
    started: float
    state: State = "running"
    stage: Stage = ""
    ended: float | None = None
    report: RunReport | None = None
    error: str = ""
    hint: str = ""


class Runs:
    """The runs of one lab. ``work`` runs a scenario; ``changed`` is called after each change of a run."""

    def __init__(self, work: Work, changed: Callable[[Run], None]) -> None:
        self._work = work
        self._changed = changed
        self._runs: dict[int, Run] = {}
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def kept(self) -> tuple[Run, ...]:
        """The runs that are kept, oldest first."""
        return tuple(self._runs.values())

    def get(self, number: int) -> Run:
        """Return a run. Raises ``NotKeptError``."""
        if number not in self._runs:
            kept = ", ".join(map(str, self._runs)) or "none yet"
            raise NotKeptError(
                f"run {number}: is not kept", f"the latest {KEPT} runs are kept: {kept}; POST /api/runs begins one"
            )
        return self._runs[number]

    def begin(self, scenario: str) -> Run:
        """Begin a run in the background. Raises ``BusyError`` while another one is in progress."""
        if self._task is not None and not self._task.done():
            current = self._runs[self._number]
            raise BusyError(
                f"run {current.id} ({current.scenario}) is in progress, and one runs at a time",
                f"repeat the request when GET /api/runs/{current.id} says that it is done",
            )
        self._number += 1
        run = self._runs[self._number] = Run(self._number, scenario, time.time())
        if len(self._runs) > KEPT:
            del self._runs[next(iter(self._runs))]
        self._task = asyncio.create_task(self._follow(run))
        self._changed(run)
        return run

    async def close(self) -> None:
        """Cancel the run in progress, and wait until its lab has stopped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self, run: Run) -> None:
        def stage(name: Stage) -> None:
            run.stage = name
            self._changed(run)

        try:
            run.report = await self._work(run.scenario, stage)
            run.state = "done"
        except MralabError as error:
            run.state, run.error, run.hint = "failed", error.message, error.hint
        except asyncio.CancelledError:
            run.state, run.error = "failed", "the lab was stopped"
            raise
        except Exception:  # a bug in mralab: the run says so, and its traceback is logged
            _log.exception("run %s of %s", run.id, run.scenario)
            run.state, run.error, run.hint = "failed", "a bug in mralab", "its traceback is on standard error"
        finally:
            run.ended = time.time()
            self._changed(run)
