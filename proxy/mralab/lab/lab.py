"""Lab: puts one together, takes it down.

CUCM with its UDS and TFTP, get_edge_config in front, and the verifying proxy between, all on loopback and on ports
of their own; the log shows the lab's own addresses. ``async with Lab(release="X14.2") as lab`` is the article's lab,
in the loop at hand; ``with Lab(release="X14.2") as lab`` is the same in a thread of its own, and its ``login`` waits.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ..config import Config, load
from ..core.release import VerifyMode
from ..data import data_path
from ..diagnose.findings import Finding
from ..diagnose.journal import Journal, Served
from ..diagnose.judged import Judged
from ..net.trust import TrustStore
from .client import Login, login
from .cucm import Cucm
from .edge import Edge
from .pki import Pki, mint
from .probe import answers
from .proxy import Proxy, verify_table
from .scenario import Scenario, scenario_named
from .thread import Done, Held, await_in
from .trusted import Trusted

DOMAIN = "steven.lab"
PASSWORD = "cisco123"  # noqa: S105 - the lab's public password


@dataclass(slots=True)
class _Parts:
    """What a running lab is made of."""

    loop: asyncio.AbstractEventLoop
    cucm: Cucm
    proxy: Proxy
    edge: Edge


class RunningLab:
    """What a lab is in either world: its parts, what it logged, and what is done to it from any thread.

    What is done takes effect from the next request on; ``await`` it or do not.
    """

    _parts: _Parts | None = None

    @property
    def cucm(self) -> Cucm:
        """The mock CUCM: ``lab.cucm.certificate("tomcat")``, ``lab.cucm.advertise = "ip"``."""
        return self._running.cucm

    @property
    def proxy(self) -> Proxy:
        """The proxy."""
        return self._running.proxy

    @property
    def via(self) -> str:
        """Where clients come in: get_edge_config and, behind it, the proxy."""
        return f"http://127.0.0.1:{self._running.edge.port}"

    @property
    def journal(self) -> Journal:
        """What the proxy has told since it started, as ``Proxy.journal``."""
        return self.proxy.journal

    @property
    def log(self) -> tuple[str, ...]:
        """The lines that the proxy has logged since the latest login began, or since ``clear``."""
        return self.proxy.log

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the log says is wrong, derived from its lines alone."""
        return self.proxy.findings

    @property
    def transactions(self) -> tuple[Served, ...]:
        """What became of each request, the latest last."""
        return self.proxy.transactions

    def refused(self, server: str, *, because: str | None = None, port: int | None = None) -> Judged:
        """Whether a request to ``server`` was stopped, as ``Proxy.refused``."""
        return self.proxy.refused(server, because=because, port=port)

    def allowed(self, server: str, *, port: int | None = None) -> Judged:
        """Whether ``server`` answered the latest requests to it, as ``Proxy.allowed``."""
        return self.proxy.allowed(server, port=port)

    def probes(self) -> dict[tuple[str, str], Callable[[], Awaitable[None]]]:
        """What asks each mock whether it answers: its name and address -> a call that raises where it does not."""
        token = base64.b64encode(DOMAIN.encode()).decode().rstrip("=")
        urls = {
            "cucm 8443": f"https://127.0.0.1:{self.cucm.uds_port}/",
            "cucm 6972": f"https://127.0.0.1:{self.cucm.tftp_port}/",
            "edge": f"{self.via}/{token}/get_edge_config",  # the edge's own answer: anything else goes to the proxy
        }
        return {(name, url.split("/")[2]): functools.partial(answers, url) for name, url in urls.items()}

    def clear(self) -> Done:
        """Forget the log, the requests and the findings so far."""
        return self.proxy.clear()

    def trust(self, *things: Trusted) -> Done:
        """Maintenance > Security > Trusted CA certificate: from the next request on."""
        return self.proxy.trust(*things)

    def distrust(self, *things: Trusted) -> Done:
        """Take certificates out of the trust store again."""
        return self.proxy.distrust(*things)

    def verify_origin_server(self, value: str) -> Done:
        """``xConfiguration EdgeConfigServer VerifyOriginServer: On`` or ``Off``."""
        return self.proxy.verify_origin_server(value)

    @property
    def _running(self) -> _Parts:
        assert self._parts is not None, "the lab is not running"  # noqa: S101
        return self._parts


