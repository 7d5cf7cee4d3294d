"""Run a command's coroutine, with a status line on a terminal."""

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


def run_with_status(text: str, make: Callable[[Callable[[str], object]], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that ``make`` returns. Calling ``make``'s argument changes the status line, ``text`` at first.

    The line is on standard error, and only if that is a terminal.
    """
    from ..show import terminal

    console = terminal.console(stderr=True)
    if not console.is_terminal:
        return run(lambda: make(lambda _: None))
    with console.status(text) as status:
        return run(lambda: make(status.update))
