"""The settings of a proxy: its configuration with the trust store, rules and certificate read for it.

They are put into force together, so that changing one key does not read other files again. ``message`` and
``from_message`` carry them to another process as JSON. ``warnings`` finds settings that are valid but probably not
intended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from ..config import KEYS, Config, DeclaredKey, from_mapping
from ..core.mra.allowlist import METHODS, Rule, RulesError, decode_csv, parse_rules_csv, unknown_methods
from ..errors import ConfigError, TrustStoreError
from ..tls.identity import Identity, load_identity, parse_identity
from ..tls.trust_store import TrustStore, load_store, parse_pem
from ..tls.verification import check_ciphers
from .acceptor import descriptors, most_connections


class Settings(NamedTuple):
    """``rules`` are those of the allow list; rules for discovered nodes follow from ``config``.

    ``identity`` is the certificate that the proxy presents to servers (``upstream.certificate``), or None.
    """

    config: Config
    store: TrustStore
    rules: tuple[Rule, ...]
    identity: Identity | None = None

    def message(self, *, with_rules: bool) -> dict[str, Any]:
        """Return the settings as JSON data, without the rules if the other end has them. Contains a private key."""
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.store.certificates)
        rules = [[sorted(part) if isinstance(part, frozenset) else part for part in rule] for rule in self.rules]
        return {
            "config": self.config.model_dump(mode="json", exclude_unset=True),
            "folder": str(self.config.folder),
            "store": pem.decode("ascii"),
            "rules": rules if with_rules else None,
            "identity": self.identity.secret_pem() if self.identity is not None else None,
        }


def load_settings(
    config: Config,
    store: TrustStore | None = None,
    rules: Iterable[Rule] | None = None,
    identity: Identity | None = None,
) -> Settings:
    """Return the settings for a configuration. What is not given is read from the files that it names.

    Raises ``ConfigError`` with all problems in all files.
    """
    problems: list[str] = []
    if store is None:
        try:
            store = _load_trust(config)
        except TrustStoreError as error:
            problems += [f"trust.store: {problem}" for problem in error.problems]
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
    if not config.is_set("trust", "store") and not path.exists():
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
    except RuntimeError as error:  # '~user' of an unknown user
        raise ConfigError([f"upstream.certificate, upstream.key: {error}"]) from error


def _load_rules(config: Config) -> tuple[Rule, ...]:
    path = config.path(config.allow.rules)
    if not config.allow.rules or (not config.is_set("allow", "rules") and not path.exists()):
        return ()
    try:
        return parse_rules_csv(decode_csv(path.read_bytes(), str(path)), str(path))
    except OSError as error:
        raise ConfigError([f"allow.rules: {path}: cannot be read: {error.strerror}"]) from error
    except RulesError as error:
        raise ConfigError(error.problems) from error


def newly_empty(before: Settings, after: Settings) -> list[str]:
    """Return, as text, what has disappeared from the files between two reads without being removed on purpose.

    A file emptied by an editor or a full disk reads like one that asks for nothing: no rules, no trusted certificates.
    """
    problems = []
    is_set, path = after.config.model_fields_set - {"folder"}, after.config.path(after.config.trust.store)
    if not is_set and before.config.model_fields_set - {"folder"}:
        problems.append("the configuration file no longer sets any key")
    elif before.store and not after.store and after.config.trust.store == before.config.trust.store:
        problems.append(f'trust.store: {path} no longer holds a certificate; to trust nothing, set store = ""')
    return problems


def warnings(settings: Settings, now: datetime | None = None) -> list[str]:
    """Return a line for each setting that is valid but probably not intended: the key, its effect, what to do.

    Dates of certificates are compared with ``now`` (default: the current time).
    """
    return [
        *_trust_warnings(settings, now or datetime.now(UTC)),
        *_allow_warnings(settings),
        *_limit_warnings(settings.config),
    ]


_MOST_OF_A_KIND: Final = 5


def _trust_warnings(settings: Settings, now: datetime) -> Iterator[str]:
    config = settings.config
    if config.verify_mode == "off":
        return
    refused = "refused" if config.verify_mode == "on" else "logged as faulty"
    if not settings.store:
        why = _emptiness(config, config.trust.store, "trusts no certificate", "holds no certificate")
        yield (
            f"trust.store: {why}, so every https server is {refused};"
            ' put the certificates of its CA there, or set verify.origin = "off"'
        )
    dates = []
    for certificate in settings.store.certificates:
        name = certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}"
        if certificate.not_valid_after_utc < now:
            dates.append(f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        elif certificate.not_valid_before_utc > now:
            dates.append(f"{name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")
    yield from _few(f"trust.store: {text}; a chain that needs it is {refused}" for text in dates)


def _allow_warnings(settings: Settings) -> Iterator[str]:
    config, allow = settings.config, settings.config.allow
    if allow.everything and not config.hosts:
        yield "allow.everything: has no effect without [hosts]; it allows only requests to the hosts listed there"
    if not settings.rules and not (config.hosts and (allow.automatic or allow.everything)):
        why = _emptiness(config, allow.rules, "names no rules", "has no rules")
        hosts = "[hosts] is empty" if not config.hosts else "allow.automatic is false"
        yield f"allow.rules: {why} and {hosts}, so every request is answered 403; add rules for your servers"
    yield from _few(
        f"allow.rules: {rule.url} allows {', '.join(methods)}, unknown to Expressway, which has {', '.join(METHODS)}"
        for rule, methods in unknown_methods(settings.rules)
    )


def _limit_warnings(config: Config) -> Iterator[str]:
    wanted, workers = config.limits.connections, config.proxy.workers
    if wanted < workers:
        yield f"limits.connections: {wanted} is less than proxy.workers; each of the {workers} workers takes one client"
    share = -(-wanted // workers)
    if config.is_set("limits", "connections") and (most := most_connections(share)) < share:
        each = " in each worker" if workers > 1 else ""
        yield (
            f"limits.connections: {share} need {descriptors(share)} file descriptors{each}, and the limit is"
            f" {descriptors(most)}; using {most}. Raise the limit (ulimit -n)"
        )


def _emptiness(config: Config, value: str, unset: str, empty: str) -> str:
    """Return why a key that names a file or folder yields nothing."""
    if not value:
        return f'"" {unset}'
    path = config.path(value)
    return f"{path} {empty if path.exists() else 'does not exist'}"


def _few(texts: Iterator[str]) -> Iterator[str]:
    """Yield the first few texts, then the number of the others."""
    listed = list(texts)
    yield from listed[:_MOST_OF_A_KIND]
    if len(listed) > _MOST_OF_A_KIND:
        yield f"{listed[0].partition(':')[0]}: {len(listed) - _MOST_OF_A_KIND} more like this"


_START_KEYS: Final = tuple(declared for declared in KEYS if declared.key.applies == "start")


def _start_value(settings: Settings, declared: DeclaredKey) -> object:
    """Return the value of a key, with paths made absolute, so that another spelling of a path is no change."""
    value = declared.value(settings.config)
    return settings.config.path(str(value)) if declared.names_file and value not in ("", "-") else value


def _changed_start_keys(before: Settings, after: Settings) -> list[DeclaredKey]:
    return [declared for declared in _START_KEYS if _start_value(before, declared) != _start_value(after, declared)]


def only_at_start(before: Settings, after: Settings) -> list[str]:
    """Return the changed keys that take effect only at the start: sockets and the log file stay open."""
    return [declared.path for declared in _changed_start_keys(before, after)]


def as_started(before: Settings, after: Settings) -> Settings:
    """Return ``after`` with the values of ``before`` for the keys that take effect only at the start.

    So the settings shown are those in force, and a worker that replaces a crashed one writes to the same log.
    """
    changes: dict[str, Any] = {}
    for declared in _changed_start_keys(before, after):
        value = _start_value(before, declared)
        value = str(value) if isinstance(value, Path) else value
        if declared.table:
            changes.setdefault(declared.table, {})[declared.name] = value
        else:
            changes[declared.name] = value
    return after._replace(config=after.config.changed(**changes)) if changes else after


def from_message(message: Mapping[str, Any], rules: tuple[Rule, ...]) -> Settings:
    """Return the settings that ``message`` made, with ``rules`` if it has none. Raises ``MralabError``."""
    pem = message["store"].encode("ascii")
    if message["rules"] is not None:
        decoded = ((frozenset(part) if isinstance(part, list) else part for part in rule) for rule in message["rules"])
        rules = tuple(Rule._make(rule) for rule in decoded)
    return Settings(
        from_mapping(message["config"], Path(message["folder"])),
        TrustStore(parse_pem(pem, "trust store") if pem else ()),
        rules,
        parse_identity(message["identity"]) if message["identity"] is not None else None,
    )
