"""Takes connections from a listening socket, as many at once as there may be; the rest waits in the kernel's backlog.

Its own, because neither asyncio's server nor uvloop's can be told to stop accepting for a while: they take everything
at once, and without descriptors asyncio's complains at each turn and libuv's drops the newcomers. One connection is
taken a turn of the loop, so that a storm of them delays nobody.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Callable
from typing import Final

from ..config import split_address
from ..errors import ListenError
from .shares import Share

BACKLOG: Final = 4096
_PAUSE: Final = 0.2  # seconds without accepting after the system ran out of something
_TURN: Final = 0.002  # seconds that a worker which is ahead leaves to the others
_RESERVED: Final = 64  # descriptors for the log, the trust store, the loop and the admin port


def listening_socket(address: str, key: str = "proxy.listen") -> socket.socket:
    """Listen on ``host:port`` (port 0: any free one), as the configuration's ``key`` says. Raises ``ListenError``."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: asyncio's own loop sets TCP_NODELAY on what is accepted only where it is.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        hints = {
            errno.EADDRINUSE: "another program, or another key, has this port; port 0 takes any free port",
            errno.EADDRNOTAVAIL: "this machine has no such address",
            errno.EACCES: "ports below 1024 need permission; port 0 takes any free port",
        }
        raise ListenError(
            f"{key}: {address} cannot be listened on: {error.strerror or error}", hints.get(error.errno or 0, "")
        ) from error
    sock.setblocking(False)
    return sock


def raise_descriptor_limit(connections: int) -> None:
    """Let this process open as many descriptors as ``connections`` clients may need, if its hard limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors(connections)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def descriptors(connections: int) -> int:
    """File descriptors that a process needs for ``connections`` clients."""
    return 2 * connections + _RESERVED


def most_connections(wanted: int) -> int:
    """How many of ``wanted`` clients the process's descriptors allow: each may need one more for its server."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if limit == resource.RLIM_INFINITY else max(1, min(wanted, (limit - _RESERVED) // 2))


class Acceptor:
    """Accepts on ``sock`` while fewer than ``limit`` connections are open. ``released`` tells that one has gone.

    ``make`` makes a connection's protocol; ``refused`` hears of a connection that could not be taken for want of
    descriptors or memory, after which there is a short pause. ``share`` is this process's among the workers that accept
    on the same socket: one that is ahead lets the others try first.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        limit: int,
        make: Callable[[], asyncio.Protocol],
        refused: Callable[[OSError], object],
        share: Share | None = None,
    ) -> None:
        self._loop = loop
        self._share = share
        self._sock = sock
        self._make = make
        self._refused = refused
        self._open = 0
        self._listening = False
        self._pause: asyncio.TimerHandle | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._closed = False
        self._limit = limit
        self._listen()

    @property
    def limit(self) -> int:
        """How many connections may be open at once."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._listen()

    @property
    def full(self) -> bool:
        """Whether as many connections are open as may be."""
        return self._open >= self._limit

    def released(self) -> None:
        """A connection has gone: there is room for another."""
        self._opened(-1)
        if not self._listening:
            self._listen()

    def close(self) -> None:
        """Accept nothing more; what is open stays open."""
        self._closed = True
        self._stop_listening()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._sock.close()

    async def settled(self) -> None:
        """Wait until what was accepted has a protocol, so that its end is known."""
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _listen(self) -> None:
        if self._closed or self._pause is not None:
            return
        if self._open >= self._limit:
            self._stop_listening()
        elif not self._listening:
            self._listening = True
            self._loop.add_reader(self._sock, self._accept)

    def _stop_listening(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._sock)

    def _opened(self, more: int) -> None:
        self._open += more
        if self._share is not None:
            self._share.tell(self._open)

    def _accept(self) -> None:
        if self._share is not None and self._share.is_ahead():
            self._stop_listening()
            self._pause = self._loop.call_later(_TURN, self._take_what_is_left)
        else:
            self._take()

    def _take_what_is_left(self) -> None:
        """The others had their turn: whoever still waits shall wait no longer."""
        self._pause = None
        self._take()
        self._listen()

    def _take(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker had it, or it has gone again
        except OSError as error:  # out of descriptors or memory: those that are open will give some back
            self._refused(error)
            self._stop_listening()
            self._pause = self._loop.call_later(_PAUSE, self._resume)
            return
        connection.setblocking(False)
        self._opened(1)
        if self._open >= self._limit:
            self._stop_listening()
        task = self._loop.create_task(self._arrive(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _resume(self) -> None:
        self._pause = None
        self._listen()

    async def _arrive(self, connection: socket.socket) -> None:
        protocol = self._make()
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            connection.close()
            self.released()  # it went before it was taken: its protocol never knew of it
