"""The servers of a ladder: one lifeline for each host, with its role as far as requests show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ..core.tls.hostname import is_address
from .ladder_model import Participant, Role

_MOST_HOSTS: Final = 10_000
_BY_SERVICE: Final[dict[str, Role]] = {
    "UDS": "CUCM",
    "TFTP": "TFTP",
    "IM and Presence": "IM and Presence",
    "Unity Connection": "Unity Connection",
}
"""By service (``request_line.service_of``), the first that fits: a CUCM serves UDS and TFTP."""
ROLES: Final[tuple[Role, ...]] = ("Expressway-C", *_BY_SERVICE.values(), "Server")
"""The roles of servers, in the order of their lifelines."""


@dataclass(slots=True)
class _Host:
    name: str
    addresses: dict[str, None] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)

    def role(self) -> Role:
        return next((role for service, role in _BY_SERVICE.items() if service in self.services), "Server")


class Hosts:
    """The hosts that requests were for, by name or address; bounded."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    def add(self, name: str, ip: str, service: str) -> None:
        """Note that a request for a service (empty if unknown) went to ``name``, which has the address ``ip``."""
        host = self._hosts.get(name.lower())
        if host is None:
            if len(self._hosts) >= _MOST_HOSTS:
                return
            host = self._hosts[name.lower()] = _Host(name)
        if ip:
            host.addresses[ip] = None
        if service:
            host.services.add(service)

    def participants(self, names: Iterable[str], *, all_are: Role | None = None) -> dict[str, Participant]:
        """Return the lifeline of each of ``names``, which are names or addresses in lower case.

        A request for an address belongs to the host whose name has that address, if it is the only one. ``all_are``
        is the role of all hosts, if the caller knows it.
        """
        merged: dict[str, _Host] = {}
        for name in dict.fromkeys(names):
            host = self._hosts.get(name, _Host(name))
            owner = self._owner(name)
            if owner is None:
                known = merged.setdefault(name, _Host(host.name))
            else:
                known = merged.setdefault(owner, _Host(self._hosts[owner].name))
                merged[name] = known
                known.addresses[host.name] = None
            known.addresses |= host.addresses
            known.services |= host.services
        lifelines = [*{id(host): host for host in merged.values()}.values()]
        roles = {id(host): all_are or host.role() for host in lifelines}
        lifelines.sort(key=lambda host: ROLES.index(roles[id(host)]))
        ids = {id(host): f"server-{number}" for number, host in enumerate(lifelines, 1)}
        return {
            name: Participant(
                id=ids[id(host)],
                role=roles[id(host)],
                name=host.name,
                addresses=tuple(address for address in host.addresses if address != host.name),
            )
            for name, host in merged.items()
        }

    def _owner(self, address: str) -> str | None:
        """Return the only name that has this address; None if there is none, or if it is no address."""
        if not is_address(address):
            return None
        owners = [name for name, host in self._hosts.items() if address in host.addresses and not is_address(name)]
        return owners[0] if len(owners) == 1 else None
