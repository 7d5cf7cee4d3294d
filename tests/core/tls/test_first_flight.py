"""The size of a Diffie-Hellman prime is known before OpenSSL calculates with it, for any split of the messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.tls.first_flight import FirstFlight

DHE_RSA, RSA, ECDHE_RSA, TLS13, DHE_CHACHA = 0x009E, 0x009C, 0xC02F, 0x1301, 0xCCAA


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def hello(suite: int, session_id: bytes = b"") -> bytes:
    return message(2, b"\3\3" + bytes(32) + bytes([len(session_id)]) + session_id + suite.to_bytes(2, "big") + b"\0")


def key_exchange(bits: int) -> bytes:
    return message(12, (bits // 8).to_bytes(2, "big") + bytes(bits // 8) + b"\0\1\2\0\1\2")


def records(messages: bytes, size: int = 16384) -> bytes:
    pieces = [messages[at : at + size] for at in range(0, len(messages), size)]
    return b"".join(b"\x16\3\3" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def fed(data: bytes, size: int) -> tuple[int, bool]:
    flight = FirstFlight()
    found = 0
    for at in range(0, len(data), size):
        if flight.done:
            break
        found = max(found, flight.feed(data[at : at + size]))
    return found, flight.done


@given(
    st.sampled_from([512, 4096, 8192, 10000, 65528]),
    st.sampled_from([DHE_RSA, DHE_CHACHA]),
    st.binary(max_size=32),
    st.integers(1, 3000),
    st.integers(1, 20000),
)
def test_a_prime_is_found_for_any_split_of_the_flight(
    bits: int, suite: int, session_id: bytes, record: int, read: int
) -> None:
    flight = message(0, b"") + hello(suite, session_id) + message(11, bytes(500)) + message(22, b"x")
    assert fed(records(flight + key_exchange(bits) + message(14, b""), record), read) == (bits, True)


@pytest.mark.parametrize("suite", [ECDHE_RSA, TLS13, 0xC02C, 0xCCA8])
def test_nothing_is_read_after_the_hello_of_another_key_exchange(suite: int) -> None:
    flight = FirstFlight()
    assert flight.feed(records(hello(suite, b"s" * 32) + key_exchange(65528))) == 0
    assert flight.done


@pytest.mark.parametrize(
    "data",
    [
        records(hello(RSA) + message(11, b"x") + message(14, b"")),
        b"\x15\3\3\0\2\2\x28",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        records(message(2, b"")),
        records(message(1, b"")),
    ],
)
def test_other_flights_end_the_search(data: bytes) -> None:
    assert fed(data, 1) == (0, True)


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    FirstFlight().feed(data)
    FirstFlight().feed(b"\x16\3\3" + len(data).to_bytes(2, "big") + data)
