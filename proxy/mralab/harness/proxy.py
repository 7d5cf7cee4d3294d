"""Proxy: the traffic server alone, in front of your own servers, for asynchronous and synchronous tests.

``async with Proxy(...)`` runs it in the current loop, ``with Proxy(...)`` in its own thread. Its methods may be called
from any thread. A change is complete when the call returns (``await`` is optional) and applies from the next request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from ..config import Config, HostEntry, from_mapping
from ..core.hostport import bracketed, host_port
from ..core.mra.allowlist import Rule, RulesError, decode_csv, parse_rules_csv
from ..core.mra.target import BadHost, Target, canonical_host, encode
from ..core.release import VerifyMode, verify_mode
from ..diagnose import assertions
from ..diagnose.assertions import AssertionResult
from ..diagnose.diagnosis import find
from ..diagnose.findings import Finding
from ..diagnose.journal import Journal, Transaction
from ..errors import ConfigError, InputError
from ..net.traffic_server import TrafficServer
from ..tls.trust_store import TrustStore
from .advice import advised
from .sync_facade import Completed, LoopOrThread, call_in
from .trust_input import Trusted, certificates

HostLocation = tuple[str, int] | Mapping[int, tuple[str, int]] | Mapping[str, Any] | HostEntry
"""Where the server of a host listens.

