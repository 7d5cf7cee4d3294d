"""The two kinds of ``Control``: for a proxy in this process, and for workers, each over its channel."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..core.log.events import Event
from ..core.log.reader import Record
from ..core.log.writer import LineWriter, has_line
from ..diagnose.diagnosis import find
from ..diagnose.event_buffer import Recent
from ..diagnose.finding_json import finding_json
from ..diagnose.journal import Journal, Transaction
from ..errors import MralabError
from ..net.policy import Policy
from ..net.settings import Settings, from_message
from ..net.traffic_server import TrafficServer
from .channel import Channel
from .control import Change, Control, R, SummedStats, T
from .health import as_message
from .losses import Loss, Reports, dropped
from .queries import Query
from .recording import LARGEST_CAPTURE
from .report import report
from .workers import Replies, Workers

_RECORDED: Final = 200_000  # latest events of one proxy that diagnostic logging keeps, or up to half as many
_RECORDED_TEXT: Final = 64 << 20
_TRIES: Final = 5  # to make a policy in a thread, before it is made where nothing can change meanwhile


class LocalControl(Control):
    """One proxy in this process.

    ``proxy`` returns the proxy that runs now, ``journal`` its records. ``worker`` is the process's number. Live events
    are sent over ``channel``, or published in this process if it is None.
    """

    def __init__(
        self,
        proxy: Callable[[], TrafficServer],
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
        self._notify: Callable[[str, Any], bool] | None = channel.notify if channel is not None else None
        self._missed = 0
        self._born = self._since = time.time()
        self._before = 0  # requests before the journal was last cleared
        self._reported: tuple[int, ...] = ()
        self._stop_publishing: Callable[[], None] | None = None
        self._stop_recording: Callable[[], None] | None = None
        self._recorded_capture: Path | None = None
        self._handlers: Final[Mapping[Query, Callable[[Any], Awaitable[Any]]]] = {
            Query.PING: self._answer_ping,
            Query.PUT: self._answer_put,
            Query.TRANSACTIONS: self._answer_transactions,
            Query.LOG: self._answer_log,
            Query.FINDINGS: self._answer_findings,
            Query.LADDER: self._answer_ladder,
            Query.STATS: self._answer_stats,
            Query.WATCH: self._answer_watch,
            Query.RECORD: self._record,
            Query.RESET: self._answer_reset,
            Query.CLEAR: self._answer_clear,
            Query.REOPEN: self._answer_reopen,
        }

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._proxy().settings

    def address(self) -> tuple[str, int]:
        """Return the host and port on which the proxy listens."""
        return self._proxy().host, self._proxy().port

    def pids(self) -> dict[int, int]:
        """Return the pid of this process."""
        return {self._worker: os.getpid()}

    async def _put(self, change: Change) -> tuple[str, ...]:
        for _ in range(_TRIES):
            before = self.settings
            if (settings := change(before)) is None:
                return ()
            policy = await self.aside(Policy, settings)
            if self.settings is before:  # else a lab's discovery, or a test, has changed them meanwhile
                self._proxy().put(policy)
                return ()
        if (settings := change(self.settings)) is not None:
            self._proxy().put(settings)
        return ()

    async def _query(self, query: Query, params: Any = None, *, required: bool = False) -> Replies:
        return Replies({self._worker: await self.answer(query, params)}, ())

    async def aside(self, function: Callable[[T], R], argument: T) -> R:
        """Run a slow function in a thread; return its result."""
        return await asyncio.to_thread(function, argument)

    async def _full_journal(self) -> Journal:
        journal = self._journal()
        return await self.aside(journal.journal_of, journal.events()) if isinstance(journal, Recent) else journal

    def _publish_lines(self, event: Event) -> None:
        if not has_line(event):
            return
        for line in self._writer.format(event).splitlines():
            data = {"worker": self._worker, "line": line}
            if self._notify is None:
                self.stream.publish("log", data)
            elif not self._notify("log", data):
                self._missed += 1
            elif self._missed and self._notify("missed", {"count": self._missed}):
                self._missed = 0

    async def answer(self, name: str, params: Any) -> Any:
        """Answer one query (a ``Query``), with JSON data. Raises ``MralabError`` for an unknown name."""
        try:
            handler = self._handlers[Query(name)]
        except ValueError:
            raise MralabError(f"{name}: unknown query") from None
        return await handler(params)

    async def _answer_ping(self, _: None) -> dict[str, Any]:
        return as_message(await self._proxy().condition())

    async def _answer_put(self, message: dict[str, Any]) -> None:
        rules = self.settings.rules
        self._proxy().put(await self.aside(lambda each: Policy(from_message(each, rules)), message))

    async def _answer_transactions(self, most: int) -> dict[str, Any]:
        journal = await self._full_journal()
        transactions = journal.transactions
        items = await self.aside(lambda latest: [_transaction_json(each) for each in latest], transactions[-most:])
        return self._with_losses(items, len(transactions), journal)

    async def _answer_log(self, most: int) -> dict[str, Any]:
        journal = await self._full_journal()
        lines = journal.lines
        return self._with_losses(lines[-most:], len(lines), journal)

    async def _answer_findings(self, since: float | None) -> dict[str, Any]:
        journal = await self._full_journal()
        ip_san = self.config.verify.ip_san == "accept"
        items = await self.aside(
            lambda records: [finding_json(finding, ip_san=ip_san) for finding in find(records, with_answers=True)],
            _since(journal.records(), since),
        )
        return self._with_losses(items, len(items), journal)

    async def _answer_ladder(self, params: dict[str, Any]) -> dict[str, Any]:
        from ..diagnose.ladder import ladder  # pydantic models, which no other query needs

        journal = await self._full_journal()
        drawn = await self.aside(
            lambda records: ladder(records, most=params["most"]), _since(journal.records(), params["since"])
        )
        return {**self._identity(), "ladder": drawn.model_dump(mode="json", by_alias=True)}

    async def _answer_stats(self, _: None) -> dict[str, Any]:
        return self._report()

    async def _answer_watch(self, on: bool) -> None:
        if self._stop_publishing is not None:
            self._stop_publishing()
        self._stop_publishing = self._proxy().subscribe(self._publish_lines) if on else None

    async def _answer_reset(self, _: None) -> None:
        self._clear()
        await self._record(None)

    async def _answer_clear(self, _: None) -> None:
        self._clear()

    async def _answer_reopen(self, _: None) -> None:
        if (sink := self._proxy().sink) is not None:
            sink.reopen()

    def _clear(self) -> None:
        self._journal().clear()
        self._since, self._before = time.time(), self._proxy().stats.begun

    def report(self) -> None:
        """Send the counters to the process that started this one, if they have changed."""
        stats = self._proxy().stats
        counts = (stats.begun, stats.client_connections, sum(stats.requests.values()))
        if self._notify is not None and counts != self._reported and self._notify("report", self._report()):
            self._reported = counts

    def _report(self) -> dict[str, Any]:
        return {**self._identity(), "stats": self._proxy().stats.snapshot()}

    def _identity(self) -> dict[str, Any]:
        requests = max(0, self._proxy().stats.begun - self._before)
        return {"pid": os.getpid(), "born": self._born, "since": self._since, "requests": requests}

    def _with_losses(self, items: Sequence[Any], total: int, journal: Journal) -> dict[str, Any]:
        """Return records, with a description of those that are no longer in memory."""
        kept = self._journal()
        lost = []
        if kept.lost or kept.lost_requests:
            transactions = journal.transactions
            until = transactions[0].started if transactions else time.time()
            since = min(self._since, until)
            lost.append(dropped(self._worker, os.getpid(), since, until, kept.lost_requests, kept.lost))
        return {**self._identity(), "items": items, "total": total, "lost": lost}

    async def _record(self, capture: str | None) -> dict[str, Any]:
        """Begin a new recording, with this file for its packets, or end it; return what was recorded until now."""
        if self._stop_recording is not None:
            self._stop_recording()
        if self._recorded_capture is not None:
            await self._proxy().stop_capture(self._recorded_capture)
        events, lost = self._recorded.events(), self._recorded.lost
        self._recorded.clear()
        self._recorded_capture = Path(capture) if capture is not None else None
        take = self._recorded.take
        self._stop_recording = self._proxy().subscribe(take, take) if capture is not None else None
        if self._recorded_capture is not None:
            try:
                self._proxy().start_capture(self._recorded_capture, LARGEST_CAPTURE)
            except MralabError as error:
                report(f"diagnostic logging goes on without a capture: {error}")
        return {"lines": (await self.aside(self._recorded.journal_of, events)).lines, "lost": lost}


class WorkersControl(Control):
    """Several workers as one. Pass ``on_notification`` to ``Workers``; set ``workers`` before the first query."""

    def __init__(self, settings: Settings, address: tuple[str, int], file: Path) -> None:
        super().__init__(settings, file)
        self._settings = settings
        self._address = address
        self.count = settings.config.proxy.workers
        self.workers: Workers
        self._reports = Reports()
        self._notes: dict[int, str] = {}

    @property
    def settings(self) -> Settings:
        """The settings in force, also for a worker that starts later."""
        return self._settings

    @property
    def recorded_capture(self) -> str | None:
        """The file for the packets of the diagnostic log that runs; None if none runs."""
        return str(self._recording.capture) if self._recording is not None else None

    def address(self) -> tuple[str, int]:
        """Return the host and port on which the workers listen."""
        return self._address

    def pids(self) -> dict[int, int]:
        """Return the pid of each running worker."""
        return self.workers.pids

    def on_notification(self, number: int, name: str, params: Any) -> None:
        """Handle a notification from a worker, or its end."""
        if name == "report":
            self._reports.add(params)
            return
        if name == "ended":
            loss = self._reports.end(number, params["pid"], params["code"], params["started"], time.time())
            self._notes[number] = f"was started again: pid {params['pid']} ended with {params['code']}"
            params = {"pid": params["pid"], "ended": params["code"], "lost": loss.what}
            name = "worker"
        self.stream.publish(name, {"worker": number, **params})

    def ended(self, since: float) -> list[Loss]:
        """Return what was lost with workers that have ended since that time."""
        return self._reports.since(since)

    def worker_note(self, number: int) -> str:
        """Return a note if the worker replaces one that ended."""
        return self._notes.get(number, "")

    async def stats(self) -> SummedStats:
        """Return the sum of the latest reports, including workers that have ended or do not answer."""
        answers, _ = await self._query(Query.STATS)
        return SummedStats(self._reports.stats(), self.count, len(answers), self._reports.count)

    async def _put(self, change: Change) -> tuple[str, ...]:
        before = self._settings
        if (settings := change(before)) is None:
            return ()
        self._settings = settings
        message = settings.message(with_rules=settings.rules is not before.rules)
        return (await self.workers.query(Query.PUT, message, required=True)).silent

    async def _query(self, query: Query, params: Any = None, *, required: bool = False) -> Replies:
        queried_at = time.time()
        replies = await self.workers.query(query, params, required=required)
        for answer in replies.answers.values():
            if isinstance(answer, dict) and "born" in answer:
                self._reports.add(answer)
        if query in (Query.RESET, Query.CLEAR):
            self._reports.reset(queried_at)
            self._notes.clear()
        return replies

    async def aside(self, function: Callable[[T], R], argument: T) -> R:
        """Run a function in this thread: this process serves no traffic, and it forks, so it has no other threads."""
        return function(argument)


def _since(records: Iterable[Record], since: float | None) -> Iterator[Record]:
    """Yield the records from a time on, or all of them."""
    return (record for record in records if since is None or record.at >= since)


def _transaction_json(transaction: Transaction) -> dict[str, Any]:
    values = dataclasses.asdict(transaction)
    values["verdict"] = values.pop("outcome")
    return values
