"""Captures of mralab and tcpdump, any link layer: presented certificates, refusals, and the verdict of X14.2."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from mralab.core.capture.conversation import Conversation
from mralab.core.capture.packet import Address
from mralab.core.capture.reading import NotACapture
from mralab.diagnose.capture import CapturedConnection, CaptureNotes, End, read_capture
from mralab.diagnose.capture_findings import CaptureFindings, findings_of
from mralab.harness.proxy import Proxy
from mralab.lab.demo import ARTICLE
from mralab.lab.lab import Lab
from mralab.mocks.pki import Pki
from mralab.mocks.pki import mint as mint_pki
from mralab.tls.trust_store import TrustStore

from .minted import Minted, mint, server_context

HOST = "cucm.steven.lab"
CLIENT, SERVER = ("10.48.36.46", 30123), ("10.48.36.215", 8443)
CA = mint("Example CA", ca=True)
LEAF = mint(HOST, CA, sans=[HOST])
AT = int(time.time())


# -- captures made here


def exchange(
    folder: Path,
    *chain: Minted,
    sni: str = HOST,
    trusted: Minted | None = None,
    asking: bool = False,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    finish: bool = True,
) -> list[tuple[bool, bytes]]:
    """Return the bytes of a TLS handshake and a request as (sent by the client, bytes), in their order."""
    answering = server_context(folder, *chain, version=version)
    if asking:
        answering.verify_mode = ssl.CERT_REQUIRED
        answering.load_verify_locations(cadata=CA.pem)
    asks = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asks.check_hostname = False
    asks.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    if trusted:
        asks.load_verify_locations(cadata=trusted.pem)
    wires = [ssl.MemoryBIO() for _ in range(4)]
    client = asks.wrap_bio(wires[0], wires[1], server_hostname=sni or None)
    server = answering.wrap_bio(wires[2], wires[3], server_side=True)
    turns: list[tuple[bool, bytes]] = []
    for turn in range(5):
        for end, inside, outside in ((client, wires[1], wires[2]), (server, wires[3], wires[0])):
            try:
                end.do_handshake()
                if finish and turn > 2 and end is client:
                    end.write(b"GET / HTTP/1.1\r\n\r\n")
            except (ssl.SSLWantReadError, ssl.SSLError):
                pass
            if data := inside.read():
                turns.append((end is client, data))
                outside.write(data)
    return turns


def packed(end: tuple[str, int]) -> Address:
    return Address(ip_address(end[0]).packed, end[1])


def packets(
    turns: list[tuple[bool, bytes]],
    *,
    client: tuple[str, int] = CLIENT,
    server: tuple[str, int] = SERVER,
    close: bool = True,
) -> list[bytes]:
    made = Conversation(packed(client), packed(server), (7, 2**32 - 500))
    found = made.open()
    for from_client, data in turns:
        found += made.data(data, from_client=from_client)
    return [*found, *made.fin(from_client=True), *made.fin(from_client=False)] if close else found


def pcap(frames: list[bytes], link: int = 101, snaplen: int = 65535, at: int = AT) -> bytes:
    pieces = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, link)]
    for number, frame in enumerate(frames):
        part = frame[:snaplen]
        pieces += [struct.pack("<IIII", at, number, len(part), len(frame)), part]
    return b"".join(pieces)


def read(data: bytes) -> tuple[list[CapturedConnection], CaptureNotes]:
    notes = CaptureNotes()
    return list(read_capture(io.BytesIO(data), notes)), notes


def only(data: bytes) -> CapturedConnection:
    (one,), notes = read(data)
    assert notes.problems == []
    return one


def codes(found: CaptureFindings) -> list[tuple[str, str, str]]:
    return [(one.finding.code, one.category, one.confidence) for one in found.findings]


# -- reading


def test_what_a_connection_showed(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, CA))))
    assert (one.client, one.server) == (End(*CLIENT), End(*SERVER))
    assert (one.sni, one.version, one.outcome, one.alerts, one.notes) == (HOST, "1.2", "established", (), ())
    assert one.presented == (LEAF.der, CA.der)
    assert one.cipher in one.offered
    assert (one.certificate_requested, one.client_presented) == (False, None)
    assert one.packet == 1
    assert one.first == AT


def framed(head: bytes | Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda packet: (head if isinstance(head, bytes) else head(packet)) + packet


def kind(packet: bytes) -> bytes:
    return b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"


MACS = bytes(12)
LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "Ethernet": (1, framed(lambda packet: MACS + kind(packet))),
    "Ethernet with padding": (1, lambda packet: (MACS + kind(packet) + packet).ljust(60, b"\0")),
    "VLAN": (1, framed(lambda packet: MACS + b"\x81\x00\x00\x07" + kind(packet))),
    "two VLANs": (1, framed(lambda packet: MACS + b"\x88\xa8\x00\x07\x81\x00\x00\x08" + kind(packet))),
    "raw IP": (101, framed(b"")),
    "raw IP of BSD": (12, framed(b"")),
    "Linux cooked": (113, framed(lambda packet: b"\0\0\0\1\0\6" + bytes(8) + kind(packet))),
    "Linux cooked 2": (276, framed(lambda packet: kind(packet) + b"\0\0\0\0\0\2\0\1\0\6" + bytes(8))),
    "loopback of macOS": (0, framed(lambda packet: b"\x1e\0\0\0" if packet[0] >> 4 == 6 else b"\2\0\0\0")),
    "loopback of OpenBSD": (108, framed(lambda packet: b"\0\0\0\x18" if packet[0] >> 4 == 6 else b"\0\0\0\2")),
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), (("2001:db8::46", 30123), ("2001:db8::215", 8443))])
def test_every_link_layer(tmp_path: Path, link: str, client: tuple[str, int], server: tuple[str, int]) -> None:
    number, frame = LINKS[link]
    made = packets(exchange(tmp_path, LEAF, CA), client=client, server=server)
    one = only(pcap([frame(packet) for packet in made], number))
    assert (one.client, one.server) == (End(*client), End(*server))
    assert one.presented == (LEAF.der, CA.der)
    assert one.outcome == "established"


def test_lost_repeated_and_unordered_packets(tmp_path: Path) -> None:
    made = packets(exchange(tmp_path, LEAF, CA, trusted=mint("Another CA", ca=True)))
    chance = random.Random(14)
    for _ in range(20):
        mixed = [*made[:1], *chance.sample(made[1:], len(made) - 1), *chance.sample(made[1:], 3)]
        one = only(pcap(mixed))
        assert (one.presented, one.outcome) == ((LEAF.der, CA.der), "refused-by-client")


def test_a_lost_certificate_is_named_and_the_alert_still_counts(tmp_path: Path) -> None:
    made = packets(exchange(tmp_path, LEAF, CA, trusted=mint("Another CA", ca=True)))
    biggest = max(made, key=len)
    one = only(pcap([packet for packet in made if packet != biggest]))
    assert (one.presented, one.outcome) == ((), "refused-by-client")
    assert one.notes == ("packets of the server are missing in the capture",)


def test_packets_cut_by_snaplen(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, CA, trusted=mint("Another CA", ca=True))), snaplen=300))
    assert (one.presented, one.outcome) == ((), "refused-by-client")
    assert "snaplen" in one.notes[0]


def test_tls_1_3_is_said_to_be_encrypted(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, CA, version=ssl.TLSVersion.TLSv1_3))))
    assert (one.version, one.presented, one.outcome, one.certificate_requested) == ("1.3", (), "encrypted", None)
    (check,) = findings_of([one]).checks
    assert check.category == "missing-information"
    assert "TLS 1.3 encrypts certificates" in check.text


def test_ends_of_connections_without_tls(tmp_path: Path) -> None:
    opened = Conversation(packed(CLIENT), packed(SERVER), (1, 2))
    syn, answer, ack = opened.open()
    rst = Conversation(packed(CLIENT), packed(SERVER), (1, 2)).reset(from_client=False)
    hello = exchange(tmp_path, LEAF)[:1]
    cases = {
        "unanswered": [syn, syn],
        "port-closed": [syn, *rst],
        "incomplete": packets(hello, close=False),
        "closed": packets(hello),
        "not-tls": packets([*hello, (False, b"HTTP/1.1 400 Bad Request\r\n\r\n")]),
    }
    assert {name: only(pcap(made)).outcome for name, made in cases.items()} == {name: name for name in cases}
    assert only(pcap([syn, answer, ack])).outcome == "incomplete"
    expected = {
        "unanswered": [("timeout", "issue-found", "certain")],
        "port-closed": [("unreachable", "issue-found", "certain")],
        "incomplete": [],
        "closed": [("handshake-failed", "issue-found", "certain")],
        "not-tls": [("not-tls", "issue-found", "certain")],
    }
    assert {name: codes(findings_of([only(pcap(made))])) for name, made in cases.items()} == expected


def test_a_capture_of_one_direction_has_no_finding(tmp_path: Path) -> None:
    made = packets(exchange(tmp_path, LEAF, CA))
    for source, missing in ((CLIENT, "server"), (SERVER, "client")):
        found, _ = read(pcap([packet for packet in made if packet[12:16] == packed(source).ip]))
        assert [(one.outcome, one.client) for one in found] == [("incomplete", End(*CLIENT))]
        assert found[0].notes == (f"the capture has no packet of the {missing}",)
        assert findings_of(found).findings == []


def test_ports_that_are_not_of_tls_may_be_closed(tmp_path: Path) -> None:
    syn, *_ = Conversation(packed(CLIENT), packed(("10.48.36.215", 113)), (1, 2)).open()
    assert only(pcap([syn])).outcome == "unanswered"
    assert findings_of([only(pcap([syn]))]).findings == []


def test_the_connections_of_others_do_not_count_if_expressway_c_is_known(tmp_path: Path) -> None:
    found, _ = read(pcap(packets(exchange(tmp_path, LEAF, trusted=mint("Another CA", ca=True)))))
    assert findings_of(found, clients=["10.48.36.47"]) == CaptureFindings()
    assert findings_of(found, clients=["10.48.36.46"]).findings != []


def test_a_capture_that_begins_later(tmp_path: Path) -> None:
    made = packets(exchange(tmp_path, LEAF, CA))
    one = only(pcap(made[3:]))
    assert (one.client, one.presented) == (End(*CLIENT), (LEAF.der, CA.der))
    assert one.notes == ("the capture begins in the middle of this connection",)
    last = only(pcap(made[-6:]))
    assert last.presented == ()


def test_other_packets_do_not_matter(tmp_path: Path) -> None:
    made = packets(exchange(tmp_path, LEAF, CA))
    udp = bytes.fromhex("4500001c00000000401100000a30242e0a3024d7003500350008 0000")
    fragment = made[4][:6] + b"\x20\x00" + made[4][8:]
    junk = [b"", b"\x45", bytes(20), bytes(40), b"\x60" + bytes(39), udp, fragment, os.urandom(100)]
    one, notes = read(pcap([*junk, *made]))
    assert [one.outcome for one in one] == ["established"]
    assert notes.packets == len(junk) + len(made) - 1  # an empty one is none
    unknown, notes = read(pcap(made, 105))
    assert unknown == []
    assert notes.problems == [f"{len(made)} packets of link type 105, which is not read"]


def test_nested_frames_do_not_end_the_reading(tmp_path: Path) -> None:
    """For MPLS with Ethernet inside, many times over, the library recurses."""
    frame = MACS + b"\x88\x47" + (b"\0\0\x01\x40" + bytes(12) + b"\x88\x47") * 3000
    number, link = LINKS["Ethernet"]
    made = packets(exchange(tmp_path, LEAF, CA))
    found, _ = read(pcap([frame, *map(link, made)], number))
    assert [one.outcome for one in found] == ["established"]


def test_random_damage_never_raises(tmp_path: Path) -> None:
    number, link = LINKS["VLAN"]
    whole = pcap([link(one) for one in packets(exchange(tmp_path, LEAF, CA))], number)
    chance = random.Random(14)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 40)):
            damaged[chance.randrange(24, len(damaged))] = chance.randrange(256)
        connections, _ = read(bytes(damaged))
        findings_of(connections, TrustStore([CA.cert]))


def test_files_that_are_not_captures() -> None:
    with pytest.raises(NotACapture):
        read(b"not a capture")


# -- findings


def test_with_a_trust_store_every_certificate_is_verified(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, CA))))
    accepted = findings_of([one], TrustStore([CA.cert]))
    assert (accepted.findings, [check.category for check in accepted.checks]) == ([], ["no-issue"])
    refused = findings_of([one], TrustStore())
    assert codes(refused) == [("unknown-ca", "potential-problem", "likely")]
    assert refused.findings[0].chain == (LEAF.der, CA.der)
    assert (
        refused.findings[0]
        .finding.evidence[0]
        .endswith(f"Certificate: {LEAF.cert.subject.rfc4514_string()}, {CA.cert.subject.rfc4514_string()}")
    )


def test_without_a_trust_store_trust_is_not_guessed(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF))))
    found = findings_of([one])
    assert found.findings == []
    (check,) = found.checks
    assert (check.category, check.subject) == ("missing-information", f"{HOST}:8443")
    assert "depends on CN=Example CA being in Expressway-C's trust store" in check.text


def test_the_alert_of_the_client_says_what_it_trusts(tmp_path: Path) -> None:
    another = mint("Another CA", ca=True)
    for chain, code in (
        ((mint(HOST, sans=[HOST]),), "self-signed"),
        ((LEAF, CA), "unknown-ca"),
        ((LEAF,), "issuer-missing"),
    ):
        one = only(pcap(packets(exchange(tmp_path, *chain, trusted=another))))
        assert one.outcome == "refused-by-client"
        found = findings_of([one])
        assert codes(found) == [(code, "issue-found", "certain")]
        assert found.checks == []
        cause = found.findings[0].finding.cause
        assert "store is empty" not in cause  # it was not given, and Expressway-C has one
        assert ("trust store is not known here" in cause) == (code == "issuer-missing")
        assert (
            found.findings[0]
            .finding.evidence[-1]
            .endswith("10.48.36.46:30123 -> 10.48.36.215:8443 Alert (Level: Fatal, Description: unknown ca)")
        )


def test_a_trust_store_that_the_alert_contradicts_is_probably_another_one(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, trusted=mint("Another CA", ca=True)))))
    (found,) = findings_of([one], TrustStore([CA.cert])).findings
    assert found.finding.code == "handshake-failed"
    assert "so the trusted CA list of the client was probably another one: compare the two." in found.finding.cause


def test_certificates_are_judged_at_the_time_of_the_capture(tmp_path: Path) -> None:
    leaf = mint(HOST, CA, sans=[HOST], days=(-5, -1))
    store = TrustStore([CA.cert])
    turns = exchange(tmp_path, leaf)
    now = int(time.time())
    assert codes(findings_of([only(pcap(packets(turns), at=now))], store)) == [
        ("expired", "potential-problem", "likely")
    ]
    assert findings_of([only(pcap(packets(turns), at=now - 2 * 86400))], store).findings == []


def test_a_name_that_is_not_in_the_certificate(tmp_path: Path) -> None:
    leaf = mint("cucm-ms.steven.lab", CA, sans=["cucm-ms.steven.lab"])
    one = only(pcap(packets(exchange(tmp_path, leaf))))
    assert codes(findings_of([one])) == [("name-not-in-certificate", "potential-problem", "certain")]


def test_without_sni_the_name_is_not_guessed(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, sni=""))))
    found = findings_of([one], TrustStore([CA.cert]))
    assert found.findings == []
    assert [check.subject for check in found.checks] == ["10.48.36.215:8443"]


def test_a_server_that_refuses_its_client(tmp_path: Path) -> None:
    one = only(pcap(packets(exchange(tmp_path, LEAF, asking=True))))
    assert (one.outcome, one.certificate_requested, one.client_presented) == ("refused-by-server", True, ())
    (found,) = findings_of([one], TrustStore([CA.cert])).findings
    assert found.finding.code == "rejected-by-server"
    assert "requested one, received none" in found.finding.cause


def test_one_finding_for_many_connections(tmp_path: Path) -> None:
    turns = exchange(tmp_path, LEAF, CA, trusted=mint("Another CA", ca=True))
    made = [one for port in range(40000, 40020) for one in packets(turns, client=("10.48.36.46", port))]
    connections, _ = read(pcap(made))
    assert len(connections) == 20
    (found,) = findings_of(connections).findings
    assert found.finding.count == 20


# -- captures of mralab and of tcpdump


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint_pki()


@pytest.mark.parametrize("name", ARTICLE)
async def test_every_scenario_of_the_article_is_found_in_its_own_capture(name: str, pki: Pki, tmp_path: Path) -> None:
    """Log and capture have the same findings; the capture also has the certificate."""
    file = tmp_path / "own.pcapng"
    async with Lab("X14.2", scenario=name, pki=pki, capture={"pcapng": str(file)}) as lab:
        await lab.login("emusk")
        logged = {(one.code, one.server, one.port) for one in lab.findings if one.server}
        store = lab.proxy.trusted
        await lab.proxy.server.flush_capture()
        for known in (store, None):
            with file.open("rb") as source:
                found = findings_of(read_capture(source), known)
            refused = [one for one in found.findings if one.category == "issue-found"]
            shown = {(one.finding.code, one.finding.server, one.finding.port) for one in refused}
            assert shown == logged
            assert all(one.chain for one in refused)


needs_tcpdump = pytest.mark.skipif(
    shutil.which("tcpdump") is None or os.geteuid() != 0, reason="needs Debian's package tcpdump, and root to capture"
)


@needs_tcpdump
def test_a_capture_of_tcpdump(tmp_path: Path) -> None:
    """Real traffic on loopback: our proxy with a server that it does not trust."""
    context = server_context(tmp_path, LEAF, CA)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=serve, daemon=True).start()
        file = tmp_path / "lo.pcap"
        # In immediate mode the kernel holds each packet in a slot of the largest size: 32 slots unless -B (KiB) sets
        # more, and loopback fills two for each packet. tcpdump need not run before both connections are over.
        command = ["tcpdump", "-i", "lo", "-w", str(file), "-U", "--immediate-mode", "-B", "32768", f"tcp port {port}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tcpdump:
            assert tcpdump.stderr is not None
            printed = tcpdump.stderr.readline()
            while printed and "listening on" not in printed:
                printed = tcpdump.stderr.readline()
            if not printed:
                pytest.skip("tcpdump may not capture here")
            proxying = Proxy(hosts={HOST: ("127.0.0.1", port)})
            with proxying as proxy, pytest.raises(urllib.error.HTTPError, match="502"):
                urllib.request.urlopen(proxy.url(f"https://{HOST}:8443/"))  # noqa: S310 - the proxy's
            deadline = time.monotonic() + 30
            found: list[CapturedConnection] = []
            while time.monotonic() < deadline:
                with file.open("rb") as source:
                    found = list(read_capture(source))
                if [(one.outcome, len(one.presented)) for one in found] == [("refused-by-client", 2)] * 2:
                    break
                time.sleep(0.02)  # another program writes the file and needs CPU time for it
            tcpdump.terminate()
    assert [(one.presented, one.sni, one.server) for one in found] == [
        ((LEAF.der, CA.der), HOST, End("127.0.0.1", port))
    ] * 2
    assert codes(findings_of(found)) == [("unknown-ca", "issue-found", "certain")]
