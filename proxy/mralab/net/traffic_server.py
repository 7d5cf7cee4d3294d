"""The proxy: a configuration put into force, a listener, and what its connections share.

``Policy`` is a configuration resolved into what a request needs; it is swapped whole, so a request sees one and the
next request sees the next. What was verified under an older one (kept connections) is closed at the swap.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from cryptography import x509

from ..config import Config, HostEntry
from ..core.http.rewrite import Hop
from ..core.log.events import Event
from ..core.log.writer import LineWriter
from ..core.mra.allowlist import (
    AllowList,
    OpenAllowList,
    Rule,
    RulesError,
    automatic_rules,
    decode_csv,
    parse_rules_csv,
)
from ..core.mra.route import Routes
from ..errors import ConfigError, MralabError, TrustStoreError
from ..tls.identity import Identity, load_identity
from ..tls.trust_store import TrustStore, load_store
from ..tls.verification import TlsContext, TlsSettings, check_ciphers
from .acceptor import Acceptor, listening_socket, most_connections
from .client_connection import ClientConnection
from .client_limits import ClientLimits
from .endpoints import Endpoints
from .pool import Upstream
from .resolver import Resolver
from .settings import Settings
from .shares import Share
from .sink import LogCondition, LogSink
from .stats import Stats

Listener = Callable[[Event], None]

_REFUSED_RECENTLY: Final = 1.0  # seconds: while descriptors are exhausted, accepting fails five times a second

_generations = itertools.count(1)


class Policy:
    """A configuration resolved: allow list, hosts, TLS context, times. Never changed once made."""

    __slots__ = (
        "allow",
        "attempts",
        "config",
        "connect_timeout",
        "control_host",
        "debug",
        "generation",
        "hosts",
        "keep_alive",
        "response_timeout",
        "settings",
        "store",
        "tls",
        "wording",
    )

    def __init__(self, settings: Settings) -> None:
        config, store, rules, identity = settings
        self.settings = settings
        self.config = config
        self.store = store
        self.generation = next(_generations)
        self.tls = TlsContext(
            TlsSettings(
                config.verify_mode,
                config.verify.ip_san == "accept",
                config.cipher_string,
                config.tls_versions,
                config.preference,
            ),
            store,
            identity,
        )
        self.wording = config.verify.openssl
        automatic = [rule for host in config.hosts for rule in automatic_rules(host)] if config.allow.automatic else []
        every = [*rules, *automatic]
        self.allow = OpenAllowList(every, config.hosts) if config.allow.everything else AllowList(every)
        self.hosts: Mapping[str, HostEntry] = config.hosts
        self.attempts = config.upstream.attempts
        self.connect_timeout = config.upstream.connect_timeout
        self.response_timeout = config.upstream.response_timeout
        self.keep_alive = config.upstream.connections == "keep-alive"
        self.control_host = config.proxy.control_host
        self.debug = config.log.level == "DEBUG"


def load_settings(
    config: Config,
    store: TrustStore | None = None,
    rules: Iterable[Rule] | None = None,
    identity: Identity | None = None,
) -> Settings:
    """A configuration with its trust store, rules and own certificate: given, or read from the files that it names.

    Raises ``ConfigError`` with every problem in every file at once.
    """
    problems: list[str] = []
    if store is None:
        try:
            store = _load_trust(config)
        except TrustStoreError as error:
            problems += error.problems
    if rules is None:
        try:
            rules = _load_rules(config)
        except ConfigError as error:
            problems += error.problems
    if identity is None:
        try:
            identity = _load_identity(config)
        except ConfigError as error:
            problems += error.problems
    if config.upstream.ciphers and (why := check_ciphers(config.upstream.ciphers)):
        problems.append(f"upstream.ciphers: {why} (is {config.upstream.ciphers!r})")
    if problems or store is None or rules is None:
        raise ConfigError(problems)
    return Settings(config, store, tuple(rules), identity)


def _load_trust(config: Config) -> TrustStore:
    if not config.trust.store:
        return TrustStore()
    path = config.path(config.trust.store)
    if not config.said("trust", "store") and not path.exists():
        return TrustStore()
    return load_store(path)


def _load_identity(config: Config) -> Identity | None:
    certificate, key = config.upstream.certificate, config.upstream.key
    if not certificate:
        if key:
            raise ConfigError([f"upstream.key: {key!r} is the key of no certificate: upstream.certificate is not set"])
        return None
    try:
        return load_identity(config.path(certificate), config.path(key) if key else None)
    except RuntimeError as error:  # '~user' of nobody
        raise ConfigError([f"upstream.certificate, upstream.key: {error}"]) from error


def _load_rules(config: Config) -> tuple[Rule, ...]:
    path = config.path(config.allow.rules)
    if not config.allow.rules or (not config.said("allow", "rules") and not path.exists()):
        return ()
    try:
        return parse_rules_csv(decode_csv(path.read_bytes(), str(path)), str(path))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except RulesError as error:
        raise ConfigError(error.problems) from error


def new_hop() -> Hop:
    """A name for a proxy that no other has, for Via."""
    return Hop(b"vcs", str(uuid.uuid4()).encode())


class Services:
    """What all client connections share."""

    __slots__ = (
        "clients",
        "draining",
        "empty",
        "hop",
        "limits",
        "loop",
        "note",
        "on_leave",
        "own",
        "policy",
        "resolver",
        "routes",
        "stats",
        "tell",
        "thread",
        "upstream",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, policy: Policy, tell: Listener, thread: int, hop: Hop) -> None:
        self.loop = loop
        self.policy: Policy
        self.routes: Routes
        self.tell = tell
        self.note: Listener = lambda _: None
        """Emits an event that has no line in the log."""
        self.thread = thread
        self.hop = hop
        self.own = Endpoints()
        """Where this proxy listens: never dialled."""
        self.stats = Stats()
        self.limits = ClientLimits(loop, policy.config.limits)
        self.clients: set[ClientConnection] = set()
        self.on_leave: Callable[[], None] = lambda: None
        self.upstream = Upstream(loop, self.stats, policy.connect_timeout, policy.response_timeout)
        self.resolver = Resolver(loop)
        self.use(policy)
        self.draining = False
        self.empty = asyncio.Event()
        """No client is connected any more."""

    def use(self, policy: Policy) -> None:
        """Put another policy into force from the next request on."""
        self.policy = policy
        self.routes = Routes(
            policy.allow, policy.control_host, self.hop, keep_alive=policy.keep_alive, hosts=policy.hosts
        )
        self.limits.apply(policy.config.limits)
        self.upstream.making.change(policy.connect_timeout)
        self.upstream.silence.change(policy.response_timeout)
        self.upstream.close_idle()

    def arrive(self, client: ClientConnection) -> None:
        """A client has connected."""
        self.clients.add(client)
        self.stats.client_connections += 1
        self.stats.clients_open += 1

    def leave(self, client: ClientConnection) -> None:
        """A client's connection is gone."""
        self.clients.discard(client)
        self.stats.clients_open -= 1
        self.on_leave()
        if not self.clients:
            self.empty.set()

    def next_txn(self) -> int:
        """The next transaction's number, as Txn-id shows it."""
        self.stats.begun += 1
        return self.stats.begun


