"""The configuration of a lab's proxy: the given one with the arguments and the scenario applied, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import KEYS, Config
from ..errors import ConfigError
from ..net.settings import load_settings
from . import staging
from .scenario_model import Scenario


def configured(
    config: Config,
    release: str | None,
    scenario: Scenario,
    changes: Mapping[str, Any],
    own: Mapping[str, str],
) -> tuple[Config, Config]:
    """Return the configuration with the arguments applied, without ``changes`` and with them.

    ``own`` are the hosts of the lab's nodes, each with what it is. Raises ``ConfigError`` with every problem in the
    configuration and in the files that it names, and with all that a lab cannot do.
    """
    refused = [f"hosts.{host!r}: is {own[host]}" for host in config.hosts if host in own]
    problems: list[str] = []
    base = initial = config
    tables = staging.configuration_tables(scenario)
    if release is not None:
        tables["release"] = release
    try:
        base = config.changed(**tables)
        initial = base.changed(**changes)
        load_settings(initial)
    except ConfigError as error:
        problems += error.problems
    for declared in KEYS:
        value = declared.value(initial)
        if declared.key.refused_by_lab and value != declared.default:
            refused.append(f"{declared.path}: {declared.key.refused_by_lab} (is {value!r})")
    if refused or problems:
        hint = "for a CUCM of your own, or several workers: mralab serve -c FILE" if refused else ""
        raise ConfigError([*refused, *problems], hint)
    return base, initial
