"""``mralab serve`` as a process: configure it, start it, and end it in every case."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from mralab.core.mra.target import Target, encode
from tests.net.conftest import HOST, Server


async def until(true: Callable[[], object], limit: float = 10.0, what: str = "") -> float:
    """Wait until ``true()`` returns a true value; return the seconds it took. Fails after ``limit`` seconds."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > limit:
            raise AssertionError(f"not within {limit} s: {what or true}")
        await asyncio.sleep(0.005)
    return time.monotonic() - started


def complaints(stderr: str) -> str:
    """Return what ``mralab serve`` wrote to standard error, without warnings about settings that tests choose oddly."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.startswith("mralab: warning: "))


def toml(tables: Mapping[str, Any]) -> str:
    """Return a configuration as TOML."""
    text = "".join(f"{key} = {_value(value)}\n" for key, value in tables.items() if not isinstance(value, Mapping))
    for table, values in tables.items():
        if isinstance(values, Mapping):
            text += f"[{table}]\n" + "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in values.items())
    return text


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


@contextlib.asynccontextmanager
async def running(
    folder: Path, *, command: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run ``mralab serve`` with ``folder``/mralab.toml; yield the process and the JSON line that it prints first.

    ``command`` is put in front of it. Its standard error goes to ``stderr.txt``, which must hold no traceback.
    """
    arguments = [*command, sys.executable, "-m", "mralab", "serve", "-c", str(folder / "mralab.toml")]
    errors = folder / "stderr.txt"
    with (
        errors.open("a") as stderr,
        subprocess.Popen(  # noqa: ASYNC220 - asyncio's would want a pipe's transport for the same
            arguments,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **(environment or {})},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, f"it did not start: {errors.read_text()}"
            yield process, json.loads(line)
            assert "Traceback" not in errors.read_text(), errors.read_text()
        finally:
            await asyncio.to_thread(_end, process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that may still run. Raises TimeoutExpired, after killing it, if SIGTERM does not end it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()  # leaving the block of Popen would wait for it without a limit
            raise


class Serving(NamedTuple):
    """A running ``mralab serve``: its process, the port of the proxy, and the address of its control API."""

    process: subprocess.Popen[str]
    port: int
    admin: str


@contextlib.contextmanager
def serving(folder: Path, config: str) -> Iterator[Serving]:
    """Run ``mralab serve`` with this configuration, for tests without an event loop; standard error is a pipe."""
    (folder / "mralab.toml").write_text(config)
    command = [sys.executable, "-m", "mralab", "serve", "-c", str(folder / "mralab.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            start = json.loads(line)
            assert start["pid"] == process.pid
            yield Serving(process, int(start["listening"].rpartition(":")[2]), start["admin"])
        finally:
            _end(process)


def config_for(server: Server, ca: trustme.CA, folder: Path, *, workers: int = 1) -> str:
    """Return a configuration that trusts ``ca`` and allows GET and POST to ``server``."""
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "rules.csv").write_text(
        "Url,Deployment,HttpMethods,MatchType,Description\n" + f'https://{HOST}:{server.port},,"GET,POST",prefix,\n'
    )
    return f"""
[proxy]
listen = "127.0.0.1:0"
workers = {workers}
[trust]
store = "ca.pem"
[allow]
rules = "rules.csv"
[hosts]
"{HOST}" = {{ ip = "10.48.36.215", dial = "127.0.0.1" }}
"""


def token(server: Server) -> str:
    """Return the token of a server for request targets."""
    return encode(Target("steven.lab", "https", HOST, server.port))


def get(running: Serving, server: Server) -> int:
    """Return the proxy's status for a request on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("GET", f"/{token(server)}/x")
    status = connection.getresponse().status
    connection.close()
    return status


def control(address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request to a control API; return status and JSON of its response."""
    connection = http.client.HTTPConnection(address, timeout=20)
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {} if body is None else {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer
