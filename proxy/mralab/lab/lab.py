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

from ..config import KEYS, Config, load
from ..core.release import VerifyMode
from ..data import data_path
from ..diagnose.assertions import AssertionResult
from ..diagnose.findings import Finding
from ..diagnose.journal import Journal, Transaction
from ..errors import ConfigError
from ..harness.proxy import Proxy, verify_table
from ..harness.sync_facade import Completed, ThreadedContext, await_in
from ..harness.trust_input import Trusted
from ..mocks.cucm import Cucm
from ..mocks.edge import Edge
from ..mocks.pki import Pki, mint
from ..mocks.probe import answers
from ..net.settings import load_settings
from .login import Login, login
from .scenario import Scenario, scenario_named

DOMAIN = "steven.lab"
FQDN = "cucm.steven.lab"
IP = "10.48.36.215"
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
    def transactions(self) -> tuple[Transaction, ...]:
        """What became of each request, the latest last."""
        return self.proxy.transactions

    def refused(self, server: str, *, because: str | None = None, port: int | None = None) -> AssertionResult:
        """Whether a request to ``server`` was stopped, as ``Proxy.refused``."""
        return self.proxy.refused(server, because=because, port=port)

    def allowed(self, server: str, *, port: int | None = None) -> AssertionResult:
        """Whether ``server`` answered the latest requests to it, as ``Proxy.allowed``."""
        return self.proxy.allowed(server, port=port)

    def probes(self) -> dict[tuple[str, str], Callable[[], Awaitable[None]]]:
        """What asks each mock whether it answers: its name and address -> a call that raises where it does not."""
        token = base64.b64encode(DOMAIN.encode()).decode().rstrip("=")
        urls = {f"cucm {port}": url for port, url in self.cucm.urls.items()}
        urls["edge"] = f"{self.via}/{token}/get_edge_config"  # the edge's own answer: anything else goes to the proxy
        return {(name, url.split("/")[2]): functools.partial(answers, url) for name, url in urls.items()}

    def clear(self) -> Completed:
        """Forget the log, the requests and the findings so far."""
        return self.proxy.clear()

    def trust(self, *things: Trusted) -> Completed:
        """Maintenance > Security > Trusted CA certificate: from the next request on."""
        return self.proxy.trust(*things)

    def distrust(self, *things: Trusted) -> Completed:
        """Take certificates out of the trust store again."""
        return self.proxy.distrust(*things)

    def verify_origin_server(self, value: str) -> Completed:
        """``xConfiguration EdgeConfigServer VerifyOriginServer: On`` or ``Off``."""
        return self.proxy.verify_origin_server(value)

    @property
    def _running(self) -> _Parts:
        assert self._parts is not None, "the lab is not running"  # noqa: S101
        return self._parts


