"""The keys of ``[hosts]`` in their canonical form, as requests are compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.mra.target import canonical_host, canonical_port


def canonical_hosts(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return ``data`` with the hosts of its ``hosts`` table in canonical form and their ports as numbers.

    Append to ``problems`` each host or port that is invalid or that another key names already: one of two keys with the
    same meaning would be ignored.
    """
    hosts = data.get("hosts")
    if not isinstance(hosts, dict):
        return data
    converted: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for name, entry in hosts.items():
        try:
            host = _canonical_name(str(name))
        except ValueError as error:
            problems.append(f"hosts.{name!a}: is not a host name or address: {error}")
            continue
        if host in spelled:
            problems.append(f"hosts.{name!a}: is the same host as hosts.{spelled[host]!a}")
        spelled[host] = name
        ports = entry.get("ports") if isinstance(entry, dict) else None
        where = f"hosts.{name}.ports"
        converted[host] = {**entry, "ports": _numbered(ports, where, problems)} if isinstance(ports, dict) else entry
    return {**data, "hosts": converted}


def _canonical_name(name: str) -> str:
    if "[" in name:
        raise ValueError("write an IPv6 address without brackets")
    if "/" in name:
        raise ValueError("write the name alone, without https:// and path")
    if name.count(":") == 1:
        raise ValueError("write the name alone; its ports belong into 'ports'")
    return canonical_host(f"[{name}]" if name.count(":") > 1 else name)


def _numbered(ports: Mapping[Any, Any], where: str, problems: list[str]) -> dict[int, Any]:
    """Return a table of ports with numbers as keys: in TOML and JSON, keys are text."""
    numbers: dict[int, Any] = {}
    for key, value in ports.items():
        try:
            number = canonical_port(str(key))
        except ValueError as error:
            problems.append(f"{where}.{ascii(str(key))[1:-1]}: {error}")
            continue
        if number in numbers:
            problems.append(f"{where}.{number}: is given twice")
        numbers[number] = value
    return numbers
