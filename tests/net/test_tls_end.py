"""How the proxy ends TLS with a server: as Traffic Server does (SSLNetVConnection.cc, ``do_io_close``)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from .conftest import HOST, OK, RunningProxy, Server, server_context

CLOSING = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
ALERT = 0x15  # the type of a record with an alert, in TLS 1.2 (RFC 5246 section 6.2.1)


@pytest.mark.parametrize(
    ("ends_tls", "ends_tcp", "gets_alert"),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, True)],
)
async def test_a_server_gets_close_notify_unless_it_has_ended_its_side(
    serving: Callable[..., Server],
    proxying: Callable[..., Any],
    ca: trustme.CA,
    ends_tls: bool,
    ends_tcp: bool,
    gets_alert: bool,
) -> None:
    context = server_context(ca.issue_cert(HOST))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    last = []

    def answer(raw: socket.socket) -> None:
        """Answer with all that is sent in one piece: the response, perhaps close_notify, perhaps FIN."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        def wait_for(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65536))

        wait_for(tls.do_handshake)
        raw.sendall(outgoing.read())
        wait_for(lambda: tls.read(65536))
        tls.write(CLOSING)
        if ends_tls:
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
        raw.sendall(outgoing.read(), socket.MSG_MORE if ends_tcp else 0)
        if ends_tcp:
            raw.shutdown(socket.SHUT_WR)
        while data := raw.recv(65536):
            last.append(data)

    server = serving(None, before_tls=answer)
    proxy: RunningProxy = await proxying(server)
    assert (await proxy.get(server.port)).endswith(b"ok\n")
    server.ended.acquire(timeout=10)
    assert [data[0] for data in last] == ([ALERT] if gets_alert else [])
