"""Asynchronous things in synchronous code: an event loop in a thread of its own, and calls into it from any thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import uvloop

T = TypeVar("T")
START_LIMIT: Final = 30.0
"""Seconds that a start or a stop may take before it is given up."""


class LoopThread:
    """A thread that runs an event loop (uvloop) from ``__init__`` until ``stop``; nothing of it is left then."""

    def __init__(self, name: str) -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        # A daemon: a program that forgets to stop it ends all the same.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], limit: float | None = None) -> T:
        """Run a coroutine in the loop and wait for it here. It is cancelled if the wait is broken off."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(limit)
        except BaseException:  # Ctrl-C in the waiting thread, above all: nobody wants the result any more
            future.cancel()
            raise

    def stop(self) -> None:
        """Cancel what still runs, close the loop, end the thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()


class Held:
    """An asynchronous context that is entered and left in a thread of its own."""

    def __init__(self, context: AbstractAsyncContextManager[Any], name: str) -> None:
        self.thread = LoopThread(name)
        self._context = context
        try:
            self.thread.call(_enter(context), START_LIMIT)
        except BaseException:  # what did not start, for whatever reason, has nobody who could stop it
            self.thread.stop()
            raise

    def leave(self) -> None:
        """Leave the context and end the thread."""
        try:
            self.thread.call(_leave(self._context), START_LIMIT)
        finally:
            self.thread.stop()


async def _enter(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


class Done:
    """Something that is done already: ``await`` it or do not, both are right."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield

    def __repr__(self) -> str:
        return "done"


def call_in(loop: asyncio.AbstractEventLoop | None, do: Callable[[], T]) -> T:
    """Call ``do`` in the thread of ``loop`` and wait; at once if this is it, or if nothing runs (None)."""
    if loop is None or _running() is loop:
        return do()
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(do())
        except BaseException as error:  # told to the caller
            future.set_exception(error)

    loop.call_soon_threadsafe(run)
    return future.result(START_LIMIT)


async def await_in(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine that runs in ``loop``, from that loop or another."""
    if _running() is loop:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
