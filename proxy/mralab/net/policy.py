"""The settings in force, resolved into what a request needs. Immutable: a change replaces all of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

from ..config import HostEntry
from ..core.mra.allowlist import AllowList, OpenAllowList, automatic_rules
from ..tls.verification import TlsContext, TlsSettings
from .settings import Settings

_generations: Final = itertools.count(1)


class Policy:
    """Allow list, hosts, TLS context and timeouts of one ``Settings``.

    ``generation`` is unique to each policy: a connection that was verified under one policy never serves another.
    """

    __slots__ = (
        "allow",
        "attempts",
        "config",
        "connect_timeout",
        "control_host",
        "debug",
        "generation",
        "hosts",
        "keep_alive",
        "response_timeout",
        "settings",
        "store",
        "tls",
        "wording",
    )

    def __init__(self, settings: Settings) -> None:
        config, store, rules, identity = settings
        self.settings = settings
        self.config = config
        self.store = store
        self.generation = next(_generations)
        self.tls = TlsContext(
            TlsSettings(
                config.verify_mode,
                config.verify.ip_san == "accept",
                config.cipher_string,
                config.tls_versions,
                config.preference,
            ),
            store,
            identity,
        )
        self.wording = config.verify.openssl
        nodes = config.hosts.items() if config.allow.automatic else ()
        automatic = [
            rule for host, entry in nodes if entry.node != "none" for rule in automatic_rules(host, entry.node)
        ]
        all_rules = [*rules, *automatic]
        self.allow = OpenAllowList(all_rules, config.hosts) if config.allow.everything else AllowList(all_rules)
        self.hosts: Mapping[str, HostEntry] = config.hosts
        self.attempts = config.upstream.attempts
        self.connect_timeout = config.upstream.connect_timeout
        self.response_timeout = config.upstream.response_timeout
        self.keep_alive = config.upstream.connections == "keep-alive"
        self.control_host = config.proxy.control_host
        self.debug = config.log.level == "DEBUG"
