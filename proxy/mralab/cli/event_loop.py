"""Run a command's coroutine, with its progress on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that ``make`` returns on uvloop; return its result.

    ``make`` is called once the event loop exists: Ctrl-C before that leaves no coroutine that was never awaited.
    """
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(make())


def run_with_progress(text: str, make: Callable[[Callable[[str], object]], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that ``make`` returns, and show progress: ``text``, until ``make``'s argument is called."""
    from ..show.progress import progress

    with progress(text) as line:
        return run(lambda: make(line.show))
