"""A whole configuration: its tables together, the values in force, and the checks across keys.

Values that depend on the release unless the file sets them (``[verify] origin``, ``[upstream] prefer`` and ``tls``) are
properties of ``Config``: ``config.verify_mode``, ``config.preference``, ``config.tls_versions``.

A key that can have no effect in combination with the others is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from ..core.release import BEFORE, DEFAULT, Preference, Release, VerifyMode, cipher_string, find_release
from ..core.tls.hostname import is_address
from ..errors import ConfigError, first_problems
from .hosts import canonical_hosts
from .keys import Key, declared_keys
from .problems import describe, describe_unknown
from .tables import (
    AllowTable,
    CaptureTable,
    HostEntry,
    LimitsTable,
    LogTable,
    ProxyTable,
    Table,
    TrustTable,
    UpstreamTable,
    VerifyTable,
)
from .values import ReleaseName, is_loopback, split_address


class Config(Table):
    """A whole configuration. Build it from a file with ``load``, from a mapping with ``from_mapping``."""

    release: Annotated[
        ReleaseName,
        Key("Expressway release: [releases.md](releases.md) lists them with their defaults.", "live", BEFORE),
    ] = DEFAULT
    proxy: ProxyTable = ProxyTable()
    verify: VerifyTable = VerifyTable()
    trust: TrustTable = TrustTable()
    upstream: UpstreamTable = UpstreamTable()
    limits: LimitsTable = LimitsTable()
    hosts: Annotated[
        dict[str, HostEntry],
        Key(
            "Host name or IP address that a client requests -> where its server is. A host that is not listed is"
            " resolved by DNS.",
            "reload",
            {"other.example.test": {"dial": "127.0.0.1"}},
        ),
    ] = Field(default_factory=dict)
    allow: AllowTable = AllowTable()
    log: LogTable = LogTable()
    capture: CaptureTable = CaptureTable()
    folder: Path = Field(default_factory=Path.cwd, exclude=True)
    """Folder to which relative paths are relative: the configuration file's. Not a key."""

    @property
    def release_facts(self) -> Release:
        """The release's row of the table."""
        return find_release(self.release)

    @property
    def verify_mode(self) -> VerifyMode:
        """``[verify] origin``, or the release's."""
        return self.verify.origin or self.release_facts.verify

    @property
    def preference(self) -> Preference:
        """``[upstream] prefer``, or the release's."""
        return self.upstream.prefer or self.release_facts.prefer

    @property
    def preference_in_force(self) -> Preference | None:
        """``preference``, or None where only the order of ``[upstream] ciphers`` decides."""
        by_order = self.upstream.ciphers and not self.upstream.prefer and "1.3" not in self.tls_versions
        return None if by_order else self.preference

    @property
    def cipher_string(self) -> str:
        """The OpenSSL cipher string offered to servers.

        ``[upstream] ciphers`` unchanged; if ``prefer`` is set too, the ciphers of the other kind move to its end.
        """
        return cipher_string(
            self.upstream.ciphers, self.upstream.prefer or self.release_facts.prefer, self.upstream.prefer is not None
        )

    @property
    def tls_versions(self) -> tuple[str, ...]:
        """The TLS versions offered to servers."""
        return tuple(self.upstream.tls or self.release_facts.tls)

    def is_set(self, table: str, key: str) -> bool:
        """Return whether the file sets this key; if not, its value is the default."""
        return table in self.model_fields_set and key in getattr(self, table).model_fields_set

    def path(self, value: str) -> Path:
        """Return a path of the configuration as an absolute path."""
        return self.folder / Path(value).expanduser()

    def changed(self, /, **tables: Mapping[str, Any] | str) -> Config:
        """Return a copy with keys changed: ``config.changed(release='X14.0.7', verify={'origin': 'off'})``.

        Raises ``ConfigError`` as ``load`` does.
        """
        data = self.model_dump(mode="python", exclude_unset=True)
        for table, values in tables.items():
            known = data.get(table, {})  # text for a key outside tables: a table in its place is refused below
            if isinstance(values, Mapping) and isinstance(known, Mapping):
                data[table] = {**known, **values}
            else:
                data[table] = values
        return from_mapping(data, self.folder)


class CombinationError(ConfigError):
    """Every key is valid, but some are not together."""


KEYS: Final = tuple(declared_keys(Config))
"""Every key of a configuration. ``hosts`` is one key; ``declared_keys(HostEntry)`` has those of one host."""


def from_mapping(data: Mapping[str, Any], folder: Path | None = None, source: str = "configuration") -> Config:
    """Return the configuration for parsed TOML. Raises ``ConfigError`` with every problem in it.

    It is a ``CombinationError`` if each key is valid alone. Relative paths are relative to ``folder`` (default: the
    current one). ``source`` begins each problem.
    """
    problems: list[str] = []
    host_problems: list[str] = []
    data = dict(data)
    if "folder" in data:  # a field of Config, but not a key
        problems.append(describe_unknown(("folder",), source, Config, HostEntry))
        del data["folder"]
    try:
        config = Config(**canonical_hosts(data, host_problems), folder=folder or Path.cwd())
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += first_problems(details, lambda detail: describe(detail, source, Config, HostEntry))
        problems += [f"{source}: {problem}" for problem in host_problems]
        raise ConfigError(problems) from None
    problems += [f"{source}: {problem}" for problem in host_problems]
    problems += [f"{source}: {problem}" for problem in (*_host_problems(config), *_admin_problems(config))]
    combined = [f"{source}: {problem}" for problem in _ineffective_keys(config)]
    if problems:
        raise ConfigError([*problems, *combined])
    if combined:
        raise CombinationError(combined)
    return config


def _host_problems(config: Config) -> Iterator[str]:
    for name, entry in config.hosts.items():
        if not (entry.ip or entry.dial or entry.ports or entry.port):
            yield f"hosts.{name!r}: has neither ip, dial nor ports"
        if (entry.ports or entry.port) and not (entry.dial or entry.ip or is_address(name)):
            yield f"hosts.{name!r}: has ports, but no dial or ip to connect to"


def _admin_problems(config: Config) -> Iterator[str]:
    """Yield the problem of a control API that every machine could use: access to it is control of the proxy."""
    admin = config.proxy.admin
    if admin and not config.proxy.admin_token and not is_loopback(admin):
        host, _ = split_address(admin)
        yield (
            f"proxy.admin: {host!r} is not a loopback address (127.0.0.1, ::1, localhost); set proxy.admin_token to"
            " let other machines use the control API"
        )


def _ineffective_keys(config: Config) -> Iterator[str]:
    """Yield the keys that can have no effect in combination with the others."""
    if config.upstream.ciphers and config.tls_versions == ("1.3",):
        yield "upstream.ciphers: has no effect in TLS 1.3, the only version offered; remove it, or offer 1.2 as well"
