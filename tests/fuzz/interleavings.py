"""Random interleavings of callbacks: a proxy with plans and one without are in the same state after each.

    python -m tests.fuzz.interleavings SCRIPTS [SEED]

A script is a list of actions: clients connect, send and leave, connections to servers are made or fail, servers shake
hands, respond and break off, time passes, and settings change. Both proxies perform it in lockstep on the stage of
``stage``, with the proxy's real TLS. The comparison covers what clients and servers receive, how their connections end,
the log, the events, the counters and the limits in force. In the end, when all peers have left, nothing may remain.

Most scripts are the usual course of a few requests with disruptions, the others are random. A failure shows the seed,
the script and what differs. ``make fuzz`` runs ten thousand, ``make test`` a few hundred (test_interleavings.py).
"""

from __future__ import annotations

import errno
import itertools
import random
import sys
from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast
from unittest import mock

from mralab.core.log.events import Event
from mralab.core.log.planned import Brief
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.net.plan import Plans
from mralab.net.services import Services
from mralab.net.short_path import ShortPath

from .stage import HOST, PORTS, SERVERS, TRUSTED, Client, Clock, Dial, Loop, Setup, Transport, anonymous, clock, policy
from .targets import HOP

_OK: Final = b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nabc"
_RESPONSES: Final = (
    _OK,
    _OK[:-1],
    _OK[:-3],
    _OK + b"x",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    b"HTTP/1.1 100 Continue\r\n\r\n" + _OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nabc",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n",
    b"HTTP/1.1 204 x\r\n\r\n",
)
_RECORDS: Final = (b"\x15\x03\x03\x00\x02\x02\x28", b"xyz", b"\x17\x03\x03\x00\x02ab")  # an alert, and two bad ones
_ERRORS: Final = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT)
_END: Final = 300.0  # seconds after which no time limit is left

_T = TypeVar("_T")
Action = tuple[Any, ...]
"""The name of a method of ``Proxy`` or ``Loop``, and its arguments."""


