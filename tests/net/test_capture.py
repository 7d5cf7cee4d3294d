"""The capture of a running proxy: Wireshark reads it without errors and decrypts it with the secrets in it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.config import HostEntry
from mralab.core.capture.conversation import Conversation
from mralab.core.capture.packet import Address
from mralab.core.capture.pcapng import file_header
from mralab.core.capture.reading import CapturedPacket, read_packets
from mralab.core.mra.target import Target, encode
from mralab.errors import MralabError
from mralab.net.capture import Addresses, Capture
from tests.serving import running, toml
from tests.tshark import WRONG, needs_tshark, tshark

from .conftest import ENTRY, HOST, RULES, Server, read_request, server_context

Proxying = Callable[..., Any]
Serving = Callable[..., Server]
EXPRESSWAY_C = "10.48.36.46"
CUCM = "10.48.36.215"


def packets(file: Path) -> list[CapturedPacket]:
    notes: list[str] = []
    with file.open("rb") as source:
        found = list(read_packets(source.read, notes.append))
    assert not notes
    return found


@needs_tshark
async def test_a_request_is_shown_decrypted(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"})
    assert b"200" in await proxy.get(server.port)
    await proxy.server.flush_capture()
    capture = tmp_path / "own.pcapng"
    assert tshark(capture, WRONG) == []
    assert tshark(
        capture, f"ip.src == {EXPRESSWAY_C} && http.request", "ip.dst", "tcp.dstport", "http.request.uri"
    ) == [[CUCM, str(server.port), "/cucm-uds/version"]]
    assert tshark(capture, "tls && http.response", "ip.src", "http.response.code") == [[CUCM, "200"]]
    assert tshark(capture, "tls.handshake.type == 11", "x509sat.uTF8String", "ip.src")[0][1] == CUCM
    clear = tshark(capture, "!tls && http.request", "ip.src", "http.request.method")
    assert clear == [["127.0.0.1", "GET"]]
    assert tshark(capture, f"tcp.flags.fin == 1 && ip.src == {EXPRESSWAY_C}") != []


@needs_tshark
async def test_a_refusal_is_shown_as_in_the_article(proxying: Proxying, serving: Serving, tmp_path: Path) -> None:
    """Certificate, then Alert (Level: Fatal, Description: Unknown CA), twice."""
    server = serving(server_context(trustme.CA().issue_cert(HOST)))
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"})
    assert b"502 connect failed" in await proxy.get(server.port)
    await proxy.server.flush_capture()
    capture = tmp_path / "own.pcapng"
    assert tshark(capture, WRONG) == []
    found = tshark(capture, "tls.alert_message.level == 2", "ip.src", "ip.dst", "_ws.col.Info")
    assert found == [[EXPRESSWAY_C, CUCM, "Alert (Level: Fatal, Description: Unknown CA)"]] * 2
    assert len(tshark(capture, "tls.handshake.type == 11")) == 2


@needs_tshark
async def test_tls_1_3_is_decrypted_from_its_first_encrypted_message(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    """tshark reads the file once: secrets must precede the packets that need them."""
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"}, upstream={"tls": ["1.3"]})
    assert b"200" in await proxy.get(server.port)
    await proxy.server.flush_capture()
    capture = tmp_path / "own.pcapng"
    assert tshark(capture, WRONG) == []
    assert len(tshark(capture, "tls.handshake.type == 11")) == 1
    assert len(tshark(capture, "tls && http.request")) == 1


@needs_tshark
async def test_long_bodies_in_both_directions(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    def answer(stream: Any, server: Server) -> None:
        server.requests.append(read_request(stream))
        body = os.urandom(3_000_000)
        stream.sendall(b"HTTP/1.1 200 \r\nContent-Length: 3000000\r\nConnection: close\r\n\r\n" + body)

    server = serving(server_context(ca.issue_cert(HOST)), handle=answer)
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"})
    body = bytes(1_000_000)
    answered = await proxy.get(server.port, method="PUT", headers="Content-Length: 1000000\r\n", body=body)
    assert len(answered) > 3_000_000
    await proxy.server.flush_capture()
    assert tshark(tmp_path / "own.pcapng", WRONG) == []
    assert tshark(tmp_path / "own.pcapng", "tls && http.response", "http.content_length") == [["3000000"]]


@needs_tshark
@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6(proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    entry = {**ENTRY, "ip": "2001:db8::215"}
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"}, hosts={HOST: entry})
    assert b"200" in await proxy.get(server.port)
    await proxy.server.flush_capture()
    assert tshark(tmp_path / "own.pcapng", WRONG) == []
    found = tshark(tmp_path / "own.pcapng", "ipv6 && http.request", "ipv6.src", "ipv6.dst")
    assert found == [["2001:db8::46", "2001:db8::215"]]


@needs_tshark
async def test_a_server_that_resets(proxying: Proxying, serving: Serving, tmp_path: Path) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    server = serving(None, before_tls=reset)
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"})
    await proxy.get(server.port)
    await proxy.server.flush_capture()
    assert tshark(tmp_path / "own.pcapng", WRONG) == []
    assert tshark(tmp_path / "own.pcapng", f"ip.src == {CUCM} && tcp.flags.reset == 1") != []


@needs_tshark
async def test_workers_share_one_file(serving: Serving, ca: trustme.CA, tmp_path: Path) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (tmp_path / "rules.csv").write_text(RULES.format(port=server.port))
    tables = {
        "proxy": {"listen": "127.0.0.1:0", "admin": "", "workers": 2},
        "trust": {"store": "ca.pem"},
        "hosts": {HOST: ENTRY},
        "allow": {"rules": "rules.csv"},
        "capture": {"pcapng": "own.pcapng", "keylog": "own.keys"},
    }
    (tmp_path / "mralab.toml").write_text(toml(tables))
    token = encode(Target("steven.lab", "https", HOST, server.port))

    async def ask(address: str) -> bytes:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /{token}/a HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async with running(tmp_path) as (_, start):
        answers = await asyncio.gather(*(ask(start["listening"]) for _ in range(24)))
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    capture = tmp_path / "own.pcapng"
    # The kernel may use a port twice while it captures, which tshark notes and which is true.
    assert tshark(capture, f"({WRONG}) && !tcp.analysis.reused_ports") == []
    assert len(tshark(capture, "tls && http.request")) == 24
    assert capture.read_bytes().count(file_header("mralab")) == 1
    assert len((tmp_path / "own.keys").read_text().splitlines()) == 24


async def test_only_the_owner_can_read_both_files(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    (tmp_path / "own.keys").touch(0o644)
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server, capture={"pcapng": "own.pcapng", "keylog": "own.keys"})
    await proxy.get(server.port)
    await proxy.server.flush_capture()
    for name in ("own.pcapng", "own.keys"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    (line, *_) = (tmp_path / "own.keys").read_text().splitlines()
    assert line.startswith("CLIENT_RANDOM ")


async def test_no_file_is_written_by_default(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server)
    assert b"200" in await proxy.get(server.port)
    await proxy.server.flush_capture()
    assert not list(tmp_path.glob("*.pcapng"))
    assert "mralab-capture" not in {thread.name for thread in threading.enumerate()}


async def test_a_later_start_continues_the_file(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    start = Conversation(_address("192.0.2.1", 1), _address("192.0.2.2", 2), (0, 0)).open()
    async with captured(tmp_path / "own.pcapng") as (capture, _):
        capture.packets(start)
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"})
    await proxy.get(server.port)
    await proxy.server.flush_capture()
    found = packets(tmp_path / "own.pcapng")
    assert [one.data for one in found[:3]] == start
    assert len(found) > 10


@needs_tshark
async def test_a_capture_for_others_has_no_secret(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path
) -> None:
    """A support engineer receives the archive, as with an Expressway."""
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server, capture={"pcapng": "own.pcapng"})
    await proxy.get(server.port)
    proxy.server.start_capture(tmp_path / "theirs.pcap", 1 << 20)
    assert b"200" in await proxy.get(server.port, headers="Authorization: Basic ZW11c2s6Y2lzY28xMjM=\r\n")
    await proxy.server.stop_capture(tmp_path / "theirs.pcap")
    await proxy.get(server.port)
    await proxy.server.flush_capture()
    theirs, own = tmp_path / "theirs.pcap", tmp_path / "own.pcapng"
    for secret in (b"ZW11c2s6Y2lzY28xMjM=", b"CLIENT_RANDOM"):
        assert secret not in theirs.read_bytes()
        assert secret in own.read_bytes()
    assert tshark(theirs, WRONG) == []
    assert len(tshark(theirs, "tls.handshake.type == 11")) == 1
    assert tshark(theirs, "http") == []
    assert len(tshark(own, "tls && http.request")) == 3


async def test_a_capture_for_others_ends_at_its_limit(
    proxying: Proxying, serving: Serving, ca: trustme.CA, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serving(server_context(ca.issue_cert(HOST)))
    proxy = await proxying(server)
    proxy.server.start_capture(tmp_path / "theirs.pcap", 8192)
    for _ in range(5):
        assert b"200" in await proxy.get(server.port)
        await proxy.server.flush_capture()
    assert 0 < (tmp_path / "theirs.pcap").stat().st_size <= 8192
    assert "theirs.pcap cannot be written: it has reached its limit" in capsys.readouterr().err


# -- without a proxy


@needs_tshark
async def test_tshark_reports_errors(tmp_path: Path) -> None:
    conversation = Conversation(_address("192.0.2.1", 1), _address("192.0.2.2", 2), (0, 0))
    first, second = (conversation.data(data, from_client=True) for data in (b"first", b"second"))
    for number, wrong in enumerate(([second, first], [first, [bytes((*second[0][:-1], 0))]], [first, first])):
        async with captured(tmp_path / f"{number}.pcapng") as (capture, _):
            for made in ([], *wrong):
                capture.packets(made)
        assert len(tshark(tmp_path / f"{number}.pcapng", WRONG)) == 1


def _address(ip: str, port: int) -> Address:
    return Address(ip_address(ip).packed, port)


@asynccontextmanager
async def captured(*files: Path) -> AsyncIterator[tuple[Capture, list[str]]]:
    messages: list[str] = []
    capture = Capture(asyncio.get_running_loop(), Addresses({}, "c.example.test:8443"), messages.append)
    for file in files:
        capture.start(file)
    yield capture, messages
    await capture.close()


@pytest.fixture
def full_after_8_kb() -> Iterator[None]:
    """Limit the size of files to 8 KB: a write beyond it fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


