"""Programs that are started, watched and ended here, each by its own id, and what they cost (Linux: /proc)."""

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
    """A program ended or did not listen in time; the text has the end of its output."""


def fill(template: str, values: Mapping[str, object]) -> str:
    """A configuration of ``benchmarks/peers`` with its ``@names`` filled in. Raises ``KeyError`` for one unknown."""
    return _Filled((_PEERS / template).read_text("utf-8")).substitute(values)


def find(program: str) -> str:
    """Where a program is, /usr/sbin included; empty if nowhere."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin:/sbin") or ""


def free_port() -> int:
    """A port free now, below those that outgoing connections take: they cannot take it before it is listened on."""
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
    """A running program and its children. Use ``start``; ``stop`` ends it."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], output: Path) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._output = output

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], folder: Path, port: int, environment: Mapping[str, str] | None = None
    ) -> Program:
        """Start it and wait until it listens on ``port``. Raises ``DidNotStart``."""
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
        except BaseException:  # Ctrl-C, above all: a program that was started is not left behind
            program.stop()
            raise
        return program

    def stop(self) -> None:
        """Ask it to end, and make it after five seconds."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def pids(self) -> list[int]:
        """Its own id and those of all its descendants."""
        parents = {pid: int(fields[1]) for pid, fields in _all_stats().items()}
        family = [self.pid]
        for member in family:
            family += [pid for pid, parent in parents.items() if parent == member]
        return family

    def cpu(self) -> float:
        """Seconds of CPU that it and its children have used, user and system; in steps of a clock tick."""
        stats = (_read_stat(pid) for pid in self.pids())
        return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICK

    def resident(self) -> int:
        """Bytes resident of it and its children, exactly; /proc/PID/stat may be off by 128 KB a process."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text("ascii") for pid in self.pids())
        return sum(resident_bytes(text) for text in rollups)

    def _wait_for(self, port: int) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
            except OSError:
                time.sleep(0.05)  # another program starts: there is nothing to wait on but the port
            else:
                return
        tail = self._output.read_text("utf-8", "replace")[-2000:]
        raise DidNotStart(f"{self.name} does not listen on 127.0.0.1:{port}\n{tail}")


def _read_stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on, proc(5); empty if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return stat_fields(text)


def stat_fields(text: str) -> list[str]:
    """The fields after the name, which may hold blanks and parentheses itself."""
    return text.rpartition(")")[2].split()


def resident_bytes(rollup: str) -> int:
    """``Rss`` of /proc/PID/smaps_rollup."""
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:")) * 1024


def machine_idle() -> tuple[float, float]:
    """Seconds that all cores were idle, and that they had, since the machine's start (/proc/stat)."""
    numbers = [int(number) for number in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    return (numbers[3] + numbers[4]) / TICK, sum(numbers) / TICK


def _all_stats() -> dict[int, list[str]]:
    found = {int(entry.name): _read_stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    return {pid: fields for pid, fields in found.items() if fields}
