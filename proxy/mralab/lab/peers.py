"""The Expressway-C peers of a lab: a proxy for each, with its own log file and trust store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from ..config import Config
from ..harness.proxy import Proxy
from ..mocks.pki import Pki
from .like import Like
from .scenario_model import Scenario


def new_peers(config: Config, scenario: Scenario, pki: Pki, like: Like | None) -> dict[str, Proxy]:
    """Return the proxy of each peer by its host name, the first peer's first; ``config`` is that one's."""
    peers = {config.log.hostname: Proxy(config, trust=_trusted(config, scenario.trust, pki, like))}
    for name, table in scenario.peers.items():
        log = {"hostname": name, "file": _log_of_peer(name, config.log.file)}
        own = config.changed(proxy={"listen": "127.0.0.1:0"}, log=log)
        peers[name] = Proxy(own, trust=_trusted(own, table.trust, pki, like))
    for peer in peers.values():
        peer.name_in_tests = ""  # the lab applies the remedies of an Expressway
    return peers


def _trusted(config: Config, names: Iterable[str], pki: Pki, like: Like | None) -> list[x509.Certificate]:
    """Return what is trusted beside the configuration's store: of the look-alikes, and the recipes ``names``."""
    trusted = [] if like is None else list(like.trusted)
    nothing_trusted = config.is_set("trust", "store") and not config.trust.store
    if not nothing_trusted and (like is None or not like.has_cucm):
        trusted += [pki[name].cert for name in names]
    return trusted


def _log_of_peer(name: str, log: str) -> str:
    """Return the log file of a further peer, beside ``log`` of the first; standard output, ``-``, is for all."""
    path = Path(log)
    return log if log == "-" else str(path.with_name(f"{path.stem}-{name}{path.suffix}"))
