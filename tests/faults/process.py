"""A ``mralab serve`` process in front of the tests' servers, watched from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mralab.core.log.events import RequestReceived
from mralab.core.log.reader import Record, read
from mralab.core.mra.target import Target, encode
from tests.net.conftest import HOST
from tests.serving import running, toml, until

from .client import ask
from .origin import Origin

METHODS = "GET,HEAD,POST,PUT,DELETE,OPTIONS"
_TICKS = os.sysconf("SC_CLK_TCK")


class Serve:
    """A running process with its workers, its address, and what /proc and its files show of it."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, listening: str, admin: str = "") -> None:
        self.process = process
        self.folder = folder
        self.pid = process.pid
        self.port = int(listening.rpartition(":")[2])
        self.admin = admin

    def target(self, origin: Origin, path: str = "/x", host: str = HOST) -> str:
        """Return the request target that leads to ``path`` of an origin."""
        return f"/{encode(Target('steven.lab', origin.scheme, host, origin.port))}{path}"

    def request(
        self, origin: Origin, path: str = "/x", fields: str = "", body: bytes = b"", *, method: str = "GET"
    ) -> bytes:
        """Return a request, by default one that keeps the connection."""
        return f"{method} {self.target(origin, path)} HTTP/1.1\r\nHost: proxy\r\n{fields}\r\n".encode() + body

    def numbered(self, origin: Origin, first: int = 0) -> Callable[[int], bytes]:
        """Return requests for ``Steady``; each has a number as its path."""
        return lambda number: self.request(origin, f"/{first + number}")

    async def warm(self) -> None:
        """Let each worker serve requests, so that it has allocated what it keeps for good."""
        for _ in range(4 * max(1, len(self.workers()))):
            assert (await ask(self.port, b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n")).status == 404

    def workers(self) -> list[int]:
        """Return the PIDs of its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def pids(self) -> list[int]:
        """Return its PID and those of its workers."""
        return [self.pid, *self.workers()]

    def _status(self, key: str) -> int:
        total = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith(key + ":"))
        return total

    def resident(self) -> int:
        """Return the resident memory of all its processes in KiB."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """Return the peak of resident memory in KiB, added up over its processes."""
        return self._status("VmHWM")

    def threads(self) -> int:
        """Return the number of threads of all its processes."""
        return self._status("Threads")

    def descriptors(self, *pids: int) -> int:
        """Return the number of open descriptors of some of its processes, by default of all."""
        total = 0
        for pid in pids or self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - thousands of names, no Path for each
        return total

    def processor(self) -> float:
        """Return the seconds of processor time used so far."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICKS

    def complaints(self) -> str:
        """Return what it has written to standard error."""
        return (self.folder / "stderr.txt").read_text()

    def log(self, name: str = "traffic_server.log") -> list[Record]:
        """Return the records of the log."""
        with (self.folder / name).open(encoding="latin-1", newline="") as file:
            return list(read(file))

    def received(self, *names: str) -> list[str]:
        """Return the start lines of the requests in one or more logs."""
        records = [record for name in names or ("traffic_server.log",) for record in self.log(name)]
        return [record.event.start_line for record in records if isinstance(record.event, RequestReceived)]

    def numbers(self, *names: str) -> set[int]:
        """Return the numbers that are the last segment of a request's path in the logs."""
        last = (line.split(" ")[1].rpartition("/")[2] for line in self.received(*names))
        return {int(segment) for segment in last if segment.isdecimal()}

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def configure(self, tables: Mapping[str, Any]) -> None:
        """Replace the configuration file; SIGHUP puts it in force."""
        self.write_configuration(toml(tables))

    def write_configuration(self, text: str) -> None:
        """Replace the text of the configuration file atomically, as editors do: a reload may read it at any time."""
        (self.folder / "new.toml").write_text(text)
        (self.folder / "new.toml").rename(self.folder / "mralab.toml")

    async def ended(self, limit: float = 15.0) -> int:
        """Wait for its end and return the exit code."""
        await until(lambda: self.process.poll() is not None, limit, "the end of mralab serve")
        return self.process.returncode


def rules(origins: Iterable[Origin], hosts: Iterable[str] = (HOST,)) -> str:
    """Return a rules file that allows all requests to these servers."""
    lines = [f'{it.scheme}://{host}:{it.port},,"{METHODS}",prefix,\n' for it in origins for host in hosts]
    return "Url,Deployment,HttpMethods,MatchType,Description\n" + "".join(lines)


def tables(**changes: Any) -> dict[str, Any]:
    """Return a configuration for servers on loopback, with ``changes``."""
    entry = {"ip": "10.48.36.215", "dial": "127.0.0.1"}
    whole: dict[str, Any] = {
        "proxy": {"listen": "127.0.0.1:0", "admin": ""},
        "trust": {"store": "ca.pem"},
        "hosts": {HOST: entry, "other.steven.lab": entry},
        "allow": {"rules": "rules.csv", "automatic": False},
    }
    for table, values in changes.items():
        whole[table] = {**whole.get(table, {}), **values} if isinstance(values, dict) else values
    return whole


@contextlib.asynccontextmanager
async def serve(
    folder: Path, *, command: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> AsyncIterator[Serve]:
    """Run ``mralab serve`` with the configuration in ``folder``, by way of ``command`` (such as ``ulimit``)."""
    async with running(folder, command=command, environment=environment) as (process, start):
        it = Serve(process, folder, start["listening"], start["admin"])
        it.pid = start["pid"]
        yield it
