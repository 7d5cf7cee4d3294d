"""The soak: clients and servers of all kinds with a real ``mralab serve``, and a comparison of their records.

The phases combine one or two workers with new or kept connections to servers. In each, the requests of the clients, of
the log and of the servers must be the same; descriptors and threads must return to their number before, and memory must
not grow after the warm-up. Meanwhile the control API receives the largest bodies that it accepts; nothing may block the
event loop that serves traffic (watchdog/sitecustomize.py).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trustme

from mralab.core.log.events import RequestDenied, RequestReceived, RequestRejected, RequestSent
from tests.faults import process
from tests.faults.process import Serve
from tests.serving import toml, until

from .clients import LEAVES, STAYS, Client, Ledger
from .hostile import Hostile
from .servers import Seen, Servers, servers

Phases = tuple[tuple[int, str], ...]
PHASES: Phases = ((1, "per-request"), (2, "keep-alive"), (1, "keep-alive"), (2, "per-request"))
CLIENTS = 24
HELD = 0.1  # seconds that the event loop may be blocked
THREADS = min(32, (os.cpu_count() or 1) + 4)  # threads of asyncio.to_thread, which the control API uses
WATCHDOG = Path(__file__).parent / "watchdog"
MEMORY = 6 * 1024  # KiB that a worker may grow from the middle of a phase on


class Books(NamedTuple):
    """Numbers of a phase. The first three count the same requests at clients, in the log and at servers."""

    clients: int
    log: int
    servers: int
    denied: int
    refused: int
    left: int
    rejected: int
    attempts: int
    reloads: int
    memory: int
    """KiB, from the middle of the phase to its end, all processes together."""
    hostile: int
    """Requests to the control API meanwhile."""
    held: float
    """Longest time in seconds that an event loop was blocked."""
    problems: list[str]


async def soak(
    folder: Path, seconds: float, seed: int, report: Callable[[str], None] = lambda _: None, phases: Phases = PHASES
) -> list[Books]:
    """Run all phases, each for its share of ``seconds``. ``report`` is called with lines of progress."""
    trusted, sometimes = trustme.CA(), trustme.CA()
    books: list[Books] = []
    for phase, (workers, connections) in enumerate(phases):
        room = folder / f"phase{phase}"
        room.mkdir(parents=True)
        seen = Seen()
        async with servers(seen, trusted, sometimes) as around:
            rnd = random.Random(f"{seed}.{phase}")
            one = await _phase(
                room, phase, workers, connections, seconds / len(phases), rnd, around, seen, (trusted, sometimes)
            )
        books.append(one)
        report(
            f"{workers} worker{'s' * (workers > 1)}, {connections}: clients {one.clients}, log {one.log}, servers "
            f"{one.servers}; besides {one.denied} denied, {one.refused} to unusable servers, {one.left} "
            f"abandoned by clients, {one.rejected} malformed; {one.attempts} attempts, {one.reloads} reloads; "
            f"{one.hostile} calls of the control API; an event loop was blocked for at most {one.held * 1000:.0f} ms; "
            f"memory {one.memory:+d} KB"
        )
    return books


async def _phase(
    room: Path,
    phase: int,
    workers: int,
    connections: str,
    seconds: float,
    rnd: random.Random,
    around: Servers,
    seen: Seen,
    authorities: tuple[trustme.CA, trustme.CA],
) -> Books:
    _trust(room, authorities[:1])
    origins = (around.plain, around.secure, around.sometimes, *around.never)
    (room / "rules.csv").write_text(process.rules(origins))
    tables = process.tables(
        proxy={"workers": workers, "admin": "127.0.0.1:0"},
        upstream={"connections": connections, "connect_timeout": 1.0, "response_timeout": 1.0},
        limits={"idle_timeout": 10.0, "header_timeout": 10.0},
    )
    (room / "mralab.toml").write_text(toml(tables))
    ledger = Ledger()
    path = os.pathsep.join(filter(None, (str(WATCHDOG), os.environ.get("PYTHONPATH", ""))))
    watched = {"PYTHONPATH": path, "MRALAB_WATCHDOG": str(room / "held.txt")}
    async with process.serve(room, environment=watched) as it:
        await it.warm()
        hostile = Hostile(it.admin, authorities[0].cert_pem.bytes().decode(), random.Random(rnd.random()))
        await hostile.once()
        descriptors, threads = it.descriptors(), it.threads()
        stop = asyncio.Event()
        numbers = itertools.count()
        began = time.monotonic()
        running = [
            asyncio.create_task(Client(phase, numbers, it, around, ledger, random.Random(rnd.random())).run(stop))
            for _ in range(CLIENTS)
        ]
        running.append(asyncio.create_task(hostile.run(stop)))
        events = Disturbances(it, room, rnd, authorities, tables)
        middle = 0
        while (elapsed := time.monotonic() - began) < seconds and not any(task.done() for task in running):
            await asyncio.sleep(min(0.4, seconds - elapsed))
            if not middle and elapsed > seconds / 2:
                middle = it.resident()
            if elapsed > 0.3:
                await events.one()
        stop.set()
        await asyncio.gather(*running)
        it.signal(signal.SIGHUP)  # closes kept connections in any case
        threads += workers * THREADS
        await until(lambda: it.descriptors() <= descriptors and it.threads() <= threads, 10, "descriptors and threads")
        memory = it.resident() - middle
        it.signal(signal.SIGTERM)
        problems = [] if await it.ended() == 0 else ["it did not exit with 0"]
        problems += _said(it, events)
    problems += ledger.wrong + hostile.wrong
    held = watchdog_noted(room / "held.txt")
    if held > HELD:
        problems.append(f"an event loop was blocked for {held * 1000:.0f} ms: {(room / 'held.txt').read_text()}")
    if memory > MEMORY * workers:
        problems.append(f"memory grew by {memory} KB")
    books = _balance(it, events.files, ledger, seen, problems, events.reloads, memory)
    return books._replace(hostile=hostile.sent, held=held)


def watchdog_noted(file: Path) -> float:
    """Return the longest time that the watchdog recorded in any process."""
    lines = file.read_text().splitlines() if file.exists() else []
    return max((float(line.split()[1]) for line in lines), default=0.0)


def _trust(room: Path, authorities: tuple[trustme.CA, ...]) -> None:
    (room / "new.pem").write_bytes(b"".join(one.cert_pem.bytes() for one in authorities))
    (room / "new.pem").rename(room / "ca.pem")


class Disturbances:
    """Changes to the running process: valid and invalid reloads, trust swaps, log rotations."""

    def __init__(
        self,
        it: Serve,
        room: Path,
        rnd: random.Random,
        authorities: tuple[trustme.CA, trustme.CA],
        tables: dict[str, object],
    ) -> None:
        self._it = it
        self._room = room
        self._rnd = rnd
        self._authorities = authorities
        self._tables = tables
        self.files = ["traffic_server.log"]
        self.reloads = 0
        self.bad = 0

    async def one(self) -> None:
        """Make one change, at random."""
        kind = self._rnd.choice(("reload", "trust", "distrust", "rotate", "spoil"))
        if kind == "trust":
            _trust(self._room, self._authorities)
        elif kind == "distrust":
            _trust(self._room, self._authorities[:1])
        elif kind == "rotate":
            self.files.append(f"rotated.{len(self.files)}")
            (self._room / "traffic_server.log").rename(self._room / self.files[-1])
        elif kind == "spoil":
            before = self._it.complaints().count("reload refused")
            self._it.write_configuration("[verify]\norigin = \n")
            self._it.signal(signal.SIGHUP)
            self.bad += 1
            await until(
                lambda: self._it.complaints().count("reload refused") > before, 5, "the report of the invalid reload"
            )
            self._it.configure(self._tables)
        self.reloads += 1
        self._it.signal(signal.SIGHUP)
        if kind == "rotate":
            await until((self._room / "traffic_server.log").exists, 5, "the new log file")


def _said(it: Serve, events: Disturbances) -> list[str]:
    """Return the lines on standard error except those about refused reloads."""
    rest = [line for line in it.complaints().splitlines() if "reload refused" not in line and "is not TOML" not in line]
    missing = [] if it.complaints().count("reload refused") >= events.bad else ["a refused reload was not reported"]
    return missing + [f"standard error: {line}" for line in rest[:5]]


def _balance(
    it: Serve, files: list[str], ledger: Ledger, seen: Seen, problems: list[str], reloads: int, memory: int
) -> Books:
    """Compare the records of clients, log and servers, request by request."""
    received: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    denied = rejected = 0
    for record in (record for file in files for record in it.log(file)):
        event = record.event
        if event is None:
            problems.append(f"a torn line: {record.text[:100]!r}")
        elif isinstance(event, RequestReceived):
            if event.start_line.split(" ")[1].count("/") > 5:  # rounds of the warm-up are shorter
                received[event.tracking_id] += 1
        elif isinstance(event, RequestSent):
            sent[event.tracking_id] += 1
        elif isinstance(event, RequestDenied):
            denied += event.reason == "Not in allow list"
        elif isinstance(event, RequestRejected):
            rejected += 1

    def report(what: str, names: set[str]) -> None:
        if names:
            shown = ", ".join(
                f"{name} ({ledger.asked[name].where} {ledger.asked[name].behaviour})" for name in sorted(names)[:5]
            )
            problems.append(f"{what}: {len(names)}, such as {shown}")

    asked = ledger.asked
    stayed = {name for name, one in asked.items() if one.stays == STAYS}
    left = {name for name, one in asked.items() if one.stays == LEAVES}
    unknown = (set(received) | set(sent) | set(seen.requests)) - set(asked)
    if unknown:
        problems.append(f"requests that no client sent: {sorted(unknown)[:5]}")
    report("sent, but not in the log", stayed - set(received))
    report("in the log more than once", {name for name, count in received.items() if count > 1})
    report("neither answered nor truncated", stayed - set(ledger.answers))
    report(
        "received by servers more often than sent",
        {name for name, count in seen.requests.items() if count > sent[name]},
    )
    refused = {name for name in stayed if asked[name].where == "never"}
    refused |= {name for name in stayed if asked[name].where == "sometimes" and ledger.answers[name].status == 502}
    forbidden = {name for name in stayed if asked[name].where == "denied"}
    reach = stayed - refused - forbidden
    seen_of_stayed = {name for name in seen.requests if name in stayed}
    report("answered, but received by no server", reach - seen_of_stayed)
    report("received by a server that it must not reach", seen_of_stayed - reach)
    report("dialled although denied", {name for name in sent if asked[name].where == "denied"})
    return Books(
        clients=len(reach),
        log=len({name for name in sent if name in reach and received[name]}),
        servers=len(seen_of_stayed),
        denied=len(forbidden),
        refused=len(refused),
        left=len(left),
        rejected=rejected,
        attempts=sum(sent.values()),
        reloads=reloads,
        memory=memory,
        hostile=0,
        held=0.0,
        problems=problems,
    )
