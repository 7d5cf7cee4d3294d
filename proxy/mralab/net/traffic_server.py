"""The data plane of one Expressway-C: a listening socket, the shared services, and the settings in force.

A change replaces the whole ``Policy``: each request uses one policy from its start to its end. Connections kept under
an older policy are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509

from ..config import Config
from ..core.http.rewrite import Hop
from ..core.log.events import Event
from ..core.log.planned import Brief
from ..core.log.writer import LineWriter
from ..core.mra.allowlist import Rule
from ..errors import MralabError
from ..tls.identity import Identity
from ..tls.trust_store import TrustStore
from .acceptor import Acceptor, listening_socket, most_connections
from .capture import Addresses, Capture
from .client_connection import ClientConnection
from .policy import Policy
from .services import BriefListener, Listener, Services
from .settings import Settings, load_settings
from .shares import Share
from .sink import LogCondition, LogSink
from .stats import Stats

_REFUSED_RECENTLY: Final = 1.0  # seconds: while descriptors are exhausted, accepting fails five times a second


def new_hop() -> Hop:
    """Return a unique name for a proxy, for Via."""
    return Hop(b"vcs", str(uuid.uuid4()).encode())


class Condition(NamedTuple):
    """The problems of one process, as text: with its log, and with accepting connections.

    ``full``: the limit of open connections is reached, so new ones wait in the kernel's backlog.
    """

    log: LogCondition
    accepting: str
    full: bool


class TrafficServer:
    """The traffic server without its control API. Use ``await start()`` and ``await stop()``, or ``async with``.

    ``listener`` is called with every event, in addition to the log, or ``briefs`` in its place with events that come in
    brief (``core.log.planned``). If several ``workers`` serve one socket, ``et_net``
    is this worker's number (``ET_NET`` in the log), ``share`` counts its connections, and ``hop`` is their common
    entry in Via.
    """

    def __init__(
        self,
        config: Config,
        *,
        store: TrustStore | None = None,
        rules: Iterable[Rule] | None = None,
        identity: Identity | None = None,
        listener: Listener | None = None,
        briefs: BriefListener | None = None,
        et_net: int = 0,
        workers: int = 1,
        hop: Hop | None = None,
        share: Share | None = None,
    ) -> None:
        self._policy = Policy(load_settings(config, store, rules, identity))
        self._rules = rules
        self._store_given = store is not None
        self._listeners: tuple[_Subscription, ...] = (_subscription(listener, briefs),) if listener is not None else ()
        self._et_net = et_net
        self._workers = workers
        self._hop = hop or new_hop()
        self._share = share
        self._services: Services | None = None
        self._acceptor: Acceptor | None = None
        self._sink: LogSink | None = None
        self._capture: Capture | None = None
        self._stats = Stats()
        self._refusal: tuple[float, str] | None = None
        """The latest time, by the loop's clock, at which a connection could not be accepted, and why."""
        self._writer = LineWriter(config.log.hostname, os.getpid(), debug=True)
        self.host = ""
        self.port = 0

    async def __aenter__(self) -> TrafficServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._policy.config

    @property
    def store(self) -> TrustStore:
        """The trust store in force."""
        return self._policy.store

    @property
    def settings(self) -> Settings:
        """All settings in force."""
        return self._policy.settings

    @property
    def sink(self) -> LogSink | None:
        """The log's sink; None unless running."""
        return self._sink

    @property
    def stats(self) -> Stats:
        """The counters since the latest start."""
        if self._services is not None:
            self._stats.servers_idle = len(self._services.pool)
        if self._sink is not None:
            self._stats.log_written, self._stats.log_lost = self._sink.written, self._sink.lost
        return self._stats

    async def condition(self) -> Condition:
        """Test what a request needs, and return what does not work."""
        services, acceptor, sink = self._services, self._acceptor, self._sink
        if services is None or acceptor is None or sink is None:
            return Condition(LogCondition("", 0, 0.0), "", full=False)
        accepting = ""
        if self._refusal is not None and services.loop.time() - self._refusal[0] < _REFUSED_RECENTLY:
            accepting = f"connections cannot be accepted: {self._refusal[1]}"
        return Condition(await sink.condition(), accepting, full=acceptor.full)

    async def start(self, sock: socket.socket | None = None) -> None:
        """Open the log and listen, on ``sock`` if given. Raises ``ListenError`` or ``MralabError``."""
        loop = asyncio.get_running_loop()
        config = self.config
        sink = LogSink(None if config.log.file == "-" else config.path(config.log.file))
        try:
            sink.open()
        except OSError as error:
            raise MralabError(f"{config.path(config.log.file)}: the log cannot be written: {error.strerror}") from error
        services = Services(
            loop, self._policy, self._emitter(sink), self._et_net, self._hop, log=sink.write, writer=self._writer
        )
        services.emit_unlogged = self._pass_on
        services.brief_listeners = self._brief_listeners()
        capture = Capture(loop, Addresses(config.hosts, config.proxy.control_host))

        def captured() -> None:
            services.capture = capture if capture.active else None

        capture.on_change = captured
        try:
            if config.capture.pcapng:
                capture.start(config.path(config.capture.pcapng))
            if config.capture.keylog:
                capture.start_keylog(config.path(config.capture.keylog))
            listening = sock or listening_socket(config.proxy.listen)
        except BaseException:  # a failed start must not leave files open
            await capture.close()
            await sink.close()
            raise
        services.own.add(listening)
        self._sink, self._capture, self._services, self._stats = sink, capture, services, services.stats
        bound: Any = listening.getsockname()
        self.host, self.port = str(bound[0]), int(bound[1])
        self._acceptor = Acceptor(
            loop, listening, self._most_clients(), lambda: _accepted(services), self._refused, self._share
        )
        services.on_leave = self._acceptor.released
        services.stats.watch(loop)

    def subscribe(self, listener: Listener, briefs: BriefListener | None = None) -> Callable[[], None]:
        """Call ``listener`` with the events from now on. Call the returned function to unsubscribe.

        ``briefs`` is called in its place with events that come in brief.
        """
        subscription = _subscription(listener, briefs)
        self._listen((*self._listeners, subscription))
        return lambda: self._listen(tuple(other for other in self._listeners if other is not subscription))

    def _listen(self, listeners: tuple[_Subscription, ...]) -> None:
        self._listeners = listeners
        if self._services is not None and self._sink is not None:
            self._services.emit = self._emitter(self._sink)
            self._services.brief_listeners = self._brief_listeners()

    def _brief_listeners(self) -> tuple[BriefListener, ...]:
        return tuple(subscription.briefs for subscription in self._listeners)

    def _pass_on(self, event: Event) -> None:
        for subscription in self._listeners:
            subscription.listener(event)

    def _emitter(self, sink: LogSink) -> Listener:
        write, line = sink.write, self._writer.format
        listeners = tuple(subscription.listener for subscription in self._listeners)

        def emit(event: Event) -> None:
            write(line(event))
            for listener in listeners:
                listener(event)

        return emit

    def _most_clients(self) -> int:
        """Return this process's share of ``limits.connections``, reduced to what its descriptors allow."""
        share, remainder = divmod(self.config.limits.connections, self._workers)
        return most_connections(max(1, share + (self._et_net < remainder)))

    def _refused(self, error: OSError) -> None:
        if self._services is not None:
            self._services.stats.clients_refused += 1
            self._refusal = (self._services.loop.time(), error.strerror or str(error))

    def apply(self, config: Config, store: TrustStore | None = None) -> None:
        """Put another configuration into force from the next request on.

        Raises ``ConfigError`` and keeps the old one if the new one is invalid. ``store`` replaces the configured one.
        """
        if store is None and self._store_given:
            store = self.store
        self.put(load_settings(config, store, self._rules))

    def put(self, settings: Settings | Policy) -> None:
        """Put settings into force from the next request on. ``load_settings`` has checked them; no file is read.

        Making a ``Policy`` takes a second for 100,000 rules: one made beforehand, in another thread, saves it.
        """
        self._policy = settings if isinstance(settings, Policy) else Policy(settings)
        if self._services is not None:
            self._services.use(self._policy)
        if self._acceptor is not None:
            self._acceptor.limit = self._most_clients()

    def trust(self, certificates: Iterable[x509.Certificate]) -> None:
        """Add certificates to the trust store in force."""
        self.put(self.settings._replace(store=self.store.add(certificates)))

    def distrust(self, certificates: Iterable[x509.Certificate]) -> None:
        """Remove certificates from the trust store in force."""
        self.put(self.settings._replace(store=self.store.remove(certificates)))

    async def flush_log(self) -> None:
        """Wait until all lines so far are in the log file."""
        if self._sink is not None:
            await self._sink.flush()

    def start_capture(self, path: Path, limit: int) -> None:
        """Capture new connections to a pcapng file, beside that of ``[capture]``. Raises ``MralabError``.

        ``limit`` is its greatest size in bytes.

        The file may be passed on: it has no TLS secrets, and no requests of clients (``Capture.start``).
        """
        if self._capture is not None:
            self._capture.start(path, confidential=False, limit=limit)

    async def stop_capture(self, path: Path) -> None:
        """Complete and close a file that ``start_capture`` has begun."""
        if self._capture is not None:
            await self._capture.stop(path)

    async def flush_capture(self) -> None:
        """Wait until all packets so far are in the capture's files."""
        if self._capture is not None:
            await self._capture.flush()

    def drop_clients(self) -> None:
        """End the connections of all clients now."""
        if self._services is not None:
            for client in list(self._services.clients):
                client.abort()

    async def stop(self, grace: float = 10.0) -> None:
        """Stop accepting, finish the current requests (at most ``grace`` seconds), flush the log."""
        services, acceptor, sink = self._services, self._acceptor, self._sink
        if services is None or acceptor is None or sink is None:
            return
        self._services = self._acceptor = None
        services.draining = True
        acceptor.close()
        await acceptor.settled()
        for client in list(services.clients):
            client.drain()
        if services.clients:
            services.empty.clear()  # there may have been no client at an earlier time
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await services.empty.wait()
        for client in list(services.clients):
            client.abort()
        services.pool.close()
        services.limits.close()
        services.stats.close()
        services.stats.servers_idle = 0
        await asyncio.sleep(0)
        if self._capture is not None:
            await self._capture.close()
            self._capture = None
        await sink.close()
        services.stats.log_written, services.stats.log_lost = sink.written, sink.lost
        self._sink = None


class _Subscription(NamedTuple):
    listener: Listener
    briefs: BriefListener


def _subscription(listener: Listener, briefs: BriefListener | None) -> _Subscription:
    """Return a subscription. Without ``briefs``, ``listener`` gets the events of briefs one by one."""

    def expand(brief: Brief) -> None:
        for event in brief.events():
            listener(event)

    return _Subscription(listener, briefs or expand)


def _accepted(services: Services) -> asyncio.Protocol:
    """Return the protocol of a new client."""
    connection = ClientConnection(services)
    return connection if services.capture is None else services.capture.client(connection)
