"""Query and change running proxies: one in this process, or several workers as one.

The control API works on a ``Control``. Its two subclasses differ only in how they reach a proxy: each query goes to
every proxy's ``answer``, directly or over a worker's channel, and the answers are merged.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..config import CombinationError, Config, changed_values, from_mapping, live_names, load, split_change
from ..core.hostport import host_port
from ..core.nearest import did_you_mean
from ..core.tls.fingerprint import fingerprint
from ..diagnose.archive import Recording, pack
from ..errors import ConfigError, InputError, MralabError
from ..net.settings import Settings, as_started, load_settings, newly_empty, only_at_start, warnings
from ..net.stats import merged
from ..tcp import connected
from ..tls.trust_store import TrustStore
from .event_stream import Stream
from .health import Check, from_message, worker_checks
from .losses import Loss, missing_of_recording
from .merge import merge_findings, merge_ladders, merge_lines, merge_transactions
from .queries import Query
from .recording import RunningRecording
from .report import report
from .workers import Replies

if TYPE_CHECKING:
    from .lab_interface import LabInterface

_PROBE_LIMIT: Final = 2.0
_MOST_VALUES: Final = 100  # in an event: a reload may change thousands of hosts
_ELSEWHERE: Final = {
    "hosts": "cannot be changed here; PUT and DELETE /api/hosts/NAME change hosts",
    "trust": "cannot be changed here; POST and DELETE /api/trust change the trust store",
}
"""Tables that have routes of their own -> what a change of the configuration says of them."""

T = TypeVar("T")
R = TypeVar("R")
Change = Callable[[Settings], Settings | None]
"""Return new settings, made from those in force; None: nothing is to be changed."""


class UnusableError(InputError):
    """A well-formed setting is unusable: a cipher string unknown to OpenSSL, a damaged certificate."""


class NotRecordingError(MralabError):
    """Diagnostic logging cannot stop because it was not started."""


class NotListedError(MralabError):
    """The configuration has no such host."""


class SilentError(MralabError):
    """A change is in force, but not every worker has confirmed it."""


class Records(NamedTuple):
    """Transactions, findings or log lines from every proxy: ``items``, the latest of ``total``.

    ``silent`` are the workers that did not answer, ``lost`` is what is missing.
    """

    items: list[Any]
    total: int
    silent: tuple[str, ...]
    lost: list[Loss]


class SummedStats(NamedTuple):
    """``stats``, as ``Stats.snapshot``, summed over ``workers`` processes and ``ended`` ones that they replaced.

    ``answered`` of the ``workers`` answered.
    """

    stats: dict[str, Any]
    workers: int
    answered: int
    ended: int


class Control(ABC):
    """Queries and changes of running proxies. ``file`` is the configuration that ``reload`` reads.

    ``health`` calls ``probes``, each under its name and address; one that fails raises.
    """

    def __init__(self, started: Settings, file: Path | None = None) -> None:
        self.file = file
        self.probes: dict[tuple[str, str], Callable[[], Awaitable[None]]] = {}
        self.on_reset: list[Callable[[], Awaitable[None] | None]] = []
        """Called by ``reset``, to reset other things such as a lab's faults; what they return is awaited."""
        self.lab: LabInterface | None = None
        """The lab around the proxy; None: the proxy runs alone."""
        self.stream = Stream(self._watch)
        self._at_start = started
        self._baseline = started  # what ``reset`` restores: the settings of the start or of the last reload
        self._recording: RunningRecording | None = None
        self._lock = asyncio.Lock()

    # -- how proxies are reached

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """The settings in force."""

    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Return the host and port on which the proxy listens."""

    count = 1
    """The configured number of serving processes."""

    @abstractmethod
    def pids(self) -> dict[int, int]:
        """Return the pid of each running worker."""

    @abstractmethod
    async def _put(self, change: Change) -> tuple[str, ...]:
        """Put into force what ``change`` makes of the settings in force; return the workers that have not confirmed it.

        ``change`` is called again if other code changes the settings meanwhile, so that no change is lost.
        """

    @abstractmethod
    async def _query(self, query: Query, params: Any = None, *, required: bool = False) -> Replies:
        """Query every proxy."""

    @abstractmethod
    async def aside(self, function: Callable[[T], R], argument: T) -> R:
        """Run a slow function without delaying traffic; return its result."""

    # -- changes

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.settings.config

    async def change(self, tables: Mapping[str, Any]) -> None:
        """Change live keys of the configuration from the next request on.

        Raises ``ConfigError`` (with all problems) or ``UnusableError`` and changes nothing. Raises ``SilentError`` if a
        worker does not confirm the change.
        """

        def change(current: Settings) -> Settings:
            changes, fixed = split_change(tables)
            problems = [f"{name}: {_ELSEWHERE.get(name, 'cannot be changed while running')}" for name in fixed]
            try:
                config = current.config.changed(**changes)
            except ConfigError as error:
                found = [problem.removeprefix("configuration: ") for problem in error.problems]
                if isinstance(error, CombinationError) and not problems and _is_valid(changes):
                    raise UnusableError(found) from None  # only the keys in force exclude it
                problems += found
            if problems:
                raise ConfigError(
                    problems,
                    f"PATCH changes {', '.join(live_names())}; a reload or a restart reads the other keys of the file",
                )
            try:
                # A change that names a file of the identity reads it again.
                is_named = {"certificate", "key"} & set(_table(tables, "upstream"))
                identity = None if is_named else current.identity
                return load_settings(config, current.store, current.rules, identity)
            except ConfigError as error:
                raise UnusableError(error.problems) from None

        await self._configure(tables, change)

    def host_named(self, name: str) -> str:
        """Return the canonical name of a host of the configuration. Raises ``NotListedError``."""
        hosts = self.config.hosts
        with contextlib.suppress(ConfigError):
            (name,) = from_mapping({"hosts": {name: {"dial": "127.0.0.1"}}}).hosts
        if name not in hosts:
            raise NotListedError(
                f"{name}: is not one of the hosts{did_you_mean(name, hosts)}", "GET /api/hosts lists them; PUT adds one"
            )
        return name

    async def put_host(self, name: str, entry: Mapping[str, Any]) -> str:
        """Add a host, or replace one, from the next request on; return its canonical name.

        Raises ``UnusableError`` with every problem in ``name`` and ``entry``.
        """
        host = ""

        def change(current: Settings) -> Settings:
            nonlocal host
            try:
                (host,) = from_mapping({"hosts": {name: entry}}).hosts
                without = {key: value for key, value in current.config.hosts.items() if key != host}
                config = current.config.model_copy(update={"hosts": without}).changed(hosts={name: entry})
            except ConfigError as error:
                raise UnusableError(problem.removeprefix("configuration: ") for problem in error.problems) from None
            return current._replace(config=config)

        await self._configure(["hosts"], change)
        return host

    async def remove_host(self, name: str) -> None:
        """Remove a host from the next request on. Raises ``NotListedError``."""

        def change(current: Settings) -> Settings:
            host = self.host_named(name)
            hosts = {key: value for key, value in current.config.hosts.items() if key != host}
            return current._replace(config=current.config.model_copy(update={"hosts": hosts}))

        await self._configure(["hosts"], change)

    async def _configure(self, tables: Iterable[str], change: Callable[[Settings], Settings]) -> None:
        """Put a change of these tables into force, and publish it with the values that are new."""
        before = after = self.config

        def noted(current: Settings) -> Settings:
            nonlocal before, after
            settings = change(current)
            before, after = current.config, settings.config
            return settings

        async with self._lock:
            _require_confirmed(await self._put(noted))
            self._publish_config(tables, changed_values(before, after))

    def _publish_config(self, tables: Iterable[str], values: Mapping[str, Any]) -> None:
        first = dict(itertools.islice(values.items(), _MOST_VALUES))
        data = {"changed": sorted(tables), "values": first, "left_out": len(values) - len(first)}
        self.stream.publish("config", data)

    async def trust(self, certificates: Iterable[x509.Certificate]) -> int:
        """Add certificates to the trust store; return how many are new."""
        given = tuple(certificates)
        return await self._change_store(lambda store: store.add(given), "added")

    async def distrust(self, fingerprints: Iterable[str]) -> int:
        """Remove certificates from the trust store; return how many were in it."""
        unwanted = set(fingerprints)

        def without(store: TrustStore) -> TrustStore:
            return store.remove(c for c in store.certificates if fingerprint(c.public_bytes(Encoding.DER)) in unwanted)

        return await self._change_store(without, "removed")

    async def _change_store(self, changed: Callable[[TrustStore], TrustStore], verb: str) -> int:
        """Change the trust store; return how many certificates were added or removed, as ``verb`` says."""
        count = 0

        def change(current: Settings) -> Settings | None:
            nonlocal count
            store = changed(current.store)
            count = abs(len(store) - len(current.store))
            return current._replace(store=store) if count else None

        async with self._lock:
            _require_confirmed(await self._put(change))
            if count:
                self.stream.publish("trust", {verb: count})
        return count

    async def reset(self) -> None:
        """Restore the settings of the start or the last reload, and discard all records since."""
        async with self._lock:
            baseline = self._baseline
            late, replies = await asyncio.gather(self._put(lambda _: baseline), self._query(Query.RESET, required=True))
            if self._recording is not None:
                await self.aside(RunningRecording.discard, self._recording)
                self._recording = None
            for call in self.on_reset:
                if (pending := call()) is not None:
                    await pending
            _require_confirmed(late or replies.silent)
        self.stream.publish("reset", {})

    async def clear_journal(self) -> None:
        """Discard the requests, log lines and findings so far. The log itself, and a diagnostic log, are unchanged."""
        _require_confirmed((await self._query(Query.CLEAR, required=True)).silent)
        self.stream.publish("cleared", {})

    async def reload(self) -> None:
        """Read the file again and reopen the log. An invalid file is reported on standard error and ignored."""
        async with self._lock:
            if self.file is not None:
                try:
                    settings = await self.aside(lambda file: load_settings(load(file)), self.file)
                    if problems := newly_empty(self._baseline, settings):
                        raise ConfigError([f"{self.file}: {problem}" for problem in problems])
                except MralabError as error:
                    report(f"reload refused, the old configuration stays:\n{error}")
                else:
                    if keys := only_at_start(self._at_start, settings):
                        names = ", ".join(keys)
                        report(f"reload: {names}: changed in {self.file}, but takes effect only at the next start")
                    for text in warnings(settings):
                        report(f"warning: {text}")
                    before, self._baseline = self.config, as_started(self._at_start, settings)
                    baseline = self._baseline
                    for late in await self._put(lambda _: baseline):
                        report(f"reload: {late}; it applies the change when it responds again")
                    if values := changed_values(before, baseline.config):
                        self._publish_config({path.partition(".")[0] for path in values}, values)
            await self._query(Query.REOPEN, required=True)

    # -- queries

    def ended(self, since: float) -> list[Loss]:
        """Return what was lost with processes that have ended since that time."""
        return []

    def worker_note(self, number: int) -> str:
        """Return a note about a worker, or an empty string."""
        return ""

    async def _records(self, query: Query, params: Any, merge: Callable[[dict[int, list[Any]]], list[Any]]) -> Records:
        """Query the records of every process and merge them."""
        answers, silent = await self._query(query, params)
        items = merge({number: answer["items"] for number, answer in answers.items()})
        lost = [Loss(*loss) for answer in answers.values() for loss in answer["lost"]]
        total = sum(answer["total"] for answer in answers.values())
        return Records(items, total, silent, sorted([*self.ended(0.0), *lost], key=lambda loss: loss.since))

    async def transactions(self, most: int) -> Records:
        """Return the latest ``most`` requests in the order of their start."""
        answers = await self._records(Query.TRANSACTIONS, most, merge_transactions)
        return answers._replace(items=answers.items[-most:])

    async def log(self, most: int) -> Records:
        """Return the latest ``most`` lines of the log."""
        answers = await self._records(Query.LOG, most, lambda logs: merge_lines(logs.values()))
        return answers._replace(items=answers.items[-most:])

    async def findings(self, since: float | None = None) -> Records:
        """Return the problems found in the log, or those from a time on."""
        return await self._records(Query.FINDINGS, since, lambda found: merge_findings(found.values()))

    async def ladder(self, since: float | None, most: int) -> dict[str, Any]:
        """Return the ladder (``diagnose.ladder``) of the latest ``most`` requests of each process, from a time on.

        A step's ``finding`` is an index of the items of ``findings(since)``.
        """
        answers, _ = await self._query(Query.LADDER, {"since": since, "most": most})
        found = (await self.findings(since)).items
        return merge_ladders([answer["ladder"] for _, answer in sorted(answers.items())], found)

    async def stats(self) -> SummedStats:
        """Return the sum of the processes' counters."""
        answers, _ = await self._query(Query.STATS)
        return SummedStats(merged(answer["stats"] for answer in answers.values()), self.count, len(answers), 0)

    async def health(self) -> list[Check]:
        """Check that the proxy listens, that its processes answer and log, and that the ``probes`` succeed."""
        host, port = self.address()
        answers, _ = await self._query(Query.PING)
        pids = self.pids()
        checks = [_probe("proxy", host_port(host, port), lambda: _connect(host, port))]
        checks += [_probe(name, address, call) for (name, address), call in self.probes.items()]
        results = await asyncio.gather(*checks)
        for number in range(self.count):
            condition = from_message(answers[number]) if number in answers else None
            log, note = self._log_of(number), self.worker_note(number)
            results += worker_checks(number, pids.get(number), condition, log, note)
        return results

    def _log_of(self, number: int) -> str:
        file = self.config.log.file
        path = "standard output" if file == "-" else str(self.config.path(file))
        return path if self.count == 1 else f"{path} (worker {number})"

    # -- diagnostic logging

    async def start_recording(self) -> float:
        """Begin a new diagnostic log, replacing a running one; return its start in seconds since the epoch."""
        async with self._lock:
            previous, self._recording = self._recording, RunningRecording.begin(self.settings)
            silent = (await self._query(Query.RECORD, str(self._recording.capture), required=True)).silent
            if previous is not None:
                await self.aside(RunningRecording.discard, previous)
            _require_confirmed(silent)
            return self._recording.started

    async def stop_recording(self) -> tuple[str, bytes]:
        """Return the name and bytes of an archive of the lines since the start. Raises ``NotRecordingError``."""
        async with self._lock:
            if (running := self._recording) is None:
                raise NotRecordingError("diagnostic logging was not started", "start it first")
            self._recording = None
            answers, silent = await self._query(Query.RECORD, None, required=True)
            recording = Recording(
                self.config.log.hostname,
                time.time(),
                tuple(merge_lines(answer["lines"] for answer in answers.values())),
                sum(answer["lost"] for answer in answers.values()),
                (*silent, *missing_of_recording(self.ended(running.started), running.started)),
                await self.aside(RunningRecording.members, running),
            )
            return recording.archive_name, await self.aside(pack, recording)

    async def _watch(self, on: bool) -> None:
        await self._query(Query.WATCH, on)


def _require_confirmed(silent: tuple[str, ...]) -> None:
    if silent:
        hint = "the other workers have applied the change; a silent one applies it when it responds again"
        raise SilentError("; ".join(silent), hint)


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = tables.get(name)
    return table if isinstance(table, Mapping) else {}


async def _probe(name: str, address: str, call: Callable[[], Awaitable[None]]) -> Check:
    try:
        async with asyncio.timeout(_PROBE_LIMIT):
            await call()
    except TimeoutError:
        return Check(name, address, f"no answer within {_PROBE_LIMIT:.0f} s")
    except Exception as error:  # any failure is the result of the check
        return Check(name, address, str(error) or type(error).__name__)
    return Check(name, address, "")


def _is_valid(changes: Mapping[str, Any]) -> bool:
    """Return whether a change is valid in an otherwise empty configuration."""
    try:
        from_mapping(changes)
    except ConfigError:
        return False
    return True


async def _connect(host: str, port: int) -> None:
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    async with connected(host, port):
        pass
