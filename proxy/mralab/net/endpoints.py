"""Endpoints that no request may be sent to: those on which this process and its workers listen.

A token, a DNS name or an entry of ``[hosts]`` can lead back to the proxy or to its control API, which trusts
connections from loopback (a confused deputy). The check uses the address that is about to be dialled, after every
look-up, so its spelling does not matter. The addresses are read once; a request to another port costs one
look-up in a dict.
"""

from __future__ import annotations

import errno
import socket
import time
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Literal, NamedTuple

_Address = IPv4Address | IPv6Address

_LOOPBACK: Final[dict[int, _Address]] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
_UNASSIGNED: Final = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): no interface has one."""
_UNAVAILABLE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH)
_REMEMBERED: Final = 10.0  # seconds: interfaces can change


class ListeningAddress(NamedTuple):
    """Where a socket listens: one address, or (``wildcard``) every address of this machine of these IP versions."""

    address: _Address
    port: int
    wildcard: bool
    versions: frozenset[int]


class Endpoints:
    """A set of listening sockets. Safe to read from any thread while another one adds or removes."""

    __slots__ = ("by_port",)

    def __init__(self) -> None:
        self.by_port: dict[int, tuple[ListeningAddress, ...]] = {}

    def add(self, sock: socket.socket) -> ListeningAddress:
        """Add a listening TCP socket; return its endpoint, for ``remove``."""
        endpoint = _endpoint(sock)
        self.by_port[endpoint.port] = (*self.by_port.get(endpoint.port, ()), endpoint)
        return endpoint

    def remove(self, endpoint: ListeningAddress) -> None:
        """Remove an endpoint once; one that was added twice stays."""
        rest = list(self.by_port.get(endpoint.port, ()))
        if endpoint in rest:
            rest.remove(endpoint)
        if rest:
            self.by_port[endpoint.port] = tuple(rest)
        else:
            self.by_port.pop(endpoint.port, None)

    def reached_by(self, address: str, port: int) -> bool:
        """Return whether a connection to an IP ``address`` and ``port`` would arrive at one of the sockets."""
        listening = self.by_port.get(port)
        return listening is not None and any(_reaches(address, endpoint) for endpoint in listening)


CONTROL: Final = Endpoints()
"""The control APIs of this process: of every lab and proxy in it, and of the process that started this worker."""


def _endpoint(sock: socket.socket) -> ListeningAddress:
    host, port = sock.getsockname()[:2]
    bound = ip_address(host.partition("%")[0])
    address = _plain(bound)
    versions = {address.version}
    if bound.version == 6 and bound.is_unspecified and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        versions.add(4)
    return ListeningAddress(address, port, address.is_unspecified, frozenset(versions))


def _reaches(text: str, endpoint: ListeningAddress) -> bool:
    try:
        target = _plain(ip_address(text.partition("%")[0]))
    except ValueError:  # a name is looked up again while dialling, so its address is unknown here
        return True
    if target.is_unspecified:  # connect() treats it as loopback
        target = _LOOPBACK[target.version]
    if not endpoint.wildcard:
        return target == endpoint.address
    if target.version not in endpoint.versions:
        return False
    try:
        return target.is_loopback or _is_of_this_machine(text, int(time.monotonic() / _REMEMBERED))
    except OSError:  # out of descriptors: refusing a request is safer than sending it to this process
        return True


def _plain(address: _Address) -> _Address:
    """Return the IPv4 address of an IPv4-mapped one; return any other unchanged."""
    return (address.version == 6 and address.ipv4_mapped) or address


@lru_cache(256)
def _is_of_this_machine(address: str, _period: int) -> bool:
    """Return whether an interface has the address: only such an address can be bound.

    Where ``net.ipv4.ip_nonlocal_bind`` allows any address to be bound, the source address of a connection to it
    decides. Raises ``OSError`` if neither can be tried.
    """
    if not _can("bind", address):
        return False
    if not _can("bind", _UNASSIGNED[6 if ":" in address else 4]):
        return True
    return _can("connect", address)


def _can(action: Literal["bind", "connect"], address: str) -> bool:
    """Try it with a UDP socket, which sends nothing. For "connect", source and destination must be the same address."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
            host, _, *scope = _sockaddr(address)
            if action == "bind":
                probe.bind((host, 0, *scope))
                return True
            probe.connect((host, 9, *scope))  # the discard port
            return bool(probe.getsockname()[0] == probe.getpeername()[0])
    except OSError as error:
        if error.errno in _UNAVAILABLE:
            return False
        raise


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _sockaddr(address: str) -> tuple[Any, ...]:
    """Return the address in the form that sockets take, with its scope. This does not query DNS."""
    return socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
