"""What one direction of a connection shows of TLS: hellos, certificates and alerts, as far as they are not encrypted.

TLS 1.0 to 1.2 (RFC 5246) send certificates and the alerts of the handshake in plain text. TLS 1.3 (RFC 8446) encrypts
everything behind the ServerHello. Nothing is verified and nothing raises: bytes that are not TLS end the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
FATAL: Final = 2

_MOST_RECORD: Final = 16384 + 2048  # RFC 5246 section 6.2.3
_MOST_MESSAGE: Final = 131072  # bytes; OpenSSL takes 100 KB of certificates
_MOST_CERTIFICATES: Final = 100
_MOST_ALERTS: Final = 16
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11
_CERTIFICATE_REQUEST: Final = 13
_SERVER_NAME: Final = 0
_SUPPORTED_VERSIONS: Final = 43
_VERSIONS: Final = {0x0300: "SSL 3.0", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}


class SeenAlert(NamedTuple):
    """An alert in plain text: its packet, level (1 warning, 2 fatal) and description, as numbers."""

    packet: int
    level: int
    description: int


@dataclass(slots=True)
class Seen:
    """What one direction has shown. ``certificates`` is None unless a Certificate message was seen; DER, leaf first."""

    hello: bool = False
    """A ClientHello or ServerHello was seen."""
    of_client: bool = False
    """It was a ClientHello."""
    version: str = ""
    """The version that a ServerHello selects, or the newest that a ClientHello offers."""
    sni: str = ""
    ciphers: tuple[int, ...] = ()
    """Those offered, or the one selected."""
    certificates: tuple[bytes, ...] | None = None
    certificates_packet: int = 0
    """The packet that completed the Certificate message."""
    certificate_requested: bool = False
    alerts: list[SeenAlert] = field(default_factory=list)
    encrypted_alert: bool = False
    changed_cipher: bool = False
    application_data: bool = False
    tls: bool | None = None
    """Whether the direction begins with TLS; None while nothing is known."""
    lost: bool = False
    """Bytes are missing, so messages may be."""


class Side:
    """Read one direction. ``feed`` takes its bytes in order, ``lose`` says that some are missing before the next."""

    __slots__ = ("_buffer", "_ended", "_messages", "_searching", "seen")

    def __init__(self) -> None:
        self.seen = Seen()
        self._buffer = bytearray()
        self._messages = bytearray()
        self._searching = False
        self._ended = False

    @property
    def held(self) -> int:
        """The number of bytes held."""
        return len(self._buffer) + len(self._messages)

    def lose(self) -> None:
        """Go on with the next bytes that begin a record, if these do."""
        self.seen.lost = True
        self._buffer.clear()
        self._messages.clear()
        self._searching = True

    def feed(self, data: bytes, packet: int) -> None:
        """Take the next bytes, which this packet brought."""
        if self._ended or not data:
            return
        if self._searching:
            if not _begins_record(data):
                return
            self._searching = False
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= 5:
            header = self._buffer[start : start + 5]
            size = int.from_bytes(header[3:5], "big")
            if not _begins_record(header):
                if self.seen.tls is None:
                    self.seen.tls = False
                self._end()
                return
            if self.seen.tls is None:
                self.seen.tls = True
            if len(self._buffer) - start - 5 < size:
                break
            body = bytes(self._buffer[start + 5 : start + 5 + size])
            start += 5 + size
            self._record(header[0], body, packet)
            if self._ended:
                return
        del self._buffer[:start]
        if self.seen.tls is None and self._buffer and not 20 <= self._buffer[0] <= 23:
            self.seen.tls = False
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._buffer.clear()
        self._messages.clear()

    def _record(self, kind: int, body: bytes, packet: int) -> None:
        seen = self.seen
        if kind == APPLICATION_DATA:
            seen.application_data = True
            if seen.changed_cipher:
                self._end()  # all that can follow is encrypted
        elif kind == CHANGE_CIPHER_SPEC:
            seen.changed_cipher = True
            self._messages.clear()
        elif kind == ALERT:
            if len(body) == 2 and body[0] in (1, FATAL) and not seen.application_data:
                if len(seen.alerts) < _MOST_ALERTS:
                    seen.alerts.append(SeenAlert(packet, body[0], body[1]))
            else:
                seen.encrypted_alert = True
        elif not seen.changed_cipher or _is_hello(body):
            self._messages += body
            self._read_messages(packet)

    def _read_messages(self, packet: int) -> None:
        messages = self._messages
        start = 0
        while len(messages) - start >= 4:
            size = int.from_bytes(messages[start + 1 : start + 4], "big")
            if size > _MOST_MESSAGE:
                self.lose()
                return
            if len(messages) - start - 4 < size:
                break
            self._message(messages[start], bytes(messages[start + 4 : start + 4 + size]), packet)
            start += 4 + size
        del messages[:start]

    def _message(self, kind: int, body: bytes, packet: int) -> None:
        seen = self.seen
        try:
            if kind in (_CLIENT_HELLO, _SERVER_HELLO) and not (seen.hello and seen.version != "1.3"):
                _read_hello(seen, kind, body)
            elif kind == _CERTIFICATE and seen.certificates is None:
                seen.certificates, seen.certificates_packet = _read_certificates(body), packet
            elif kind == _CERTIFICATE_REQUEST:
                seen.certificate_requested = True
        except (IndexError, ValueError):  # cut short or nonsense: what was read of it counts
            return


def _is_hello(body: bytes) -> bool:
    """Return whether a record behind ChangeCipherSpec is one whole hello: the second one after a HelloRetryRequest.

    In TLS 1.3 that message means nothing and hellos follow it (RFC 8446 appendix D.4); before, all is encrypted.
    """
    return body[:1] in (b"\x01", b"\x02") and int.from_bytes(body[1:4], "big") + 4 == len(body)


def _begins_record(data: bytes | bytearray) -> bool:
    """Return whether bytes begin with the header of a TLS record, as far as there are that many."""
    if not CHANGE_CIPHER_SPEC <= data[0] <= APPLICATION_DATA or data[1:2] not in (b"", b"\x03"):
        return False
    if data[2:3] and data[2] > 4:
        return False
    return len(data) < 5 or int.from_bytes(data[3:5], "big") <= _MOST_RECORD


class _Fields:
    """A message's fields, each behind its length. Raises ``ValueError`` where the message is too short."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) < size:
            raise ValueError("cut short")
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size_of_length: int) -> bytes:
        return self.take(self.number(size_of_length))

    @property
    def more(self) -> bool:
        return self.at < len(self.data)


