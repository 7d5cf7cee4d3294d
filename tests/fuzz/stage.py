"""What interleavings run on: an event loop whose callbacks and clock a script moves, transports, and servers with TLS.

There are no sockets. A transport passes what is written to its peer at once, and delivers what the peer does (bytes,
FIN, RST) when the script says so; like asyncio's, it delivers nothing while reading is paused or once it closes. A
server's TLS is OpenSSL's, in memory; what it writes waits in ``Server.pending`` until the script delivers it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import heapq
import itertools
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from unittest import mock

import trustme
from cryptography import x509

from mralab.config import from_mapping
from mralab.core.mra.allowlist import parse_rules_csv
from mralab.net import server_connection
from mralab.net.client_connection import ClientConnection
from mralab.net.policy import Policy
from mralab.net.server_connection import ServerConnection
from mralab.net.services import Services
from mralab.net.settings import Settings
from mralab.tls.trust_store import TrustStore

HOST: Final = "cucm.steven.lab"
PORTS: Final = {"http": 8080, "https": 8443}
TRUSTED: Final = ("good13", "good12", "mtls")
"""The servers whose certificate has no fault."""
SERVERS: Final = (*TRUSTED, "unknown", "unknown12", "name")
"""Good ones with TLS 1.3 and 1.2, one that wants a certificate; an unknown CA twice; a certificate for another name."""
_RULES: Final = "Url,Deployment,HttpMethods,MatchType,Description\n" + "".join(
    f'{scheme}://{HOST}:{port}/a,,"GET,HEAD,POST,OPTIONS,TRACE,FOO",prefix,\n' for scheme, port in PORTS.items()
)
_VARYING: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_EPOCH: Final = 1704067200.0  # 2024-01-01: the same in every run
_MOST_CALLBACKS: Final = 10_000

_Call = tuple[Callable[..., object], tuple[object, ...]]


@functools.cache
def _authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name, key_type=trustme.KeyType.RSA)


@functools.cache
def trust_store() -> TrustStore:
    """Return the proxy's trust store: the CA that issued the certificates of the trusted servers."""
    return TrustStore((x509.load_pem_x509_certificate(_authority("known").cert_pem.bytes()),))


@functools.cache
def _context(kind: str) -> ssl.SSLContext:
    authority = _authority("unknown" if kind.startswith("unknown") else "known")
    leaf = authority.issue_cert("x.y" if kind == "name" else HOST, key_type=trustme.KeyType.RSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leaf.pem"
        path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
        context.load_cert_chain(path)
    if kind.endswith("12"):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if kind == "mtls":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=_authority("known").cert_pem.bytes().decode())
    return context


class Setup(NamedTuple):
    """Settings of a proxy. Two that differ only in ``copy`` mean the same and are in force one after the other."""

    kept: bool
    verify: str
    attempts: int
    copy: int = 0


@functools.cache
def policy(setup: Setup) -> Policy:
    """Return the settings: one object for each setup."""
    config = from_mapping(
        {
            "hosts": {HOST: {"ip": "10.48.36.215", "dial": "127.0.0.1"}},
            "upstream": {
                "connections": "keep-alive" if setup.kept else "per-request",
                "attempts": setup.attempts,
                "connect_timeout": 5.0,
                "response_timeout": 8.0,
            },
            "verify": {"origin": setup.verify},
            "limits": {"header_bytes": 4096},
        }
    )
    return Policy(Settings(config, trust_store(), parse_rules_csv(_RULES, "fuzz"), None))


def anonymous(text: str) -> str:
    """Return a text without the identifiers that differ from one run to the next."""
    return _VARYING.sub("ID", text)


class Clock:
    """The time of day, which is that of the loop whose proxy acts now."""

    def __init__(self) -> None:
        self.loop: Loop | None = None

    def time(self) -> float:
        """Return the time in seconds since 1970."""
        return _EPOCH + (self.loop.now if self.loop is not None else 0.0)


@contextlib.contextmanager
def clock() -> Iterator[Clock]:
    """Replace the time of day, and the look into a real socket for a FIN, until the end of the block."""
    moved = Clock()
    with (
        mock.patch("time.time", moved.time),
        mock.patch.object(server_connection, "fin_received", lambda transport: transport.fin_waiting),
    ):
        yield moved


