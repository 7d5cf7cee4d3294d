"""Measurements under load, proxies alternating (A B A B): CPU, rates, refused handshakes, latency, bodies, workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from .aims import CPU, FLOOR, RATE
from .figures import Figures
from .load import Load, LoadError, latencies_at, percentile, wrk
from .processes import machine_idle
from .proof import LINES, settled_lines
from .proxies import SIMPLE, Mode, Proxy, running
from .stage import Stage

_WARM_UP: Final = 1.0  # seconds
_CLIENTS: Final = 64
_LARGEST_LOG: Final = 4 << 20  # bytes; a larger log is emptied before the next run, so that logs do not fill the disk


class Settings(NamedTuple):
    """``seconds`` of each run, ``rounds`` of each comparison; ``say`` is called with each line of progress."""

    seconds: float
    rounds: int
    say: Callable[[str], None]


class Run(NamedTuple):
    """One wrk run against one proxy. ``cpu``: seconds; ``dialled``: connections that the origin accepted."""

    load: Load
    cpu: float
    dialled: int
    idle: float
    """Idle share of all cores during the run, 0 to 1."""


def run(
    stage: Stage, proxy: Proxy, path: str, seconds: float, *, clients: int = _CLIENTS, script: str = "wrk.lua"
) -> Run:
    """Run wrk once and measure the CPU. Raises ``LoadError`` if requests fail or mralab writes too few log lines."""
    shorten_log(proxy)
    lines = settled_lines(proxy.log) if proxy.log and proxy.name == "mralab" else 0
    dialled, cpu, (idle, all_of_it) = stage.accepted(), proxy.program.cpu(), machine_idle()
    load = wrk(proxy.url(path), seconds, clients, script=script)
    cpu_used, (idle_after, all_after) = proxy.program.cpu() - cpu, machine_idle()
    dialled = stage.accepted() - dialled - 1  # without the connection of this status request
    if load.errors or not load.bytes:
        raise LoadError(f"{proxy.name}: {load.errors} failed connections, {load.bytes} bytes from {path}")
    if proxy.log and proxy.name == "mralab" and script == "wrk.lua":
        written = settled_lines(proxy.log) - lines
        if written < LINES * load.requests:
            raise LoadError(f"mralab wrote {written} lines for {load.requests} requests, not {LINES} for each")
    return Run(load, cpu_used, dialled, (idle_after - idle) / max(all_after - all_of_it, 0.01))


def shorten_log(proxy: Proxy) -> None:
    """Empty a large log. All proxies open it for appending, so the next line becomes the first."""
    if proxy.log and proxy.log.exists() and proxy.log.stat().st_size > _LARGEST_LOG:
        os.truncate(proxy.log, 0)


def requests_cost(
    stage: Stage,
    proxies: Sequence[Proxy],
    mode: Mode,
    figures: Figures,
    settings: Settings,
    *,
    warm_up: float = _WARM_UP,
) -> None:
    """Measure CPU for each 1 KB request, and requests a second."""
    work = f"{mode}, 1 KB"
    path = stage.path("good", "1k.xml")
    for proxy in proxies:
        wrk(proxy.url(path), warm_up, _CLIENTS)
    for one in range(settings.rounds):
        for proxy in proxies:
            done = run(stage, proxy, path, settings.seconds)
            _expect_good(proxy, done)
            if mode == "per-request" and done.dialled < done.load.requests:
                raise LoadError(f"{proxy.name}: {done.dialled} connections for {done.load.requests} requests")
            cost = done.cpu / done.load.requests * 1e6
            figures.add("cpu", work, proxy.name, CPU, cost)
            figures.add("cpu", work, proxy.name, RATE, done.load.requests / done.load.seconds)
            settings.say(f"{work}, round {one + 1}: {proxy.name} {cost:.1f} {CPU}")


def bodies(stage: Stage, proxies: Iterable[Proxy], figures: Figures, settings: Settings) -> None:
    """Measure CPU for each request with a longer body, over pooled connections."""
    proxies = [proxy for proxy in proxies if proxy.name not in SIMPLE]
    for name, file, clients in (("100 KB", "100k.xml", _CLIENTS), ("10 MB", "10m.xml", 8)):
        path = stage.path("good", file)
        for one in range(settings.rounds):
            for proxy in proxies:
                done = run(stage, proxy, path, settings.seconds, clients=clients)
                _expect_good(proxy, done)
                # wrk stops in the middle of long bodies: count requests by bytes.
                requests = done.load.bytes / len(stage.contents[file])
                cost = done.cpu / requests * 1e6
                figures.add("bodies", f"keep-alive, {name}", proxy.name, CPU, cost)
                settings.say(f"{name}, round {one + 1}: {proxy.name} {cost:.0f} {CPU}")


def relay(stage: Stage, proxies: Iterable[Proxy], figures: Figures, settings: Settings) -> None:
    """Measure bytes of body for each second of the proxy's CPU, http and TLS, over pooled connections."""
    proxies = [proxy for proxy in proxies if proxy.name in ("mralab", "nginx")]
    for route, scheme in (("plain", "http"), ("good", "https")):
        for name, file in (("10 MB", "10m.xml"), ("100 MB", "100m.xml")):
            for one in range(settings.rounds):
                for proxy in proxies:
                    done = run(stage, proxy, stage.path(route, file), settings.seconds, clients=4)
                    _expect_good(proxy, done)
                    speed = done.load.bytes / max(done.cpu, 0.01) / 1e9
                    figures.add("relay", f"{scheme}, {name}", proxy.name, "GB/s of CPU", speed)
                    settings.say(f"relay {scheme} {name}, round {one + 1}: {proxy.name} {speed:.2f} GB/s of CPU")


