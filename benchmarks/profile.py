"""CPU of a request by part, for mralab, the floor and Traffic Server: ``make profile``.

``perf record`` (cpu-clock, 2000 samples a second) samples each proxy's processes under the load of ``compare``. A
sample counts for the part that its binary belongs to: kernel, OpenSSL, interpreter and so on. Shares are converted to
microseconds with the CPU for each request that /proc shows for the same run, which includes the cost of perf.

Before that, without perf: calls of Python functions and bytecodes of a request that mralab has served before
(``counted``).
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .load import ask, raise_descriptor_limit
from .measure import run
from .processes import find
from .proof import prove
from .proxies import COUNTED, MODES, Proxy, missing_packages, running
from .stage import Stage, stage
from .table import columns

_SECONDS: Final = 6.0
_SAMPLES: Final = 2000  # a second
_COUNTED: Final = 500  # requests
_MOST_SHOWN: Final = 25
_NAMES: Final = ("mralab", "floor", "Traffic Server")
_PARTS: Final = (
    ("kernel", re.compile(r"\[")),
    ("OpenSSL", re.compile(r"_rust\.abi3|libssl|libcrypto")),
    ("interpreter", re.compile(r"python[\d.]*$|libpython")),
    ("event loop (uvloop)", re.compile(r"loop\.cpython")),
    ("cffi", re.compile(r"_cffi_backend")),
    ("C library", re.compile(r"lib(c|m|pthread|stdc\+\+)[.-]|ld-linux")),
    ("Traffic Server's own", re.compile(r"traffic_server|libts|\[TS|libpcre|libjemalloc")),
)
_OTHER: Final = "other"
_LINE: Final = re.compile(r"^\s*(\d+\.\d+)%\s+(\S+)", re.MULTILINE)


def part_of(binary: str) -> str:
    """Return the part that a binary, as ``perf report`` names it, belongs to."""
    return next((part for part, pattern in _PARTS if pattern.match(binary)), _OTHER)


def read_report(text: str) -> dict[str, float]:
    """Parse the text of ``perf report --sort dso`` and return the share of each part, 0 to 1."""
    shares: defaultdict[str, float] = defaultdict(float)
    for percent, binary in _LINE.findall(text):
        shares[part_of(binary)] += float(percent) / 100
    return dict(shares)


@contextmanager
def _sampled(pids: Sequence[int], file: Path) -> Iterator[None]:
    """Sample these processes into ``file`` while the block runs."""
    command = [find("perf"), "record", "-q", "-e", "cpu-clock", "-F", str(_SAMPLES), "-o", str(file)]
    perf = subprocess.Popen([*command, "-p", ",".join(map(str, pids))], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        perf.send_signal(signal.SIGINT)  # makes perf write its samples
        perf.wait(60)


def profile(stage: Stage, proxy: Proxy) -> dict[str, float]:
    """Return the microseconds of CPU for a request, by part. Raises ``CalledProcessError`` if perf has no samples."""
    path, file = stage.path("good", "1k.xml"), stage.folder / f"{proxy.program.pid}.perf"
    run(stage, proxy, path, 1)  # warm
    with _sampled(proxy.program.pids(), file):
        done = run(stage, proxy, path, _SECONDS)
    report = [find("perf"), "report", "--stdio", "-q", "--no-children", "-F", "overhead,dso", "-i", str(file)]
    shares = read_report(subprocess.run(report, capture_output=True, text=True, check=True, timeout=120).stdout)
    return {part: share * done.cpu / done.load.requests * 1e6 for part, share in shares.items()}


def count(stage: Stage, proxy: Proxy) -> dict[str, dict[str, float]]:
    """Return calls and bytecodes of each Python function for one request, as the mean of many on one connection."""
    assert proxy.log is not None
    file, pid = proxy.log.with_name("counts"), proxy.program.pid
    path = stage.path("good", "1k.xml")
    with socket.create_connection(("127.0.0.1", proxy.port), 30) as client:
        for number in range(_COUNTED + 10):
            if number == 10:  # warm
                os.kill(pid, signal.SIGUSR1)
                time.sleep(0.2)  # another process: nothing shows when its signal handler has run
            ask(client, proxy.port, path)
    os.kill(pid, signal.SIGUSR2)
    end = time.monotonic() + 10
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)  # another process writes
    counts: dict[str, dict[str, int]] = json.loads(file.read_text("utf-8"))
    return {kind: {name: number / _COUNTED for name, number in by_name.items()} for kind, by_name in counts.items()}


def count_lines(mode: str, counts: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a line with the sums, and a table of the functions with the most bytecodes."""
    calls, bytecodes = counts["calls"], counts["bytecodes"]
    sums = (
        f"{mode}: {sum(calls.values()):.1f} calls of Python functions, {sum(bytecodes.values()):.0f} bytecodes/request"
    )
    costliest = sorted(bytecodes, key=lambda name: -bytecodes[name])[:_MOST_SHOWN]
    rows = [["function", "calls", "bytecodes"]]
    rows += [[name, f"{calls.get(name, 0):.2f}", f"{bytecodes[name]:.1f}"] for name in costliest]
    return [sums, *columns(rows)]


def table_lines(profiles: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a table with a column for each proxy and a row for each part, in microseconds."""
    parts = [part for part in (*(name for name, _ in _PARTS), _OTHER) if any(part in one for one in profiles.values())]
    rows = [["us CPU/request", *profiles]]
    rows += [[part, *(f"{one.get(part, 0):.1f}" for one in profiles.values())] for part in parts]
    rows.append(["all", *(f"{sum(one.values()):.1f}" for one in profiles.values())])
    return columns(rows)


def main() -> None:
    """Count, then profile the proxies, in both modes; exit if a program is missing."""
    missing = [*missing_packages(), *(() if find("perf") else ("linux-perf",))]
    if missing:
        sys.exit(f"benchmarks: not installed: {', '.join(missing)}\nDebian: apt-get install -y {' '.join(missing)}")
    raise_descriptor_limit()
    with stage() as set_up:
        for mode in MODES:
            with running(set_up, mode, [COUNTED]) as (proxy,):
                print("\n".join([*count_lines(mode, count(set_up, proxy)), ""]))
        for mode in MODES:
            with running(set_up, mode, _NAMES) as proxies:
                prove(set_up, proxies, mode, ["1k.xml"])
                print("\n".join([mode, *table_lines({proxy.name: profile(set_up, proxy) for proxy in proxies}), ""]))


if __name__ == "__main__":
    main()
