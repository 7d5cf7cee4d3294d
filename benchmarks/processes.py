"""Programs under test: start, stop, CPU time and memory of their processes (Linux: /proc)."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")
_PEERS: Final = Path(__file__).parent / "peers"


class _Filled(Template):
    delimiter = "@"  # nginx's variables keep their dollars


class DidNotStart(RuntimeError):  # noqa: N818 - it says what happened
    """A program ended or did not listen in time; the message has the end of its output."""


def fill(template: str, values: Mapping[str, object]) -> str:
    """Fill in the ``@names`` of a configuration in ``benchmarks/peers``. Raises ``KeyError`` for an unknown name."""
    return _Filled((_PEERS / template).read_text("utf-8")).substitute(values)


def find(program: str) -> str:
    """Return the path of a program, searching /usr/sbin too; empty if it is not installed."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin:/sbin") or ""


def free_port() -> int:
    """Return a free port below the range of outgoing connections, so that none of them can take it meanwhile."""
    for _ in range(200):
        port = random.randint(12000, 32000)  # noqa: S311 - no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DidNotStart("no free port between 12000 and 32000 on 127.0.0.1")


class Program:
    """A running program and its children. Create it with ``start``."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], output: Path) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._output = output

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], folder: Path, port: int, environment: Mapping[str, str] | None = None
    ) -> Program:
        """Start a program and wait until it listens on ``port``. Raises ``DidNotStart``."""
        output = folder / f"{name}.output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        program = cls(name, process, output)
        try:
            program._wait_for(port)
        except BaseException:  # KeyboardInterrupt above all: do not leave the program running
            program.stop()
            raise
        return program

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after five seconds."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def pids(self) -> list[int]:
        """Return its process id and those of all its descendants."""
        parents = {pid: int(fields[1]) for pid, fields in _all_stats().items()}
        family = [self.pid]
        for member in family:
            family += [pid for pid, parent in parents.items() if parent == member]
        return family

    def cpu(self) -> float:
        """Return the seconds of CPU, user and system, of it and its children; in steps of a clock tick."""
        stats = (_read_stat(pid) for pid in self.pids())
        return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICK

    def resident(self) -> int:
        """Return the exact resident bytes of it and its children; /proc/PID/stat may be off by 128 KB a process."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text("ascii") for pid in self.pids())
        return sum(resident_bytes(text) for text in rollups)

    def _wait_for(self, port: int) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
            except OSError:
                time.sleep(0.05)  # another program: it gives no other signal than its port
            else:
                return
        tail = self._output.read_text("utf-8", "replace")[-2000:]
        raise DidNotStart(f"{self.name} does not listen on 127.0.0.1:{port}\n{tail}")


def _read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third (state) on, proc(5); empty if the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return stat_fields(text)


def stat_fields(text: str) -> list[str]:
    """Return the fields after the process name, which may contain blanks and parentheses."""
    return text.rpartition(")")[2].split()


def resident_bytes(rollup: str) -> int:
    """Return ``Rss`` of /proc/PID/smaps_rollup, in bytes."""
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:")) * 1024


def machine_idle() -> tuple[float, float]:
    """Return the idle and the total seconds of all cores since boot (/proc/stat)."""
    numbers = [int(number) for number in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    return (numbers[3] + numbers[4]) / TICK, sum(numbers) / TICK


def _all_stats() -> dict[int, list[str]]:
    found = {int(entry.name): _read_stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    return {pid: fields for pid, fields in found.items() if fields}