def refused(stage: Stage, proxies: Iterable[Proxy], figures: Figures, settings: Settings) -> None:
    """Measure CPU for each attempt to connect to a server of an unknown CA; the origin counts the attempts."""
    proxies = [proxy for proxy in proxies if proxy.name in ("mralab", "Traffic Server")]
    path = stage.path("untrusted", "1k.xml")
    work = "two attempts, 502"
    for proxy in proxies:
        wrk(proxy.url(path), _WARM_UP, _CLIENTS)
    for one in range(settings.rounds):
        for proxy in proxies:
            done = run(stage, proxy, path, settings.seconds)
            if done.load.bad != done.load.requests:
                raise LoadError(f"{proxy.name}: {done.load.requests - done.load.bad} requests were not refused")
            # Two for each response; more only for requests unfinished at the end of this run or the one before.
            if not 2 * done.load.requests <= done.dialled <= 2 * (done.load.requests + 2 * _CLIENTS):
                raise LoadError(
                    f"{proxy.name}: {done.dialled} attempts for {done.load.requests} requests, not two each"
                )
            cost = done.cpu / done.dialled * 1e6
            figures.add("refused", work, proxy.name, "µs CPU/attempt", cost)
            settings.say(f"refused, round {one + 1}: {proxy.name} {cost:.0f} µs CPU/attempt")
    if leaked := stage.leaked():
        raise LoadError(f"a refused server received a request: {leaked[:200]}")


def latency(stage: Stage, proxies: Iterable[Proxy], mode: Mode, figures: Figures, settings: Settings) -> None:
    """Measure p99 of mralab, the floor and nginx at 60 % of the rate that mralab reached in ``requests_cost``."""
    peak = figures.find("cpu", f"{mode}, 1 KB", "mralab", RATE)
    if peak is None:
        raise LoadError("needs the rate that the part `cpu` measures: add `cpu` to --only")
    rate = 0.6 * peak.median
    work = f"{mode}, 60 % of mralab's peak"
    for one in range(settings.rounds):
        for proxy in [proxy for proxy in proxies if proxy.name in ("mralab", FLOOR, "nginx")]:
            shorten_log(proxy)
            times = latencies_at(
                proxy.url(stage.path("good", "1k.xml")), rate, settings.seconds, stage.folder, _CLIENTS
            )
            p99 = percentile(times, 0.99)
            figures.add("latency", work, proxy.name, "ms p99", p99)
            settings.say(f"{work}, round {one + 1}: {proxy.name} p99 {p99:.2f} ms at {rate:.0f}/s")


def workers(stage: Stage, figures: Figures, settings: Settings) -> None:
    """Measure one worker and two.

    Two workers can fill two cores only if the load generator costs almost nothing: it sends requests that the allow
    list refuses, sixteen in each write, all different, so that no plan serves them. The idle share of the machine shows
    whether there was CPU left. The usual work is measured too: its CPU for each request must not rise.
    """
    with running(stage, "keep-alive", ["mralab"]) as one, running(stage, "keep-alive", ["mralab"], workers=2) as two:
        named = (("mralab, 1 worker", one[0]), ("mralab, 2 workers", two[0]))
        for work, path, script in (
            ("refused by the allow list, each head new", stage.path("good", "nothing-allowed"), "pipelined.lua"),
            ("keep-alive, 1 KB", stage.path("good", "1k.xml"), "wrk.lua"),
        ):
            for _, proxy in named:
                wrk(proxy.url(path), _WARM_UP, _CLIENTS, script=script)
            for number in range(settings.rounds):
                for name, proxy in named:
                    done = run(stage, proxy, path, settings.seconds, script=script)
                    rate = done.load.requests / done.load.seconds
                    figures.add("workers", work, name, RATE, rate)
                    figures.add("workers", work, name, "cores used", done.cpu / done.load.seconds)
                    figures.add("workers", work, name, CPU, done.cpu / done.load.requests * 1e6)
                    figures.add("workers", work, name, "% of machine idle", done.idle * 100)
                    settings.say(
                        f"{work}, round {number + 1}: {name} {rate:.0f}/s, {done.cpu / done.load.seconds:.2f} cores"
                    )


def _expect_good(proxy: Proxy, done: Run) -> None:
    if done.load.bad:
        raise LoadError(f"{proxy.name}: {done.load.bad} of {done.load.requests} responses are errors")
