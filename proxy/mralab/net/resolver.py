"""Where a server really is: the ``[hosts]`` table first, then the address itself, then DNS.

The system's own resolver is asked (``/etc/hosts``, nsswitch and all), and it blocks: each name is looked up in a thread
of its own, once for all who wait for it, so a name server that is slow for one name delays no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from ..config import HostEntry
from ..core.tls.hostname import is_address

_MOST_LOOKUPS: Final = 256  # names at once; one more is answered as one that has no address


class ServerAddress(NamedTuple):
    """A server's address: ``ip`` is what the log shows, ``dial`` and ``port`` what is connected to."""

    ip: str
    dial: str
    port: int

    @property
    def text(self) -> str:
        """What is connected to, as ``address:port``."""
        return f"[{self.dial}]:{self.port}" if ":" in self.dial else f"{self.dial}:{self.port}"


class UnknownHostError(Exception):
    """A name without an address."""


def listed(hosts: Mapping[str, HostEntry], host: str, port: int) -> ServerAddress | None:
    """The place that the table or the address itself gives, without asking DNS."""
    entry = hosts.get(host)
    if entry is None:
        return ServerAddress(host, host, port) if is_address(host) else None
    shown = entry.ip or (host if is_address(host) else entry.dial)
    dial = entry.dial or entry.ip or (host if is_address(host) else "")
    if not dial:
        return None
    return ServerAddress(shown, dial, entry.dialled(port))


class Resolver:
    """Asks DNS for one proxy."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: dict[str, asyncio.Future[str]] = {}

    async def look_up(self, host: str, port: int, seconds: float) -> ServerAddress:
        """The place of a server that is not listed; DNS may take ``seconds``. Raises ``UnknownHostError``."""
        answer = self._asked.get(host) or self._ask(host)
        address = await self._loop.create_task(self._answer(host, answer, seconds))
        return ServerAddress(address, address, port)

    async def _answer(self, host: str, answer: asyncio.Future[str], seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(answer)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise UnknownHostError(host) from error

    def _ask(self, host: str) -> asyncio.Future[str]:
        if len(self._asked) >= _MOST_LOOKUPS:
            raise UnknownHostError(host)
        answer: asyncio.Future[str] = self._loop.create_future()
        self._asked[host] = answer
        # A daemon: a look-up that hangs must not hold up the end of the process.
        threading.Thread(target=self._look_up, args=(host, answer), name="mralab-dns", daemon=True).start()
        return answer

    def _look_up(self, host: str, answer: asyncio.Future[str]) -> None:
        """In the thread: ask, and hand over what came of it."""
        try:
            found: str | Exception = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError) as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits any more
            self._loop.call_soon_threadsafe(self._answered, host, answer, found)

    def _answered(self, host: str, answer: asyncio.Future[str], found: str | Exception) -> None:
        self._asked.pop(host, None)
        if isinstance(found, str):
            answer.set_result(found)
        else:
            answer.set_exception(found)
            answer.exception()  # told: nobody may be waiting any more