class Loop:
    """The part of an event loop that connections use; nothing runs until the script says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.queue: list[_Call] = []
        self.errors: list[str] = []
        """Exceptions that a callback has raised or that were reported."""
        self.dials: list[Dial] = []
        self.dialling = "pending"
        """What becomes of the next connections: "pending" (the script decides), "refuse", "nofile" or "bug"."""
        self._timers: list[tuple[float, int, asyncio.Handle, _Call]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_soon(self, call: Callable[..., object], *arguments: object, context: object = None) -> None:
        self.queue.append((call, arguments))

    def call_later(self, seconds: float, call: Callable[..., object], *arguments: object) -> asyncio.Handle:
        timer = asyncio.Handle(call, arguments, cast("Any", self))
        heapq.heappush(self._timers, (self.now + seconds, next(self._count), timer, (call, arguments)))
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(f"{context['message']}: {context.get('exception')!r}")

    async def create_connection(self, make: Callable[[], Any], _: str, port: int) -> None:
        dial = Dial(self, make, port)
        self.dials.append(dial)
        if self.dialling != "pending":
            dial.state = "failed"
            raise {
                "refuse": ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
                "nofile": OSError(errno.EMFILE, "too many open files"),
                "bug": ValueError("bug"),
            }[self.dialling]
        await dial.wait()

    def call(self, call: Callable[..., object], *arguments: object) -> None:
        """Call as the loop does: an exception is recorded."""
        try:
            call(*arguments)
        except Exception as error:
            self.errors.append(repr(error))

    def one(self) -> None:
        """Run the next callback, if there is one."""
        if self.queue:
            call, arguments = self.queue.pop(0)
            self.call(call, *arguments)

    def run(self) -> None:
        """Run callbacks until none is left."""
        for _ in range(_MOST_CALLBACKS):
            if not self.queue:
                return
            self.one()
        raise AssertionError("callbacks without end")

    def advance(self, seconds: float) -> None:
        """Run all callbacks, then the timers that are due within so many seconds, each at its time."""
        self.run()
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            at, _, timer, (call, arguments) = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            if not timer.cancelled():
                self.call(call, *arguments)
                self.run()
        self.now = end


class Dial:
    """A connection that the proxy makes: "pending", "failing", "failed", "cancelled" or "made"."""

    def __init__(self, loop: Loop, make: Callable[[], Any], port: int) -> None:
        self.port = port
        self.state = "pending"
        self.kind = ""
        self.answered = 0
        """How many requests ``Proxy.finish`` has answered here."""
        self._loop = loop
        self._make = make
        self._future: asyncio.Future[None] = asyncio.Future(loop=cast("Any", loop))
        self._ends: tuple[Transport, Server] | None = None

    @property
    def transport(self) -> Transport:
        """The proxy's end of a connection that was made."""
        assert self._ends is not None
        return self._ends[0]

    @property
    def server(self) -> Server:
        """The other end."""
        assert self._ends is not None
        return self._ends[1]

    @property
    def connection(self) -> ServerConnection:
        """What the proxy uses the connection for."""
        return cast("ServerConnection", self.transport.protocol)

    @property
    def open(self) -> bool:
        """Whether the connection was made and the proxy has not closed it."""
        return self.state == "made" and not self.transport.closing

    def result(self) -> tuple[object, ...]:
        """Return what has become of the connection, for comparison."""
        if self.state != "made":
            return self.port, self.state
        server, transport = self.server, self.transport
        plain = anonymous(server.plain.decode("latin-1"))
        ended = transport.closing, transport.reset, transport.lost
        return self.port, self.state, plain, tuple(server.notes), len(server.pending), ended

    async def wait(self) -> None:
        """Wait for the script's decision."""
        try:
            await self._future
        except asyncio.CancelledError:
            if self.state == "made":
                self.transport.close()
            else:
                self.state = "cancelled"
            raise
        except BaseException:
            self.state = "failed"
            raise

    def succeed(self, kind: str) -> None:
        """Make the connection, to a server of ``SERVERS``."""
        self.state, self.kind = "made", kind
        server = Server(_context(kind) if self.port == PORTS["https"] else None)
        protocol = self._make()
        transport = Transport(self._loop, protocol, server.take)
        self._ends = transport, server
        self._loop.call_soon(protocol.connection_made, transport)
        self._loop.call_soon(self._done)

    def _done(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def fail(self, number: int) -> None:
        """Let the connection fail with an errno."""
        self.state = "failing"
        if not self._future.done():
            self._future.set_exception(OSError(number, "failed"))


class _Socket:
    """The part of a socket that connections use. Nothing can be read from it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def setsockopt(self, *_: object) -> None:
        self._transport.linger = True

    def fileno(self) -> int:
        return -1


class Transport:
    """The part of a transport that connections use, and what its peer does: ``feed``, ``eof`` and ``rst``."""

    def __init__(self, loop: Loop, protocol: asyncio.Protocol, sink: Callable[[bytes], object]) -> None:
        self.protocol = protocol
        self.closing = self.lost = self.reset = self.linger = self.reading_paused = False
        self.slow = False
        """The peer reads nothing, so that a close is not complete until ``flush``."""
        self.fin_waiting = False
        """The peer's FIN has arrived and was not read."""
        self._loop = loop
        self._sink = sink
        self._ended = False
        self._held: list[Callable[[], None]] = []

    def get_extra_info(self, name: str, default: object = None) -> object:
        if name == "peername":
            return ("127.0.0.1", 40000)
        return _Socket(self) if name == "socket" else default

    def write(self, data: bytes) -> None:
        if not self._ended and data:
            self._sink(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Do nothing: the data so far is complete."""

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.slow:
                self.flush()

    def abort(self) -> None:
        if not self._ended:
            self.reset = True
            self._end(None)

    def flush(self) -> None:
        """Let the peer read everything."""
        self.slow = False
        if self.closing and not self._ended:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        self.closing = self._ended = True
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        self.lost = True
        self.protocol.connection_lost(error)

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        if self.reading_paused:
            self.reading_paused = False
            self._loop.call_soon(self._release)

    def _release(self) -> None:
        while self._held and not self.reading_paused:
            self._held.pop(0)()

    def _deliver(self, act: Callable[[], None]) -> None:
        if self.reading_paused or self._held:
            self._held.append(act)
        else:
            act()

    def feed(self, data: bytes) -> None:
        """Deliver bytes; a protocol that raises loses its connection."""
        self._deliver(lambda: self._receive(data))

    def _receive(self, data: bytes) -> None:
        if not self.closing:
            try:
                self.protocol.data_received(data)
            except Exception as error:
                self._loop.errors.append(repr(error))
                if not self._ended:
                    self._end(error)

    def eof(self) -> None:
        """Deliver the peer's FIN."""
        self._deliver(self._receive_eof)

    def _receive_eof(self) -> None:
        if not self.closing and not self.protocol.eof_received():
            self.close()

    def rst(self) -> None:
        """Deliver the peer's RST, which nothing delays."""
        if not self.closing:
            self._end(ConnectionResetError(errno.ECONNRESET, "reset"))


class Client:
    """A client's connection and what it has received."""

    def __init__(self, services: Services, loop: Loop) -> None:
        self.received = bytearray()
        self.connection = ClientConnection(services)
        self.transport = Transport(loop, self.connection, self.received.extend)
        self.connection.connection_made(cast("Any", self.transport))

    def state(self) -> tuple[object, ...]:
        """Return what has become of the connection, for comparison."""
        connection, transport = self.connection, self.transport
        return (
            bytes(self.received),
            (transport.closing, transport.reset, transport.lost, transport.linger, transport.reading_paused),
            (connection._steps is not None, connection._lingering, connection._eof, connection._minor),
            bytes(connection._buffer),
        )


class Server:
    """A server's end of a connection, with TLS in memory if there is a context."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.plain = bytearray()
        """What it has received, decrypted."""
        self.pending = bytearray()
        """What it has written and the script has not delivered."""
        self.notes: list[str] = []
        """What its TLS has noticed."""
        self.shaken = context is None
        """The TLS handshake is complete, or there is none."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True) if context is not None else None

    @property
    def asked(self) -> int:
        """How many requests it has received."""
        return self.plain.count(b"\r\n\r\n")

    def take(self, data: bytes) -> None:
        """Receive what the proxy writes."""
        if self._tls is None:
            self.plain += data
            return
        self._in.write(data)
        try:
            if not self.shaken:
                self._tls.do_handshake()
                self.shaken = True
                self.notes.append("shaken")
            while piece := self._tls.read(65536):
                self.plain += piece
            self.notes.append("close_notify")
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.notes.append("close_notify")
        except ssl.SSLError as error:
            self.notes.append(str(error.reason))
        self.pending += self._out.read()

    def say(self, data: bytes) -> None:
        """Write application data."""
        if self._tls is None:
            self.pending += data
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self.notes.append(f"write: {error.reason}")
        self.pending += self._out.read()

    def notify(self) -> None:
        """Write a close_notify, if there is TLS."""
        if self._tls is not None and self.shaken:
            with contextlib.suppress(OSError, ValueError):  # it waits for the proxy's, or has failed
                self._tls.unwrap()
            self.pending += self._out.read()

    def written(self) -> bytes:
        """Take everything that is pending."""
        data = bytes(self.pending)
        self.pending.clear()
        return data