def _read_hello(seen: Seen, kind: int, body: bytes) -> None:
    fields = _Fields(body)
    seen.version = _VERSIONS.get(fields.number(2), "")
    fields.take(32)
    fields.vector(1)  # session
    if kind == _CLIENT_HELLO:
        ciphers = fields.vector(2)
        seen.ciphers = tuple(int.from_bytes(ciphers[at : at + 2], "big") for at in range(0, len(ciphers) - 1, 2))
        fields.vector(1)  # compression
    else:
        seen.ciphers = (fields.number(2),)
        fields.take(1)
    seen.hello, seen.of_client = True, kind == _CLIENT_HELLO
    if not fields.more:
        return
    extensions = _Fields(fields.vector(2))
    while extensions.more:
        extension, value = extensions.number(2), extensions.vector(2)
        if extension == _SERVER_NAME and kind == _CLIENT_HELLO:
            names = _Fields(_Fields(value).vector(2))
            if names.number(1) == 0:
                seen.sni = names.vector(2).decode("ascii", "backslashreplace")
        elif extension == _SUPPORTED_VERSIONS:
            listed = _Fields(value).vector(1) if kind == _CLIENT_HELLO else value
            numbers = (int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed) - 1, 2))
            known = max((number for number in numbers if number in _VERSIONS), default=0)
            seen.version = _VERSIONS.get(known, seen.version)


def _read_certificates(body: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a message of TLS 1.2 and older (RFC 5246 section 7.4.2)."""
    listed = _Fields(_Fields(body).vector(3))
    found: list[bytes] = []
    while listed.more and len(found) < _MOST_CERTIFICATES:
        try:
            found.append(listed.vector(3))
        except ValueError:
            break
    return tuple(found)
