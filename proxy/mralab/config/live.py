"""The live keys: those that ``PATCH /api/config`` changes in a running proxy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .keys import DeclaredKey
from .model import KEYS


def live_tables(keys: Iterable[DeclaredKey] = KEYS) -> dict[str, tuple[DeclaredKey, ...]]:
    """Return the live keys of each table that has any; a key outside tables is listed under its own name."""
    tables: dict[str, tuple[DeclaredKey, ...]] = {}
    for declared in keys:
        if declared.key.applies == "live":
            name = declared.table or declared.name
            tables[name] = (*tables.get(name, ()), declared)
    return tables


def live_names(keys: Iterable[DeclaredKey] = KEYS) -> list[str]:
    """Return the names of the live keys: a table if all its keys are live, else each of them as TABLE.KEY."""
    names: list[str] = []
    keys = tuple(keys)
    for table, live in live_tables(keys).items():
        is_whole = len(live) == sum(declared.table == table or declared.path == table for declared in keys)
        names += [table] if is_whole else [declared.path for declared in live]
    return names


def split_change(tables: Mapping[str, Any], keys: Iterable[DeclaredKey] = KEYS) -> tuple[dict[str, Any], list[str]]:
    """Split a change into what is not known to be fixed, and the names of the fixed keys in it.

    A table without live keys is one name. Unknown keys stay in the change, so that ``Config.changed`` reports them.
    """
    keys = tuple(keys)
    live = live_tables(keys)
    known = {declared.table or declared.name for declared in keys}
    fixed_paths = {declared.path for declared in keys if declared.key.applies != "live"}
    changes: dict[str, Any] = {}
    fixed: list[str] = []
    for name, value in tables.items():
        if name in known and name not in live:
            fixed.append(name)
        elif isinstance(value, Mapping):
            fixed += [f"{name}.{key}" for key in value if f"{name}.{key}" in fixed_paths]
            changes[name] = {key: item for key, item in value.items() if f"{name}.{key}" not in fixed_paths}
        else:
            changes[name] = value
    return changes, fixed
