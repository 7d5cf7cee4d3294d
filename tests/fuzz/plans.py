"""Plans with mutated heads: a proxy with plans and one without produce the same bytes.

    python -m tests.fuzz.plans HEADS [SEED]

Both proxies are in this process, without sockets: their client and server connections have transports that record what
is written. Heads are mutated, and most are sent again later. Responses are usual, unusual, truncated or mutated. The
comparison covers what server and client receive, the log and the events. The memory for plans must stay bounded. Half
of the heads are compared with kept connections to the server, half with a new one for each, some of which are refused.

``make fuzz`` runs a million heads, ``make test`` a few thousand (test_plans.py).
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from mralab.config import from_mapping
from mralab.core.log.events import Event
from mralab.core.log.planned import Brief
from mralab.core.log.writer import LineWriter
from mralab.core.mra.allowlist import parse_rules_csv
from mralab.core.mra.target import Target, encode
from mralab.net.client_connection import ClientConnection
from mralab.net.plan import Plans
from mralab.net.policy import Policy
from mralab.net.server_connection import ServerConnection
from mralab.net.services import Services
from mralab.net.settings import Settings
from mralab.tls.trust_store import TrustStore

from .targets import HOP

_HOST: Final = "cucm.steven.lab"
_PORT: Final = 8080
_TOKEN: Final = encode(Target("steven.lab", "http", _HOST, _PORT))
_RULES: Final = (
    "Url,Deployment,HttpMethods,MatchType,Description\n"
    f'http://{_HOST}:{_PORT}/a,,"GET,HEAD,POST,OPTIONS,TRACE",prefix,\n'
)
_MOST: Final = 400_000  # bytes of plans: a few dozen
_HEAD: Final = f"GET /{_TOKEN}/a/b HTTP/1.1\r\nHost: h\r\n".encode()
_HEADS: Final = (
    _HEAD + b"\r\n",
    _HEAD + b"TrackingID: abc\r\nUser-Agent: Jabber\r\nAccept-Encoding: gzip, br\r\n\r\n",
    _HEAD + b"Connection: keep-alive, x\r\nX: 1\r\nVia: 1.1 a\r\nAuthorization: Basic YTpi\r\n\r\n",
    _HEAD.replace(b"GET", b"HEAD") + b"Proxy-Connection: keep-alive\r\n\r\n",
    _HEAD.replace(b"/1.1", b"/1.0") + b"Connection: keep-alive\r\n\r\n",
    _HEAD.replace(b"GET", b"OPTIONS") + b"Max-Forwards: 3\r\nContent-Length: 0\r\n\r\n",
    _HEAD.replace(b"GET", b"POST") + b"Content-Length: 3\r\n\r\nabc",
    _HEAD.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    _HEAD + b"Expect: 100-continue\r\nTrackingID: \r\nTrackingID: b\r\n\r\n",
)
_RESPONSES: Final = (
    b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 \r\nContent-Length: 0\r\nAge: 5\r\nSet-Cookie: a\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.0 200 OK\r\n\r\nabc",
)
_DATED: Final = b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 01 Jan 2024 00:00:%02d GMT\r\nContent-Length: %d\r\n\r\n%b"
_WORDS: Final = (
    b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b'"', b"%2e", b"/", b"..", b"0", b"\xff", b"GET", b"1.0",
    b"X: y\r\n", b"Connection: close\r\n", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"{txn}", b"%s",
)  # fmt: skip
_VARYING: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MOMENTS: Final = re.compile(r'(?m)^\S+ |UTCTime="[^"]*"')


class _Loop:
    """The part of an event loop that connections use.

    ``server`` is the transport of the next connection that is made, at once; None: it is refused.
    """

    def __init__(self) -> None:
        self.server: _Transport | None = None
        self.made: ServerConnection | None = None
        self._soon: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def time(self) -> float:
        return 0.0

    def call_later(self, _: float, *__: object) -> _Loop:
        return self

    def call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        self._soon.append((call, arguments))

    def cancel(self) -> None:
        """Cancel a timer; timers never fire here."""

    def run(self) -> None:
        while self._soon:
            call, arguments = self._soon.pop(0)
            call(*arguments)

    async def create_connection(self, make: Callable[[], ServerConnection], *_: object) -> None:
        transport, self.server = self.server, None
        if transport is None:
            raise ConnectionRefusedError(111, "refused")
        self.made = make()
        self.made.connection_made(cast("Any", transport))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise context["exception"]


class _Transport:
    """The part of a transport that connections use."""

    def __init__(self, ip: str = "127.0.0.1") -> None:
        self._ip = ip
        self.written = b""
        self.closing = False
        self.reset = False

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return (self._ip, 40000) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.reset = True

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Do nothing: the data so far is complete."""

    def pause_reading(self) -> None:
        """Do nothing: the test delivers its pieces in any case."""

    def resume_reading(self) -> None:
        """Do nothing, as in ``pause_reading``."""

    def get_write_buffer_size(self) -> int:
        return 0


Requests = list[tuple[bytes, tuple[bytes, ...]]]
"""What a client sends, and with each the pieces of the server's response; none: a new connection is refused."""


class Result(NamedTuple):
    """Results of a request: bytes written to the server and to the client, the log and the events."""

    server: str
    client: str
    reset: bool
    log: str
    events: list[Event]


