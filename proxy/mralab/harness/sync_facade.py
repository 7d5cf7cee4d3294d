"""Asynchronous objects in synchronous code: an event loop in its own thread, and calls into it from any thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import uvloop

T = TypeVar("T")
START_LIMIT: Final = 30.0
"""Seconds that a start, a stop or a call may take before it fails with ``TimeoutError``."""


class LoopThread:
    """A thread that runs an event loop (uvloop) from ``__init__`` until ``stop``, which closes the loop."""

    def __init__(self, name: str) -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        # A daemon thread: a program that forgets to call ``stop`` still exits.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], limit: float | None = None) -> T:
        """Run a coroutine in the loop, wait, and return its result. It is cancelled if the wait is interrupted.

        Raises:
            TimeoutError: it takes more than ``limit`` seconds.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(limit)
        except BaseException:  # Ctrl-C in the waiting thread, above all: the result is no longer needed
            future.cancel()
            raise

    def stop(self) -> None:
        """Cancel all tasks, close the loop and end the thread."""
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


class ThreadedContext:
    """An asynchronous context manager that is entered and exited in its own thread.

    ``__init__`` enters it and raises what ``__aenter__`` raises.
    """

    def __init__(self, context: AbstractAsyncContextManager[Any], name: str) -> None:
        self.thread = LoopThread(name)
        self._context = context
        try:
            self.thread.call(_enter(context), START_LIMIT)
        except BaseException:  # the caller gets no object that it could stop
            self.thread.stop()
            raise

    def exit(self) -> None:
        """Exit the context and end the thread."""
        try:
            self.thread.call(_exit(self._context), START_LIMIT)
        finally:
            self.thread.stop()


async def _enter(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aenter__()


async def _exit(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


class LoopOrThread(ABC):
    """Base class of objects that ``async with`` runs in the current event loop, and ``with`` in their own thread.

    A subclass implements ``_start`` and ``_stop``, and ``__enter__`` by ``_start_in_thread``: one subclass returns
    itself from ``__enter__``, another a synchronous form of itself.
    """

    _thread: ThreadedContext | None = None

    @abstractmethod
    async def _start(self) -> None:
        """Start in the current loop."""

    @abstractmethod
    async def _stop(self) -> None:
        """Stop; called in the loop of ``_start``."""

    async def __aenter__(self) -> Self:
        """Start in the current loop."""
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        await self._stop()

    def _start_in_thread(self, name: str) -> ThreadedContext:
        """Start in a new thread of this name; ``__exit__`` stops it."""
        self._thread = ThreadedContext(self, name)
        return self._thread

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.exit()


class Completed:
    """An awaitable that is already complete: a caller may ``await`` it or not."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield

    def __repr__(self) -> str:
        return "done"


def call_in(loop: asyncio.AbstractEventLoop | None, function: Callable[[], T]) -> T:
    """Call ``function`` in the thread of ``loop`` and return its result; here if ``loop`` runs here or is None."""
    if loop is None or _running_loop() is loop:
        return function()
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # raised in the caller's thread
            future.set_exception(error)

    loop.call_soon_threadsafe(run)
    return future.result(START_LIMIT)


async def await_in(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in ``loop`` and return its result, from that loop or another."""
    if _running_loop() is loop:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