class Lab(RunningLab):
    """A whole lab. Unless ``config`` says otherwise, every port is ephemeral, so labs run side by side.

    ``scenario`` sets it up, by itself or by its name (default: the article's); ``release`` is the configuration's by
    default; ``verify`` is ``"on"``, ``"off"`` or ``"audit"`` (default: what the release does); ``changes`` are tables
    of the configuration, as ``Config.changed`` takes them.

    ``config`` is what the proxy runs with. The lab adds the hosts of its CUCM, and to the trust store the CA that
    signed CUCM's RSA certificates; an explicitly empty ``trust.store`` trusts nothing, as everywhere. ``log_file`` is
    the log file; default: the ``log.file`` that the configuration sets, else a temporary one, which is removed at the
    end unless ``keep_log``.

    Raises:
        ConfigError: everything that is wrong with the configuration and the files that it names, and everything in it
            that a lab cannot do: ``proxy.workers`` above 1, and ``hosts`` that are the lab's own CUCM.
    """

    def __init__(
        self,
        release: str | None = None,
        *,
        scenario: Scenario | str | None = None,
        log_file: Path | None = None,
        config: Config | None = None,
        pki: Pki | None = None,
        users: dict[str, str] | None = None,
        verify: VerifyMode | Mapping[str, Any] | None = None,
        keep_log: bool = False,
        **changes: Any,
    ) -> None:
        self._scenario = scenario_named(scenario) if isinstance(scenario, str) else scenario or _ARTICLE
        self._changes = {**changes, **verify_table(verify)}
        start = config or load(data_path("config/lab.toml"))
        self._base, self._initial = _configured(start, release, self._scenario, self._changes)
        self._log = log_file
        self._keep_log = keep_log
        self._users = users or {"emusk": PASSWORD}
        self._pki = pki or mint()
        self._stack = contextlib.AsyncExitStack()
        self._held: ThreadedContext | None = None

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
        self._held = ThreadedContext(self, "mralab-lab")
        return SyncLab(self, self._held)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take it down, and end the thread."""
        held, self._held = self._held, None
        if held is not None:
            held.exit()

    async def login(self, user: str = "emusk", password: str = PASSWORD) -> Login:
        """Log in as Jabber would. Findings are of this login: the lines of earlier ones are let go."""
        self.clear()
        return await await_in(self._running.loop, login(user, self.via, password=password, domain=DOMAIN))

    async def upgrade(self, release: str, log: Path | None = None) -> None:
        """Put another release on the Expressway: the proxy starts anew, the servers stay as they are."""
        await await_in(self._running.loop, self._upgrade(release, log))

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        if self._log is None and not self._initial.is_set("log", "file"):
            if self._keep_log:
                folder = tempfile.mkdtemp(prefix="mralab-")
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mralab-"))
            self._log = Path(folder) / "traffic_server.log"
            stack.callback(setattr, self, "_log", None)
        cucm = await stack.enter_async_context(
            Cucm(
                pki=self._pki,
                users=self._users,
                fqdn=FQDN,
                ip=IP,
                advertise=self._scenario.advertise,
                https_ciphers=self._scenario.https_ciphers,
            )
        )
        proxy = self._new_proxy(cucm, None, self._log)
        stack.push_async_callback(self._stop_proxy)
        edge = Edge(
            self._proxy_address,
            cucm=cucm,
            users=self._users,
            domain=DOMAIN,
            control_host=proxy.config.proxy.control_host,
        )
        self._parts = _Parts(asyncio.get_running_loop(), cucm, proxy, edge)
        await proxy.__aenter__()
        await stack.enter_async_context(edge)

    async def _upgrade(self, release: str, log: Path | None) -> None:
        parts = self._running
        store = parts.proxy.trusted
        await self._stop_proxy()
        parts.proxy = self._new_proxy(parts.cucm, release, log or self._log)
        parts.proxy.server.apply(parts.proxy.config, store)
        await parts.proxy.__aenter__()

    def _new_proxy(self, cucm: Cucm, release: str | None, log: Path | None) -> Proxy:
        """A proxy in front of ``cucm``; ``log`` None: the log that the configuration names."""
        tables: dict[str, Any] = {
            "hosts": {
                cucm.fqdn: {"ip": cucm.ip, "dial": "127.0.0.1", "ports": cucm.ports},
                cucm.ip: {"dial": "127.0.0.1", "ports": cucm.ports},
            }
        }
        if release is not None:
            tables["release"] = release
        config = self._base.changed(**tables).changed(**self._changes)
        if log is not None:
            config = config.changed(log={"file": str(log.absolute())})
        nothing_trusted = config.is_set("trust", "store") and not config.trust.store
        own = [] if nothing_trusted else [self._pki[name].cert for name in self._scenario.trust]
        return Proxy(config, trust=own)

    async def _stop_proxy(self) -> None:
        await self.proxy.__aexit__(None, None, None)

    def _proxy_address(self) -> tuple[str, int]:
        return self.proxy.host, self.proxy.port


class SyncLab(RunningLab):
    """A lab that runs in a thread of its own: what ``with Lab(...)`` gives."""

    def __init__(self, lab: Lab, held: ThreadedContext) -> None:
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


def _configured(
    config: Config, release: str | None, scenario: Scenario, changes: Mapping[str, Any]
) -> tuple[Config, Config]:
    """Return the configuration with what the arguments say, without ``changes`` and with them.

    Raises ``ConfigError`` with every problem in it and in the files that it names, and all that a lab cannot do.
    """
    refused = [f"hosts.{name!r}: is the lab's own CUCM" for name in config.hosts if name in (FQDN, IP)]
    problems: list[str] = []
    base = initial = config
    tables: dict[str, Any] = {}
    if release is not None:
        tables["release"] = release
    if scenario.prefer is not None:
        tables["upstream"] = {"prefer": scenario.prefer}
    try:
        base = config.changed(**tables)
        initial = base.changed(**changes)
        load_settings(initial)
    except ConfigError as error:
        problems += error.problems
    for declared in KEYS:
        value = declared.value(initial)
        if declared.key.refused_by_lab and value != declared.default:
            refused.append(f"{declared.path}: {declared.key.refused_by_lab} (is {value!r})")
    if refused or problems:
        hint = "for a CUCM of your own, or several workers: mralab serve -c FILE" if refused else ""
        raise ConfigError([*refused, *problems], hint)
    return base, initial
