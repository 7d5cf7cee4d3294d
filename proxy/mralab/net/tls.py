"""TLS to servers, on pyOpenSSL's memory BIOs, verified inside the handshake.

``TlsContext`` is made once for each (settings, trust store); ``TlsClient`` is one connection's state and knows no
sockets: bytes in, bytes out. The verify callback is OpenSSL's own, so it sees what Traffic Server's callback sees
(certificate, error, depth) and its refusal sends the alert that OpenSSL sends for that error. The rules are those of
SSLClientUtils.cc (8.1.11), the name check is ``core.hostname``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from OpenSSL import SSL, crypto

from ..core.hostname import is_address, match_name
from ..core.release import VerifyMode
from ..core.verdict import Fault, Verdict
from .certificate import LEVEL_1, facts, offer
from .trust import TrustStore

_VERSIONS: Final = {
    "1.0": SSL.TLS1_VERSION,
    "1.1": SSL.TLS1_1_VERSION,
    "1.2": SSL.TLS1_2_VERSION,
    "1.3": SSL.TLS1_3_VERSION,
}
_NO_VERSION: Final = {
    "1.0": SSL.OP_NO_TLSv1,
    "1.1": SSL.OP_NO_TLSv1_1,
    "1.2": SSL.OP_NO_TLSv1_2,
    "1.3": 0x20000000,
}
# OpenSSL 1.1.1 talks to servers without secure renegotiation (RFC 5746), as old CUCM is; 3 and later must be told.
_OP_LEGACY_SERVER_CONNECT: Final = 0x4
_VERIFY_DEPTH: Final = 7  # Traffic Server: iocore/net/SSLConfig.cc:341
_RECORD: Final = 16384 + 256
_MANY: Final = 1 << 30
_RECORD_OVERHEAD: Final = 256
_SMALL: Final = 8192  # plaintext that is one record: its ciphertext is read with one call
_PIECE: Final = 65536  # ciphertext read at once: more than 128 KB would be mapped and unmapped by malloc each time
# OpenSSL verifies in two passes: it builds the chain and checks its extensions (these errors), then walks from the
# root to the leaf over signatures and dates. 1.1.1 judges keys and digests between the two.
_BUILDING: Final = frozenset(
    (2, 18, 19, 20, 21, 22, 24, 25, 26, 32, 34, 37, 40, 41, 79, 85, 86, 89, 90, 91, 92, 93, 94)
)
_LEAF_ALONE: Final = Fault(21, 0)
_WEAK: Final = frozenset((66, 67, 68))
_FATAL_ALERT: Final = re.compile(rb"\x15\x03[\x00-\x04]\x00\x02\x02.\Z", re.DOTALL)
"""A plaintext alert record: type, version, length, level fatal, description (RFC 8446 section 6)."""


class TlsError(Exception):
    """OpenSSL ended the TLS connection. ``reason`` is its text (``certificate verify failed``), never empty."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TlsSettings(NamedTuple):
    """What is offered to servers and asked of them."""

    mode: VerifyMode
    ip_san: bool
    ciphers: str
    versions: tuple[str, ...]


def check_ciphers(ciphers: str) -> str:
    """Why OpenSSL cannot use this cipher string, or nothing."""
    try:
        SSL.Context(SSL.TLS_CLIENT_METHOD).set_cipher_list(ciphers.encode())
    except (SSL.Error, UnicodeEncodeError):
        return "OpenSSL knows no cipher of this string"
    return ""


