"""Running the proxy as a process: one worker here, or several behind one listening socket.

SIGTERM drains (finishes what runs), SIGINT ends, SIGHUP re-reads the configuration and reopens the log: a valid one
replaces the old from the next request on, an invalid one is told on standard error and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop

from ..config import Config, load
from ..core.message import Hop
from ..errors import MralabError
from .acceptor import listening_socket, raise_descriptor_limit
from .proxy import Proxy, build_policy, new_hop

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CRASH_PAUSE: Final = 0.5  # seconds before a crashed worker is started again


def serve(file: Path) -> int:
    """Serve a configuration file until a signal ends it. Raises ``MralabError`` where it cannot start."""
    config = load(file)
    build_policy(config)
    raise_descriptor_limit(config.limits.connections)
    sock = listening_socket(config.proxy.listen)
    bound = sock.getsockname()
    host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    _announce({"listening": f"{host}:{bound[1]}", "admin": "", "pid": os.getpid()})
    if config.proxy.workers == 1:
        return uvloop.run(_work(file, config, sock, 0, new_hop()))
    return _supervise(file, config, sock)


def _announce(start: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(start) + "\n")
    sys.stdout.flush()


async def _work(file: Path, config: Config, sock: socket.socket, thread: int, hop: Hop) -> int:
    """One worker: serve on ``sock`` until a signal says stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    proxy = Proxy(config, thread=thread, workers=config.proxy.workers, hop=hop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, file, proxy)
    await proxy.start(sock)
    try:
        await stop.wait()
    finally:
        await proxy.stop()
    return 0


def _reload(file: Path, proxy: Proxy) -> None:
    try:
        proxy.apply(load(file))
    except MralabError as error:
        print(f"mralab: reload refused, the old configuration stays:\n{error}", file=sys.stderr)  # noqa: T201
    if proxy.sink is not None:
        proxy.sink.reopen()


def _supervise(file: Path, config: Config, sock: socket.socket) -> int:
    """Several workers: start them, start crashed ones again, pass signals on, end with them."""
    workers: dict[int, int] = {}
    hop = new_hop()  # one for all: a loop is cut whichever worker it comes back to
    stopping = False

    def pass_on(number: int, _: object) -> None:
        nonlocal stopping
        stopping = stopping or number != signal.SIGHUP
        for pid in list(workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    with _signals_handled(pass_on):
        for thread in range(config.proxy.workers):
            workers[_fork(file, config, sock, thread, hop)] = thread
        while workers:
            pid, status = os.wait()
            thread = workers.pop(pid, -1)
            if stopping or thread < 0:
                continue
            code = os.waitstatus_to_exitcode(status)
            print(f"mralab: worker {thread} (pid {pid}) ended with {code}; starting it again", file=sys.stderr)  # noqa: T201
            time.sleep(_CRASH_PAUSE)  # a worker that cannot run must not spin
            workers[_fork(file, config, sock, thread, hop)] = thread
    return 0


@contextlib.contextmanager
def _signals_handled(handler: object) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _fork(file: Path, config: Config, sock: socket.socket, thread: int, hop: Hop) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        code = uvloop.run(_work(file, config, sock, thread, hop))
    except MralabError as error:
        print(f"mralab: {error}", file=sys.stderr)  # noqa: T201
        code = error.exit_code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
