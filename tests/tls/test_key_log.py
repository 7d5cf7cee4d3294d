"""The key log of a connection: complete, without other connections, and harmless when it fails."""

from __future__ import annotations

import contextlib
import ssl
import sys
from pathlib import Path

import pytest

from mralab.tls.trust_store import TrustStore
from mralab.tls.verification import TlsClient, TlsContext, TlsSettings

from ..diagnose.minted import mint, server_context

HOST = "cucm.example.test"
CA = mint("Example CA", ca=True)
LEAF = mint(HOST, CA, sans=[HOST])


@pytest.fixture
def context() -> TlsContext:
    return TlsContext(TlsSettings("on", True, "ALL", ("1.2", "1.3")), TrustStore([CA.cert]))


def handshake(client: TlsClient, folder: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> None:
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(folder, LEAF, version=version).wrap_bio(received, sent, server_side=True)
    received.write(client.start())
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
        client.receive(sent.read() or b"")
        received.write(client.outgoing())
    assert client.established


@pytest.mark.parametrize(
    ("version", "labels"),
    [
        (ssl.TLSVersion.TLSv1_2, {b"CLIENT_RANDOM"}),
        (
            ssl.TLSVersion.TLSv1_3,
            {
                b"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                b"SERVER_HANDSHAKE_TRAFFIC_SECRET",
                b"CLIENT_TRAFFIC_SECRET_0",
                b"SERVER_TRAFFIC_SECRET_0",
            },
        ),
    ],
)
def test_the_secrets_that_decrypt_a_connection(
    context: TlsContext, tmp_path: Path, version: ssl.TLSVersion, labels: set[bytes]
) -> None:
    lines: list[bytes] = []
    client = context.connect(HOST)
    context.log_secrets(client, lines.append)
    handshake(client, tmp_path, version)
    assert labels <= {line.split()[0] for line in lines}
    assert len({line.split()[1] for line in lines}) == 1  # one client random


def test_other_connections_of_the_context_are_not_logged(context: TlsContext, tmp_path: Path) -> None:
    lines: list[bytes] = []
    context.log_secrets(context.connect(HOST), lines.append)
    handshake(context.connect(HOST), tmp_path)
    assert lines == []


def test_a_failing_key_log_ends_no_connection(
    context: TlsContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the next one either, in which OpenSSL's next call would raise the exception."""
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_value))

    def fail(_: bytes) -> None:
        raise OSError("no key log")

    client = context.connect(HOST)
    context.log_secrets(client, fail)
    handshake(client, tmp_path)
    handshake(context.connect(HOST), tmp_path)
    assert [str(one) for one in reported] == ["no key log"]
