"""Proxy: the traffic server alone, before servers of your own, for tests in either world.

``async with Proxy(...)`` runs it in the loop at hand, ``with Proxy(...)`` in a thread of its own. What is done to it is
done when the call returns, from whatever thread; ``await`` it or do not. It takes effect from the next request on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from ..config import Config, HostEntry, from_mapping
from ..core.mra.allowlist import Rule, RulesError, decode_csv, parse_rules_csv
from ..core.mra.target import BadHost, Target, canonical_host, encode
from ..core.release import VerifyMode, verify_mode
from ..diagnose import assertions as judged
from ..diagnose.assertions import Judged
from ..diagnose.findings import Finding, find
from ..diagnose.journal import Journal, Served
from ..errors import ConfigError, InputError
from ..net.traffic_server import TrafficServer
from ..tls.trust_store import TrustStore
from .sync_facade import Done, Held, call_in
from .trust_input import Trusted, certificates

Where = tuple[str, int] | Mapping[int, tuple[str, int]] | Mapping[str, Any] | HostEntry
"""Where a host really is.

``(address, port)``: there, whatever port is asked. ``{8443: (address, port), 6972: (address, port)}``: by the port
asked, on one address. ``{"ip": .., "dial": .., "ports": {..}}`` or a ``HostEntry``: as in ``[hosts]``.
"""

_ALONE: Final[dict[str, dict[str, Any]]] = {
    "proxy": {"listen": "127.0.0.1:0", "admin": ""},
    "trust": {"store": ""},
    "allow": {"rules": "", "automatic": False, "everything": True},
    "log": {"file": os.devnull},
}
"""What is different from an empty file: nothing is read, nothing written, and listed hosts may be asked anything."""
_PORTS: Final = {"https": 443, "http": 80}


class Proxy:
    """An Expressway-C's traffic server on a port of its own.

    ``Proxy(release="X14.2", hosts={"cucm.steven.lab": ("127.0.0.1", 41021)}, trust=[ca])``: trusts ``ca`` alone, and
    anything may be asked of the hosts listed, unless ``rules`` (the path of an allow list's CSV file, or its text) say
    otherwise. Other hosts are refused. The log is kept in memory; ``log_file`` has it written too.

    ``Proxy(config)`` takes a configuration as it is: listening address, trust store, allow list, log file. The other
    arguments change it; ``trust`` adds to its store.

    ``verify`` is ``"on"``, ``"off"`` or ``"audit"``; default: what the release does. ``domain`` is the MRA domain of
    ``url``. ``tables`` are tables of the configuration: ``upstream={"attempts": 1}``.

    Raises:
        ConfigError: everything that is wrong with the configuration.
        TrustStoreError: everything that is wrong with ``trust``.
        ListenError (on entering): the address cannot be listened on.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        release: str | None = None,
        hosts: Mapping[str, Where] | None = None,
        trust: Trusted | Iterable[Trusted] = (),
        rules: str | Path | Iterable[Rule] | None = None,
        verify: VerifyMode | Mapping[str, Any] | None = None,
        log_file: Path | str | None = None,
        domain: str = "steven.lab",
        **tables: Any,
    ) -> None:
        self.domain = domain
        base = config or from_mapping(_ALONE)
        changes = _changes(release=release, hosts=hosts, verify=verify, log_file=log_file)
        read, open_to_all = _rules(rules)
        if not open_to_all:
            changes["allow"] = {"automatic": False, "everything": False}
        initial = base.changed(**changes).changed(**tables)
        given = certificates(trust)
        store = TrustStore(given) if config is None else None
        self._journal = Journal(initial.log.hostname, os.getpid())
        self._server = TrafficServer(initial, store=store, rules=read, listener=self._journal.take)
        if config is not None and given:
            self._server.trust(given)
        self._start = (initial, self._server.store)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: Held | None = None

    async def __aenter__(self) -> Proxy:
        """Start to listen, in this loop."""
        await self._server.start()
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish what runs, for a second at most, and stop."""
        self._loop = None
        await self._server.stop(grace=1.0)

    def __enter__(self) -> Proxy:
        """Start to listen, in a thread of its own."""
        self._held = Held(self, "mralab-proxy")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and end the thread."""
        held, self._held = self._held, None
        if held is not None:
            held.leave()

    @property
    def server(self) -> TrafficServer:
        """The data plane underneath. Call it in its own loop only."""
        return self._server

    @property
    def journal(self) -> Journal:
        """What the proxy has told since ``clear``. Read it in the proxy's own loop only."""
        return self._journal

    # -- where it is

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:41234``."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def url(self, for_: str) -> str:
        """What a client asks the proxy for to reach ``for_``: ``http://127.0.0.1:41234/TOKEN/path?query``.

        Raises:
            InputError: ``for_`` is no http or https URL with a host.
        """
        return f"{self.base_url}{_through(for_, self.domain)}"

    # -- what it does

    @property
    def log(self) -> tuple[str, ...]:
        """The lines of its log since ``clear``, the latest last."""
        return call_in(self._loop, lambda: self._journal.lines)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the events of those lines say is wrong."""
        return find(call_in(self._loop, lambda: tuple(self._journal.records())))

    @property
    def transactions(self) -> tuple[Served, ...]:
        """What became of each request since ``clear``, the latest last."""
        return call_in(self._loop, lambda: self._journal.transactions)

    def refused(self, server: str, *, because: str | None = None, port: int | None = None) -> Judged:
        """Whether a request to ``server`` was stopped since ``clear``, ``because`` of this finding code.

        The answer is true or false and says what happened: ``assert proxy.refused("cucm.steven.lab")``.

        Raises:
            UnknownCodeError: ``because`` is no finding code.
        """
        return judged.refused(server, self.findings, self.transactions, because=because, port=port)

    def allowed(self, server: str, *, port: int | None = None) -> Judged:
        """Whether ``server`` was asked and, on every port asked, answered the latest request itself."""
        return judged.allowed(server, self.findings, self.transactions, port=port)

    def clear(self) -> Done:
        """Forget the log, the requests and the findings so far."""
        call_in(self._loop, self._journal.clear)
        return Done()

    # -- what is done to it

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._server.config

    @property
    def release(self) -> str:
        """``"X14.0.7"`` or ``"X14.2"``; set it to upgrade, or to go back."""
        return self.config.release

    @release.setter
    def release(self, release: str) -> None:
        self.change(release=release)

    def upgrade(self, release: str) -> Done:
        """Put another release on the Expressway. Raises ``ConfigError`` for one that is not known."""
        return self.change(release=release)

    def verify_origin_server(self, value: str) -> Done:
        """``xConfiguration EdgeConfigServer VerifyOriginServer: On`` or ``Off``; any word of ``verify.origin``."""
        return self.change(verify={"origin": origin(value)})

    def trust(self, *things: Trusted | Iterable[Trusted]) -> Done:
        """Trust these besides. Raises ``TrustStoreError`` with everything that is wrong, and takes none."""
        found = certificates(*things)
        call_in(self._loop, lambda: self._server.trust(found))
        return Done()

    def distrust(self, *things: Trusted | Iterable[Trusted]) -> Done:
        """Trust these no more."""
        found = certificates(*things)
        call_in(self._loop, lambda: self._server.distrust(found))
        return Done()

    @property
    def trusted(self) -> TrustStore:
        """The trust store in force."""
        return self._server.store

    def add_host(self, name: str, where: Where) -> Done:
        """Say where a host is, from now on."""
        return self.change(hosts=_hosts({name: where}))

    def change(self, **tables: Any) -> Done:
        """Change keys of the configuration: ``change(upstream={"attempts": 1})``.

        Raises:
            ConfigError: everything that is wrong with them; nothing is changed then.
        """
        call_in(self._loop, lambda: self._server.apply(self.config.changed(**tables), self._server.store))
        return Done()

    def reset(self) -> Done:
        """Put everything back to the start: configuration, trust store, log. Requests under way are dropped."""
        config, store = self._start
        call_in(self._loop, self._server.drop_clients)
        call_in(self._loop, lambda: self._server.apply(config, store))
        return self.clear()

    def __repr__(self) -> str:
        return f"<Proxy {self.release} at {self.base_url}>" if self._loop else f"<Proxy {self.release}, not running>"


def origin(value: str) -> str:
    """``verify.origin`` for a value of ``VerifyOriginServer``. Raises ``InputError``."""
    try:
        return verify_mode(value)
    except ValueError as error:
        raise InputError([f"VerifyOriginServer: {value!r} is neither On nor Off: it {error}"]) from None


def verify_table(verify: VerifyMode | Mapping[str, Any] | None) -> dict[str, Any]:
    """The ``[verify]`` of a configuration for a mode or a table of its keys; nothing for None."""
    if verify is None:
        return {}
    return {"verify": dict(verify) if isinstance(verify, Mapping) else {"origin": verify}}


def _changes(
    *,
    release: str | None,
    hosts: Mapping[str, Where] | None,
    verify: VerifyMode | Mapping[str, Any] | None,
    log_file: Path | str | None,
) -> dict[str, Any]:
    changes = verify_table(verify)
    if release is not None:
        changes["release"] = release
    if hosts is not None:
        changes["hosts"] = _hosts(hosts)
    if log_file is not None:
        changes["log"] = {"file": str(Path(log_file).absolute())}
    return changes


def _hosts(hosts: Mapping[str, Where]) -> dict[str, Any]:
    """``[hosts]`` of a configuration. Raises ``ConfigError`` with every host whose place is none."""
    problems: list[str] = []
    entries: dict[str, dict[str, Any]] = {}
    for name, where in hosts.items():
        host = name.strip("[]").lower()
        if host in entries:
            problems.append(f"hosts.{name!r}: is there twice, in another spelling")
        entries[host] = _entry(name, where, problems)
    if problems:
        raise ConfigError(problems)
    return entries


def _entry(name: str, where: Where, problems: list[str]) -> dict[str, Any]:
    match where:
        case HostEntry():
            return where.model_dump(exclude_unset=True)
        case (str() as address, int() as port):
            return {"dial": address, "port": port}
        case Mapping() if all(isinstance(key, str) for key in where):
            return {str(key): value for key, value in where.items()}
        case Mapping() if all(isinstance(place, tuple) and len(place) == 2 for place in where.values()):
            addresses = {place[0] for place in where.values()}
            if len(addresses) == 1:
                return {"dial": addresses.pop(), "ports": {asked: place[1] for asked, place in where.items()}}
            problems.append(f"hosts.{name!r}: is on several addresses ({', '.join(sorted(map(str, addresses)))})")
        case _:
            problems.append(f"hosts.{name!r}: {where!r} is neither (address, port) nor {{port asked: (address, port)}}")
    return {}


def _rules(rules: str | Path | Iterable[Rule] | None) -> tuple[tuple[Rule, ...] | None, bool]:
    """The allow list's rules, and whether none were given. Raises ``ConfigError``."""
    if rules is None:
        return None, True
    if not isinstance(rules, str | Path):
        return tuple(rules), False
    source = "rules" if isinstance(rules, str) and "\n" in rules else str(rules)
    try:
        text = str(rules) if source == "rules" else decode_csv(Path(rules).read_bytes(), source)
        return parse_rules_csv(text, source), False
    except OSError as error:
        raise ConfigError([f"{source}: cannot be read: {error.strerror}"]) from error
    except RulesError as error:
        raise ConfigError(error.problems) from error


def _through(url: str, domain: str) -> str:
    """The path by which the proxy is asked for ``url``."""
    try:
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError("is no http:// or https:// URL with a host")
        host = parts.hostname
        target = Target(
            canonical_host(domain),
            parts.scheme,
            canonical_host(f"[{host}]" if ":" in host else host),
            _PORTS[parts.scheme] if port is None else port,
        )
    except (ValueError, BadHost) as error:
        raise InputError([f"{url!r}: {error}"], "such as https://cucm.steven.lab:8443/cucm-uds/version") from error
    query = f"?{parts.query}" if parts.query else ""
    return f"/{encode(target)}{parts.path or '/'}{query}"
