"""Servers with failures other than their certificate: every mode has the same result, except for verification lines."""

from __future__ import annotations

import socket
import ssl
import struct
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import trustme

from mralab.core.log.events import HandshakeFailed, RequestSent
from mralab.core.mra.target import Target, encode

from .conftest import HOST, RunningProxy, Server, server_context


def _reset(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _plain(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _asks_for_a_certificate(context: ssl.SSLContext, ca: trustme.CA) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)


def _old(context: ssl.SSLContext, _: trustme.CA) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1


def _other_cipher(context: ssl.SSLContext, _: trustme.CA) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")


class Case(NamedTuple):
    """``line`` is the end of the ERROR line, empty if there is none; ``upstream`` changes the TLS offer."""

    status: str
    line: str = ""
    before_tls: Callable[[socket.socket], Any] | None = None
    change: Callable[[ssl.SSLContext, trustme.CA], None] | None = None
    upstream: dict[str, Any] = {}  # noqa: RUF012 - never written to


HANDSHAKE_FAILURE = "error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure"
CASES = {
    "reset after ClientHello": Case("502 Connection reset by peer", before_tls=_reset),
    "not TLS": Case(
        "502 connect failed", "error:1408F10B:SSL routines:ssl3_get_record:wrong version number", before_tls=_plain
    ),
    "wants our certificate": Case("502 connect failed", HANDSHAKE_FAILURE, change=_asks_for_a_certificate),
    "no shared cipher": Case(
        "502 connect failed",
        HANDSHAKE_FAILURE,
        change=_other_cipher,
        upstream={"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"},
    ),
    "TLS 1.0 alone": Case(
        "502 connect failed", "error:1425F102:SSL routines:ssl_choose_client_version:unsupported protocol", change=_old
    ),
    "TLS 1.0 offered": Case("200 ", change=_old, upstream={"tls": ["1.0", "1.1", "1.2"], "ciphers": "ALL"}),
}


@pytest.mark.parametrize("mode", ["on", "audit", "off"])
@pytest.mark.parametrize("name", CASES)
async def test_a_failing_server_is_logged_alike_in_every_mode(
    serving: Callable[..., Server], proxying: Callable[..., Any], ca: trustme.CA, name: str, mode: str
) -> None:
    case = CASES[name]
    context = server_context(ca.issue_cert(HOST, key_type=trustme.KeyType.ECDSA))
    if case.change is not None:
        case.change(context, ca)
    server = serving(context, before_tls=case.before_tls)
    proxy: RunningProxy = await proxying(server, verify={"origin": mode}, upstream=case.upstream)
    assert (await proxy.get(server.port)).split(b"\r\n")[0].decode() == f"HTTP/1.1 {case.status}"
    events = await proxy.events()
    assert {event.error for event in events if isinstance(event, HandshakeFailed)} == ({case.line} - {""})
    assert sum(isinstance(event, RequestSent) for event in events) == (1 if case.status == "200 " else 2)


@pytest.mark.parametrize("mode", ["on", "off"])
async def test_a_name_without_an_address_is_a_502_and_nothing_is_dialled(
    serving: Callable[..., Server], proxying: Callable[..., Any], tmp_path: Any, mode: str
) -> None:
    rules = "Url,Deployment,HttpMethods,MatchType,Description\nhttps://nowhere.invalid:8443,,GET,prefix,\n"
    (tmp_path / "dns.csv").write_text(rules)
    proxy: RunningProxy = await proxying(serving(None), verify={"origin": mode}, allow={"rules": "dns.csv"})
    token = encode(Target("steven.lab", "https", "nowhere.invalid", 8443))
    answer = await proxy.raw(f"GET /{token}/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 Cannot find server.\r\n")
    assert "RequestSent" not in await proxy.event_names()