class Condition(NamedTuple):
    """What does not work in one process, in words: of its log, and of accepting connections.

    ``full``: as many connections are open as may be, so newcomers wait in the kernel's backlog.
    """

    log: LogCondition
    accepting: str
    full: bool


class Proxy:
    """The traffic server alone. ``await start()``, ``await stop()``, or ``async with``.

    ``listener`` is told every event as it happens, besides the log. Where several ``workers`` serve one socket,
    ``thread`` is this one's number, ``share`` its share of the connections, and ``hop`` what they all are in Via.
    """

    def __init__(
        self,
        config: Config,
        *,
        store: TrustStore | None = None,
        rules: Iterable[Rule] | None = None,
        identity: Identity | None = None,
        listener: Listener | None = None,
        thread: int = 0,
        workers: int = 1,
        hop: Hop | None = None,
        share: Share | None = None,
    ) -> None:
        self._policy = Policy(load_settings(config, store, rules, identity))
        self._rules = rules
        self._store_given = store is not None
        self._listeners: tuple[Listener, ...] = (listener,) if listener is not None else ()
        self._thread = thread
        self._workers = workers
        self._hop = hop or new_hop()
        self._share = share
        self._services: Services | None = None
        self._acceptor: Acceptor | None = None
        self._sink: LogSink | None = None
        self._stats = Stats()
        self._refusal: tuple[float, str] | None = None
        """When, by the loop's clock, a connection could last not be accepted, and why."""
        self._writer = LineWriter(config.log.hostname, os.getpid(), debug=True)
        self.host = ""
        self.port = 0

    async def __aenter__(self) -> Proxy:
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
        """Everything it runs by now."""
        return self._policy.settings

    @property
    def sink(self) -> LogSink | None:
        """The log's sink while running."""
        return self._sink

    @property
    def stats(self) -> Stats:
        """What this proxy has done since its latest start."""
        if self._services is not None:
            self._stats.servers_idle = len(self._services.upstream)
        if self._sink is not None:
            self._stats.log_written, self._stats.log_lost = self._sink.written, self._sink.lost
        return self._stats

    async def condition(self) -> Condition:
        """Try what a request needs, and return what does not work."""
        services, acceptor, sink = self._services, self._acceptor, self._sink
        if services is None or acceptor is None or sink is None:
            return Condition(LogCondition("", 0, 0.0), "", full=False)
        accepting = ""
        if self._refusal is not None and services.loop.time() - self._refusal[0] < _REFUSED_RECENTLY:
            accepting = f"connections cannot be accepted: {self._refusal[1]}"
        return Condition(await sink.condition(), accepting, full=acceptor.full)

    async def start(self, sock: socket.socket | None = None) -> None:
        """Open the log and listen, on ``sock`` if it is given. Raises ``ListenError`` or ``MralabError``."""
        loop = asyncio.get_running_loop()
        config = self.config
        sink = LogSink(None if config.log.file == "-" else config.path(config.log.file))
        try:
            sink.open()
        except OSError as error:
            raise MralabError(f"{config.path(config.log.file)}: the log cannot be written: {error.strerror}") from error
        services = Services(loop, self._policy, self._teller(sink), self._thread, self._hop)
        services.note = self._emit
        try:
            listening = sock or listening_socket(config.proxy.listen)
        except BaseException:  # a start that fails leaves no open log behind
            await sink.close()
            raise
        services.own.add(listening)
        self._sink, self._services, self._stats = sink, services, services.stats
        bound: Any = listening.getsockname()
        self.host, self.port = str(bound[0]), int(bound[1])
        self._acceptor = Acceptor(
            loop, listening, self._most_clients(), lambda: ClientConnection(services), self._refused, self._share
        )
        services.on_leave = self._acceptor.released
        services.stats.watch(loop)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` the events of requests that come from now on; what it gives ends that."""
        self._tell_to((*self._listeners, listener))
        return lambda: self._tell_to(tuple(one for one in self._listeners if one != listener))

    def _tell_to(self, listeners: tuple[Listener, ...]) -> None:
        self._listeners = listeners
        if self._services is not None and self._sink is not None:
            self._services.tell = self._teller(self._sink)

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _teller(self, sink: LogSink) -> Listener:
        write, line, listeners = sink.write, self._writer.format, self._listeners

        def tell(event: Event) -> None:
            write(line(event))
            for listener in listeners:
                listener(event)

        return tell

    def _most_clients(self) -> int:
        """This process's share of ``limits.connections``, as far as its descriptors go."""
        share, more = divmod(self.config.limits.connections, self._workers)
        return most_connections(max(1, share + (self._thread < more)))

    def _refused(self, error: OSError) -> None:
        if self._services is not None:
            self._services.stats.clients_refused += 1
            self._refusal = (self._services.loop.time(), error.strerror or str(error))

    def apply(self, config: Config, store: TrustStore | None = None) -> None:
        """Put another configuration into force from the next request on.

        Raises ``ConfigError`` and keeps the old one where it cannot be. ``store`` replaces the file's.
        """
        if store is None and self._store_given:
            store = self.store
        self.put(load_settings(config, store, self._rules))

    def put(self, settings: Settings | Policy) -> None:
        """Put settings into force from the next request on. ``load_settings`` has checked them; no file is read.

        A ``Policy`` made beforehand, in another thread, takes no time here: for 100,000 rules it takes a second.
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
        """Take certificates out of the trust store in force."""
        self.put(self.settings._replace(store=self.store.remove(certificates)))

    async def flush_log(self) -> None:
        """Wait until every line so far is in the log file."""
        if self._sink is not None:
            await self._sink.flush()

    def drop_clients(self) -> None:
        """End every client's connection now, whatever it waits for."""
        if self._services is not None:
            for client in list(self._services.clients):
                client.abort()

    async def stop(self, grace: float = 10.0) -> None:
        """Stop accepting, finish what runs (at most ``grace`` seconds), flush the log."""
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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await services.empty.wait()
        for client in list(services.clients):
            client.abort()
        services.upstream.close()
        services.limits.close()
        services.stats.close()
        services.stats.servers_idle = 0
        await asyncio.sleep(0)
        await sink.close()
        services.stats.log_written, services.stats.log_lost = sink.written, sink.lost
        self._sink = None
