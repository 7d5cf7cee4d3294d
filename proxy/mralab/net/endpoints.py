"""Endpoints that no request may be sent to: those on which this process and its workers listen themselves.

A token, a DNS name or an entry of ``[hosts]`` can lead back to the proxy or to its control API, which trusts what
comes from loopback (a confused deputy). What decides is the address that is about to be dialled, after every look-up,
so it does not matter how it was spelled. The addresses are read once; a request to another port costs one look-up in
a dict.
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
_NOT_THERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH)
_REMEMBERED: Final = 10.0  # seconds: interfaces come and go


class ListeningAddress(NamedTuple):
    """Where a socket listens: one address, or (``wildcard``) every address of this machine of these IP versions."""

    address: _Address
    port: int
    wildcard: bool
    versions: frozenset[int]


class Endpoints:
    """A set of listening sockets. Safe to read from any thread while another one adds or removes."""

    __slots__ = ("_by_port",)

    def __init__(self) -> None:
        self._by_port: dict[int, tuple[ListeningAddress, ...]] = {}

    def add(self, sock: socket.socket) -> ListeningAddress:
        """Add a listening TCP socket; return its endpoint, for ``remove``."""
        endpoint = _endpoint(sock)
        self._by_port[endpoint.port] = (*self._by_port.get(endpoint.port, ()), endpoint)
        return endpoint

    def remove(self, endpoint: ListeningAddress) -> None:
        """Remove an endpoint once; one that was added twice stays."""
        rest = list(self._by_port.get(endpoint.port, ()))
        if endpoint in rest:
            rest.remove(endpoint)
        if rest:
            self._by_port[endpoint.port] = tuple(rest)
        else:
            self._by_port.pop(endpoint.port, None)

    def reached_by(self, address: str, port: int) -> bool:
        """Return whether a connection to an IP ``address`` and ``port`` would arrive at one of the sockets."""
        listening = self._by_port.get(port)
        return listening is not None and any(_reaches(address, endpoint) for endpoint in listening)


CONTROL: Final = Endpoints()
"""The control APIs of this process: of every lab and proxy in it, and of the process that started this worker."""


def _endpoint(sock: socket.socket) -> ListeningAddress:
    host, port = sock.getsockname()[:2]
    given = ip_address(host.partition("%")[0])
    address = _plain(given)
    versions = {address.version}
    if given.version == 6 and given.is_unspecified and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        versions.add(4)
    return ListeningAddress(address, port, address.is_unspecified, frozenset(versions))


def _reaches(text: str, endpoint: ListeningAddress) -> bool:
    try:
        asked = _plain(ip_address(text.partition("%")[0]))
    except ValueError:  # a name would be looked up again while dialling: nobody knows where it leads
        return True
    if asked.is_unspecified:  # connect() takes it for loopback
        asked = _LOOPBACK[asked.version]
    if not endpoint.wildcard:
        return asked == endpoint.address
    if asked.version not in endpoint.versions:
        return False
    try:
        return asked.is_loopback or _is_of_this_machine(text, int(time.monotonic() / _REMEMBERED))
    except OSError:  # out of descriptors: rather refuse a request than send it to ourselves
        return True


def _plain(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv4-mapped one stands for; any other as it is."""
    return (address.version == 6 and address.ipv4_mapped) or address


@lru_cache(256)
def _is_of_this_machine(address: str, _period: int) -> bool:
    """Return whether an interface has the address. Only such an address can be bound, unless the system allows any.

    It does with ``net.ipv4.ip_nonlocal_bind``; then the source of a connection to the address decides. Raises
    ``OSError`` where neither can be tried.
    """
    if not _can("bind", address):
        return False
    if not _can("bind", _UNASSIGNED[6 if ":" in address else 4]):
        return True
    return _can("connect", address)


def _can(action: Literal["bind", "connect"], address: str) -> bool:
    """Try it with a UDP socket, which sends nothing. A connection must have its own source as its destination."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
            host, _, *scope = _sockaddr(address)
            if action == "bind":
                probe.bind((host, 0, *scope))
                return True
            probe.connect((host, 9, *scope))  # the discard port
            return bool(probe.getsockname()[0] == probe.getpeername()[0])
    except OSError as error:
        if error.errno in _NOT_THERE:
            return False
        raise


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _sockaddr(address: str) -> tuple[Any, ...]:
    """The address as sockets take it, with its scope. No name server is asked."""
    return socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
