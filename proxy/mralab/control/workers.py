"""Start, query, replace and stop several processes on one listening socket.

Workers are forked only while nothing else runs: before there is an event loop, and later (after a crash) between two
runs of it, in a process without threads. Each worker has a channel to this process. If this process ends in any way,
the channels close; the workers then finish their requests and end as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import uvloop

from ..errors import MralabError
from .channel import Channel, ChannelError, open_channel
from .report import report

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_CRASH_PAUSE: Final = 0.5  # seconds before a crashed worker is started again, so that it cannot use the whole CPU
_ANSWER_LIMIT: Final = 2.0  # seconds
_START_LIMIT: Final = 30.0
_END_LIMIT: Final = 17.0  # seconds: a proxy finishes its requests for 10 and writes its log for 5

Work = Callable[[int, socket.socket], Coroutine[Any, Any, int]]


class StartError(MralabError):
    """A worker cannot start, for the reason that it gave."""


class Replies(NamedTuple):
    """The workers' answers by number, and a text for each worker that did not answer in time."""

    answers: dict[int, Any]
    silent: tuple[str, ...]


class _Worker:
    """One process: its number, its pid, and the channel to it."""

    def __init__(self, number: int, pid: int, sock: socket.socket) -> None:
        self.number = number
        self.pid = pid
        self.sock = sock
        self.started = time.time()
        self.channel: Channel | None = None
        self.ready = False
        self.failure: StartError | None = None

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"


