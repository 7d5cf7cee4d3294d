"""Speed of reading a log for its findings, compared with ``grep -c``: ``python -m benchmarks.reading``.

The log is generated: transactions of one Expressway-C, with or without DEBUG twins, between lines of other modules; one
transaction in a thousand fails. The programs run one after the other, each in its own process, and read the file from
the page cache. Megabytes are counted both for each elapsed second and for each second of CPU, which other work on the
machine disturbs less.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from mralab.core.log.events import (
    Event,
    HandshakeFailed,
    RequestAllowed,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from mralab.core.log.stream import BLOCK, LogReader
from mralab.core.log.writer import LineWriter
from mralab.core.mra.target import Target, encode
from mralab.diagnose.diagnosis import Diagnosis

from .machine import describe
from .readme import RESULTS

FAILURES: Final = 0.001
_SERVERS: Final = tuple((f"cucm{n}.example.test", f"192.0.2.{n}", port) for n in range(1, 6) for port in (8443, 6972))
_REASON: Final = "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed"
_VIA: Final = ", ".join(
    (
        "https/1.1 vcs[0f8c7a10-c853-4abc-aa16-0a290bf56fc8] (ATS)",
        "http/1.1 vcs[5f8c7a10-7feb-4abc-91e0-757d251d9116] (ATS)",
    )
)
_SIP: Final = (
    'UTCTime="2026-01-29 19:01:16,974" Module="network.sip" Level="DEBUG":  Action="Received" Local-ip="127.0.0.1" '
    'Local-port="22210" Src-ip="127.0.0.1" Src-port="25753" Msg-Hash="12345678901234567890"\nSIPMSG:\n'
    "|REGISTER sip:example.test SIP/2.0\nVia: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK102992442173;rport=25753\n"
    "Call-ID: 535739682631877395806991282@127.0.0.1\nCSeq: 101 REGISTER\nFrom: <sip:user@example.test>;tag=abcd\n"
    "To: <sip:user@example.test>\nMax-Forwards: 70\nContent-Length: 0\n\n|\n"
)
_OTHERS: Final = (
    f"tvcs: {_SIP}",
    'edgeconfigprovisioning: UTCTime="2026-01-29 19:01:16,974" Module="network.http.edgeconfigprovisioning" '
    'Level="DEBUG" Action="Sent" Request-url="https://cucm1.example.test:8443/cucm-uds/user/emusk/devices"\n',
    'UTCTime="2026-01-29 19:01:16,974" Module="developer.xcp.cm" Level="DEBUG" CodeLocation="cm.c:12" '
    'Detail="Stream features sent" ThreadID="139877"\n',
)


class Run(NamedTuple):
    """One run of a program: elapsed seconds, seconds of CPU, peak memory in MB, and its output."""

    wall: float
    cpu: float
    memory: float
    found: str


def transaction(number: int, at: float, random_: random.Random) -> list[Event]:
    """Return the events of one transaction, which ends with the proxy's own 502 if it fails."""
    host, address, port = random_.choice(_SERVERS)
    tracking, path = f"{random_.getrandbits(128):032x}", f"cucm-uds/user/user{random_.randrange(500)}/devices"
    client, url = random_.randrange(30000, 36000), f"https://{host}:{port}/{path}"
    asked = (
        ("Host", f"{host}:{port}"),
        ("Accept", "*/*"),
        ("Cookie", "x"),
        ("User-Agent", "WebEx/0.0.0.0"),
        ("X-Forwarded-For", "198.51.100.7, 127.0.0.1"),
        ("Via", _VIA),
    )
    answered = (("Server", "Apache"), ("Content-Type", "application/xml"), ("Content-Length", "1234"))
    token = encode(Target("example.test", "https", host, port))
    request = f"GET http://vcs_control.example.test:8443/{token}/{path} HTTP/1.1"
    sent = RequestSent(at + 0.001, number, tracking, address, port, f"GET /{path} HTTP/1.1", asked)
    begin: list[Event] = [
        RequestReceived(at, number, tracking, "127.0.0.1", client, request, asked),
        RequestAllowed(
            at, "user", "1", "GET", url, f"https://{host}:{port}/cucm-uds/user/", "prefix", "Automatic rule"
        ),
        sent,
    ]
    if random_.random() < FAILURES:
        return [
            *begin,
            sent,
            VerifyFailed(at + 0.002, 1, host, "Terminate", "self signed certificate", host, address, 0),
            HandshakeFailed(at + 0.002, 1, host, _REASON),
            ResponseSent(at + 0.003, number, "127.0.0.1", client, "HTTP/1.1 502 connect failed", answered),
        ]
    return [
        *begin,
        ResponseReceived(at + 0.02, number, address, port, "HTTP/1.1 200 ", answered),
        ResponseSent(at + 0.021, number, "127.0.0.1", client, "HTTP/1.1 200 ", answered),
    ]


