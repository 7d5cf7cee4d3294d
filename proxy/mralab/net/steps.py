"""A request's coroutine without a task: it goes on inside the call that brings what it waits for.

A task takes a turn of the loop for whatever it waits for, and a future for each. ``Steps`` runs a coroutine at once as
far as it gets. What it then waits for is a ``Source``, whose news let it go on, or a future. What asks asyncio for the
current task (``asyncio.timeout``) must be awaited in a task of its own.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Protocol


class Source(Protocol):
    """Something that can be waited for: after a change it clears ``waiter`` and then calls its ``resume``."""

    waiter: Steps | None


Awaited = Source | asyncio.Future[Any]


@types.coroutine
def waitable(source: Source) -> Generator[Source, None, None]:
    """Wait until something has changed there; what, and whether it is enough, is for the waiter to see."""
    yield source


class Steps:
    """Runs one coroutine; ``resume`` begins."""

    __slots__ = ("_awaited", "_coroutine", "_interruption", "_running")

    def __init__(self, coroutine: Coroutine[Awaited, None, None]) -> None:
        self._coroutine: Coroutine[Awaited, None, None] | None = coroutine
        self._awaited: Awaited | None = None
        self._interruption: BaseException | None = None
        self._running = False

    def resume(self, _: object = None) -> None:
        """What it waited for is there."""
        self._awaited = None
        self._step(None)

    def interrupt(self, error: BaseException) -> None:
        """Raise ``error`` where it waits, now; while it runs, where it waits next."""
        if self._running:
            self._interruption = error
        elif self._coroutine is not None:
            self._leave(self._awaited)
            self._step(error)

    def _step(self, error: BaseException | None) -> None:
        run = self._coroutine
        if run is None:
            return
        self._running = True
        try:
            awaited = run.send(None) if error is None else run.throw(error)
            while self._interruption is not None:
                self._leave(awaited)
                error, self._interruption = self._interruption, None
                awaited = run.throw(error)
        except StopIteration:
            self._coroutine = None
            return
        except BaseException:  # its own, told to whoever let it go on
            self._coroutine = None
            raise
        finally:
            self._running = False
        self._awaited = awaited
        if isinstance(awaited, asyncio.Future):
            awaited.add_done_callback(self.resume)
        else:
            awaited.waiter = self

    def _leave(self, awaited: Awaited | None) -> None:
        """It waits for this no longer."""
        if isinstance(awaited, asyncio.Future):
            awaited.remove_done_callback(self.resume)
            awaited.cancel()
        elif awaited is not None:
            awaited.waiter = None
