"""Checks before a measurement that every proxy does the same work."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from .load import LoadError, ask
from .proxies import SIMPLE, Mode, Proxy
from .stage import Stage

_REQUESTS: Final = 20
LINES: Final = 5
"""Lines that mralab writes for each successful request."""


class UnequalWork(RuntimeError):  # noqa: N818 - it says what was found
    """A proxy does not do the work of the others; the message lists all differences."""


def prove(stage: Stage, proxies: Iterable[Proxy], mode: Mode, files: Sequence[str]) -> list[str]:
    """Check each proxy and return what was proved, in words. Raises ``UnequalWork``.

    ``files`` are those of the measurement; proxies in ``SIMPLE`` are checked with the first one only.

    Status and body are the origin's. A certificate for another name and one of an unknown CA are refused before the
    server receives a request. All handshakes are full ones with the same parameters. Server connections are kept or
    closed as ``mode`` says. mralab writes five lines for each request.
    """
    wrong: list[str] = []
    for proxy in proxies:
        try:
            faults = _faults(stage, proxy, mode, files[:1] if proxy.name in SIMPLE else files)
        except LoadError as error:
            faults = [str(error)]
        wrong += [f"{proxy.name}, {mode}: {text}" for text in faults]
    if wrong:
        raise UnequalWork("\n".join(wrong))
    return [
        f"{mode}: status and bytes equal at every proxy: {', '.join(files)}",
        f"{mode}: a certificate for another name and one of an unknown CA refused by all, nothing sent",
        f"{mode}: TLS 1.2, one cipher, one curve, no resumed session at every proxy",
        f"{mode}: mralab wrote exactly {LINES} lines for each request",
    ]


def _faults(stage: Stage, proxy: Proxy, mode: Mode, files: Sequence[str]) -> list[str]:
    faults: list[str] = []
    with socket.create_connection(("127.0.0.1", proxy.port), 30) as client:
        for file in files:
            content = stage.contents[file]
            for route in ("good", "plain"):
                status, body = ask(client, proxy.port, stage.path(route, file))
                if status != 200 or body != content:
                    faults.append(f"{route}/{file}: {status} with {len(body)} bytes, not 200 with {len(content)}")
    for route in ("wrong", "untrusted"):
        status = _ask_alone(proxy, stage.path(route, "1k.xml"))
        if status not in (502, 503):
            faults.append(f"the {route} certificate: status {status}, not 502 or 503: the proxy does not verify it")
    if leaked := stage.leaked():
        faults.append(f"a refused server received a request: {leaked.strip()}")
    faults += _handshake_faults(stage, proxy, mode)
    if proxy.name == "mralab":
        faults += _line_faults(stage, proxy)
    return faults


def _handshake_faults(stage: Stage, proxy: Proxy, mode: Mode) -> list[str]:
    stage.handshakes()
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        for _ in range(_REQUESTS):
            ask(client, proxy.port, stage.path("good", "proof.xml"))
    seen = _logged_handshakes(stage, _REQUESTS)
    faults = []
    made = {tuple(row[1:5]) for row in seen}
    if made != {("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384", "X25519", ".")}:
        faults.append(f"handshakes differ from those of the others, or are resumed: {sorted(made)}")
    connections = len({row[5] for row in seen})
    if mode == "per-request" and connections != _REQUESTS:
        faults.append(f"{_REQUESTS} requests took {connections} connections to the server")
    if mode == "keep-alive" and connections != 1:
        faults.append(f"{_REQUESTS} requests in a row took {connections} connections to the server")
    return faults


def _line_faults(stage: Stage, proxy: Proxy) -> list[str]:
    assert proxy.log is not None
    before = settled_lines(proxy.log)
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        for _ in range(_REQUESTS):
            ask(client, proxy.port, stage.path("good", "1k.xml"))
    written = settled_lines(proxy.log) - before
    return [] if written == LINES * _REQUESTS else [f"{written} lines for {_REQUESTS} requests, not {LINES} for each"]


def _ask_alone(proxy: Proxy, path: str) -> int:
    with socket.create_connection(("127.0.0.1", proxy.port), 30) as client:
        return ask(client, proxy.port, path)[0]


def _logged_handshakes(stage: Stage, number: int) -> list[list[str]]:
    """Wait until the origin has logged ``number`` requests, which it may do just after its response."""
    seen = stage.handshakes()
    end = time.monotonic() + 2
    while len(seen) < number and time.monotonic() < end:
        time.sleep(0.02)  # another process writes
        seen += stage.handshakes()
    return seen


def settled_lines(log: Path) -> int:
    """Wait until a log has not grown for a quarter of a second, and return its lines; logs are written in batches."""
    size = -1
    while (now := log.stat().st_size) != size:
        size = now
        time.sleep(0.25)  # another process: nothing but a pause shows that it has written its last batch
    with log.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