class Proxy:
    """A proxy without sockets. With ``kept`` its pool always has a connection to the server."""

    def __init__(self, most: int, *, kept: bool) -> None:
        self._kept = kept
        config = from_mapping(
            {
                "hosts": {_HOST: {"ip": "10.48.36.215", "dial": "127.0.0.1"}},
                "upstream": {"connections": "keep-alive" if kept else "per-request", "attempts": 2},
                "limits": {"header_bytes": 4096},
            }
        )
        policy = Policy(Settings(config, TrustStore(), parse_rules_csv(_RULES, "fuzz")))
        self._loop = _Loop()
        self._writer = LineWriter("vcsc", 1, debug=True)
        self._log: list[str] = []
        self._events: list[Event] = []
        self.services = Services(
            cast("Any", self._loop),
            policy,
            self._emit,
            0,
            HOP,
            log=lambda text, _: self._log.append(text),
            writer=self._writer,
        )
        self.services.emit_unlogged = self._events.append
        self.services.brief_listeners = (self._take,)
        self.services.plans = Plans(most)
        self._key = (policy.generation, "http", _HOST, "127.0.0.1", _PORT)

    def _emit(self, event: Event) -> None:
        self._log.append(self._writer.format(event))
        self._events.append(event)

    def _take(self, brief: Brief) -> None:
        self._events += brief.events()

    def ask(self, ip: str, requests: Requests) -> Result:
        """Send requests as a new client, on one connection, and respond to each that the server gets."""
        services, loop = self.services, self._loop
        self._log.clear()
        self._events.clear()
        written = ""
        transport = _Transport(ip)
        client = ClientConnection(services)
        client.connection_made(cast("Any", transport))
        for head, pieces in requests:
            server = _Transport()
            loop.made = None
            if self._kept:
                connection = services.pool.new(None, services.limits.header_bytes, self._key)
                connection.connection_made(cast("Any", server))
                services.pool.keep(connection)
                loop.made = connection
            else:
                loop.server = server if pieces else None
            if not transport.closing:
                client.data_received(head)
                loop.run()
            for piece in pieces:
                if loop.made is not None and loop.made.active and not server.closing:
                    loop.made.data_received(piece)
                    loop.run()
            loop.server = None
            if loop.made is not None:
                loop.made.connection_lost(None)
            loop.run()
            written += _VARYING.sub("ID", server.written.decode("latin-1"))
        client.connection_lost(None)
        loop.run()
        return Result(
            written,
            transport.written.decode("latin-1"),
            transport.reset,
            _MOMENTS.sub("", _VARYING.sub("ID", "".join(self._log))),
            [_timeless(event) for event in self._events],
        )


def _timeless(event: Event) -> Event:
    event = event._replace(at=0.0)
    if "tracking_id" in event._fields:
        event = cast("Any", event)._replace(tracking_id=_VARYING.sub("ID", cast("Any", event).tracking_id))
    return event


def _mutated(rnd: random.Random, data: bytes) -> bytes:
    for _ in range(rnd.choice((0, 1, 1, 2, 3))):
        start = rnd.randint(0, len(data))
        length = rnd.choice((0, 0, 1, 2, 8, 24))
        piece = rnd.choice((rnd.choice(_WORDS), rnd.randbytes(rnd.randint(0, 3)), data[start : start + length] * 2))
        data = data[:start] + piece + data[start + length :]
    return data


def _pieces(rnd: random.Random) -> tuple[bytes, ...]:
    if rnd.random() < 0.05:
        return ()
    data = rnd.choice(_RESPONSES) if rnd.random() < 0.5 else _RESPONSES[0]
    if rnd.random() < 0.3:
        data = _DATED % (rnd.randint(0, 3), length := rnd.randint(0, 3), b"x" * length)
    if rnd.random() < 0.2:
        data = _mutated(rnd, data)
    if rnd.random() < 0.2:
        at = rnd.randint(0, len(data))
        return data[:at], data[at:]
    return (data,)


def compare(heads: int, seed: int) -> int:
    """Compare proxies over so many heads; return how many requests were served by a plan."""
    return sum(_compare(heads // 2, seed, kept=kept) for kept in (True, False))


def _compare(heads: int, seed: int, *, kept: bool) -> int:
    rnd = random.Random(seed)
    warm, cold = Proxy(_MOST, kept=kept), Proxy(0, kept=kept)
    recent: list[bytes] = list(_HEADS)
    for _ in range(heads):
        if rnd.random() < 0.5:
            head = rnd.choice(recent)
        else:
            head = _mutated(rnd, rnd.choice(recent if rnd.random() < 0.3 else _HEADS))[:3000]
        requests = [(head, _pieces(rnd))]
        while rnd.random() < 0.4:
            following = rnd.choice(recent)
            requests.append((following if rnd.random() < 0.8 else _mutated(rnd, following), _pieces(rnd)))
        ip = rnd.choice(("127.0.0.1", "::1"))
        while True:
            second = int(time.time())
            theirs, ours = cold.ask(ip, requests), warm.ask(ip, requests)
            if theirs == ours or int(time.time()) == second:  # Date and Age change with the second
                break
        assert ours == theirs, (seed, kept, ip, requests, ours, theirs)
        if ours.server and head not in recent:
            recent[rnd.randrange(len(recent)) if len(recent) > 40 else len(recent) :] = [head]
        assert warm.services.plans.weight <= _MOST
    assert not cold.services.plans.known
    assert cold.services.stats.planned == 0
    return warm.services.stats.planned


def main(arguments: list[str]) -> int:
    """Run from the command line; print how many requests took the short path."""
    seed = int(arguments[1]) if arguments[1:] else random.randrange(1 << 32)
    planned = compare(int(arguments[0]), seed)
    sys.stdout.write(f"plans: nothing found in {arguments[0]} heads, {planned} served by a plan (seed {seed})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
