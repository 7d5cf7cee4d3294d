"""One class for both forms: ``async with`` runs in the current loop, ``with`` in a thread that ends with it."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

import pytest

from mralab.harness.sync_facade import LoopOrThread

NAME = "mralab-test-facade"


class Recorder(LoopOrThread):
    """Record the thread of its start and of its stop."""

    def __init__(self, error: Exception | None = None) -> None:
        self.threads: list[str] = []
        self._error = error

    def __enter__(self) -> Self:
        self._start_in_thread(NAME)
        return self

    async def _start(self) -> None:
        if self._error is not None:
            raise self._error
        self.threads.append(threading.current_thread().name)

    async def _stop(self) -> None:
        self.threads.append(threading.current_thread().name)


def running() -> bool:
    return NAME in {thread.name for thread in threading.enumerate()}


async def test_async_with_runs_in_the_current_loop() -> None:
    own = threading.current_thread().name
    async with Recorder() as recorder:
        assert recorder.threads == [own]
    assert recorder.threads == [own, own]


def test_with_runs_in_a_thread_that_ends_with_it() -> None:
    with Recorder() as recorder:
        assert running()
        assert recorder.threads == [NAME]
    assert recorder.threads == [NAME, NAME]
    assert not running()


def test_it_can_be_entered_again() -> None:
    recorder = Recorder()
    for _ in range(2):
        with recorder:
            pass
    asyncio.run(_enter(recorder))
    assert recorder.threads == [NAME] * 4 + [threading.current_thread().name] * 2


async def _enter(recorder: Recorder) -> None:
    async with recorder:
        pass


def test_a_failed_start_raises_and_leaves_no_thread() -> None:
    with pytest.raises(ValueError, match="cannot start"), Recorder(ValueError("cannot start")):
        pass
    assert not running()


def test_an_error_in_the_body_stops_it() -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="in the body"), recorder:
        raise ValueError("in the body")
    assert recorder.threads == [NAME, NAME]
    assert not running()