class TlsContext:
    """Everything connections have in common: versions, ciphers, trust store, verification."""

    def __init__(self, settings: TlsSettings, store: TrustStore) -> None:
        self.settings = settings
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        offered = sorted(settings.versions)
        context.set_min_proto_version(_VERSIONS[offered[0]])
        context.set_max_proto_version(_VERSIONS[offered[-1]])
        options = _OP_LEGACY_SERVER_CONNECT | SSL.OP_NO_COMPRESSION
        for version, option in _NO_VERSION.items():
            if version not in offered:
                options |= option
        context.set_options(options)
        # Level 0, and _weaknesses below: together they judge keys and digests as 1.1.1's level 1 does, which no later
        # OpenSSL has (3 refuses SHA-1 at level 1).
        context.set_cipher_list(f"{settings.ciphers}:@SECLEVEL=0".encode())
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify_depth(_VERIFY_DEPTH)
        if settings.mode == "off":
            context.set_verify(SSL.VERIFY_NONE)
        else:
            certificates = context.get_cert_store()
            assert certificates is not None  # noqa: S101 - an SSL_CTX always has one
            for certificate in store.certificates:
                certificates.add_cert(crypto.X509.from_cryptography(certificate))
            context.set_verify(SSL.VERIFY_PEER, _verify)
        self._context = context

    def connect(self, name: str) -> TlsClient:
        """A new connection's TLS, for the host name or IP address that the client asked for."""
        return TlsClient(self._context, self.settings, name)


def _verify(connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int) -> bool:
    client: TlsClient = connection.get_app_data()
    return client.inspect(certificate, number, depth, bool(ok))


