"""``mralab serve`` as a process: configure it, start it, and end it in every case."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any


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
            if process.poll() is None:
                process.terminate()
                try:
                    await asyncio.to_thread(process.wait, 15)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    raise


def control(address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request to a control API; return status and JSON of its response."""
    connection = http.client.HTTPConnection(address, timeout=20)
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {} if body is None else {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer
