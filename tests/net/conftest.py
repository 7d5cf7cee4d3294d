"""A proxy on a port of its own, and servers that do as they are told and remember what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.config import from_mapping
from mralab.core.events import Event
from mralab.core.target import Target, encode
from mralab.net.proxy import Proxy
from mralab.net.trust import TrustStore, parse_pem

HOST = "cucm.steven.lab"
OK = b"HTTP/1.1 200 \r\nContent-Length: 3\r\nServer: origin\r\n\r\nok\n"


def read_request(stream: Any, on_head: Callable[[bytes], None] | None = None) -> bytes:
    """A request's bytes: head (``on_head`` is told), and a body of known or chunked length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    if on_head is not None:
        on_head(lowered)
    if b"content-length:" in lowered:
        length = int(lowered.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length and (piece := stream.recv(65536)):
            body += piece
    elif b"transfer-encoding: chunked" in lowered:
        while not body.endswith(b"0\r\n\r\n") and (piece := stream.recv(65536)):
            body += piece
    return head + b"\r\n\r\n" + body


def answer_ok(stream: Any, server: Server) -> None:
    """Answer one request."""
    request = read_request(stream)
    if request:
        server.requests.append(request)
        stream.sendall(OK)


@dataclass
class Server:
    """A TLS (or plain) server in a thread; ``handle(stream, server)`` does one connection."""

    context: ssl.SSLContext | None
    handle: Callable[[Any, Server], None] = answer_ok
    before_tls: Callable[[socket.socket], None] | None = None
    connections: int = 0
    alerts: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    snis: list[str | None] = field(default_factory=list)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    port: int = 0

    def run(self) -> Iterator[Server]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            if self.context is not None:
                self.context.sni_callback = lambda _sock, name, _ctx: self.snis.append(name)
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            thread.start()
            yield self
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        try:
            with connection:
                if self.before_tls is not None:
                    self.before_tls(connection)
                    return
                stream: Any = connection
                if self.context is not None:
                    stream = self.context.wrap_socket(connection, server_side=True)
                with stream:
                    self.handle(stream, self)
                    if self.context is not None:
                        with contextlib.suppress(OSError):
                            stream.unwrap()
        except ssl.SSLError as error:
            self.alerts.append(error.reason or str(error))
        except OSError as error:
            self.alerts.append(type(error).__name__)
        finally:
            self.ended.release()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    """``serving(context, handle=..., before_tls=...)`` starts a server that ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(context: ssl.SSLContext | None, **options: Any) -> Server:
            return stack.enter_context(contextlib.contextmanager(Server(context, **options).run)())

        yield start


def server_context(certificate: trustme.LeafCert, *, chain: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        pems = certificate.cert_chain_pems if chain else certificate.cert_chain_pems[:1]
        file.write_bytes(b"".join(blob.bytes() for blob in pems) + certificate.private_key_pem.bytes())
        context.load_cert_chain(file)
    return context


@dataclass
class Lines:
    """A running proxy and what it told."""

    proxy: Proxy
    events: list[Event]

    def token(self, port: int, *, host: str = HOST, scheme: str = "https") -> str:
        return encode(Target("steven.lab", scheme, host, port))

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    async def raw(self, data: bytes, *, eof: bool = False, limit: float = 20) -> bytes:
        """Send bytes to the proxy, read until it closes."""
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(self.proxy.host, self.proxy.port)
            writer.write(data)
            if eof:
                writer.write_eof()
            try:
                return await reader.read()
            except ConnectionError:
                return b"RESET"
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def get(
        self,
        port: int,
        path: str = "/cucm-uds/version",
        *,
        host: str = HOST,
        scheme: str = "https",
        method: str = "GET",
        headers: str = "",
        body: bytes = b"",
    ) -> bytes:
        token = self.token(port, host=host, scheme=scheme)
        head = f"{method} /{token}{path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n{headers}\r\n"
        return await self.raw(head.encode() + body)


RULES = "Url,Deployment,HttpMethods,MatchType,Description\n" + "".join(
    f'{scheme}://{host}:{{port}},,"GET,HEAD,POST,PUT,DELETE,FOO,OPTIONS,TRACE",prefix,\n'
    for scheme in ("https", "http")
    for host in (HOST, "10.48.36.215", "127.0.0.1")
)


@pytest.fixture
async def proxying(tmp_path: Path, ca: trustme.CA) -> AsyncIterator[Callable[..., Any]]:
    """``await proxying(server, ...)`` starts a proxy before ``server`` that trusts ``ca`` and allows everything."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*servers: Server, trust: bytes | None = None, **tables: Any) -> Lines:
            rules = (
                RULES.splitlines()[0]
                + "\n"
                + "".join(
                    "\n".join(RULES.splitlines()[1:]).format(port=port) + "\n"
                    for port in {server.port for server in servers} | {8443}
                )
            )
            (tmp_path / "rules.csv").write_text(rules)
            entry = {"ip": "10.48.36.215", "dial": "127.0.0.1"}
            config: dict[str, Any] = {
                "release": "X14.2",
                "proxy": {"listen": "127.0.0.1:0"},
                "hosts": {HOST: entry, "10.48.36.215": entry},
                "allow": {"rules": "rules.csv", "automatic": False},
                "log": {"file": "traffic_server.log"},
            }
            for table, values in tables.items():
                config[table] = {**config.get(table, {}), **values} if isinstance(values, dict) else values
            events: list[Event] = []
            pem = ca.cert_pem.bytes() if trust is None else trust
            store = TrustStore(parse_pem(pem, "test") if pem else ())
            proxy = Proxy(from_mapping(config, tmp_path), store=store, listener=events.append)
            await stack.enter_async_context(proxy)
            return Lines(proxy, events)

        yield start