async def test_a_full_disk_ends_the_capture_and_says_so_once(full_after_8_kb: None, tmp_path: Path) -> None:
    file = tmp_path / "own.pcapng"
    conversation = Conversation(_address("192.0.2.1", 1), _address("192.0.2.2", 2), (0, 0))
    async with captured(file) as (capture, messages):
        capture.packets(conversation.open())
        await capture.flush()
        whole = file.read_bytes()
        for _ in range(3):
            capture.packets(conversation.data(bytes(20_000), from_client=True))
            await capture.flush()
        assert not capture.active
    assert messages == [
        f"mralab: capture.pcapng: {file} cannot be written: File too large; this capture ends, traffic goes on"
    ]
    assert file.read_bytes() == whole  # no incomplete block


async def test_a_device_is_refused() -> None:
    with pytest.raises(MralabError, match="is not a regular file"):
        async with captured(Path(os.devnull)):
            pass


async def test_another_file_is_not_changed(tmp_path: Path) -> None:
    for content in (b"mine", bytes(1000), file_header("mralab") + b"torn block"):
        file = tmp_path / "own.pcapng"
        file.write_bytes(content)
        file.chmod(0o644)
        with pytest.raises(MralabError, match=r"capture\.pcapng: .*(not a capture|in the middle)"):
            async with captured(file):
                pass
        assert file.read_bytes() == content
        assert stat.S_IMODE(file.stat().st_mode) == 0o644


