"""Load generators: wrk, h2load and idle clients; and parsers of their output."""

from __future__ import annotations

import contextlib
import json
import math
import resource
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from .processes import find

_SCRIPTS: Final = Path(__file__).parent / "peers"


class LoadError(RuntimeError):
    """A load generator failed, or its responses are not those that were to be measured."""


class Load(NamedTuple):
    """Counts of a wrk run. ``errors``: failed connections and requests; ``bad``: responses with status 400 or above."""

    requests: int
    seconds: float
    bytes: int
    p99_ms: float
    errors: int
    bad: int


def wrk(url: str, seconds: float, clients: int = 64, *, script: str = "wrk.lua", headers: Iterable[str] = ()) -> Load:
    """Request ``url`` over ``clients`` connections, each as fast as responses arrive. Raises ``LoadError``."""
    whole = max(1, round(seconds))  # wrk takes whole seconds
    command = [find("wrk"), "-t1", f"-c{clients}", f"-d{whole}s", "--timeout", "30s", "-s", str(_SCRIPTS / script)]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=whole + 60, check=False)
    if done.returncode:
        raise LoadError(f"wrk failed: {done.stderr or done.stdout}")
    return read_wrk(done.stdout)


def read_wrk(output: str) -> Load:
    """Parse the line that ``peers/wrk.lua`` prints at the end. Raises ``LoadError`` if it is missing."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            summary = json.loads(line)
            errors = summary["connect"] + summary["read"] + summary["write"] + summary["timeout"]
            return Load(
                summary["requests"], summary["seconds"], summary["bytes"], summary["p99_ms"], errors, summary["status"]
            )
    raise LoadError(f"wrk printed no summary line:\n{output[-500:]}")


def latencies_at(url: str, rate: float, seconds: float, folder: Path, clients: int = 64) -> list[float]:
    """Return the milliseconds of each response at ``rate`` requests a second, HTTP/1.1, without the first second.

    Raises ``LoadError`` if a request fails or less than 90 % of the rate is reached.
    """
    whole = max(1, round(seconds))
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = [find("h2load"), "--h1", "-t1", f"-c{clients}", f"--rps={rate / clients:.3f}", f"-D{whole}"]
    command += ["--warm-up-time=1", f"--log-file={log}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=whole + 60, check=False)
    if done.returncode:
        raise LoadError(f"h2load failed: {done.stderr or done.stdout}")
    times, failed = read_h2load_log(log.read_text("ascii"))
    if failed:
        raise LoadError(f"{failed} of {len(times) + failed} requests failed at {rate:.0f} a second")
    if len(times) < 0.9 * rate * whole:
        raise LoadError(f"h2load reached {len(times) / whole:.0f} requests a second instead of {rate:.0f}")
    return times


def read_h2load_log(text: str) -> tuple[list[float], int]:
    """Return the milliseconds of each response with status 200, and the number of others.

    Each line has start (µs), status and time (µs), separated by tabs.
    """
    times = []
    failed = 0
    for line in text.splitlines():
        _, status, taken = line.split("\t")
        if status == "200":
            times.append(int(taken) / 1000)
        else:
            failed += 1
    return times, failed


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that ``share`` (0 to 1) of all values do not exceed. Raises ``ValueError`` if empty."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def raise_descriptor_limit() -> None:
    """Raise the hard limit on descriptors, also of programs started later, for 10 000 clients and their servers."""
    wanted = 32768
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        with contextlib.suppress(ValueError, PermissionError):  # only root may
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))


def most_clients() -> int:
    """Return how many clients, each with its own server connection, the limit on descriptors allows a proxy."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100) // 2


@contextlib.contextmanager
def idle_clients(port: int, path: str, number: int) -> Iterator[None]:
    """Hold ``number`` connections open, each idle after one request and its response."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients: list[socket.socket] = []
    try:
        for _ in range(number):
            client = socket.create_connection(("127.0.0.1", port), 10)
            clients.append(client)
            status, _ = ask(client, port, path)
            if status != 200:
                raise LoadError(f"client {len(clients)} of {number} got status {status}")
        yield
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(client: socket.socket, port: int, path: str) -> tuple[int, bytes]:
    """Send one GET and return status and decoded body. Raises ``LoadError`` if the response is missing or truncated."""
    try:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode("ascii"))
        with client.makefile("rb") as stream:
            status = stream.readline().split(maxsplit=2)
            if len(status) < 2:
                raise LoadError(f"no response to GET {path}")
            fields = {}
            while (line := stream.readline()) not in (b"\r\n", b""):
                key, _, value = line.partition(b":")
                fields[key.strip().lower()] = value.strip().lower()
            return int(status[1]), _body(stream, fields)
    except OSError as error:
        raise LoadError(f"GET {path}: {error}") from error


def _body(stream: BinaryIO, fields: Mapping[bytes, bytes]) -> bytes:
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return body
    wanted = int(fields.get(b"content-length", b"0"))
    body = stream.read(wanted)
    if len(body) < wanted:
        raise LoadError(f"a body ended after {len(body)} of {wanted} bytes")
    return body
