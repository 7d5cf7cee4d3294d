"""Accept connections up to a limit; the others wait in the kernel's backlog.

Neither asyncio's server nor uvloop's can stop accepting for a while: both accept everything at once, and when
descriptors run out, asyncio's logs an error at each turn of the loop and libuv's drops new connections. This one
accepts one connection per turn of the loop, so a burst of connections does not delay the others.
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
_TURN: Final = 0.002  # seconds that a worker with more connections waits, so that another can accept first
_RESERVED: Final = 64  # descriptors for the log, the trust store, the loop and the admin port


def listening_socket(address: str, key: str = "proxy.listen") -> socket.socket:
    """Return a socket that listens on ``host:port`` (port 0: any free one). Raises ``ListenError`` naming ``key``."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Name the protocol: asyncio's own loop sets TCP_NODELAY on accepted sockets only if it is named.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        hints = {
            errno.EADDRINUSE: "another program, or another key, uses this port; port 0 takes any free port",
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
    """Return the number of file descriptors that a process needs for ``connections`` clients."""
    return 2 * connections + _RESERVED


def most_connections(wanted: int) -> int:
    """Return how many of ``wanted`` clients the descriptor limit allows: each may need a second one for its server."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if limit == resource.RLIM_INFINITY else max(1, min(wanted, (limit - _RESERVED) // 2))


class Acceptor:
    """Accept on ``sock`` while fewer than ``limit`` connections are open. Call ``released`` when one is closed.

    ``make`` makes a connection's protocol. ``refused`` is called with the error if descriptors or memory run out;
    accepting then pauses briefly. ``share`` counts this process's connections, where several workers accept on the same
    socket: a worker that has more than another lets the others accept first.
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
        """The maximum number of open connections."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._listen()

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._open >= self._limit

    def released(self) -> None:
        """Count a connection that was closed; accept again if the limit had stopped it."""
        self._opened(-1)
        if not self._listening:
            self._listen()

    def close(self) -> None:
        """Stop accepting. Open connections stay open."""
        self._closed = True
        self._stop_listening()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._sock.close()

    async def settled(self) -> None:
        """Wait until every accepted connection has its protocol, which tracks it from then on."""
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
            self._share.set(self._open)

    def _accept(self) -> None:
        if self._share is not None and self._share.is_ahead():
            self._stop_listening()
            self._pause = self._loop.call_later(_TURN, self._accept_after_pause)
        else:
            self._take()

    def _accept_after_pause(self) -> None:
        """Accept a connection that no other worker took during the pause."""
        self._pause = None
        self._take()
        self._listen()

    def _take(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker took it, or the client is gone again
        except OSError as error:  # out of descriptors or memory: connections that close will free some
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
            self.released()  # the client was gone before the protocol saw it, so the protocol does not report its end
