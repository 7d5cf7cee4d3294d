"""Compare mralab with nginx, HAProxy, Traffic Server and a plain aiohttp proxy: ``make bench``, ``make bench-quick``.

Everything runs on loopback, in a temporary folder, from configurations in ``benchmarks/peers``. The programs must be
installed; missing ones are listed. All proxies do the same work: ``proof`` checks this before anything is measured, and
the comparison stops if it fails. Linux only: CPU and memory are read from /proc.

The main figure is CPU time of a proxy's processes for each request in microseconds: (utime + stime) / requests over one
run of wrk. The proxies take turns, and a ratio is that of two proxies in the same round. On a shared machine it varies
far less than requests a second.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, NoReturn

from . import costs, machine, measure, table
from .aims import aims
from .figures import Figures, Results
from .load import LoadError, raise_descriptor_limit
from .measure import Settings
from .processes import DidNotStart
from .proof import UnequalWork, prove
from .proxies import MODES, NAMES, missing_packages, running
from .readme import RESULTS
from .stage import stage

PARTS: Final = ("cpu", "latency", "bodies", "relay", "refused", "memory", "workers", "rules", "start")
_UNDER_LOAD: Final = {"cpu", "latency", "bodies", "relay", "refused"}
_FILES: Final = {"keep-alive": ("1k.xml", "100k.xml", "10m.xml", "100m.xml"), "per-request": ("1k.xml",)}
_QUICK: Final = ("mralab", "floor", "Traffic Server", "nginx", "HAProxy")


def compare(parts: frozenset[str], settings: Settings) -> tuple[Figures, list[str], list[str]]:
    """Measure ``parts``, in the order of ``PARTS``. Return the figures, what was proved before, and what failed."""
    figures = Figures()
    proved: list[str] = []
    failed: list[str] = []

    def take(part: str, measured: Callable[..., None], *work: object) -> None:
        """Measure one part; a failure is recorded and the other parts are still measured."""
        if part in parts:
            try:
                measured(*work, figures, settings)
            except (LoadError, DidNotStart) as error:
                failed.append(f"{part}: {error}")
                settings.say(f"{part} FAILED: {error}")

    with stage() as set_up:
        for mode in MODES if parts & _UNDER_LOAD else ():
            with running(set_up, mode, NAMES) as proxies:
                proved += prove(set_up, proxies, mode, _FILES[mode])
                take("cpu", measure.requests_cost, set_up, proxies, mode)
                take("latency", measure.latency, set_up, proxies, mode)
                if mode == "keep-alive":
                    take("bodies", measure.bodies, set_up, proxies)
                    take("relay", measure.relay, set_up, proxies)
                else:
                    take("refused", measure.refused, set_up, proxies)
        take("memory", costs.memory, set_up)
        take("workers", measure.workers, set_up)
        take("rules", costs.rules, set_up)
    take("start", costs.start)
    return figures, proved, failed


def compare_quickly(settings: Settings) -> Figures:
    """Measure only the CPU for each request, in both modes, with the same proofs first."""
    figures = Figures()
    with stage() as set_up:
        for mode in MODES:
            with running(set_up, mode, _QUICK) as proxies:
                prove(set_up, proxies, mode, ["1k.xml"])
                measure.requests_cost(set_up, proxies, mode, figures, settings)
    return figures


def main() -> None:
    """Run the command line; exit 1 if something cannot be compared, 2 if something is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only CPU ratios, in under a minute; writes no file")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=int, default=4, help="length of each run [4]")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each proxy and work [5]")
    parser.add_argument("--name", default="", help="name of the results file; default: the date")
    parser.add_argument("--no-file", action="store_true", help="write no results file")
    wanted = parser.parse_args()
    if not sys.platform.startswith("linux"):
        _end(2, "the benchmark reads /proc, so it runs on Linux only")
    if missing := missing_packages():
        _end(2, f"not installed: {', '.join(missing)}\nDebian: apt-get install -y {' '.join(missing)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops the started programs, as Ctrl-C does
    raise_descriptor_limit()
    busy = round(os.getloadavg()[0], 2)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    try:
        if wanted.quick:
            print("\n".join(table.ratio_lines(compare_quickly(Settings(1, 2, say)))))
            return
        figures, proved, failed = compare(frozenset(wanted.only), Settings(wanted.seconds, wanted.rounds, say))
    except UnequalWork as error:
        _end(1, f"nothing was compared: the proxies do not do the same work\n{error}")
    except (LoadError, DidNotStart) as error:
        _end(1, f"stopped: {error}")
    taken = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    settings = {
        "seconds": wanted.seconds,
        "rounds": wanted.rounds,
        "clients": 64,
        "load_before": busy,
        "failed": failed,
    }
    results = Results(taken, machine.describe(), settings, tuple(proved), figures)
    print(", ".join(f"{key} {value}" for key, value in results.machine.items()))
    print("\n".join([*table.figure_lines(figures), "", *table.aim_lines(aims(figures))]))
    if not wanted.no_file:
        file = RESULTS / f"{wanted.name or taken[:10]}.json"
        results.write(file)
        print(f"\nwritten: benchmarks/results/{file.name}; `python -m benchmarks.readme` copies it to README")
    if failed:
        _end(1, "these parts could not be measured\n" + "\n".join(failed))


def _end(code: int, text: str) -> NoReturn:
    print(f"benchmarks: {text}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