class Proxy:
    """A proxy on the stage, with plans if ``warm``. The public methods, but for the last ones, are a script's actions.

    An action for a client, connection or server that does not exist does nothing. ``index`` counts from the first.
    """

    def __init__(self, clock: Clock, setup: Setup, *, warm: bool) -> None:
        self.loop = Loop()
        self.clients: list[Client] = []
        self._clock = clock
        self._warm = warm
        self._log: list[str] = []
        self._events: list[str] = []
        self._writer = LineWriter("vcsc", 1, debug=True)
        clock.loop = self.loop
        self.services = Services(
            cast("Any", self.loop),
            policy(setup),
            self._emit,
            0,
            HOP,
            log=lambda text, _: self._log.append(text),
            writer=self._writer,
        )
        self.services.emit_unlogged = self._note
        self.services.brief_listeners = (self._take,)
        self._choose_plans()

    def _choose_plans(self) -> None:
        if not self._warm:
            self.services.plans = Plans(0)

    def _emit(self, event: Event) -> None:
        self._log.append(self._writer.format(event))
        self._note(event)

    def _take(self, brief: Brief) -> None:
        for event in brief.events():
            self._note(event)

    def _note(self, event: Event) -> None:
        self._events.append(anonymous(str(event)))

    def perform(self, action: Action) -> None:
        """Perform an action of a script, at the time of this proxy's loop."""
        self._clock.loop = self.loop
        name, *arguments = action
        getattr(self if hasattr(self, name) else self.loop, name)(*arguments)

    # -- clients

    def connect(self) -> None:
        self.clients.append(Client(self.services, self.loop))

    def send(self, index: int, data: bytes) -> None:
        for client in self.clients[index : index + 1]:
            client.transport.feed(data)

    def leave(self, index: int, reset: bool) -> None:
        for client in self.clients[index : index + 1]:
            (client.transport.rst if reset else client.transport.eof)()

    def pause(self, index: int, paused: bool) -> None:
        """Let a client's buffer be full, or have room again."""
        for client in self.clients[index : index + 1]:
            connection = client.connection
            if not client.transport.closing and connection.paused is not paused:
                (connection.pause_writing if paused else connection.resume_writing)()

    # -- servers

    def dial(self, mode: str) -> None:
        """Choose what becomes of the next connections (``Loop.dialling``)."""
        self.loop.dialling = mode

    def made(self, index: int, kind: str) -> None:
        for dial in _nth([dial for dial in self.loop.dials if dial.state == "pending"], index):
            dial.succeed(kind)

    def refused(self, index: int, number: int) -> None:
        for dial in _nth([dial for dial in self.loop.dials if dial.state == "pending"], index):
            dial.fail(number)

    def _open(self, index: int) -> list[Dial]:
        return _nth([dial for dial in self.loop.dials if dial.open], index)

    def deliver(self, index: int, half: bool) -> None:
        """Deliver what a server has written, or half of it."""
        for dial in self._open(index):
            pending = dial.server.pending
            data = bytes(pending[: len(pending) // 2]) if half else bytes(pending)
            del pending[: len(data)]
            if data:
                dial.transport.feed(data)

    def say(self, index: int, data: bytes, unasked: bool) -> None:
        for dial in self._open(index):
            if unasked or dial.server.asked:
                dial.server.say(data)

    def record(self, index: int, data: bytes) -> None:
        """Write bytes below TLS."""
        for dial in self._open(index):
            dial.server.pending += data

    def notify(self, index: int) -> None:
        for dial in self._open(index):
            dial.server.notify()

    def hang_up(self, index: int, reset: bool) -> None:
        for dial in self._open(index):
            (dial.transport.rst if reset else dial.transport.eof)()

    def notify_and_hang_up(self, index: int) -> None:
        """Deliver close_notify and a FIN that is in the socket when close_notify is read."""
        for dial in self._open(index):
            dial.server.notify()
            dial.transport.fin_waiting = True
            if data := dial.server.written():
                dial.transport.feed(data)
            dial.transport.eof()

    def slow(self, index: int) -> None:
        """Let a peer read nothing, counted from the last."""
        for transport in _nth(self._transports()[::-1], index):
            transport.slow = True

    def flush(self) -> None:
        for transport in self._transports():
            transport.flush()

    def _transports(self) -> list[Transport]:
        made = [dial.transport for dial in self.loop.dials if dial.state == "made"]
        return made + [client.transport for client in self.clients]

    def finish(self) -> None:
        """Let everything take its usual course: good servers that respond."""
        for _ in range(6):
            self.loop.run()
            for dial in [dial for dial in self.loop.dials if dial.state == "pending"]:
                dial.succeed("good13")
            self.loop.run()
            for dial in [dial for dial in self.loop.dials if dial.open]:
                server = dial.server
                if server.shaken and server.asked > dial.answered:
                    dial.answered += 1
                    server.say(_OK[:-3] if b"HEAD " in server.plain else _OK)
                if data := server.written():
                    dial.transport.feed(data)
        self.loop.run()

    # -- the proxy itself

    def use(self, setup: Setup) -> None:
        self.services.use(policy(setup))
        self._choose_plans()

    def capture(self, on: bool) -> None:
        """Capture new connections, or stop; only their number counts."""
        unchanged = {"server.side_effect": lambda connection, *_: connection, "client.side_effect": lambda c: c}
        self.services.capture = mock.Mock(**unchanged) if on else None

    def drain(self) -> None:
        self.services.draining = True
        for client in self.clients:
            if client.connection in self.services.clients:
                client.connection.drain()

    def end(self) -> None:
        """Let all peers leave and all time limits pass: nothing may remain."""
        loop, services = self.loop, self.services
        loop.run()
        for client in self.clients:
            client.transport.reading_paused = False
            client.transport.flush()
            client.transport.rst()
        for _ in range(3):
            loop.run()
            for dial in loop.dials:
                if dial.state == "made":
                    dial.transport.reading_paused = False
                    dial.transport.flush()
                    dial.transport.eof()
        loop.advance(_END)
        pool, limits, stats = services.pool, services.limits, services.stats
        made = [dial.connection for dial in loop.dials if dial.state == "made"]
        remaining = {
            "limits": sum(map(len, (pool.connecting, pool.silence, pool._unused))),
            "client limits": sum(map(len, (limits.silent, limits.idle, limits.head, limits.unread, limits.linger))),
            "kept connections": len(pool),
            "open connections": stats.servers_open + stats.clients_open,
            "requests in service": sum(client.connection._steps is not None for client in self.clients),
            "requests without result": max(stats.begun - sum(stats.requests.values()), 0),
            "dials": sum(dial.state == "pending" for dial in loop.dials),
            "consumers": sum(connection.consumer is not None for connection in made),
            "TLS memory": sum(c.tls is not None and hasattr(c.tls.endpoint, "_ssl") for c in made),
        }
        assert not any(remaining.values()), remaining

    # -- what is compared and checked

    def state(self) -> dict[str, Any]:
        """Return everything that must be the same with plans and without."""
        services = self.services
        stats, pool = services.stats, services.pool
        numbers = stats.snapshot()
        for name in ("planned", "latency", "loop_delay"):
            del numbers[name]
        numbers["requests"] = sorted(map(str, numbers["requests"]))
        return {
            "numbers": sorted(numbers.items()),
            "latencies": (sum(stats.latency.counts), stats.latency.total),
            "begun": stats.begun,
            "log": anonymous("".join(self._log)).splitlines(),
            "events": list(self._events),
            "clients": [client.state() for client in self.clients],
            "servers": [dial.result() for dial in self.loop.dials],
            "errors": list(self.loop.errors),
            "kept": len(pool),
            "limits": [len(pool.connecting), len(pool.silence), len(pool._unused), len(services.limits.unread)],
            "callbacks": len(self.loop.queue),
            "captured": cast("Any", services.capture).server.call_count if services.capture else None,
        }

    def check(self) -> None:
        """No unverified server has a request; what serves a connection serves no other."""
        verify = self.services.policy.config.verify_mode
        for dial in self.loop.dials:
            if dial.state != "made":
                continue
            if verify == "on" and dial.port == PORTS["https"] and dial.kind not in TRUSTED:
                assert not dial.server.plain, f"a request to a server with the certificate {dial.kind}"
            consumer = dial.connection.consumer
            if consumer is not None:
                begun = cast("ShortPath", consumer)._begun
                assert begun is not None and begun[1] is dial.connection, "a consumer that is no longer in service"


def _nth(found: list[_T], index: int) -> list[_T]:
    return [found[index % len(found)]] if found else []


# -- scripts


def _heads(scheme: str) -> list[bytes]:
    path = f"/{encode(Target('steven.lab', scheme, HOST, PORTS[scheme]))}/a/b"
    return [
        f"{method} {path} HTTP/{version}\r\nHost: h\r\n{fields}\r\n".encode()
        for method, version, fields in (
            ("GET", "1.1", ""),
            ("GET", "1.1", "TrackingID: abc\r\n"),
            ("HEAD", "1.1", ""),
            ("GET", "1.0", "Connection: keep-alive\r\n"),
            ("FOO", "1.1", ""),
            ("POST", "1.1", "Content-Length: 0\r\n"),
        )
    ]


def _response(rnd: random.Random) -> bytes:
    return rnd.choice(_RESPONSES) if rnd.random() < 0.4 else _OK


def _course(rnd: random.Random, heads: list[bytes], good: str) -> list[Action]:
    """Return a request's usual course, perhaps without the pauses in which callbacks run."""
    server = good if rnd.random() < 0.7 else rnd.choice(SERVERS)
    course: list[Action] = [("send", rnd.randint(0, 2), rnd.choice(heads)), ("made", 0, server), ("run",)]
    course += [("deliver", 0, False), ("run",)] * 2
    course += [("say", 0, _response(rnd), False), ("deliver", 0, False), ("run",)]
    if rnd.random() < 0.3:
        course = [action for action in course if action != ("run",) or rnd.random() < 0.5]
    return course


def _mixed(rnd: random.Random, first: list[Action], second: list[Action]) -> list[Action]:
    mixed: list[Action] = []
    rest = [first[::-1], second[::-1]]
    while rest := [actions for actions in rest if actions]:
        mixed.append(rnd.choice(rest).pop())
    return mixed


def _disruption(rnd: random.Random, verify: str, heads: list[bytes]) -> Action:
    index = rnd.randint(0, 2)
    actions: tuple[Action, ...] = (
        ("refused", index, rnd.choice(_ERRORS)),
        ("say", index, rnd.choice(_RESPONSES), True),
        ("deliver", index, True),
        ("hang_up", index, False),
        ("hang_up", index, True),
        ("leave", index, False),
        ("leave", index, True),
        ("one",),
        ("one",),
        ("advance", rnd.choice((0.1, 1.0, 2.6, 5.1, 8.1, 10.0, 20.0))),
        ("notify", index),
        ("notify_and_hang_up", index),
        ("pause", index, True),
        ("pause", index, False),
        ("dial", rnd.choice(("refuse", "nofile", "bug", "pending"))),
        ("use", Setup(rnd.random() < 0.5, verify, 2, rnd.randint(0, 1))),
        ("capture", rnd.random() < 0.8),
        ("drain",),
        ("slow", rnd.randint(0, 5)),
        ("flush",),
        ("record", index, rnd.choice(_RECORDS)),
        ("send", index, rnd.choice(heads)),
        ("send", index, b"garbage\r\n\r\n"),
        ("send", index, rnd.choice(heads) + rnd.choice(heads)),
        ("send", index, rnd.choice(heads)[: rnd.randint(1, 80)]),
        ("finish",),
        ("connect",),
    )
    return rnd.choice(actions)


def _step(rnd: random.Random, heads: list[bytes], good: str) -> Action:
    """Return a usual action, wherever it is in a request's course."""
    index = rnd.randint(0, 3)
    kind = good if rnd.random() < 0.6 else rnd.choice(SERVERS)
    actions: tuple[Action, ...] = (
        ("send", rnd.randint(0, 2), rnd.choice(heads)),
        ("made", index, kind),
        ("deliver", index, rnd.random() < 0.2),
        ("say", index, _response(rnd), False),
        ("run",),
        ("one",),
    )
    return rnd.choices(actions, (20, 12, 20, 12, 9, 4))[0]


def _script(rnd: random.Random, verify: str) -> list[Action]:
    """Return a script: requests that make plans, then the course of others with disruptions, or random actions."""
    scheme = rnd.choice(("http", "https", "https", "https"))
    heads = _heads(scheme)
    if rnd.random() < 0.6:
        heads = heads[:1]
    good = rnd.choice(("good13", "good12"))
    script: list[Action] = [("connect",)]
    for head in heads:
        script += [("send", 0, head), ("finish",)]
    script += [("connect",)] * 2
    if rnd.random() < 0.25:
        for _ in range(rnd.randint(5, 40)):
            usual = rnd.random() < 0.8
            script.append(_step(rnd, heads, good) if usual else _disruption(rnd, verify, heads))
        return script
    course: list[Action] = []
    for _ in range(rnd.randint(1, 3)):
        another = _course(rnd, heads, good)
        course = course + another if rnd.random() < 0.6 else _mixed(rnd, course, another)
    for _ in range(rnd.choice((0, 1, 1, 2, 2, 3, 4))):
        course.insert(rnd.randint(0, len(course)), _disruption(rnd, verify, heads))
    return script + course


# -- the comparison


def _compare(setup: Setup, script: Sequence[Action]) -> int:
    """Perform a script with plans and without; return how many requests were served by a plan."""
    with clock() as moved:
        warm, cold = (Proxy(moved, setup, warm=warm) for warm in (True, False))
        for number, action in enumerate((*script, ("end",))):
            for proxy in (warm, cold):
                proxy.perform(action)
                proxy.check()
            ours, theirs = warm.state(), cold.state()
            assert ours == theirs, f"after action {number}, {action}:\n{_difference(ours, theirs)}"
        assert cold.services.stats.planned == 0
        return warm.services.stats.planned


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    lines = []
    for name, value in ours.items():
        pairs = list(itertools.zip_longest(value, theirs[name])) if isinstance(value, list) else [(value, theirs[name])]
        lines += [f"{name}\n  with plans: {a}\n  without:    {b}" for a, b in pairs if a != b]
    return "\n".join(lines)


def _failure(setup: Setup, script: Sequence[Action]) -> str:
    """Return what is found with a script; empty: nothing."""
    try:
        _compare(setup, script)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _shortened(setup: Setup, script: list[Action]) -> list[Action]:
    """Leave out the actions without which something is still found."""
    for size in (8, 4, 2, 1, 1):
        start = 0
        while start < len(script):
            fewer = script[:start] + script[start + size :]
            if _failure(setup, fewer):
                script = fewer
            else:
                start += size
    return script


def compare(scripts: int, seed: int) -> int:
    """Compare proxies over so many scripts; return how many requests were served by a plan.

    Raises ``AssertionError`` with the seed and the shortest script found that fails.
    """
    planned = 0
    for number in range(scripts):
        rnd = random.Random(f"{seed}/{number}")
        setup = Setup(rnd.random() < 0.4, rnd.choice(("on", "on", "audit", "off")), rnd.choice((1, 2, 3)))
        script = _script(rnd, setup.verify)
        try:
            planned += _compare(setup, script)
        except Exception as error:
            short = _shortened(setup, script)
            actions = "".join(f"  {action}\n" for action in short)
            found = _failure(setup, short)
            raise AssertionError(f"seed {seed}, script {number}, {setup}:\n{actions}{found}") from error
    return planned


def main(arguments: list[str]) -> int:
    """Run from the command line; print how many requests took the short path, or the script that failed."""
    seed = int(arguments[1]) if arguments[1:] else random.randrange(1 << 32)
    try:
        planned = compare(int(arguments[0]), seed)
    except AssertionError as error:
        sys.stdout.write(f"interleavings: {error}\n")
        return 1
    sys.stdout.write(
        f"interleavings: nothing found in {arguments[0]} scripts, {planned} requests served by a plan (seed {seed})\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
