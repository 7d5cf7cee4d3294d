"""Run a request's coroutine without a task: it resumes inside the callback that it waits for.

A task needs a future and a turn of the loop for each wait. ``Steps`` runs a coroutine at once, until it waits for a
``Source``, whose changes resume it, or for a future. Code that needs asyncio's current task (``asyncio.timeout``) must
be awaited in a separate task.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Protocol


class Source(Protocol):
    """An object that can be waited for: after a change it clears ``waiter`` and then calls its ``resume``."""

    waiter: Steps | None


Awaited = Source | asyncio.Future[Any]


@types.coroutine
def waitable(source: Source) -> Generator[Source, None, None]:
    """Wait until the source has changed. The waiter checks what has changed."""
    yield source


class Interrupted(BaseException):
    """Raised where a coroutine waits, because its work is not wanted any more. ``except Exception`` lets it through."""


class Steps:
    """Run one coroutine. ``resume`` starts it."""

    __slots__ = ("_awaited", "_coroutine", "_interruption", "_running")

    def __init__(self, coroutine: Coroutine[Awaited, None, None]) -> None:
        self._coroutine: Coroutine[Awaited, None, None] | None = coroutine
        self._awaited: Awaited | None = None
        self._interruption: BaseException | None = None
        self._running = False

    def resume(self, _: object = None) -> None:
        """Continue the coroutine. Called when the source has changed or the future is done."""
        self._awaited = None
        self._step(None)

    def interrupt(self, error: BaseException) -> None:
        """Raise ``error`` in the coroutine: now if it waits, otherwise when it waits next."""
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
        except BaseException:  # from the coroutine, for the caller of ``resume``
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
        """Stop waiting for a source or a future."""
        if isinstance(awaited, asyncio.Future):
            awaited.remove_done_callback(self.resume)
            awaited.cancel()
        elif awaited is not None:
            awaited.waiter = None
