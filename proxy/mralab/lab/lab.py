"""Lab: puts one together, takes it down.

CUCM with its UDS and TFTP, get_edge_config in front, and the verifying proxy between, all on loopback and on ports
of their own; the log shows the lab's own addresses. ``async with Lab(release="X14.2") as lab`` is the article's lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from ..config import Config, load
from ..data import data_path
from ..diagnose.findings import Finding
from ..diagnose.journal import Journal
from ..net.proxy import Proxy
from ..net.trust import TrustStore
from .client import Login, login
from .cucm import Cucm
from .edge import Edge
from .pki import Certified, Pki, mint
from .scenario import Scenario

DOMAIN = "steven.lab"
PASSWORD = "cisco123"  # noqa: S105 - the lab's public password


class Lab:
    """A whole lab. Every port is ephemeral, so labs run side by side.

    ``scenario`` sets it up (default: the article's); ``log_file`` is the proxy's log file (default: a temporary one);
    ``changes`` are tables of the configuration, as ``Config.changed`` takes them.
    """

    def __init__(
        self,
        release: str = "X14.2",
        *,
        scenario: Scenario | None = None,
        log_file: Path | None = None,
        config: Config | None = None,
        pki: Pki | None = None,
        users: dict[str, str] | None = None,
        **changes: Any,
    ) -> None:
        self._scenario = scenario or Scenario(name="article", title="the article's lab", expect={})
        self._base = config or load(data_path("config/lab.toml"))
        self._release = release
        self._changes = changes
        self._log = log_file
        self._users = users or {"emusk": PASSWORD}
        self._pki = pki
        self._stack = contextlib.AsyncExitStack()
        self._journal = Journal(self._base.log.hostname, os.getpid())
        self._proxy: Proxy | None = None
        self._edge: Edge | None = None
        self._cucm: Cucm | None = None

    async def __aenter__(self) -> Lab:
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        if self._log is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mralab-"))
            self._log = Path(folder) / "traffic_server.log"
        if self._pki is None:
            self._pki = await asyncio.get_running_loop().run_in_executor(None, mint)
        self._cucm = await stack.enter_async_context(
            Cucm(pki=self._pki, users=self._users, advertise=self._scenario.advertise)
        )
        store = TrustStore(self._pki[name].cert for name in self._scenario.trust)
        stack.push_async_callback(self._stop_proxy)
        await self._start_proxy(self._configured(self._release, self._log), store)
        self._edge = await stack.enter_async_context(
            Edge(self._proxy_address, cucm=self._cucm, users=self._users, domain=DOMAIN)
        )

    def _configured(self, release: str, log: Path) -> Config:
        cucm = self.cucm
        ports = {8443: cucm.uds_port, 6972: cucm.tftp_port}
        base = self._base.changed(
            release=release,
            upstream={"prefer": self._scenario.prefer},
            hosts={
                cucm.fqdn: {"ip": cucm.ip, "dial": "127.0.0.1", "ports": ports},
                cucm.ip: {"dial": "127.0.0.1", "ports": ports},
            },
            log={"file": str(log.absolute())},
        )
        return base.changed(**self._changes) if self._changes else base

    async def _start_proxy(self, config: Config, store: TrustStore) -> None:
        self._journal = Journal(config.log.hostname, os.getpid())
        proxy = Proxy(config, store=store, listener=self._journal.take)
        await proxy.start()
        self._proxy = proxy

    async def _stop_proxy(self) -> None:
        if self._proxy is not None:
            proxy, self._proxy = self._proxy, None
            await proxy.stop()

    def _proxy_address(self) -> tuple[str, int]:
        return self.proxy.host, self.proxy.port

    # -- what is in it

    @property
    def cucm(self) -> Cucm:
        """The mock CUCM: ``lab.cucm.certificate("tomcat")``, ``lab.cucm.advertise = "ip"``."""
        assert self._cucm is not None, "the lab is not running"  # noqa: S101
        return self._cucm

    @property
    def proxy(self) -> Proxy:
        """The proxy."""
        assert self._proxy is not None, "the lab is not running"  # noqa: S101
        return self._proxy

    @property
    def via(self) -> str:
        """Where clients come in: get_edge_config and, behind it, the proxy."""
        assert self._edge is not None, "the lab is not running"  # noqa: S101
        return f"http://127.0.0.1:{self._edge.port}"

    @property
    def log(self) -> tuple[str, ...]:
        """The lines that the proxy has logged since it started."""
        return self._journal.lines

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the log says is wrong, derived from its lines alone."""
        return self._journal.findings

    # -- what is done to it

    async def login(self, user: str = "emusk", password: str = PASSWORD) -> Login:
        """Log in as Jabber would. Findings are of this login: the lines of earlier ones are let go."""
        self._journal.clear()
        return await login(user, self.via, password=password, domain=DOMAIN)

    async def upgrade(self, release: str, log: Path | None = None) -> None:
        """Put another release on the Expressway: the proxy starts anew, the servers stay as they are."""
        store = self.proxy.store
        await self._stop_proxy()
        assert self._log is not None  # noqa: S101 - set at the start
        await self._start_proxy(self._configured(release, log or self._log), store)

    async def trust(self, *certificates: Certified) -> None:
        """Maintenance > Security > Trusted CA certificate: from the next request on."""
        self.proxy.trust(certificate.cert for certificate in certificates)

    async def distrust(self, *certificates: Certified) -> None:
        """Take certificates out of the trust store again."""
        self.proxy.distrust(certificate.cert for certificate in certificates)

    async def verify_origin_server(self, value: str) -> None:
        """``xConfiguration EdgeConfigServer VerifyOriginServer: On`` or ``Off``."""
        self.proxy.apply(self.proxy.config.changed(verify={"origin": value.lower()}))
