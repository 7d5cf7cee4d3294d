"""The size of a server's Diffie-Hellman prime, read from its handshake messages (TLS 1.2 and older).

OpenSSL's client accepts primes of up to 10000 bits and calculates with them for 600 ms, which blocks the event loop for
all connections. It has no setting for a smaller limit, and calculates in the call that processes the
ServerKeyExchange. So the messages are read before OpenSSL gets them; they are plaintext.
"""

from __future__ import annotations

from typing import Final

_HANDSHAKE: Final = 22
_HELLO_REQUEST, _SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE, _STATUS = 0, 2, 11, 12, 22
_BEFORE: Final = (_HELLO_REQUEST, _CERTIFICATE, _STATUS)
_SESSION_ID: Final = 4 + 2 + 32  # after header, version and random (RFC 5246 section 7.4.1.3)
# Cipher suites above 0x00FF with DHE over finite fields (IANA's registry): ARIA, Camellia, CCM, ChaCha20. Suites up to
# 0x00FF either may use finite fields or have no ServerKeyExchange.
_FINITE_FIELD: Final = frozenset(
    (0xC052, 0xC053, 0xC056, 0xC057, 0xC05A, 0xC05B, 0xC07C, 0xC07D, 0xC080, 0xC081, 0xC084, 0xC085)
) | {0xC09E, 0xC09F, 0xC0A2, 0xC0A3, 0xCCAA}


class FirstFlight:
    """Reads a server's first messages before OpenSSL gets them. No byte is delayed."""

    __slots__ = ("_messages", "_records", "done")

    def __init__(self) -> None:
        self._records = b""
        self._messages = bytearray()
        self.done = False
        """No further bytes need to be read."""

    def feed(self, data: bytes) -> int:
        """Read bytes of the server. Return the size of the prime in bits (a multiple of 8), 0 while it is unknown."""
        if not self._records and not self._messages and _has_no_prime(data):
            self.done = True
            return 0
        records = self._records + data if self._records else data
        at = 0
        while len(records) - at >= 5:
            end = at + 5 + int.from_bytes(records[at + 3 : at + 5], "big")
            if records[at] != _HANDSHAKE:
                self.done = True
                return 0
            if len(records) < end:
                break
            bits = self._read(records[at + 5 : end])
            if self.done:
                return bits
            at = end
        self._records = records[at:]
        return 0

    def _read(self, fragment: bytes) -> int:
        messages = self._messages
        messages += fragment
        at = 0
        while len(messages) - at >= 4:
            kind, end = messages[at], at + 4 + int.from_bytes(messages[at + 1 : at + 4], "big")
            if kind == _KEY_EXCHANGE and len(messages) - at >= 6:
                self.done = True
                return 8 * int.from_bytes(messages[at + 4 : at + 6], "big")
            if len(messages) < end:
                break
            if kind == _SERVER_HELLO:
                self.done = not _uses_finite_field(messages, at, end)
            elif kind not in _BEFORE:
                self.done = True
            if self.done:
                return 0
            at = end
        if at:
            del messages[:at]
        return 0


def _has_no_prime(data: bytes) -> bool:
    """Return whether the first bytes are a whole ServerHello of a suite without a prime, as most are: the short way."""
    if len(data) < 9 or data[0] != _HANDSHAKE or data[5] != _SERVER_HELLO or data[6]:
        return False
    end = 9 + (data[7] << 8 | data[8])
    return end <= 5 + (data[3] << 8 | data[4]) <= len(data) and not _uses_finite_field(data, 5, end)


def _uses_finite_field(data: bytes | bytearray, at: int, end: int) -> bool:
    """Return whether the ServerHello from ``at`` to ``end`` has a suite that may use a finite field."""
    session_id = at + _SESSION_ID
    if end <= session_id:
        return False  # OpenSSL refuses it
    at = session_id + 1 + data[session_id]
    suite = int.from_bytes(data[at : min(at + 2, end)], "big")
    return suite <= 0xFF or suite in _FINITE_FIELD
