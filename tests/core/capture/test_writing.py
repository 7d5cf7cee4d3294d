"""Packets and pcapng blocks, byte by byte; tests/net/test_capture.py reads them with Wireshark."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from mralab.core.capture.conversation import Conversation
from mralab.core.capture.packet import ACK, FIN, PSH, RST, SYN, Address, checksum, packet
from mralab.core.capture.pcapng import file_header, packet_block, secrets_block

CLIENT = Address(ip_address("10.48.36.46").packed, 30123)
SERVER = Address(ip_address("10.48.36.215").packed, 8443)
CLIENT6 = Address(ip_address("2001:db8::46").packed, 30123)
SERVER6 = Address(ip_address("2001:db8::215").packed, 8443)


def fields(data: bytes) -> tuple[int, int, int, int, int, bytes]:
    """Return source port, sequence number, acknowledgement, flags, TCP header size and payload of an IPv4 packet."""
    source, _, sequence, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", data, 20)
    size = (offset >> 4) * 4
    return source, sequence, acknowledged, flags, size, data[20 + size :]


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # section 3
    assert checksum(b"") == 0xFFFF
    assert checksum(b"\xff\xff") == 0
    assert checksum(b"\x01") == checksum(b"\x01\x00")


def test_a_packet_of_ipv4() -> None:
    made = packet(CLIENT, SERVER, sequence=1, acknowledged=2, flags=PSH | ACK, payload=b"odd")
    ip = "4500002b000040004006" + "dd68" + "0a30242e" + "0a3024d7"
    tcp = "75ab20fb" + "00000001" + "00000002" + "5018ffff" + "e856" + "0000" + b"odd".hex()
    assert made.hex() == ip + tcp


def test_a_packet_of_ipv6() -> None:
    made = packet(CLIENT6, SERVER6, sequence=1, acknowledged=0, flags=SYN, options=bytes.fromhex("020405a0"))
    assert made[:8].hex() == "6000000000180640"
    assert made[8:40] == CLIENT6.ip + SERVER6.ip
    pseudo = made[8:40] + struct.pack("!II", 24, 6)
    assert checksum(pseudo + made[40:]) == 0  # 0 for a packet that includes its checksum, RFC 1071
    assert made[52] >> 4 == 6  # words of header


@pytest.mark.parametrize("size", [0, 1, 2, 1459, 1460])
def test_checksums_are_right_for_every_length(size: int) -> None:
    made = packet(CLIENT, SERVER, sequence=2**32 - 1, acknowledged=2**31, flags=ACK, payload=b"\xff" * size)
    assert checksum(made[:20]) == 0
    assert checksum(made[12:20] + struct.pack("!HH", 6, len(made) - 20) + made[20:]) == 0


def test_a_conversation_begins_with_the_handshake() -> None:
    syn, answer, ack = map(fields, Conversation(CLIENT, SERVER, (1000, 2000)).open())
    assert syn[:4] == (30123, 1000, 0, SYN)
    assert answer[:4] == (8443, 2000, 1001, SYN | ACK)
    assert ack[:4] == (30123, 1001, 2001, ACK)


def test_data_is_cut_into_segments_and_numbered() -> None:
    conversation = Conversation(CLIENT, SERVER, (2**32 - 2, 0))  # its sequence numbers wrap
    conversation.open()
    first, second, third = map(fields, conversation.data(b"a" * 2921, from_client=True))
    assert [len(one[5]) for one in (first, second, third)] == [1460, 1460, 1]
    assert [one[1] for one in (first, second, third)] == [2**32 - 1, 1459, 2919]
    assert [one[3] for one in (first, second, third)] == [ACK, ACK, PSH | ACK]
    (answer,) = map(fields, conversation.data(b"b", from_client=False))
    assert answer[:4] == (8443, 1, 2920, PSH | ACK)


def test_ipv6_has_smaller_segments() -> None:
    conversation = Conversation(CLIENT6, SERVER6, (0, 0))
    conversation.open()
    assert [len(one) for one in conversation.data(b"a" * 1441, from_client=True)] == [1500, 61]


def test_the_receiver_acknowledges_long_data() -> None:
    """Without acknowledgements Wireshark would report a full window in long downloads."""
    conversation = Conversation(CLIENT, SERVER, (0, 0))
    conversation.open()
    sent = [fields(one) for one in conversation.data(b"a" * 100_000, from_client=False)]
    acknowledged = [one[2] for one in sent if one[0] == 30123]
    assert len(acknowledged) == 3
    assert all(
        32768 <= later - earlier < 32768 + 1460
        for earlier, later in zip([1, *acknowledged], acknowledged, strict=False)
    )


def test_both_ends_finish() -> None:
    conversation = Conversation(CLIENT, SERVER, (0, 0))
    conversation.open()
    fin, ack = map(fields, conversation.fin(from_client=False))
    assert (fin[:4], ack[:4]) == ((8443, 1, 1, FIN | ACK), (30123, 1, 2, ACK))
    assert conversation.fin(from_client=False) == conversation.data(b"late", from_client=False) == []
    (late,) = map(fields, conversation.data(b"still", from_client=True))
    assert late[1:4] == (1, 2, PSH | ACK)
    assert not conversation.ended
    conversation.fin(from_client=True)
    assert conversation.ended
    assert conversation.reset(from_client=True) == []


def test_a_reset_ends_both_directions() -> None:
    conversation = Conversation(CLIENT, SERVER, (0, 0))
    conversation.open()
    (rst,) = map(fields, conversation.reset(from_client=True))
    assert rst[:4] == (30123, 1, 1, RST | ACK)
    assert conversation.ended
    for end in (True, False):
        assert conversation.finished(from_client=end)
        assert conversation.data(b"late", from_client=end) == conversation.fin(from_client=end) == []


def test_a_file_begins_with_a_section_and_its_interface() -> None:
    header = file_header("mralab")
    section = "0a0d0d0a2c0000004d3c2b1a01000000ffffffffffffffff040006006d72616c61620000000000002c000000"
    interface = "010000002c0000006500000000000000020006006d72616c61620000090001000900000000000000"
    assert header[:44].hex() == section
    assert header[44:].hex() == interface + f"{len(header) - 44:02x}000000"
    assert len(header) % 4 == 0


def test_a_packet_and_its_time() -> None:
    block = packet_block(b"12345", (7 << 32) | 9)
    assert block.hex() == ("06000000280000000000000007000000090000000500000005000000313233343500000028000000")


def test_secrets() -> None:
    assert secrets_block(b"CLIENT_RANDOM a b\n").hex() == (
        "0a000000280000004b534c5412000000" + b"CLIENT_RANDOM a b\n".hex() + "000028000000"
    )
