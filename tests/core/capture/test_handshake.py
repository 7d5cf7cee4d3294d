"""Reading of real TLS handshakes, split into any pieces, and of data that only resembles TLS."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.capture.handshake import Seen, Side

HOST = "cucm.steven.lab"


def conversation(
    folder: Path, version: ssl.TLSVersion, *, trusting: bool = True, asking: bool = False, presenting: bool = False
) -> tuple[bytes, bytes, trustme.LeafCert]:
    """Return the bytes that client and server send for a handshake and a request, and the server's certificate."""
    ca = trustme.CA()
    leaf = ca.issue_cert(HOST)
    (folder / "own.pem").write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.minimum_version = server_context.maximum_version = version
    server_context.load_cert_chain(folder / "own.pem")
    if asking:
        server_context.verify_mode = ssl.CERT_OPTIONAL
        ca.configure_trust(server_context)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusting:
        ca.configure_trust(client_context)
    if presenting:
        client_context.load_cert_chain(folder / "own.pem")
    wires = [ssl.MemoryBIO() for _ in range(4)]
    client = client_context.wrap_bio(wires[0], wires[1], server_hostname=HOST)
    server = server_context.wrap_bio(wires[2], wires[3], server_side=True)
    sent, answered = b"", b""
    for turn in range(6):
        for end, out in ((client, 1), (server, 3)):
            try:
                end.do_handshake()
                if turn > 3 and end is client:
                    end.write(b"GET / HTTP/1.1\r\n\r\n")
            except (ssl.SSLWantReadError, ssl.SSLError):
                pass
            data = wires[out].read()
            if out == 1:
                sent += data
                wires[2].write(data)
            else:
                answered += data
                wires[0].write(data)
    return sent, answered, leaf


def seen(data: bytes | Iterable[bytes]) -> Seen:
    side = Side()
    for packet, piece in enumerate([data] if isinstance(data, bytes) else data, 1):
        side.feed(piece, packet)
    return side.seen


def der(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def test_tls_1_2(tmp_path: Path) -> None:
    sent, answered, leaf = conversation(tmp_path, ssl.TLSVersion.TLSv1_2)
    client, server = seen(sent), seen(answered)
    assert (client.sni, client.certificates, client.alerts) == (HOST, None, [])
    assert len(client.ciphers) > 5
    assert client.of_client
    assert not server.of_client
    assert server.version == "1.2"
    assert server.ciphers[0] in client.ciphers
    assert server.certificates == (der(leaf),)
    assert not server.certificate_requested
    assert client.changed_cipher
    assert server.changed_cipher
    assert client.application_data


def test_tls_1_2_with_certificates_of_both_ends(tmp_path: Path) -> None:
    sent, answered, leaf = conversation(tmp_path, ssl.TLSVersion.TLSv1_2, asking=True, presenting=True)
    assert seen(answered).certificate_requested
    assert (seen(sent).certificates or ())[0] == der(leaf)
    sent, answered, _ = conversation(tmp_path, ssl.TLSVersion.TLSv1_2, asking=True)
    assert seen(sent).certificates == ()


def test_a_refusal_in_tls_1_2(tmp_path: Path) -> None:
    sent, answered, _ = conversation(tmp_path, ssl.TLSVersion.TLSv1_2, trusting=False)
    assert [alert[1:] for alert in seen(sent).alerts] == [(2, 48)]
    assert seen(answered).certificates is not None
    assert not seen(sent).changed_cipher


def test_tls_1_3_shows_no_certificate(tmp_path: Path) -> None:
    sent, answered, _ = conversation(tmp_path, ssl.TLSVersion.TLSv1_3)
    assert (seen(sent).version, seen(sent).sni) == ("1.3", HOST)
    assert (seen(answered).version, seen(answered).certificates) == ("1.3", None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [1, 2, 5, 7, 100, 1460])
def test_pieces_do_not_matter(tmp_path: Path, version: ssl.TLSVersion, size: int) -> None:
    for data in conversation(tmp_path, version)[:2]:
        whole, pieces = seen(data), seen(data[at : at + size] for at in range(0, len(data), size))
        pieces.certificates_packet = whole.certificates_packet
        assert pieces == whole


def test_messages_over_several_records(tmp_path: Path) -> None:
    """RFC 5246 section 6.2.1 allows a Certificate message in several records of any size."""
    _, answered, leaf = conversation(tmp_path, ssl.TLSVersion.TLSv1_2)
    at, cut = 0, b""
    while answered[at] == 22:
        size = int.from_bytes(answered[at + 3 : at + 5], "big")
        body = answered[at + 5 : at + 5 + size]
        cut += b"".join(b"\x16\x03\x03\x00\x01" + body[one : one + 1] for one in range(size))
        at += 5 + size
        if seen(answered[:at]).certificates:
            break
    assert seen(cut).certificates == (der(leaf),)


def test_missing_bytes_affect_only_the_message_that_they_belong_to(tmp_path: Path) -> None:
    sent, _, _ = conversation(tmp_path, ssl.TLSVersion.TLSv1_2, trusting=False)
    side = Side()
    side.feed(sent[:50], 1)
    side.lose()
    side.feed(b"in the middle of a record", 2)
    side.feed(sent[-7:], 3)
    assert [alert.description for alert in side.seen.alerts] == [48]
    assert side.seen.lost


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"SSH-2.0-x", b"\x80\x2e\x01", b"\x16\x02\x00\x00\x01", b"\x00"]
)
def test_other_protocols_are_not_tls(data: bytes) -> None:
    found = seen(data)
    assert found.tls is False
    assert not found.hello


@given(st.binary(max_size=300))
def test_nothing_raises(data: bytes) -> None:
    seen(data)
    for kind in (1, 2, 11, 13):
        message = bytes((kind,)) + len(data).to_bytes(3, "big") + data
        seen(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)


def test_a_message_of_16_mb_is_not_waited_for() -> None:
    side = Side()
    side.feed(b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff" + os.urandom(16380), 1)
    for number in range(100):
        side.feed(b"\x16\x03\x03\x40\x00" + bytes(16384), number)
    assert side.held < 200_000
