"""Run proxy, workers and control API until a signal.

SIGTERM and SIGINT finish the current requests and exit. SIGHUP reads the configuration again and reopens the log: a
valid configuration is in force from the next request on, an invalid one is reported on standard error and ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import uvloop

from ..config import Config, load
from ..core.hostport import host_port
from ..core.http.rewrite import Hop
from ..diagnose.event_buffer import Recent
from ..errors import MralabError
from ..net.acceptor import listening_socket, raise_descriptor_limit
from ..net.endpoints import CONTROL
from ..net.settings import Settings, load_settings, warnings
from ..net.shares import Share, Shares
from ..net.traffic_server import TrafficServer, new_hop
from .channel import open_channel
from .control import Control
from .local import LocalControl, WorkersControl
from .queries import Query
from .report import report
from .workers import Workers

_REPORT_INTERVAL: Final = 1.0  # seconds between a worker's reports of its counters


ServeApi = Callable[[Control, socket.socket], AbstractAsyncContextManager[str]]
"""Serves the control API on a socket while its context is open (``web.api.serve_admin``)."""
LoadApi = Callable[[], ServeApi]
"""Imports the control API: ``control`` does not depend on ``web``, and most proxies never need it."""


def serve(file: Path, load_api: LoadApi) -> int:
    """Serve a configuration file until a signal ends it. Raises ``MralabError`` if it cannot start."""
    settings = load_settings(load(file))
    config = settings.config
    raise_descriptor_limit(config.limits.connections)
    warn(settings)
    sock = listening_socket(config.proxy.listen)
    admin = admin_socket(config)
    if config.proxy.workers == 1:
        return uvloop.run(_serve_alone(file, settings, sock, admin, load_api))
    return _serve_with_workers(file, settings, sock, admin, load_api)


def check(file: Path) -> str:
    """Read a configuration file with the files that it names, as ``serve`` does. Return what it holds, in one line.

    Warnings go to standard error. Nothing listens, and no file is written. Raises ``MralabError`` with every problem.
    """
    settings = load_settings(load(file))
    config = settings.config
    raise_descriptor_limit(config.limits.connections)  # a warning compares with it
    warn(settings)
    return (
        f"{file}: valid. {config.release}, verify.origin {config.verify_mode};"
        f" trusted certificates: {len(settings.store)}, rules: {len(settings.rules)}, hosts: {len(config.hosts)}"
    )


def admin_socket(config: Config) -> socket.socket | None:
    """Return the socket for the control API, or None if there is none. Raises ``ListenError``.

    No proxy of this process, and no worker forked later, forwards a request to it.
    """
    if not config.proxy.admin:
        return None
    sock = listening_socket(config.proxy.admin, "proxy.admin")
    CONTROL.add(sock)
    return sock


async def _serve_alone(
    file: Path, settings: Settings, sock: socket.socket, admin: socket.socket | None, load_api: LoadApi
) -> int:
    """Run the proxy and the control API in this process."""
    stop = stop_event()
    recent = Recent(settings.config.log.hostname, os.getpid())
    proxy = _proxy(settings, recent, 0, new_hop())
    await proxy.start(sock)
    control = LocalControl(lambda: proxy, lambda: recent, file)
    await _operate(control, admin, load_api, stop, proxy.stop)
    return 0


def _serve_with_workers(
    file: Path, settings: Settings, sock: socket.socket, admin: socket.socket | None, load_api: LoadApi
) -> int:
    """Run the control API in this process and the proxy in several others."""
    hop = new_hop()  # common to all workers: each of them detects a request that has passed another
    host, port = sock.getsockname()[:2]
    control = WorkersControl(settings, (host, port), file)
    shares = Shares(settings.config.proxy.workers)

    async def work(number: int, channel: socket.socket) -> int:
        # Read the state when the worker starts: it may replace one that crashed.
        switches = ((Query.RECORD, control.recorded_capture), (Query.WATCH, control.stream.active))
        active = [(query, params) for query, params in switches if params]
        return await _work(control.settings, number, hop, shares.of(number), sock, channel, active)

    workers = control.workers = Workers(settings.config.proxy.workers, work, (sock.fileno(),), control.on_notification)

    async def close() -> None:
        sock.close()  # the workers close their copies, so no connection is accepted any more
        await workers.stop()

    async def main() -> int:
        stop = stop_event()
        try:
            if await _finished_before(workers.ready(), stop):
                await _operate(control, admin, load_api, stop, close)
            return 0
        finally:
            await workers.stop()

    return workers.run(main)


async def _operate(
    control: Control,
    admin: socket.socket | None,
    load_api: LoadApi,
    stop: asyncio.Event,
    close: Callable[[], Awaitable[None]],
) -> None:
    """Reload on SIGHUP and serve the control API until ``stop``; then ``close`` the proxy, and the API after it."""
    _on_hangup(control.reload)
    async with administered(control, admin, load_api):
        announce(control.address(), admin)
        await stop.wait()
        await close()


async def _work(
    settings: Settings,
    number: int,
    hop: Hop,
    share: Share,
    sock: socket.socket,
    channel_sock: socket.socket,
    active: list[tuple[Query, Any]],
) -> int:
    """Run one worker: serve on ``sock`` until a signal or the end of the process that started it."""
    stop = stop_event()
    recent = Recent(settings.config.log.hostname, os.getpid())
    proxy = _proxy(settings, recent, number, hop, share)
    control: LocalControl

    async def answer(name: str, params: Any) -> Any:
        return await control.answer(name, params)

    channel = await open_channel(channel_sock, answer, lambda name, params: None)
    control = LocalControl(lambda: proxy, lambda: recent, worker=number, channel=channel)
    try:
        await proxy.start(sock)
    except MralabError as error:
        channel.notify("failed", {"message": error.message, "hint": error.hint})
        await channel.close()
        return error.exit_code
    for query, params in active:
        await control.answer(query, params)
    channel.notify("ready")
    _on_hangup(control.reload)
    reporting = asyncio.create_task(_report(control))
    await _finished_before(channel.closed.wait(), stop)
    await proxy.stop()
    reporting.cancel()
    control.report()
    await channel.close()
    return 0


async def _report(control: LocalControl) -> None:
    """Send a worker's counters every second, so that a crash loses no more than that."""
    while True:
        control.report()
        await asyncio.sleep(_REPORT_INTERVAL)


