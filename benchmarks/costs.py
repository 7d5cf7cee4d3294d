"""Measurements besides load: memory, the decision of the allow list, the start of the command."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from mralab.core.mra.allowlist import Allowed, AllowList, parse_rules_csv
from mralab.core.mra.target import Target

from .aims import CLIENTS, CPU, RULES
from .figures import Figures
from .load import idle_clients, most_clients, wrk
from .measure import Settings, run, shorten_log
from .proxies import Proxy, rules_csv, running
from .stage import Stage

_DECISIONS: Final = 20_000
_LOAD_RUNS: Final = 4


def memory(stage: Stage, figures: Figures, settings: Settings) -> None:
    """Measure resident memory for each of 64 to 10 000 idle clients, and the growth of a warm proxy under load."""
    path = stage.path("good", "1k.xml")
    with running(stage, "keep-alive", ["mralab", "Traffic Server", "nginx"]) as proxies:
        for proxy in proxies:
            _idle(proxy, path, figures, settings)
        _growth(stage, proxies[0], path, figures, settings)


def _idle(proxy: Proxy, path: str, figures: Figures, settings: Settings) -> None:
    """Measure idle clients of a proxy that has answered one request only: it cannot reuse memory from earlier load."""
    before = proxy.program.resident()
    for most in CLIENTS:
        number = min(most, most_clients())  # `ulimit -Hn` may be lower than two descriptors for each client
        with idle_clients(proxy.port, path, number):
            each = (proxy.program.resident() - before) / number / 1024
        figures.add("memory", f"{number} idle clients", proxy.name, "KB/client", each)
        settings.say(f"{number} idle clients: {proxy.name} {each:.1f} KB each")


def _growth(stage: Stage, proxy: Proxy, path: str, figures: Figures, settings: Settings) -> None:
    wrk(proxy.url(path), settings.seconds, 64)
    before = proxy.program.resident()
    requests = 0
    for _ in range(_LOAD_RUNS):
        shorten_log(proxy)
        requests += run(stage, proxy, path, settings.seconds).load.requests
    grown = (proxy.program.resident() - before) / before * 100
    figures.add("memory", "growth over a load run", proxy.name, "% of resident", grown)
    settings.say(f"growth over {requests} requests: {grown:.2f} % of {before / 1e6:.0f} MB")


def rules(stage: Stage, figures: Figures, settings: Settings) -> None:
    """Measure a decision among 10, 1 000 and 100 000 rules: by itself, and as part of the CPU of a whole request."""
    good = stage.routes["good"]
    target = Target("bench.test", good.scheme, good.host, good.port)
    lists = {count: AllowList(parse_rules_csv(rules_csv(stage, count), "rules")) for count in RULES}
    for _ in range(settings.rounds):
        for count, allow in lists.items():
            figures.add("rules", f"{count} rules", "mralab", "µs/decision", _decision(allow, target))
    lists.clear()
    path = stage.path("good", "1k.xml")
    for count in RULES:
        with running(stage, "keep-alive", ["mralab"], rules=count) as (proxy,):
            wrk(proxy.url(path), 1)
            for _ in range(settings.rounds):
                done = run(stage, proxy, path, settings.seconds)
                figures.add("rules", f"{count} rules", "mralab", CPU, done.cpu / done.load.requests * 1e6)
        found = figures.find("rules", f"{count} rules", "mralab", "µs/decision")
        assert found is not None  # measured above
        settings.say(f"{count} rules: {found.median:.2f} µs for a decision")


def _decision(allow: AllowList, target: Target) -> float:
    """Return the microseconds of CPU for one request that a rule allows."""
    paths = [f"/1k.xml/{number}" for number in range(100)]  # different paths, so that no cache answers
    assert isinstance(allow.decide("bench.test", "GET", target, paths[0]), Allowed)
    start = time.process_time()
    for _ in range(_DECISIONS // len(paths)):
        for path in paths:
            allow.decide("bench.test", "GET", target, path)
    return (time.process_time() - start) / _DECISIONS * 1e6


def start(figures: Figures, settings: Settings) -> None:
    """Measure the elapsed time of `mralab --help`."""
    script = Path(sys.executable).with_name("mralab")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "mralab"]
    for number in range(3 * settings.rounds + 1):
        began = time.perf_counter()
        # Its end is seen at the end of its output: a wait with a timeout looks every 50 ms only.
        subprocess.run([*command, "--help"], stdout=subprocess.PIPE, timeout=60, check=True)
        if number:  # the first run compiles the modules and fills the file cache
            figures.add("start", "mralab --help", "mralab", "ms", (time.perf_counter() - began) * 1e3)
    found = figures.find("start", "mralab --help", "mralab", "ms")
    assert found is not None  # measured above
    settings.say(f"mralab --help: {found.median:.0f} ms")
