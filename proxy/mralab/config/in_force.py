"""The values in force, as programs and people see them: with the release's choices, and without secrets."""

from __future__ import annotations

from typing import Any

from .model import KEYS, Config


def values_in_force(config: Config) -> dict[str, Any]:
    """Return the configuration by table, with the release's values for keys that leave the choice to it.

    Secret keys are left out.
    """
    values = config.model_dump()
    for declared in KEYS:
        if declared.is_secret:
            del (values[declared.table] if declared.table else values)[declared.name]
    values["verify"]["origin"] = config.verify_mode
    values["upstream"].update(prefer=config.preference_in_force, tls=list(config.tls_versions))
    return values


def changed_values(before: Config, after: Config) -> dict[str, Any]:
    """Return the keys whose values in force differ, ``TABLE.KEY`` or ``hosts.NAME``, with those of ``after``.

    A host that was removed has the value None.
    """
    old, new = _by_path(before), _by_path(after)
    return {path: new.get(path) for path in {**old, **new} if old.get(path) != new.get(path)}


def _by_path(config: Config) -> dict[str, Any]:
    values = values_in_force(config)
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found.update({f"{name}.{key}": each for key, each in value.items()})
        else:
            found[name] = value
    return found
