"""Coroutines that resume inside the call that delivers what they wait for."""

from __future__ import annotations

import asyncio

import pytest

from mralab.net.steps import Steps, waitable


class Bell:
    """A source that rings."""

    def __init__(self) -> None:
        self.waiter: Steps | None = None

    def ring(self) -> None:
        waiter, self.waiter = self.waiter, None
        assert waiter is not None
        waiter.resume()


def test_it_resumes_at_once_and_only_after_a_change() -> None:
    seen: list[str] = []
    bell = Bell()

    async def work() -> None:
        seen.append("began")
        await waitable(bell)
        seen.append("went on")
        await waitable(bell)
        seen.append("ended")

    steps = Steps(work())
    assert seen == []
    steps.resume()
    assert seen == ["began"]
    bell.ring()
    assert seen == ["began", "went on"]
    bell.ring()
    assert seen == ["began", "went on", "ended"]
    steps.interrupt(RuntimeError("nothing receives this"))
    assert bell.waiter is None


def test_an_interruption_is_raised_where_it_waits_and_it_may_continue() -> None:
    seen: list[str] = []
    bell = Bell()

    async def work() -> None:
        try:
            await waitable(bell)
        except ValueError as error:
            seen.append(str(error))
        await waitable(bell)
        seen.append("ended")

    steps = Steps(work())
    steps.resume()
    steps.interrupt(ValueError("stop"))
    assert seen == ["stop"]
    bell.ring()
    assert seen == ["stop", "ended"]


def test_an_interruption_while_it_runs_is_raised_where_it_waits_next() -> None:
    seen: list[str] = []
    bell = Bell()

    async def work() -> None:
        steps.interrupt(ValueError("stop"))
        seen.append("still running")
        try:
            await waitable(bell)
        except ValueError as error:
            seen.append(str(error))

    steps = Steps(work())
    steps.resume()
    assert seen == ["still running", "stop"]
    assert bell.waiter is None


def test_its_exception_is_raised_in_the_call_that_resumed_it() -> None:
    bell = Bell()

    async def work() -> None:
        await waitable(bell)
        raise LookupError("its own")

    steps = Steps(work())
    steps.resume()
    with pytest.raises(LookupError, match="its own"):
        bell.ring()


async def test_it_waits_for_futures_too_and_an_interruption_cancels_them() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    ended: asyncio.Future[str] = loop.create_future()

    async def work() -> None:
        result = await first
        try:
            await second
        except asyncio.CancelledError:
            ended.set_result(result)

    steps = Steps(work())
    steps.resume()
    first.set_result("there")
    await asyncio.sleep(0)
    steps.interrupt(asyncio.CancelledError())
    assert await ended == "there"
    assert second.cancelled()
