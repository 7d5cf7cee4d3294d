"""Fixtures: a proxy on a port of its own, and servers with a given behaviour that record what they receive."""

from __future__ import annotations

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

from .running_proxy import HOST, RunningProxy, merged, running_proxy

__all__ = ["HOST", "RunningProxy"]

ENTRY = {"ip": "10.48.36.215", "dial": "127.0.0.1"}
OK = b"HTTP/1.1 200 \r\nContent-Length: 3\r\nServer: origin\r\n\r\nok\n"


def read_request(stream: Any, on_head: Callable[[bytes], None] | None = None) -> bytes:
    """Read one request from a socket: its head, and a body of known or chunked length.

    ``on_head`` is called with the head in lower case, before the body is read.
    """
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
    """Answer one request after another, until one has ``Connection: close``."""
    while request := read_request(stream):
        server.requests.append(request)
        stream.sendall(OK)
        if b"\r\nConnection: close\r\n" in request:
            return


@dataclass
class Server:
    """A TLS (or plain) server in a thread; ``handle(stream, server)`` serves one connection."""

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
    """Return ``serving(context, handle=..., before_tls=...)``, which starts a server that ends with the test."""
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


RULES = "Url,Deployment,HttpMethods,MatchType,Description\n" + "".join(
    f'{scheme}://{host}:{{port}},,"GET,HEAD,POST,PUT,DELETE,FOO,OPTIONS,TRACE",prefix,\n'
    for scheme in ("https", "http")
    for host in (HOST, "10.48.36.215", "127.0.0.1")
)


@pytest.fixture
def connections() -> str:
    """Return ``upstream.connections`` for tests that do not set it: the default of the configuration."""
    return "per-request"


@pytest.fixture
async def proxying(tmp_path: Path, ca: trustme.CA, connections: str) -> AsyncIterator[Callable[..., Any]]:
    """Return ``await proxying(server, ...)``, which starts a proxy that trusts ``ca`` and allows ``server``."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*servers: Server, trust: bytes | None = None, **tables: Any) -> RunningProxy:
            rules = (
                RULES.splitlines()[0]
                + "\n"
                + "".join(
                    "\n".join(RULES.splitlines()[1:]).format(port=port) + "\n"
                    for port in {server.port for server in servers} | {8443}
                )
            )
            (tmp_path / "rules.csv").write_text(rules)
            tables_here = merged(
                {
                    "release": "X14.2",
                    "upstream": {"connections": connections},
                    "proxy": {"listen": "127.0.0.1:0"},
                    "hosts": {HOST: ENTRY, "10.48.36.215": ENTRY},
                    "allow": {"rules": "rules.csv", "automatic": False},
                    "log": {"file": "traffic_server.log"},
                },
                tables,
            )
            trusted = ca.cert_pem.bytes() if trust is None else trust
            return await stack.enter_async_context(running_proxy(tmp_path, tables_here, trusted))

        yield start