class Lab(RunningLab):
    """A whole lab. Every port is ephemeral, so labs run side by side.

    ``scenario`` sets it up, by itself or by its name (default: the article's); ``log_file`` is the proxy's log file
    (default: a temporary one); ``verify`` is ``"on"``, ``"off"`` or ``"audit"`` (default: what the release does);
    ``changes`` are tables of the configuration, as ``Config.changed`` takes them.
    """

    def __init__(
        self,
        release: str = "X14.2",
        *,
        scenario: Scenario | str | None = None,
        log_file: Path | None = None,
        config: Config | None = None,
        pki: Pki | None = None,
        users: dict[str, str] | None = None,
        verify: VerifyMode | Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        self._scenario = scenario_named(scenario) if isinstance(scenario, str) else scenario or _ARTICLE
        self._base = config or load(data_path("config/lab.toml"))
        self._release = release
        self._changes = {**changes, **verify_table(verify)}
        self._log = log_file
        self._users = users or {"emusk": PASSWORD}
        self._pki = pki or mint()
        self._stack = contextlib.AsyncExitStack()
        self._held: Held | None = None

    async def __aenter__(self) -> Lab:
        """Put it together, in this loop."""
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take it down."""
        try:
            await self._stack.aclose()
        finally:
            self._parts = None

    def __enter__(self) -> SyncLab:
        """Put it together, in a thread of its own."""
        self._held = Held(self, "mralab-lab")
        return SyncLab(self, self._held)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take it down, and end the thread."""
        held, self._held = self._held, None
        if held is not None:
            held.leave()

    async def login(self, user: str = "emusk", password: str = PASSWORD) -> Login:
        """Log in as Jabber would. Findings are of this login: the lines of earlier ones are let go."""
        self.clear()
        return await await_in(self._running.loop, login(user, self.via, password=password, domain=DOMAIN))

    async def upgrade(self, release: str, log: Path | None = None) -> None:
        """Put another release on the Expressway: the proxy starts anew, the servers stay as they are."""
        await await_in(self._running.loop, self._upgrade(release, log))

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        if self._log is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mralab-"))
            self._log = Path(folder) / "traffic_server.log"
            stack.callback(setattr, self, "_log", None)
        cucm = await stack.enter_async_context(
            Cucm(pki=self._pki, users=self._users, advertise=self._scenario.advertise)
        )
        store = TrustStore(self._pki[name].cert for name in self._scenario.trust)
        proxy = self._new_proxy(cucm, self._release, self._log, store)
        stack.push_async_callback(self._stop_proxy)
        edge = Edge(self._proxy_address, cucm=cucm, users=self._users, domain=DOMAIN)
        self._parts = _Parts(asyncio.get_running_loop(), cucm, proxy, edge)
        await proxy.__aenter__()
        await stack.enter_async_context(edge)

    async def _upgrade(self, release: str, log: Path | None) -> None:
        parts = self._running
        store = parts.proxy.trusted
        await self._stop_proxy()
        assert self._log is not None  # noqa: S101 - set at the start
        parts.proxy = self._new_proxy(parts.cucm, release, log or self._log, store)
        await parts.proxy.__aenter__()

    def _new_proxy(self, cucm: Cucm, release: str, log: Path, store: TrustStore) -> Proxy:
        ports = {8443: cucm.uds_port, 6972: cucm.tftp_port}
        config = self._base.changed(
            release=release,
            upstream={} if self._base.upstream.ciphers else {"prefer": self._scenario.prefer},
            hosts={
                cucm.fqdn: {"ip": cucm.ip, "dial": "127.0.0.1", "ports": ports},
                cucm.ip: {"dial": "127.0.0.1", "ports": ports},
            },
            log={"file": str(log.absolute())},
        )
        proxy = Proxy(config.changed(**self._changes) if self._changes else config)
        proxy.core.apply(proxy.config, store)
        return proxy

    async def _stop_proxy(self) -> None:
        await self.proxy.__aexit__(None, None, None)

    def _proxy_address(self) -> tuple[str, int]:
        return self.proxy.host, self.proxy.port


class SyncLab(RunningLab):
    """A lab that runs in a thread of its own: what ``with Lab(...)`` gives."""

    def __init__(self, lab: Lab, held: Held) -> None:
        self._lab = lab
        self._parts = lab._parts
        self._held = held

    def login(self, user: str = "emusk", password: str = PASSWORD) -> Login:
        """Log in as Jabber would. Findings are of this login: the lines of earlier ones are let go."""
        return self._held.thread.call(self._lab.login(user, password))

    def upgrade(self, release: str, log: Path | None = None) -> None:
        """Put another release on the Expressway: the proxy starts anew, the servers stay as they are."""
        self._held.thread.call(self._lab.upgrade(release, log))


_ARTICLE = Scenario(name="article", title="the article's lab", expect={})