class TlsClient:
    """One connection's TLS. Feed it what the server sent, send what ``outgoing`` gives."""

    __slots__ = (
        "_connection",
        "_header",
        "_judged",
        "_owed",
        "_settings",
        "closed",
        "established",
        "expires",
        "verdict",
    )

    def __init__(self, context: SSL.Context, settings: TlsSettings, name: str) -> None:
        self._settings = settings
        self.verdict = Verdict(name, settings.mode)
        self.established = False
        self.closed = False
        """The server said close_notify: what came before it is whole."""
        self.expires = math.inf
        """When the first certificate of the verified chain expires, in seconds since the epoch."""
        self._judged = False
        self._owed = 0  # bytes to the next record's header
        self._header = b""  # the beginning of a header that was cut
        connection = SSL.Connection(context, None)
        connection.set_app_data(self)
        connection.set_connect_state()
        if not is_address(name):
            connection.set_tlsext_host_name(name.encode("ascii"))
        self._connection = connection

    # -- verification

    def inspect(self, certificate: crypto.X509, number: int, depth: int, ok: bool) -> bool:
        """OpenSSL's verify callback: one certificate of the chain, root first. Whether to go on."""
        known = facts(certificate)
        if ok and self._settings.mode == "on":
            self.expires = min(self.expires, known.expires)
        if not self._judged:
            self._judged = True
            leaf = known if depth == 0 else next(map(facts, self.presented()), None)
            if leaf is not None and leaf.bits < LEVEL_1 and not self._fault(66, 0):
                return False
        if ok or number not in _BUILDING:
            weak = list(known.weaknesses(depth))
            if depth and (weak or not ok):
                weak = [*self._weaknesses_below(depth), *weak]
            for fault in weak:
                # The last of a chain is believed or not: its signature is not judged.
                told = fault in self.verdict.faults or (fault.number == 68 and _LEAF_ALONE in self.verdict.faults)
                if not told and not self._fault(*fault):
                    return False
        if not ok:
            return self._fault(number, depth)
        if depth:
            return True
        matched = match_name(known.names, self.verdict.name, ip_san_accepted=self._settings.ip_san)
        self.verdict.matched = matched or ""
        return True if matched else self._fault(None, 0)

    def _weaknesses_below(self, depth: int) -> Iterator[Fault]:
        """What is weak under ``depth``, the leaf first: 1.1.1 judges the whole chain's keys and digests before dates.

        As far as the server has sent the chain; what comes from the store is judged when OpenSSL gets to it.
        """
        sent = [facts(certificate) for certificate in self.presented()]
        member = next(iter(sent), None)
        for at in range(depth):
            if member is None:
                return
            yield from member.weaknesses(at)
            issuer = member.issuer
            member = next((one for one in sent[1:] if one.subject == issuer), None)

    def _fault(self, number: int | None, depth: int) -> bool:
        """Note a fault, and with the first one what the server offers. Whether to go on."""
        verdict = self.verdict
        if verdict.offer is None and (chain := self.presented()):
            verdict.offer = offer(chain[0])
        return verdict.add(Fault(number, depth))

    def presented(self) -> list[crypto.X509]:
        """The certificates the server sent, leaf first; empty before it did."""
        return self._connection.get_peer_cert_chain() or []

    # -- bytes

    def start(self) -> bytes:
        """The ClientHello."""
        self._handshake()
        return self.outgoing()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the server, give the plaintext in them. Raises ``TlsError``; ``outgoing`` has the alert."""
        connection = self._connection
        connection.bio_write(data)
        records = self._count_records(data)
        if not self.established:
            self._handshake()
            if not self.established:
                return b""
            records = _MANY  # the last flight may have brought more than the handshake took
        pieces: list[bytes] = []
        try:
            # One read a record: a read more would end in an exception, half the price of all the rest.
            for _ in range(records):
                pieces.append(connection.recv(_RECORD))  # noqa: PERF401 - what came before an end counts
        except SSL.WantReadError:  # it was none that carries data
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            raise TlsError(_reason(error)) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _count_records(self, data: bytes) -> int:
        """How many records end in these bytes (RFC 5246 section 6.2: type, version, two octets of length)."""
        if self._header:
            data = self._header + data
            self._header = b""
        at, size = self._owed, len(data)
        ended = 1 if 0 < at <= size else 0
        while at + 5 <= size:
            length = data[at + 3] << 8 | data[at + 4]
            if length > _RECORD:
                return _MANY  # no record: OpenSSL says what it thinks of it
            at += 5 + length
            if at <= size:
                ended += 1
        self._owed = max(0, at - size)
        if at < size:
            self._header = data[at:]
        return ended

    def send(self, data: bytes) -> bytes:
        """Plaintext to the server: the bytes that carry it."""
        if len(data) <= _SMALL:
            self._connection.sendall(data)
            sent = self._connection.bio_read(_SMALL + _RECORD_OVERHEAD)
            return sent if len(sent) < _SMALL else sent + self.outgoing()
        view = memoryview(data)
        for start in range(0, len(data), 1 << 20):
            self._connection.sendall(view[start : start + (1 << 20)])
        return self.outgoing()

    def free(self) -> None:
        """The connection is gone: let OpenSSL's go with it now, not when a garbage collector finds the two together.

        Only the verdict and the dates are of use afterwards.
        """
        self._connection.set_app_data(None)
        del self._connection

    def close(self) -> bytes:
        """The bytes of our close_notify."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return b""
        return self.outgoing()

    def outgoing(self) -> bytes:
        """What OpenSSL wants sent."""
        pieces: list[bytes] = []
        while True:
            try:
                pieces.append(self._connection.bio_read(_PIECE))
            except SSL.WantReadError:
                break
            if len(pieces[-1]) < _PIECE:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def alert(self) -> bytes:
        """The bytes of the fatal alert after a ``TlsError``.

        A key or digest too weak is our own finding: OpenSSL sends the alert of what it has found itself, an internal
        error (80) if nothing. 1.1.1 calls it a bad certificate (42). The alert is plain in TLS 1.3 too: OpenSSL's
        client does not encrypt before it is sure of the server.
        """
        data = self.outgoing()
        last = self.verdict.faults[-1] if self.verdict.faults else None
        if last is not None and last.number in _WEAK and _FATAL_ALERT.search(data):
            return data[:-1] + b"\x2a"
        return data

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise TlsError(_reason(error)) from error
        self.established = True


def _reason(error: SSL.Error) -> str:
    """The reason text of OpenSSL's first error (SSLNetVConnection.cc peeks at the first one)."""
    queue: Any = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return str(queue[0][2]) or "unknown error"
    return str(error) or "unknown error"