async def test_a_pipe_without_a_reader_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MralabError):
        async with captured(tmp_path / "pipe"):
            pass


async def test_captures_start_and_stop_while_another_runs(tmp_path: Path) -> None:
    """Diagnostic logging does this."""
    first, second = tmp_path / "first.pcapng", tmp_path / "second.pcapng"
    conversation = Conversation(_address("192.0.2.1", 1), _address("192.0.2.2", 2), (0, 0))
    async with captured(first) as (capture, _):
        capture.packets(conversation.open())
        capture.start(second)
        capture.packets(conversation.data(b"both", from_client=True))
        await capture.stop(second)
        await capture.stop(second)  # a second stop has no effect
        capture.packets(conversation.data(b"first", from_client=True))
    assert [len(packets(file)) for file in (first, second)] == [5, 1]


async def test_two_connections_between_the_same_shown_ends_stay_apart(tmp_path: Path) -> None:
    """Two servers of [hosts] may have the same ``ip``: the kernel may then use one port for both."""
    ends = (_address("192.0.2.1", 40000), _address("192.0.2.2", 8443))
    async with captured(tmp_path / "own.pcapng") as (capture, _):
        _, one = capture.begin(ends)
        _, other = capture.begin(ends)
        capture.forget(one)
        _, again = capture.begin(ends)
    assert one == again == ends
    assert other[1] == ends[1]
    assert other[0] != ends[0]


@pytest.mark.parametrize(
    ("hosts", "server", "local", "shown"),
    [
        ({}, CUCM, "127.0.0.1", EXPRESSWAY_C),
        ({}, "2001:db8::215", "127.0.0.1", "2001:db8::46"),
        ({}, "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ({}, "192.0.2.20", "192.0.2.10", "192.0.2.10"),
        ({"vcs.example.test": "192.0.2.99"}, CUCM, "127.0.0.1", "192.0.2.99"),
        ({"vcs.example.test": "192.0.2.99"}, "2001:db8::215", "::1", "2001:db8::46"),
    ],
)
def test_the_proxys_own_address(hosts: dict[str, str], server: str, local: str, shown: str) -> None:
    entries = {name: HostEntry(ip=ip) for name, ip in hosts.items()}
    assert Addresses(entries, "vcs.example.test:8443").own(server, local) == shown
