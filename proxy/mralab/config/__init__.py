"""The TOML configuration as types. ``load(path)`` reads a file; ``Config()`` is the configuration of an empty one.

``tables`` declares each key once, with ``Key``: what it does, when a change of it applies, and an example. The rest of
mralab derives from that what ``PATCH /api/config`` accepts, what a reload reports, what a lab refuses, and
docs/configuration.md.
"""

from .in_force import changed_values, values_in_force
from .keys import Applies, DeclaredKey, Key, declared_keys
from .live import live_names, live_tables, split_change
from .loading import load, parse_toml, read_toml
from .model import KEYS, CombinationError, Config, from_mapping
from .tables import (
    AllowTable,
    CaptureTable,
    HostEntry,
    LimitsTable,
    LogTable,
    ProxyTable,
    TrustTable,
    UpstreamTable,
    VerifyTable,
)
from .values import split_address

__all__ = [
    "KEYS",
    "AllowTable",
    "Applies",
    "CaptureTable",
    "CombinationError",
    "Config",
    "DeclaredKey",
    "HostEntry",
    "Key",
    "LimitsTable",
    "LogTable",
    "ProxyTable",
    "TrustTable",
    "UpstreamTable",
    "VerifyTable",
    "changed_values",
    "declared_keys",
    "from_mapping",
    "live_names",
    "live_tables",
    "load",
    "parse_toml",
    "read_toml",
    "split_address",
    "split_change",
    "values_in_force",
]
