"""Key updates and renegotiation on an established TLS connection, with OpenSSL's own server."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from benchmarks.processes import free_port
from mralab.core.log.events import HandshakeFailed, VerifyFailed
from mralab.tls.openssl import Endpoint, prepare
from tests.diagnose.minted import mint
from tests.diagnose.minted import server_context as minted_context

from .conftest import HOST, RunningProxy, Server, server_context

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the server here is openssl's")

ANSWER = b"HTTP/1.1 200 \nContent-Length: 2\n\nok"


@asynccontextmanager
async def s_server(folder: Path, ca: trustme.CA, *options: str) -> AsyncIterator[tuple[Any, int]]:
    """Run ``openssl s_server``, which sends its standard input, except for lines that are its commands."""
    file = folder / "server.pem"
    certificate = ca.issue_cert(HOST)
    file.write_bytes(certificate.cert_chain_pems[0].bytes() + certificate.private_key_pem.bytes())
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(file), "-crlf", "-msg", *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await read_until(process, b"ACCEPT")
        yield process, port
    finally:
        process.kill()
        await process.communicate()


async def read_until(process: Any, text: bytes) -> bytes:
    """Return its output up to a text."""
    async with asyncio.timeout(10):
        return bytes(await process.stdout.readuntil(text))


@pytest.mark.parametrize(
    ("version", "command", "then"),
    [
        ("1.3", b"k", b">>> TLS 1.3, Handshake [length 0005], KeyUpdate"),
        ("1.2", b"r", b"<<< TLS 1.2, Handshake [length 0010], Finished"),  # the certificate is verified again
    ],
    ids=["its keys are new", "another handshake"],
)
async def test_requests_of_a_server_on_an_established_connection_are_followed(
    version: str,
    command: bytes,
    then: bytes,
    ca: trustme.CA,
    tmp_path: Path,
    proxying: Callable[..., Any],
) -> None:
    options = ("-tls1_2", "-legacy_renegotiation") if version == "1.2" else ("-tls1_3",)
    async with s_server(tmp_path, ca, *options) as (process, port):
        proxy: RunningProxy = await proxying(Server(None, port=port), upstream={"tls": [version]})
        asking = asyncio.ensure_future(proxy.get(port))
        await read_until(process, b"GET /cucm-uds/version HTTP/1.1\r\n")
        process.stdin.write(command + b"\n")
        await read_until(process, then)
        process.stdin.write(ANSWER + b"\n")
        assert (await asking).startswith(b"HTTP/1.1 200 \r\n")


async def test_a_handshake_that_cannot_begin_fails_at_once(
    ca: trustme.CA, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    """None of these ciphers is for TLS 1.0, so OpenSSL has nothing to offer."""
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy: RunningProxy = await proxying(server, upstream={"tls": ["1.0"], "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"})
    async with asyncio.timeout(5):
        assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 connect failed\r\n")
    failed = [event for event in await proxy.events() if isinstance(event, HandshakeFailed)]
    assert len(failed) == 2
    assert failed[0].error.endswith("no ciphers available")


@pytest.mark.parametrize(
    ("alert", "error"),
    [
        (b"\x01\x00", None),  # close_notify: no error in OpenSSL's queue, so Traffic Server logs nothing
        (b"\x02\x73", "error:1409445B:SSL routines:ssl3_read_bytes:reason(1115)"),
        (b"\x02\xff", "error:140944E7:SSL routines:ssl3_read_bytes:reason(1255)"),
        (b"\x02\x30", "error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca"),
    ],
    ids=["close_notify", "no text in 1.1.1", "no text anywhere", "unknown ca"],
)
async def test_an_alert_instead_of_a_handshake_is_logged_as_openssl_1_1_1_prints_it(
    alert: bytes, error: str | None, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    def answers(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x15\x03\x03\x00\x02" + alert)

    server = serving(None, before_tls=answers)
    proxy: RunningProxy = await proxying(server, upstream={"attempts": 1})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 connect failed\r\n")
    failed = [event.error for event in await proxy.events() if isinstance(event, HandshakeFailed)]
    assert failed == ([error] if error else [])


async def test_the_error_of_a_handshake_is_the_last_in_the_queue_of_openssl(
    tmp_path: Path, serving: Callable[..., Server], proxying: Callable[..., Any]
) -> None:
    """A wrong RSA signature leaves errors of libcrypto before libssl's, which Traffic Server (also 9.2.9) prints."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    root = mint("Root", ca=True, key=keys[0])
    forged = mint(HOST, replace(root, key=keys[1]), sans=(HOST,))
    server = serving(minted_context(tmp_path, forged))
    proxy: RunningProxy = await proxying(server, trust=root.pem.encode(), upstream={"attempts": 1})
    assert (await proxy.get(server.port)).startswith(b"HTTP/1.1 502 connect failed\r\n")
    assert [event.error for event in await proxy.events() if isinstance(event, (VerifyFailed, HandshakeFailed))] == [
        "certificate signature failure",
        "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed",
    ]


def test_an_exception_of_an_inspector_ends_the_handshake_and_is_raised(ca: trustme.CA) -> None:
    class OwnError(Exception):
        pass

    def fails(der: bytes, number: int, depth: int, content: bool) -> bool:
        raise OwnError

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    prepare(context, verify=True)
    ours = Endpoint(context, b"", fails)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server_context(ca.issue_cert(HOST)).wrap_bio(incoming, outgoing, server_side=True)
    assert not ours.handshake()
    incoming.write(ours.take())
    with pytest.raises(ssl.SSLWantReadError):
        theirs.do_handshake()
    ours.put(outgoing.read())
    with pytest.raises(OwnError):
        ours.handshake()
    incoming.write(ours.take())
    with pytest.raises(ssl.SSLError, match="ALERT"):
        theirs.do_handshake()
    ours.free()