``(address, port)``: there, for every requested port. ``{8443: (address, port), 6972: (address, port)}``: by requested
port, all on one address. ``{"ip": .., "dial": .., "ports": {..}}`` or a ``HostEntry``: as in ``[hosts]``.
"""

_ALONE: Final[dict[str, dict[str, Any]]] = {
    "proxy": {"listen": "127.0.0.1:0", "admin": ""},
    "trust": {"store": ""},
    "allow": {"rules": "", "automatic": False, "everything": True},
    "log": {"file": os.devnull},
}
"""Changes to an empty configuration: nothing is read or written, and every request to a listed host is allowed."""
_PORTS: Final = {"https": 443, "http": 80}


class Proxy(LoopOrThread):
    """An Expressway-C's traffic server on its own port.

    ``Proxy(release="X14.2", hosts={"cucm.steven.lab": ("127.0.0.1", 41021)}, trust=[ca])``: trusts ``ca`` only, and
    allows every request to the listed hosts unless ``rules`` (the path or the text of an allow list's CSV file) are
    given. Requests to other hosts are denied. The log is kept in memory; ``log_file`` writes it to a file too.

    ``Proxy(config)`` applies a whole configuration: listening address, trust store, allow list, log file. The other
    arguments change it; ``trust`` adds to its trust store.

    ``verify`` is ``"on"``, ``"off"`` or ``"audit"``; the default depends on the release. ``domain`` is the MRA
    domain for ``url``. ``tables`` are tables of the configuration: ``upstream={"attempts": 1}``.

    Raises:
        ConfigError: lists every problem in the configuration.
        TrustStoreError: lists every problem in ``trust``.
        ListenError (on entering): listening on the address fails.
    """

    name_in_tests: str = "proxy"
    """The proxy's name in remedies such as ``proxy.trust(ca)``; empty: findings have the remedies of an Expressway."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        release: str | None = None,
        hosts: Mapping[str, HostLocation] | None = None,
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
        parsed_rules = _rules(rules)
        if parsed_rules is not None:
            changes["allow"] = {"automatic": False, "everything": False}
        initial = base.changed(**changes).changed(**tables)
        trusted = certificates(trust)
        store = TrustStore(trusted) if config is None else None
        self._journal = Journal(initial.log.hostname, os.getpid())
        self._server = TrafficServer(initial, store=store, rules=parsed_rules, listener=self._journal.take)
        if config is not None and trusted:
            self._server.trust(trusted)
        self._initial = (initial, self._server.store)
        self.on_reset: list[Callable[[], object]] = []
        """Called by ``reset`` after the configuration is restored: what a lab adds to it, such as discovered nodes."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _start(self) -> None:
        await self._server.start()
        self._loop = asyncio.get_running_loop()

    async def _stop(self) -> None:
        """Stop; requests in progress have one second to finish."""
        self._loop = None
        await self._server.stop(grace=1.0)

    def __enter__(self) -> Self:
        """Start listening in a new thread."""
        self._start_in_thread("mralab-proxy")
        return self

    @property
    def server(self) -> TrafficServer:
        """The data plane. Call it only in the proxy's loop."""
        return self._server

    @property
    def journal(self) -> Journal:
        """Journal of the proxy's events since ``clear``. Read it only in the proxy's loop."""
        return self._journal

    # -- address

    @property
    def host(self) -> str:
        """Address that it listens on."""
        return self._server.host

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return self._server.port

    @property
    def base_url(self) -> str:
        """URL of the proxy: ``http://127.0.0.1:41234``."""
        return f"http://{host_port(self.host, self.port)}"

    def url(self, for_: str) -> str:
        """Return the URL that a client requests to reach ``for_``: ``http://127.0.0.1:41234/TOKEN/path?query``.

        Raises:
            InputError: ``for_`` is not an http or https URL with a host.
        """
        return f"{self.base_url}{_proxy_path(for_, self.domain)}"

    # -- observation

    @property
    def log(self) -> tuple[str, ...]:
        """Log lines since ``clear``, oldest first."""
        return call_in(self._loop, lambda: self._journal.lines)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings from the events since ``clear``. What to change in the test is their first remedy."""
        return self.findings_for(self.name_in_tests)

    def findings_for(self, name: str) -> tuple[Finding, ...]:
        """Return ``findings`` with remedies for a test in which the proxy has this name; empty: without them."""
        found = find(call_in(self._loop, lambda: tuple(self._journal.records())), with_answers=True)
        return tuple(advised(finding, name) for finding in found) if name else found

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """Requests since ``clear`` with their outcomes, oldest first."""
        return call_in(self._loop, lambda: self._journal.transactions)

    def refused(self, server: str, *, because: str | None = None, port: int | None = None) -> AssertionResult:
        """Return whether a request to ``server`` was refused since ``clear``, ``because`` of this finding code.

        The result is true or false, and its text says what happened: ``assert proxy.refused("cucm.steven.lab")``.

        Raises:
            UnknownCodeError: ``because`` is not a finding code.
        """
        return assertions.refused(server, self.findings, self.transactions, because=because, port=port)

    def allowed(self, server: str, *, port: int | None = None) -> AssertionResult:
        """Return whether ``server`` had requests and answered the latest one on each requested port."""
        return assertions.allowed(server, self.findings, self.transactions, port=port)

    def clear(self) -> Completed:
        """Clear the log, the requests and the findings."""
        call_in(self._loop, self._journal.clear)
        return Completed()

    # -- configuration

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._server.config

    @property
    def release(self) -> str:
        """Release, such as ``"X14.0.7"`` or ``"X14.2"``; set it to upgrade or downgrade."""
        return self.config.release

    @release.setter
    def release(self, release: str) -> None:
        self.change(release=release)

    def upgrade(self, release: str) -> Completed:
        """Install another release. Raises ``ConfigError`` if it is unknown."""
        return self.change(release=release)

    def verify_origin_server(self, value: str) -> Completed:
        """Apply ``xConfiguration EdgeConfigServer VerifyOriginServer``: On, Off, or any word of ``verify.origin``.

        Raises ``InputError``.
        """
        return self.change(verify={"origin": origin(value)})

    def trust(self, *things: Trusted | Iterable[Trusted]) -> Completed:
        """Add to the trust store. Raises ``TrustStoreError`` with every problem, and then adds nothing."""
        added = certificates(*things)
        call_in(self._loop, lambda: self._server.trust(added))
        return Completed()

    def distrust(self, *things: Trusted | Iterable[Trusted]) -> Completed:
        """Remove from the trust store. Raises ``TrustStoreError`` with every problem in ``things``."""
        removed = certificates(*things)
        call_in(self._loop, lambda: self._server.distrust(removed))
        return Completed()

    @property
    def trusted(self) -> TrustStore:
        """The trust store in force."""
        return self._server.store

    def add_host(self, name: str, where: HostLocation) -> Completed:
        """Add a host, or replace its location. Raises ``ConfigError``."""
        return self.change(hosts=_hosts({name: where}))

    def change(self, **tables: Any) -> Completed:
        """Change keys of the configuration: ``change(upstream={"attempts": 1})``.

        Raises:
            ConfigError: lists every problem; then nothing changes.
        """
        call_in(self._loop, lambda: self._server.apply(self.config.changed(**tables), self._server.store))
        return Completed()

    def reset(self) -> Completed:
        """Restore the initial configuration and trust store, and clear the log. Requests in progress are aborted."""
        config, store = self._initial
        call_in(self._loop, self._server.drop_clients)
        call_in(self._loop, lambda: self._server.apply(config, store))
        for restore in self.on_reset:
            restore()
        return self.clear()

    def __repr__(self) -> str:
        return f"<Proxy {self.release} at {self.base_url}>" if self._loop else f"<Proxy {self.release}, not running>"


def origin(value: str) -> str:
    """Return ``verify.origin`` for a value of ``VerifyOriginServer``. Raises ``InputError``."""
    try:
        return verify_mode(value)
    except ValueError as error:
        raise InputError([f"VerifyOriginServer: {value!r} is neither On nor Off: it {error}"]) from None


def verify_table(verify: VerifyMode | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the ``[verify]`` table for a mode or for a table of its keys; an empty dict for None."""
    if verify is None:
        return {}
    return {"verify": dict(verify) if isinstance(verify, Mapping) else {"origin": verify}}


def _changes(
    *,
    release: str | None,
    hosts: Mapping[str, HostLocation] | None,
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


def _hosts(hosts: Mapping[str, HostLocation]) -> dict[str, Any]:
    """Return ``[hosts]`` of a configuration. Raises ``ConfigError`` with every invalid location."""
    problems: list[str] = []
    entries: dict[str, dict[str, Any]] = {}
    for name, location in hosts.items():
        host = name.strip("[]").lower()
        if host in entries:
            problems.append(f"hosts.{name!r}: is listed twice, in two spellings")
        entries[host] = _entry(name, location, problems)
    if problems:
        raise ConfigError(problems)
    return entries


def _entry(name: str, location: HostLocation, problems: list[str]) -> dict[str, Any]:
    match location:
        case HostEntry():
            return location.model_dump(exclude_unset=True)
        case (str() as address, int() as port):
            return {"dial": address, "port": port}
        case Mapping() if all(isinstance(key, str) for key in location):
            return {str(key): value for key, value in location.items()}
        case Mapping() if all(isinstance(value, tuple) and len(value) == 2 for value in location.values()):
            addresses = {address for address, _ in location.values()}
            if len(addresses) == 1:
                return {
                    "dial": addresses.pop(),
                    "ports": {requested: port for requested, (_, port) in location.items()},
                }
            problems.append(f"hosts.{name!r}: is on several addresses ({', '.join(sorted(map(str, addresses)))})")
        case _:
            problems.append(
                f"hosts.{name!r}: {location!r} is neither (address, port) nor {{requested port: (address, port)}}"
            )
    return {}


def _rules(rules: str | Path | Iterable[Rule] | None) -> tuple[Rule, ...] | None:
    """Return the allow list's rules; None if ``rules`` is None. Raises ``ConfigError``."""
    if rules is None:
        return None
    if not isinstance(rules, str | Path):
        return tuple(rules)
    source = "rules" if isinstance(rules, str) and "\n" in rules else str(rules)
    try:
        text = str(rules) if source == "rules" else decode_csv(Path(rules).read_bytes(), source)
        return parse_rules_csv(text, source)
    except OSError as error:
        raise ConfigError([f"{source}: cannot be read: {error.strerror}"]) from error
    except RulesError as error:
        raise ConfigError(error.problems) from error


def _proxy_path(url: str, domain: str) -> str:
    """Return the path that a client requests of the proxy to reach ``url``."""
    try:
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError("not an http:// or https:// URL with a host")
        host = parts.hostname
        target = Target(
            canonical_host(domain),
            parts.scheme,
            canonical_host(bracketed(host)),
            _PORTS[parts.scheme] if port is None else port,
        )
    except (ValueError, BadHost) as error:
        raise InputError([f"{url!r}: {error}"], "such as https://cucm.steven.lab:8443/cucm-uds/version") from error
    query = f"?{parts.query}" if parts.query else ""
    return f"/{encode(target)}{parts.path or '/'}{query}"
