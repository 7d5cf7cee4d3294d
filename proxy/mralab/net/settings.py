"""What a proxy runs by: its configuration, and the trust store and the rules that were read for it.

Put into force as one thing, so that a change of one key never reads other files anew. ``message`` and
``from_message`` carry it to another process as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from ..config import Config, from_mapping
from ..core.allowlist import Rule
from .identity import Identity, parse_identity
from .trust import TrustStore, parse_pem


class Settings(NamedTuple):
    """``rules`` are the allow list's own; those made for discovered nodes follow from ``config``.

    ``identity`` is the certificate that the proxy presents to servers (``upstream.certificate``), None for none.
    """

    config: Config
    store: TrustStore
    rules: tuple[Rule, ...]
    identity: Identity | None = None

    def message(self, *, with_rules: bool) -> dict[str, Any]:
        """Return it as JSON can carry it; without the rules where the other end has them. It holds a private key."""
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.store.certificates)
        rules = [[sorted(part) if isinstance(part, frozenset) else part for part in rule] for rule in self.rules]
        return {
            "config": self.config.model_dump(mode="json", exclude_unset=True),
            "folder": str(self.config.folder),
            "store": pem.decode("ascii"),
            "rules": rules if with_rules else None,
            "identity": self.identity.secret_pem() if self.identity is not None else None,
        }


def emptied(before: Settings, after: Settings) -> list[str]:
    """What is gone from the files between two readings, where nothing says that it should be; each in words.

    A file that an editor or a full disk has emptied reads like one that wants nothing: no rules, nobody trusted.
    """
    problems = []
    said, path = after.config.model_fields_set - {"folder"}, after.config.path(after.config.trust.store)
    if not said and before.config.model_fields_set - {"folder"}:
        problems.append("the configuration file says nothing any more")
    elif before.store and not after.store and after.config.trust.store == before.config.trust.store:
        problems.append(f'trust.store: {path} holds no certificate any more; to trust nothing, say store = ""')
    return problems


_AT_START: Final = ("proxy.listen", "proxy.admin", "proxy.workers", "log.file", "log.hostname")


def only_at_start(before: Settings, after: Settings) -> list[str]:
    """The keys that differ and count only when a proxy starts: what listens and writes stays as it is."""

    def value(settings: Settings, key: str) -> object:
        table, _, name = key.partition(".")
        return getattr(getattr(settings.config, table), name)

    return [key for key in _AT_START if value(before, key) != value(after, key)]


def from_message(message: Mapping[str, Any], rules: tuple[Rule, ...]) -> Settings:
    """The settings that ``message`` made; ``rules`` stay where it has none. Raises ``MralabError``."""
    pem = message["store"].encode("ascii")
    if message["rules"] is not None:
        told = ((frozenset(part) if isinstance(part, list) else part for part in rule) for rule in message["rules"])
        rules = tuple(Rule._make(rule) for rule in told)
    return Settings(
        from_mapping(message["config"], Path(message["folder"])),
        TrustStore(parse_pem(pem, "trust store") if pem else ()),
        rules,
        parse_identity(message["identity"]) if message["identity"] is not None else None,
    )