class Workers:
    """``count`` processes that run ``work(number, channel_socket)``, each in its own event loop.

    ``work`` returns the process's exit code. It sends the notification ``"ready"`` once it serves, or ``"failed"`` with
    the reason (message, hint). ``keep`` are the other descriptors that it needs. ``on_notification(number, name,
    params)`` is called with all others, and with ``"ended"`` (pid, code, started) if a worker ends unexpectedly.
    """

    def __init__(
        self, count: int, work: Work, keep: tuple[int, ...], on_notification: Callable[[int, str, Any], None]
    ) -> None:
        self._count = count
        self._work = work
        self._keep = keep
        self._on_notification = on_notification
        self._workers: dict[int, _Worker] = {}
        self._missing: set[int] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._replacements: set[asyncio.Task[None]] = set()
        self._failure: StartError | None = None
        self._started = False
        self._stopping = False

    def run(self, main: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Start the workers, run ``main`` beside them and return its result. Call before any loop or thread exists."""
        for number in range(self._count):
            self._fork(number)
        with asyncio.Runner() as runner:
            task = runner.get_loop().create_task(main())
            task.add_done_callback(lambda _: self._wake())
            while runner.run(self._run_loop(task)):
                for number in sorted(self._missing):
                    self._fork(number)
                self._missing.clear()
            return task.result()

    async def ready(self) -> None:
        """Wait until every worker serves. Raises ``StartError`` with a worker's own reason if it cannot."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_LIMIT):
                await self._until(lambda: self._failure is not None or not self._unready())
        if self._failure is not None:
            raise self._failure
        if unready := self._unready():
            raise StartError(f"{', '.join(unready)}: not ready after {_START_LIMIT:.0f} s")
        self._started = True

    @property
    def pids(self) -> dict[int, int]:
        """The pids of the running workers, by number."""
        return {worker.number: worker.pid for worker in self._workers.values()}

    async def query(self, name: str, params: Any = None, *, required: bool = False) -> Replies:
        """Query every worker. One that does not answer within two seconds is in ``silent``; one that ended is omitted.

        A ``required`` query also reaches a worker that does not read now, when it reads again.
        """
        await self._until(lambda: all(worker.channel is not None for worker in self._workers.values()))
        queried = [(worker, worker.channel) for worker in self._workers.values() if worker.channel is not None]
        results = await asyncio.gather(
            *(channel.request(name, params, seconds=_ANSWER_LIMIT, required=required) for _, channel in queried),
            return_exceptions=True,
        )
        answers: dict[int, Any] = {}
        silent: list[str] = []
        for (worker, channel), result in zip(queried, results, strict=True):
            if isinstance(result, TimeoutError):
                silent.append(f"{worker}: no answer within {_ANSWER_LIMIT:.0f} s")
            elif isinstance(result, ChannelError):
                if not channel.closed.is_set():
                    silent.append(f"{worker}: {result.message}")
            elif isinstance(result, BaseException):
                raise result
            else:
                answers[worker.number] = result
        return Replies(answers, tuple(silent))

    async def stop(self) -> None:
        """Stop the workers with SIGTERM. Report and kill a worker that has not ended in time."""
        self._stopping = True
        self._kill(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_LIMIT):
                await self._until(lambda: not self._workers)
        for worker in self._workers.values():
            report(f"{worker} did not end within {_END_LIMIT:.0f} s and is killed")
        self._kill(signal.SIGKILL)
        await self._until(lambda: not self._workers)

    # -- internals

    async def _run_loop(self, task: asyncio.Task[int]) -> bool:
        """Run the loop until workers must be forked (return True) or ``task`` is done (return False)."""
        for worker in self._workers.values():
            if worker.channel is None:
                worker.channel = await open_channel(worker.sock, _refuse_queries, self._notification_handler(worker))
        self._wake()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        self._reap()  # for workers that ended before the handler was set
        await self._until(lambda: task.done() or bool(self._missing))
        return not task.done()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _unready(self) -> list[str]:
        return [str(worker) for worker in self._workers.values() if not worker.ready]

    def _kill(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, number)

    def _notification_handler(self, worker: _Worker) -> Callable[[str, Any], None]:
        def handle(name: str, params: Any) -> None:
            if name == "ready":
                worker.ready = True
                self._wake()
            elif name == "failed":
                worker.failure = StartError(params["message"], params["hint"])
            else:
                self._on_notification(worker.number, name, params)

        return handle

    def _reap(self) -> None:
        """Handle every worker that has ended."""
        for worker in self._workers.values():
            try:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
            except ChildProcessError:
                continue  # reaped already and being replaced
            if pid:
                task = asyncio.create_task(self._replace(worker, os.waitstatus_to_exitcode(status)))
                self._replacements.add(task)
                task.add_done_callback(self._replacements.discard)

    async def _replace(self, worker: _Worker, code: int) -> None:
        """Read a worker's last notifications, then start it again unless all workers are stopping."""
        if worker.channel is not None:
            await worker.channel.closed.wait()
            await worker.channel.close()
        del self._workers[worker.number]
        if self._stopping:
            self._wake()
            return
        if not self._started:
            self._failure = worker.failure or StartError(f"{worker} ended with {code} before it was ready")
            self._wake()
            return
        reason = f": {worker.failure}" if worker.failure is not None else ""
        report(f"{worker} ended with {code}{reason}; starting it again")
        self._on_notification(worker.number, "ended", {"pid": worker.pid, "code": code, "started": worker.started})
        await asyncio.sleep(_CRASH_PAUSE)
        if not self._stopping:
            self._missing.add(worker.number)
            self._wake()

    def _fork(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # the worker must not run this process's handlers
        pid = os.fork()
        if pid == 0:
            self._run_worker(number, theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        self._workers[number] = _Worker(number, pid, ours)

    def _run_worker(self, number: int, channel: socket.socket) -> NoReturn:
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            for signum in _SIGNALS:
                signal.signal(signum, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            _release_descriptors({0, 1, 2, channel.fileno(), *self._keep})
            code = uvloop.run(self._work(number, channel))
        except BaseException:  # no exception may continue in the code of the parent process
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _release_descriptors(keep: set[int]) -> None:
    """Release all inherited descriptors except ``keep``: other workers' channels, and clients of the admin port.

    Each is replaced by /dev/null, not closed: its number stays in use, so an inherited object that closes it later does
    not close a new file.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        if fd in keep or fd == null:
            continue
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is closed already
            os.fstat(fd)
            os.dup2(null, fd, inheritable=False)


async def _refuse_queries(name: str, _: Any) -> Any:
    raise ChannelError(f"{name}: this process answers no queries")