def _proxy(settings: Settings, recent: Recent, worker: int, hop: Hop, share: Share | None = None) -> TrafficServer:
    config, store, rules, identity = settings
    return TrafficServer(
        config,
        store=store,
        rules=rules,
        identity=identity,
        listener=recent.take if config.proxy.admin else None,  # without a control API nothing reads them
        briefs=recent.take,
        et_net=worker,
        workers=config.proxy.workers,
        hop=hop,
        share=share,
    )


# -- parts


def warn(settings: Settings) -> None:
    """Report settings on standard error that are valid but probably a mistake."""
    for text in warnings(settings):
        report(f"warning: {text}")


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _on_hangup(reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Reload on SIGHUP. Reloads run one after the other (``Control.reload`` holds a lock)."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def begin() -> None:
        task = loop.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)


async def _finished_before(work: Coroutine[Any, Any, Any], stop: asyncio.Event) -> bool:
    """Wait for ``work`` or ``stop``. Return whether ``work`` finished first; raise what it raises."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for future in (task, stopped):
        future.cancel()
    if task.done() and not task.cancelled():
        task.result()
        return True
    return False


@contextlib.asynccontextmanager
async def administered(control: Control, admin: socket.socket | None, load_api: LoadApi) -> AsyncIterator[None]:
    """Serve the control API on ``admin`` while the context is open; None: no control API.

    The API is loaded at the first connection: without it, a proxy starts in half the time and uses 15 MB less memory.
    """
    if admin is None:
        yield
        return
    loop = asyncio.get_running_loop()
    connected = asyncio.Event()
    loop.add_reader(admin, connected.set)

    async def begin(stack: contextlib.AsyncExitStack) -> None:
        await connected.wait()
        loop.remove_reader(admin)
        serve_api = await control.aside(lambda _: load_api(), None)
        await stack.enter_async_context(serve_api(control, admin))

    async with contextlib.AsyncExitStack() as stack:
        beginning = asyncio.create_task(begin(stack))
        try:
            yield
        finally:
            loop.remove_reader(admin)
            beginning.cancel()
            await asyncio.wait([beginning])


def announce(listening: tuple[str, int], admin: socket.socket | None, **more: str) -> None:
    """Print a JSON line with the addresses of the proxy and its control API."""
    admin_address = host_port(*admin.getsockname()[:2]) if admin is not None else ""
    start = {"listening": host_port(*listening), "admin": admin_address, "pid": os.getpid(), **more}
    sys.stdout.write(json.dumps(start) + "\n")
    sys.stdout.flush()