def log(*, debug: bool) -> Iterator[str]:
    """Yield the lines of an endless log with four interleaved transactions."""
    random_ = random.Random(1)  # noqa: S311 - the same log each time
    writer = LineWriter("exp-c", 2030, debug, lambda _: 3600)
    at, number = 1.7e9, 100
    running: list[list[Event]] = []
    while True:
        while len(running) < 4:
            number, at = number + 1, at + 0.01
            running.append(transaction(number, at, random_))
        events = random_.choice(running)
        yield writer.format(events.pop(0))
        if not events:
            running.remove(events)
            if random_.random() < 0.7:
                yield from (f"2026-01-29T14:01:16.974-05:00 exp-c {other}" for other in _OTHERS)


def write(path: Path, size: int, *, debug: bool) -> None:
    """Write a log of about ``size`` bytes."""
    written = 0
    with path.open("w", encoding="ascii") as file:
        for text in log(debug=debug):
            written += file.write(text)
            if written >= size:
                return


def read(path: Path, *, skip_successes: bool) -> None:
    """Read a log and print a summary of its findings; ``measured`` runs this in another process."""
    reader, diagnosis = LogReader(skip_successes=skip_successes), Diagnosis()
    with path.open("rb") as file:
        while chunk := file.read(BLOCK):
            for record in reader.feed(chunk):
                diagnosis.add(record)
    for record in reader.close():
        diagnosis.add(record)
    findings = diagnosis.findings()
    print(f"{len(findings)} findings, {sum(each.count for each in findings)} failures in {reader.counts.lines} lines")


def measured(command: list[str]) -> Run:
    """Run a program and measure it."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found = process.stdout.read().strip() if process.stdout is not None else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, found)


def compare(megabytes: int, rounds: int) -> dict[str, object]:
    """Measure every program with a log of INFO lines and with one that has DEBUG twins."""
    results: dict[str, object] = {}
    ours = [sys.executable, "-m", "benchmarks.reading", "--read"]
    for debug in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "traffic_server.log"
            write(path, megabytes * 1_000_000, debug=debug)
            size = path.stat().st_size / 1e6
            programs = {
                "grep -c": ["grep", "-c", "Core server certificate verification failed", str(path)],
                "grep -cE": ["grep", "-cE", r"(WARNING|ERROR): |HTTP/1.1 [45]", str(path)],
                "mralab": [*ours, str(path)],
            }
            runs: dict[str, list[Run]] = {name: [] for name in programs}
            for _ in range(rounds):
                for name, command in programs.items():
                    runs[name].append(measured(command))
            for name, each in runs.items():
                key = f"{'DEBUG' if debug else 'INFO'}, {size:.0f} MB, {name}"
                results[key] = {
                    "MB/s": [round(size / run.wall, 1) for run in each],
                    "MB/s of CPU": [round(size / run.cpu, 1) for run in each],
                    "peak memory, MB": max(round(run.memory, 1) for run in each),
                    "found": each[0].found,
                }
                print(f"{key}: {results[key]}", flush=True)
    return results


def main() -> None:
    """Measure and print the figures, and with ``--keep`` write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="size of each log (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results/reading")
    parser.add_argument("--read", type=Path, metavar="FILE", help="only read this log")
    options = parser.parse_args()
    if options.read is not None:
        read(options.read, skip_successes=True)
        return
    load = os.getloadavg()[0]
    results = compare(options.megabytes, options.rounds)
    if options.keep:
        taken = dt.datetime.now(dt.UTC)
        kept = {"taken": f"{taken:%Y-%m-%dT%H:%M:%SZ}", "machine": describe(), "load before": load, "figures": results}
        folder = RESULTS / "reading"
        folder.mkdir(exist_ok=True)
        (folder / f"{taken:%Y-%m-%d}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
