"""Where a server really is: the ``[hosts]`` table first, then the address itself, then DNS."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from typing import NamedTuple

from ..config import HostEntry


class Place(NamedTuple):
    """A server's address: ``ip`` is what the log shows, ``dial`` and ``port`` what is connected to."""

    ip: str
    dial: str
    port: int


class UnknownHostError(Exception):
    """A name without an address."""


def listed(hosts: Mapping[str, HostEntry], host: str, port: int) -> Place | None:
    """The place that the table or the address itself gives, without asking DNS."""
    entry = hosts.get(host)
    if entry is None:
        return Place(host, host, port) if _is_ip(host) else None
    shown = entry.ip or (host if _is_ip(host) else entry.dial)
    dial = entry.dial or entry.ip or (host if _is_ip(host) else "")
    if not dial:
        return None
    return Place(shown, dial, entry.ports.get(port, port))


async def resolve(hosts: Mapping[str, HostEntry], host: str, port: int, seconds: float) -> Place:
    """The place of a server; DNS may take ``seconds``. Raises ``UnknownHostError``."""
    place = listed(hosts, host, port)
    if place is not None:
        return place
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise UnknownHostError(host) from error
    address = str(found[0][4][0])
    return Place(address, address, port)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
