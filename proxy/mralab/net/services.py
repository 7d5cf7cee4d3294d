"""What all exchanges and client connections of one running proxy share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..core.http.rewrite import Hop
from ..core.log.events import Event
from ..core.log.planned import Brief
from ..core.log.writer import LineWriter
from ..core.mra.route import Routes
from .capture import Capture
from .client_limits import ClientLimits
from .endpoints import Endpoints
from .plan import Plans
from .policy import Policy
from .pool import Pool
from .resolver import Resolver
from .stats import Stats

Listener = Callable[[Event], None]
BriefListener = Callable[[Brief], None]


class Connected(Protocol):
    """A connected client, as a stopping proxy sees it."""

    def drain(self) -> None:
        """End the connection after the response to the current request, or now if there is none."""

    def abort(self) -> None:
        """End the connection now."""


class Services:
    """Hold the routes, plans, pool, resolver, limits and counters, and emit events.

    ``log`` takes lines and their number, for events that are not emitted one by one (``core.log.planned``). Such events
    go to ``brief_listeners``. ``writer`` has the time as those lines have it.
    """

    __slots__ = (
        "brief_listeners",
        "capture",
        "clients",
        "draining",
        "emit",
        "emit_unlogged",
        "empty",
        "et_net",
        "hop",
        "limits",
        "log",
        "loop",
        "on_leave",
        "own",
        "plans",
        "policy",
        "pool",
        "resolver",
        "routes",
        "stats",
        "writer",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        policy: Policy,
        emit: Listener,
        et_net: int,
        hop: Hop,
        *,
        log: Callable[[str, int], None],
        writer: LineWriter,
    ) -> None:
        self.loop = loop
        self.policy: Policy
        self.routes: Routes
        self.plans: Plans
        self.log = log
        self.writer = writer
        self.brief_listeners: tuple[BriefListener, ...] = ()
        self.emit = emit
        """Logs an event and passes it to the listeners."""
        self.emit_unlogged: Listener = lambda _: None
        """Passes an event that has no line in the log to the listeners."""
        self.et_net = et_net
        """The worker's number, which the log shows as ``ET_NET``."""
        self.hop = hop
        self.capture: Capture | None = None
        """Captures new connections; None: nothing is captured."""
        self.own = Endpoints()
        """Where this proxy listens: never dialled."""
        self.stats = Stats()
        self.limits = ClientLimits(loop, policy.config.limits)
        self.clients: set[Connected] = set()
        self.on_leave: Callable[[], None] = lambda: None
        self.pool = Pool(loop, self.stats, policy.connect_timeout, policy.response_timeout)
        self.resolver = Resolver(loop)
        self.use(policy)
        self.draining = False
        self.empty = asyncio.Event()
        """Set each time that the last client has gone; clear it before waiting."""

    def use(self, policy: Policy) -> None:
        """Put another policy into force from the next request on."""
        self.policy = policy
        self.routes = Routes(
            policy.allow, policy.control_host, self.hop, keep_alive=policy.keep_alive, hosts=policy.hosts
        )
        self.plans = Plans()
        self.limits.apply(policy.config.limits)
        self.pool.connecting.change(policy.connect_timeout)
        self.pool.silence.change(policy.response_timeout)
        self.pool.close_idle()

    def arrive(self, client: Connected) -> None:
        """Count a client that has connected."""
        self.clients.add(client)
        self.stats.client_connections += 1
        self.stats.clients_open += 1

    def leave(self, client: Connected) -> None:
        """Forget a client whose connection has ended."""
        self.clients.discard(client)
        self.stats.clients_open -= 1
        self.on_leave()
        if not self.clients:
            self.empty.set()

    def next_txn(self) -> int:
        """Return the next transaction's number, which the log shows as Txn-id."""
        self.stats.begun += 1
        return self.stats.begun
