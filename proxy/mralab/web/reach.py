"""The two ways to reach proxies: the one in this process, and those of the workers, each over its channel."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..core.events import Event
from ..core.logline import LineWriter, has_line
from ..diagnose.findings import find
from ..diagnose.journal import Journal, Served
from ..diagnose.recent import Recent
from ..errors import MralabError
from ..net.channel import Channel
from ..net.proxy import Policy, Proxy
from ..net.settings import Settings, from_message
from ..net.workers import Replies, Workers
from .control import Control, R, T

_RECORDED: Final = 200_000  # events that diagnostic logging keeps of one proxy, the latest or half as many
_RECORDED_TEXT: Final = 64 << 20


class LocalControl(Control):
    """One proxy in this process.

    ``proxy`` gives the one that runs now, ``journal`` what it has told; ``worker`` is the process's number,
    ``channel`` where it tells live events if they are for another process.
    """

    def __init__(
        self,
        proxy: Callable[[], Proxy],
        journal: Callable[[], Journal | Recent],
        file: Path | None = None,
        *,
        worker: int = 0,
        channel: Channel | None = None,
    ) -> None:
        super().__init__(proxy().settings, file)
        self._proxy = proxy
        self._journal = journal
        self._worker = worker
        self._writer = LineWriter(self.config.log.hostname, os.getpid(), debug=True)
        self._recorded = Recent(self.config.log.hostname, os.getpid(), most=_RECORDED, most_text=_RECORDED_TEXT)
        self._tell = channel.tell if channel is not None else None
        self._missed = 0
        self._stop_showing: Callable[[], None] | None = None
        self._stop_recording: Callable[[], None] | None = None

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._proxy().settings

    def address(self) -> tuple[str, int]:
        """Where the proxy listens."""
        return self._proxy().host, self._proxy().port

    def pids(self) -> dict[int, int]:
        """This process."""
        return {self._worker: os.getpid()}

    async def _put(self, settings: Settings) -> tuple[str, ...]:
        self._proxy().put(await self.aside(Policy, settings))
        return ()

    async def _ask(self, name: str, params: Any = None, *, must: bool = False) -> Replies:
        return Replies({self._worker: await self.answer(name, params)}, ())

    async def aside(self, function: Callable[[T], R], argument: T) -> R:
        """In a thread."""
        return await asyncio.to_thread(function, argument)

    async def _told(self) -> Journal:
        journal = self._journal()
        return await self.aside(journal.told, journal.events()) if isinstance(journal, Recent) else journal

    def _show(self, event: Event) -> None:
        if not has_line(event):
            return
        for line in self._writer.format(event).splitlines():
            data = {"worker": self._worker, "line": line}
            if self._tell is None:
                self.stream.publish("log", data)
            elif not self._tell("log", data):
                self._missed += 1
            elif self._missed and self._tell("missed", {"count": self._missed}):
                self._missed = 0

    async def answer(self, name: str, params: Any) -> Any:
        """Answer one question, as JSON can carry it."""
        match name:
            case "ping":
                return True
            case "put":
                rules = self.settings.rules
                self._proxy().put(await self.aside(lambda message: Policy(from_message(message, rules)), params))
            case "transactions":
                served = (await self._told()).transactions
                return {"transactions": [_served(one) for one in served[-params:]], "total": len(served)}
            case "log":
                lines = (await self._told()).lines
                return {"lines": lines[-params:], "total": len(lines)}
            case "findings":
                findings = await self.aside(find, (await self._told()).records())
                return [dataclasses.asdict(finding) for finding in findings]
            case "stats":
                return self._proxy().stats.snapshot()
            case "watch":
                if self._stop_showing is not None:
                    self._stop_showing()
                self._stop_showing = self._proxy().subscribe(self._show) if params else None
            case "record":
                return await self._record(params)
            case "reset":
                self._journal().clear()
                await self._record(False)
            case "reopen":
                if (sink := self._proxy().sink) is not None:
                    sink.reopen()
            case _:
                raise MralabError(f"{name}: is nothing that can be asked")
        return None

    async def _record(self, on: bool) -> dict[str, Any]:
        """Begin anew, or end; what was recorded until now."""
        if self._stop_recording is not None:
            self._stop_recording()
        events, lost = self._recorded.events(), self._recorded.lost
        self._recorded.clear()
        self._stop_recording = self._proxy().subscribe(self._recorded.take) if on else None
        return {"lines": (await self.aside(self._recorded.told, events)).lines, "lost": lost}


class WorkersControl(Control):
    """Several workers as one. ``hear`` is to be told what they tell; set ``workers`` before anything is asked."""

    def __init__(self, settings: Settings, address: tuple[str, int], file: Path) -> None:
        super().__init__(settings, file)
        self._settings = settings
        self._address = address
        self.count = settings.config.proxy.workers
        self.workers: Workers

    @property
    def settings(self) -> Settings:
        """What is in force, also for a worker that starts next."""
        return self._settings

    @property
    def recording(self) -> bool:
        """Diagnostic logging is on."""
        return self._recording is not None

    def address(self) -> tuple[str, int]:
        """Where the workers listen."""
        return self._address

    def pids(self) -> dict[int, int]:
        """The workers that run."""
        return self.workers.pids

    def hear(self, number: int, name: str, params: Any) -> None:
        """Something that a worker told."""
        self.stream.publish(name, {"worker": number, **params})

    async def _put(self, settings: Settings) -> tuple[str, ...]:
        before, self._settings = self._settings, settings
        message = settings.message(with_rules=settings.rules is not before.rules)
        return (await self.workers.ask("put", message, must=True)).silent

    async def _ask(self, name: str, params: Any = None, *, must: bool = False) -> Replies:
        return await self.workers.ask(name, params, must=must)

    async def aside(self, function: Callable[[T], R], argument: T) -> R:
        """Here and now: this process serves no traffic, and it forks, so it has no threads."""
        return function(argument)


def _served(served: Served) -> dict[str, Any]:
    values = dataclasses.asdict(served)
    values["verdict"] = values.pop("outcome")
    return values
