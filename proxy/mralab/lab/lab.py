"""A whole lab: mock nodes, get_edge_config in front, and the verifying proxy between them.

Everything listens on loopback, on ports of its own; the log shows the lab's own addresses.
``async with Lab(release="X14.2") as lab`` runs the article's lab in the current loop.
``with Lab(release="X14.2") as lab`` runs it in its own thread, and its ``login`` waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..config import Config, load
from ..core.mra.allowlist import Kind
from ..core.release import VerifyMode
from ..data import data_path
from ..harness.proxy import Proxy, verify_table
from ..harness.sync_facade import LoopOrThread, ThreadedContext, await_in
from ..mocks.cluster import Cluster
from ..mocks.cucm import Cucm
from ..mocks.edge import Edge
from ..mocks.pki import Pki, mint
from . import staging
from .configuration import configured
from .discovery import Discoverer, Discovery
from .home_servers import HomeCluster
from .like import Like
from .login import Login, login, request_all
from .nodes import DOMAIN, FQDN, NODES, LabPlan
from .peers import new_peers
from .running_lab import Parts, RunningLab
from .scenario import Scenario, scenario_named
from .scenario_checks import with_recipes
from .scenario_model import Expected

PASSWORD = "cisco123"  # noqa: S105 - the lab's public password
ADMINISTRATOR = "administrator"
"""The application user for AXL; its password is ``PASSWORD``."""
_ARTICLE: Final = Scenario(name="article", title="the article's lab", expect=Expected())


class Lab(RunningLab, LoopOrThread):
    """A whole lab. Unless ``config`` sets ports, every port is ephemeral, so labs run side by side.

    ``scenario`` is a ``Scenario`` or the name of one (default: the article's lab). ``release`` defaults to the
    configuration's. ``verify`` is ``"on"``, ``"off"`` or ``"audit"``; the default depends on the release. ``changes``
    are tables of the configuration, as for ``Config.changed``. ``like`` are look-alikes of a customer's certificates:
    their servers replace the lab's nodes, and what is trusted of them replaces the lab's CA.

    ``config`` is the proxy's configuration. The lab adds the hosts of its nodes, and to the trust store the CA that
    signed their RSA certificates; an explicitly empty ``trust.store`` trusts nothing, as everywhere. ``log_file`` is
    the log file, ``-`` is standard output. Default: ``log.file`` if the configuration sets it, else a temporary file,
    which is removed at the end unless ``keep_log``.

    Raises:
        ConfigError: lists every problem in the configuration and the files that it names, and everything in it that a
            lab cannot do: ``proxy.workers`` above 1, and ``hosts`` that are the lab's own nodes.
    """

    def __init__(
        self,
        release: str | None = None,
        *,
        scenario: Scenario | str | None = None,
        like: Like | None = None,
        log_file: Path | None = None,
        config: Config | None = None,
        pki: Pki | None = None,
        users: dict[str, str] | None = None,
        verify: VerifyMode | Mapping[str, Any] | None = None,
        keep_log: bool = False,
        **changes: Any,
    ) -> None:
        self._scenario = scenario_named(scenario) if isinstance(scenario, str) else scenario or _ARTICLE
        self._like = like
        self._rows = NODES if like is None else like.rows()
        self._changes = {**changes, **verify_table(verify)}
        start = config or load(data_path("config/lab.toml"))
        own = {
            host: f"the lab's own {name.upper()}" if like is None else "a server of the look-alikes"
            for name, row in self._rows.items()
            for host in (row.fqdn, row.ip)
        }
        self._base, self._initial = configured(start, release, self._scenario, self._changes, own)
        self._log = log_file
        self._keep_log = keep_log
        self._users = users or {"emusk": PASSWORD}
        self._pki = with_recipes(pki or mint(), self._scenario)
        self._files: dict[str, Any] = {}
        self._turn = -1
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self) -> SyncLab:
        """Start the lab in a new thread."""
        return SyncLab(self, self._start_in_thread("mralab-lab"))

    @property
    def scenario(self) -> Scenario:
        """The scenario that it was made with."""
        return self._scenario

    @property
    def pki(self) -> Pki:
        """The lab's certificates by recipe name."""
        return self._pki

    async def login(self, user: str = "emusk", password: str = PASSWORD, *, clear: bool = True) -> Login:
        """Log in as Jabber does. With ``clear``, clear the log first, so that findings are those of this login."""
        if clear:
            self.clear()
        return await self._login(user, password)

    async def logins(self, user: str = "emusk", password: str = PASSWORD) -> tuple[Login, ...]:
        """Clear the log, log in as often as the scenario says, and request what it requests besides.

        The first login goes through the first peer and to the publisher, each further one to the next peer and node.
        """
        self.clear()
        self._turn = -1
        results = tuple([await self._login(user, password) for _ in range(self._scenario.logins)])
        await await_in(self._running.loop, request_all(map(self.proxy.url, self._scenario.requests)))
        return results

    async def _login(self, user: str, password: str) -> Login:
        unity = [node.address for node in self.nodes.values() if node.kind == "unity"]
        done = login(user, self.via, password=password, domain=DOMAIN, unity=unity)
        return await await_in(self._running.loop, done)

    def _begin_login(self) -> None:
        """Choose peer and node for the client that has just got its edge configuration."""
        self._turn += 1
        self._running.home.choose(self._turn)

    async def discover(
        self,
        address: str = FQDN,
        *,
        kind: Kind = "cucm",
        user: str = ADMINISTRATOR,
        password: str = PASSWORD,
        tls_verify: str = "On",
    ) -> Discovery:
        """Discover the nodes of the publisher at ``address``, as the page Unified CM servers does, and of other kinds.

        ``tls_verify`` is TLS verify mode, ``On`` or ``Off``. If the publisher answers, its nodes alone have automatic
        rules of this kind. An error is in the result. Raises ``InputError`` for arguments that cannot be used.
        """
        discoverer = self._running.discoverer
        return await await_in(
            self._running.loop,
            discoverer.discover(address, kind=kind, user=user, password=password, tls_verify=tls_verify),
        )

    async def refresh(self) -> tuple[Discovery, ...]:
        """Repeat every discovery, as "Refresh servers" does. Return the new states."""
        return await await_in(self._running.loop, self._running.discoverer.refresh())

    async def upgrade(self, release: str, log: Path | None = None) -> None:
        """Install another release: each peer is replaced and keeps its trust store; the nodes keep running.

        ``log`` is the log file of the first peer; those of the others have the peer's name behind it.
        """
        await await_in(self._running.loop, self._upgrade(release, log))

    async def _start(self) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._start_parts(stack)
                self._stack = stack.pop_all()
        except BaseException:  # cancellation included: a lab that did not start is not running
            self._parts = None
            raise

    async def _stop(self) -> None:
        try:
            await self._stack.aclose()
        finally:
            if self._parts is not None:
                self._parts.are_running = False

    async def _start_parts(self, stack: contextlib.AsyncExitStack) -> None:
        if self._log is None and not self._initial.is_set("log", "file"):
            if self._keep_log:
                folder = tempfile.mkdtemp(prefix="mralab-")
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mralab-"))
            self._log = Path(folder) / "traffic_server.log"
            stack.callback(setattr, self, "_log", None)
        if staging.needs_files(self._scenario):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mralab-"))
            self._files = staging.write_files(self._scenario, self._pki, Path(folder))
        plan = LabPlan(self._pki, Cluster(self._users, domain=DOMAIN), self._scenario)
        made = {name: row.make(plan) for name, row in self._rows.items()}
        staging.install_certificates(made, self._scenario, self._pki)
        nodes = {name: await stack.enter_async_context(node) for name, node in made.items()}
        staging.inject_faults(nodes, self._scenario, self._pki)
        cucm = nodes["cucm"]
        assert isinstance(cucm, Cucm)  # noqa: S101 - for the type checker
        home = staging.HomeServer([nodes[name] for name in self._scenario.home])
        unplugged = stack.enter_context(staging.Unplugged(self._scenario, nodes))
        peers = self._new_peers(staging.hosts(nodes, unplugged), None, self._log)
        stack.push_async_callback(self._stop_peers)
        edge = Edge(
            self._proxy_address,
            cucm=home,
            cluster=HomeCluster(lambda: home.nodes, lambda: self.proxy.config),
            users=self._users,
            tokens=plan.cluster.tokens,
            domain=DOMAIN,
            on_login=self._begin_login,
            control_host=next(iter(peers.values())).config.proxy.control_host,
        )
        discoverer = Discoverer(lambda: tuple(self._running.peers.values()), DOMAIN)
        self._parts = Parts(asyncio.get_running_loop(), nodes, cucm, home, unplugged, peers, edge, discoverer)
        for peer in peers.values():
            await peer.__aenter__()
        await stack.enter_async_context(edge)

    async def _upgrade(self, release: str, log: Path | None) -> None:
        parts = self._running
        stores = {name: peer.trusted for name, peer in parts.peers.items()}
        await self._stop_peers()
        parts.peers = self._new_peers(staging.hosts(parts.nodes, parts.unplugged), release, log or self._log)
        for name, peer in parts.peers.items():
            peer.server.apply(peer.config, stores[name])
            await peer.__aenter__()
        parts.discoverer.apply_rules()

    def _new_peers(self, hosts: dict[str, Any], release: str | None, log: Path | None) -> dict[str, Proxy]:
        """Return a proxy in front of the nodes for each peer. ``log`` None: the log file of the configuration."""
        tables: dict[str, Any] = {"hosts": hosts}
        if release is not None:
            tables["release"] = release
        config = self._base.changed(**tables).changed(**self._files).changed(**self._changes)
        if log is not None:
            config = config.changed(log={"file": "-" if str(log) == "-" else str(log.absolute())})
        peers = new_peers(config, self._scenario, self._pki, self._like)
        for peer in peers.values():
            peer.on_reset.append(self.restore_rules)
        return peers

    async def _stop_peers(self) -> None:
        for peer in self.peers.values():
            await peer.__aexit__(None, None, None)

    def _proxy_address(self) -> tuple[str, int]:
        """Return the address of the peer through which the login in progress goes."""
        peers = tuple(self.peers.values())
        peer = peers[max(self._turn, 0) % len(peers)]
        return peer.host, peer.port


class SyncLab(RunningLab):
    """A lab in its own thread, as ``with Lab(...)`` returns it: ``login``, ``logins`` and ``upgrade`` wait."""

    def __init__(self, lab: Lab, context: ThreadedContext) -> None:
        self._lab = lab
        self._parts = lab._parts
        self._context = context

    def login(self, user: str = "emusk", password: str = PASSWORD, *, clear: bool = True) -> Login:
        """Log in as Jabber does. With ``clear``, clear the log first, so that findings are those of this login."""
        return self._context.thread.call(self._lab.login(user, password, clear=clear))

    def logins(self, user: str = "emusk", password: str = PASSWORD) -> tuple[Login, ...]:
        """Clear the log, log in as often as the scenario says, and request what it requests besides."""
        return self._context.thread.call(self._lab.logins(user, password))

    def discover(
        self,
        address: str = FQDN,
        *,
        kind: Kind = "cucm",
        user: str = ADMINISTRATOR,
        password: str = PASSWORD,
        tls_verify: str = "On",
    ) -> Discovery:
        """Discover the nodes of the publisher at ``address``, as ``Lab.discover``."""
        return self._context.thread.call(
            self._lab.discover(address, kind=kind, user=user, password=password, tls_verify=tls_verify)
        )

    def refresh(self) -> tuple[Discovery, ...]:
        """Repeat every discovery, as "Refresh servers" does. Return the new states."""
        return self._context.thread.call(self._lab.refresh())

    def upgrade(self, release: str, log: Path | None = None) -> None:
        """Install another release: the proxy is replaced and keeps its trust store; the nodes keep running."""
        self._context.thread.call(self._lab.upgrade(release, log))
