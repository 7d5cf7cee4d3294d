"""Find a server's address: in the ``[hosts]`` table first, then in the name itself, then in DNS.

Look-ups use the system's resolver (``/etc/hosts``, nsswitch and all), which blocks. Each name is looked up in its own
thread, once for all requests that wait for it, so a slow answer for one name delays no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from ..config import HostEntry
from ..core.hostport import host_port
from ..core.tls.hostname import is_address

_MOST_LOOKUPS: Final = 256  # concurrent look-ups; a further name is answered as one without an address


class ServerAddress(NamedTuple):
    """A server's address: ``ip`` is shown in the log, ``dial`` and ``port`` are connected to."""

    ip: str
    dial: str
    port: int

    @property
    def text(self) -> str:
        """The address to connect to, as ``address:port``."""
        return host_port(self.dial, self.port)


class UnknownHostError(Exception):
    """A name without an address."""


def listed(hosts: Mapping[str, HostEntry], host: str, port: int) -> ServerAddress | None:
    """Return the address that the table or ``host`` itself gives, without a DNS query; None if neither does."""
    entry = hosts.get(host)
    if entry is None:
        return ServerAddress(host, host, port) if is_address(host) else None
    shown = entry.ip or (host if is_address(host) else entry.dial)
    dial = entry.dial or entry.ip or (host if is_address(host) else "")
    if not dial:
        return None
    return ServerAddress(shown, dial, entry.dialled(port))


class Resolver:
    """Look up names for one proxy."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pending: dict[str, asyncio.Future[str]] = {}

    async def look_up(self, host: str, port: int, seconds: float) -> ServerAddress:
        """Return the address that DNS has for ``host`` within ``seconds``. Raises ``UnknownHostError``."""
        answer = self._pending.get(host) or self._start(host)
        address = await self._loop.create_task(self._wait(host, answer, seconds))
        return ServerAddress(address, address, port)

    async def _wait(self, host: str, answer: asyncio.Future[str], seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(answer)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise UnknownHostError(host) from error

    def _start(self, host: str) -> asyncio.Future[str]:
        if len(self._pending) >= _MOST_LOOKUPS:
            raise UnknownHostError(host)
        answer: asyncio.Future[str] = self._loop.create_future()
        self._pending[host] = answer
        # A daemon: a look-up that hangs must not delay the exit of the process.
        threading.Thread(target=self._look_up, args=(host, answer), name="mralab-dns", daemon=True).start()
        return answer

    def _look_up(self, host: str, answer: asyncio.Future[str]) -> None:
        """Look up the name (in its thread) and pass the result to the loop."""
        try:
            found: str | Exception = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError) as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: no request waits any more
            self._loop.call_soon_threadsafe(self._finish, host, answer, found)

    def _finish(self, host: str, answer: asyncio.Future[str], found: str | Exception) -> None:
        self._pending.pop(host, None)
        if isinstance(found, str):
            answer.set_result(found)
        else:
            answer.set_exception(found)
            answer.exception()  # marks it as retrieved: asyncio would log it if no request waits any more
