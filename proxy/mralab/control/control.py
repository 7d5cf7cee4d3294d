"""What can be asked of running proxies, and done to them: one in this process, or several workers as if they were one.

``Control`` is what the control API works on. Its two kinds differ in how a proxy is reached, not in what is done: every
question goes to each proxy's ``answer``, directly or over a worker's channel, and the answers are merged.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ..config import Config, join_address, load
from ..diagnose.archive import Recording, pack
from ..errors import ConfigError, InputError, MralabError
from ..net.settings import Settings, as_started, load_settings, newly_empty, only_at_start, warnings
from ..net.stats import merged
from .event_stream import Stream
from .health import Check, from_message, worker_checks
from .losses import Loss, missing_of_recording
from .merge import merge_findings, merge_lines, merge_transactions
from .workers import Replies

CHANGEABLE: Final = ("release", "verify", "upstream")
"""The tables of the configuration that a running proxy changes."""
_RECORDED: Final = 100_000  # entries that diagnostic logging keeps of one worker: the latest
_PROBE_LIMIT: Final = 2.0

T = TypeVar("T")
R = TypeVar("R")


class UnusableError(InputError):
    """Well-formed, but it cannot be put into force: a cipher string OpenSSL does not know, a damaged certificate."""


class NotRecordingError(MralabError):
    """Diagnostic logging is to stop, but was not started."""


class SilentError(MralabError):
    """A change is in force, but not every worker has confirmed it."""


class Answers(NamedTuple):
    """What proxies hold of the past: ``items`` of ``total``, who did not answer, and what none of them holds."""

    items: list[Any]
    total: int
    silent: tuple[str, ...]
    lost: list[Loss]


class Counted(NamedTuple):
    """``stats`` as ``Stats.snapshot``, of ``answered`` of ``workers`` processes, and of the ``ended`` before them."""

    stats: dict[str, Any]
    workers: int
    answered: int
    ended: int


class Control(ABC):
    """``file`` is what ``reload`` reads; ``probes`` are asked by ``health``: name and address -> a call that raises."""

    def __init__(self, started: Settings, file: Path | None = None) -> None:
        self.file = file
        self.probes: dict[tuple[str, str], Callable[[], Awaitable[None]]] = {}
        self.on_reset: list[Callable[[], None]] = []
        """Called by ``reset``: what else there is to bring back, such as a lab's faults."""
        self.stream = Stream(self._watch)
        self._first = self._started = started
        self._recording: float | None = None
        self._lock = asyncio.Lock()

    # -- how proxies are reached

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """What is in force."""

    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Where the proxy listens."""

    count = 1
    """How many processes serve, or should."""

    @abstractmethod
    def pids(self) -> dict[int, int]:
        """The processes that serve, by worker."""

    @abstractmethod
    async def _put(self, settings: Settings) -> tuple[str, ...]:
        """Put settings into force; who has not confirmed it."""

    @abstractmethod
    async def _ask(self, name: str, params: Any = None, *, must: bool = False) -> Replies:
        """Ask every proxy."""

    @abstractmethod
    async def aside(self, function: Callable[[T], R], argument: T) -> R:
        """Do something long without stopping the traffic."""

    # -- what is changed

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.settings.config

    async def change(self, tables: Mapping[str, Any]) -> None:
        """Change keys of ``release``, ``verify`` and ``upstream`` from the next request on.

        Raises ``ConfigError`` (every problem at once) or ``UnusableError`` and changes nothing; ``SilentError``.
        """
        async with self._lock:
            now = self.settings
            problems = [f"{name}: cannot be changed while running" for name in tables if _is_fixed(name)]
            try:
                config = now.config.changed(**{name: value for name, value in tables.items() if not _is_fixed(name)})
            except ConfigError as error:
                problems += [problem.removeprefix("configuration: ") for problem in error.problems]
            if problems:
                raise ConfigError(problems, f"a running proxy changes {', '.join(CHANGEABLE)}; a reload reads the rest")
            try:
                named = {"certificate", "key"} & set(
                    _table(tables, "upstream")
                )  # a change that names the file reads it
                settings = load_settings(config, now.store, now.rules, None if named else now.identity)
            except ConfigError as error:
                raise UnusableError(error.problems) from None
            self._confirmed(await self._put(settings))
        self.stream.publish("config", {"changed": sorted(tables)})

    async def trust(self, certificates: Iterable[x509.Certificate]) -> int:
        """Add certificates to the trust store; how many are new."""
        async with self._lock:
            now = self.settings
            store = now.store.add(certificates)
            if added := len(store) - len(now.store):
                self._confirmed(await self._put(now._replace(store=store)))
                self.stream.publish("trust", {"added": added})
        return added

    async def distrust(self, fingerprints: Iterable[str]) -> int:
        """Take certificates out of the trust store; how many were in it."""
        gone = set(fingerprints)
        async with self._lock:
            now = self.settings
            store = now.store.remove(c for c in now.store.certificates if fingerprint(c) in gone)
            if removed := len(now.store) - len(store):
                self._confirmed(await self._put(now._replace(store=store)))
                self.stream.publish("trust", {"removed": removed})
        return removed

    async def reset(self) -> None:
        """Back to the settings it started with (or last reloaded); everything that happened since is forgotten."""
        async with self._lock:
            self._recording = None
            late, replies = await asyncio.gather(self._put(self._started), self._ask("reset", must=True))
            for call in self.on_reset:
                call()
            self._confirmed(late or replies.silent)
        self.stream.publish("reset", {})

    async def reload(self) -> None:
        """Read the file anew and reopen the log. An invalid file is told on standard error and changes nothing."""
        async with self._lock:
            if self.file is not None:
                try:
                    settings = await self.aside(lambda file: load_settings(load(file)), self.file)
                    if problems := newly_empty(self._started, settings):
                        raise ConfigError([f"{self.file}: {problem}" for problem in problems])
                except MralabError as error:
                    _say(f"reload refused, the old configuration stays:\n{error}")
                else:
                    if keys := only_at_start(self._first, settings):
                        _say(f"reload: {', '.join(keys)}: changed in {self.file}, but counts only at the next start")
                    for text in warnings(settings):
                        _say(f"warning: {text}")
                    settings = as_started(self._first, settings)
                    self._started = settings
                    for late in await self._put(settings):
                        _say(f"reload: {late}; it follows when it can")
            await self._ask("reopen", must=True)

    def _confirmed(self, silent: tuple[str, ...]) -> None:
        if silent:
            raise SilentError("; ".join(silent), "the change is in force elsewhere, and there once it answers again")

    # -- what is asked

    def ended(self, since: float) -> list[Loss]:
        """What processes that ended ``since`` then took along."""
        return []

    def worker_note(self, number: int) -> str:
        """What is worth knowing about a worker."""
        return ""

    async def _recall(self, name: str, params: Any, merge: Callable[[dict[int, list[Any]]], list[Any]]) -> Answers:
        """Ask every process for what it holds under ``name``."""
        answers, silent = await self._ask(name, params)
        items = merge({number: answer["items"] for number, answer in answers.items()})
        lost = [Loss(*loss) for answer in answers.values() for loss in answer["lost"]]
        total = sum(answer["total"] for answer in answers.values())
        return Answers(items, total, silent, sorted([*self.ended(0.0), *lost], key=lambda loss: loss.since))

    async def transactions(self, most: int) -> Answers:
        """The latest ``most`` requests in the order of their start."""
        answers = await self._recall("transactions", most, merge_transactions)
        return answers._replace(items=answers.items[-most:])

    async def log(self, most: int) -> Answers:
        """The latest ``most`` lines of the log."""
        answers = await self._recall("log", most, lambda logs: merge_lines(logs.values()))
        return answers._replace(items=answers.items[-most:])

    async def findings(self) -> Answers:
        """What the log says is wrong."""
        return await self._recall("findings", None, lambda found: merge_findings(found.values()))

    async def stats(self) -> Counted:
        """What the processes have done."""
        answers, _ = await self._ask("stats")
        return Counted(merged(answer["stats"] for answer in answers.values()), self.count, len(answers), 0)

    async def health(self) -> list[Check]:
        """Whether the proxy listens, its processes answer and log, and what is around it (``probes``) answers."""
        host, port = self.address()
        answers, _ = await self._ask("ping")
        pids = self.pids()
        checks = [_probe("proxy", join_address(host, port), lambda: _connect(host, port))]
        checks += [_probe(name, address, call) for (name, address), call in self.probes.items()]
        done = await asyncio.gather(*checks)
        for number in range(self.count):
            condition = from_message(answers[number]) if number in answers else None
            done += worker_checks(number, pids.get(number), condition, self._log_of(number), self.worker_note(number))
        return done

    def _log_of(self, number: int) -> str:
        file = self.config.log.file
        path = "standard output" if file == "-" else str(self.config.path(file))
        return path if self.count == 1 else f"{path} (worker {number})"

    # -- diagnostic logging

    async def start_recording(self) -> float:
        """Begin a new diagnostic log, in place of one that is being written; when, in seconds since the epoch."""
        async with self._lock:
            self._recording = time.time()
            silent = (await self._ask("record", True, must=True)).silent
            self._confirmed(silent)
            return self._recording

    async def stop_recording(self) -> tuple[str, bytes]:
        """The archive of the lines since the start: its name and its bytes. Raises ``NotRecordingError``."""
        async with self._lock:
            if (started := self._recording) is None:
                raise NotRecordingError("diagnostic logging was not started", "start it first")
            self._recording = None
            answers, silent = await self._ask("record", False, must=True)
            recording = Recording(
                self.config.log.hostname,
                time.time(),
                tuple(merge_lines(answer["lines"] for answer in answers.values())),
                sum(answer["lost"] for answer in answers.values()),
                (*silent, *missing_of_recording(self.ended(started), started)),
            )
            return recording.archive_name, await self.aside(pack, recording)

    async def _watch(self, on: bool) -> None:
        await self._ask("watch", on)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, as Expressway's and OpenSSL's pages write it: ``AB:CD:..``."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _is_fixed(name: str) -> bool:
    return name in Config.model_fields and name not in (*CHANGEABLE, "folder")


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = tables.get(name)
    return table if isinstance(table, Mapping) else {}


async def _probe(name: str, address: str, call: Callable[[], Awaitable[None]]) -> Check:
    try:
        async with asyncio.timeout(_PROBE_LIMIT):
            await call()
    except TimeoutError:
        return Check(name, address, f"no answer within {_PROBE_LIMIT:.0f} s")
    except Exception as error:  # whatever is wrong with it is what health tells
        return Check(name, address, str(error) or type(error).__name__)
    return Check(name, address, "")


async def _connect(host: str, port: int) -> None:
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def _say(text: str) -> None:
    print(f"mralab: {text}", file=sys.stderr, flush=True)  # noqa: T201 - that is the channel
