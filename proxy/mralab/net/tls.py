"""TLS to servers, on pyOpenSSL's memory BIOs, verified inside the handshake.

``TlsContext`` is made once for each (settings, trust store); ``TlsClient`` is one connection's state and knows no
sockets: bytes in, bytes out. The verify callback is OpenSSL's own, so it sees what Traffic Server's callback sees
(certificate, error, depth) and its refusal sends the alert that OpenSSL sends for that error. The rules are those of
SSLClientUtils.cc (8.1.11), the name check is ``core.hostname``.
"""

from __future__ import annotations

import calendar
import ipaddress
import math
import re
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import SSL, crypto

from ..core.der import SEQUENCE, NotDer, certificate_parts, values
from ..core.hostname import match_name, names_of
from ..core.release import VerifyMode
from ..core.verdict import Fault, Offer, Verdict
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

    __slots__ = ("_connection", "_judged", "_settings", "closed", "established", "expires", "verdict")

    def __init__(self, context: SSL.Context, settings: TlsSettings, name: str) -> None:
        self._settings = settings
        self.verdict = Verdict(name, settings.mode)
        self.established = False
        self.closed = False
        """The server said close_notify: what came before it is whole."""
        self.expires = math.inf
        """When the first certificate of the verified chain expires, in seconds since the epoch."""
        self._judged = False
        connection = SSL.Connection(context, None)
        connection.set_app_data(self)
        connection.set_connect_state()
        if not _is_ip(name):
            connection.set_tlsext_host_name(name.encode("ascii"))
        self._connection = connection

    # -- verification

    def inspect(self, certificate: crypto.X509, number: int, depth: int, ok: bool) -> bool:
        """OpenSSL's verify callback: one certificate of the chain, root first. Whether to go on."""
        if ok and self._settings.mode == "on":
            self.expires = min(self.expires, _seconds(certificate.get_notAfter()))
        if not self._judged:
            self._judged = True
            leaf = certificate if depth == 0 else next(iter(self.presented()), None)
            if leaf is not None and security_bits(leaf) < _LEVEL_1 and not self._fault(66, 0):
                return False
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        if ok or number not in _BUILDING:
            weak = [Fault(weakness, depth) for weakness in _weaknesses(certificate, der, depth)]
            if depth and (weak or not ok):
                weak = [*self._weaknesses_below(depth), *weak]
            for fault in weak:
                # The last of a chain is believed or not: its signature is not judged.
                known = fault in self.verdict.faults or (fault.number == 68 and _LEAF_ALONE in self.verdict.faults)
                if not known and not self._fault(*fault):
                    return False
        if not ok:
            return self._fault(number, depth)
        if depth:
            return True
        matched = match_name(names_of(der), self.verdict.name, ip_san_accepted=self._settings.ip_san)
        self.verdict.matched = matched or ""
        return True if matched else self._fault(None, 0)

    def _weaknesses_below(self, depth: int) -> Iterator[Fault]:
        """What is weak under ``depth``, the leaf first: 1.1.1 judges the whole chain's keys and digests before dates.

        As far as the server has sent the chain; what comes from the store is judged when OpenSSL gets to it.
        """
        sent = self.presented()
        member = next(iter(sent), None)
        for at in range(depth):
            if member is None:
                return
            der = crypto.dump_certificate(crypto.FILETYPE_ASN1, member)
            yield from (Fault(weakness, at) for weakness in _weaknesses(member, der, at))
            issuer = _issuer_and_subject(der)[0]
            others = ((one, crypto.dump_certificate(crypto.FILETYPE_ASN1, one)) for one in sent[1:])
            member = next((one for one, other in others if _issuer_and_subject(other)[1] == issuer), None)

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
        if not self.established:
            self._handshake()
            if not self.established:
                return b""
        pieces: list[bytes] = []
        while True:
            try:
                pieces.append(connection.recv(_RECORD))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.closed = True
                break
            except SSL.Error as error:
                raise TlsError(_reason(error)) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes) -> bytes:
        """Plaintext to the server: the bytes that carry it."""
        view = memoryview(data)
        for start in range(0, len(data), 1 << 20):
            self._connection.sendall(view[start : start + (1 << 20)])
        return self.outgoing()

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
                pieces.append(self._connection.bio_read(1 << 18))
            except SSL.WantReadError:
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


def _weaknesses(certificate: crypto.X509, der: bytes, depth: int) -> Iterator[int]:
    """The faults of one chain member's key (the leaf's is judged first) and digest, by 1.1.1's level 1."""
    if depth and security_bits(certificate) < _LEVEL_1:
        yield 67
    if _weakly_signed(der):
        yield 68


def _weakly_signed(der: bytes) -> bool:
    """Whether a certificate is signed by another's key over a digest of less than level 1's security."""
    try:
        algorithm = certificate_parts(der)[1]
    except NotDer:
        return False
    if not any(oid in algorithm for oid in _WEAK_DIGESTS):
        return False
    issuer, subject = _issuer_and_subject(der)
    return issuer != subject


def _issuer_and_subject(der: bytes) -> tuple[bytes, bytes]:
    """The two names of a certificate, as they are encoded."""
    try:
        # after version and serialNumber: signature, issuer, validity, subject (RFC 5280 section 4.1)
        sequences = [content for tag, content in values(certificate_parts(der)[0]) if tag == SEQUENCE]
        return sequences[1], sequences[3]
    except (NotDer, IndexError):
        return b"", b""


def _seconds(time: bytes | None) -> float:
    """An ASN.1 GeneralizedTime in seconds since the epoch; infinity where it is none."""
    text = (time or b"").decode("ascii", "replace")
    try:
        fields = (int(text[:4]), *(int(text[at : at + 2]) for at in (4, 6, 8, 10, 12)))
        return calendar.timegm((*fields, 0, 0, 0))
    except (ValueError, OverflowError):
        return math.inf


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _reason(error: SSL.Error) -> str:
    """The reason text of OpenSSL's first error (SSLNetVConnection.cc peeks at the first one)."""
    queue: Any = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return str(queue[0][2]) or "unknown error"
    return str(error) or "unknown error"


_LEVEL_1: Final = 80  # bits of security that OpenSSL's level 1 asks for
# Algorithms of RFC 3279 and RFC 8017 with 64 bits of security, half of their digest's 128 (OpenSSL 1.1.1
# crypto/x509/x509_set.c): MD2, MD4, MD5 with RSA, and MD5 as a parameter of RSASSA-PSS.
_WEAK_DIGESTS: Final = tuple(
    bytes.fromhex(oid)
    for oid in ("06092a864886f70d010102", "06092a864886f70d010103", "06092a864886f70d010104", "06082a864886f70d0205")
)
_TYPE_RSA_PSS: Final = 912


def security_bits(certificate: crypto.X509) -> int:
    """The security of a certificate's key as OpenSSL 1.1.1 counts it (NIST SP 800-57).

    0 for a key that OpenSSL cannot read, 256 for one of a kind that has a single strength, as Ed25519.
    """
    try:
        key = certificate.get_pubkey()
    except crypto.Error:
        return 0
    size = key.bits()
    if key.type() in (crypto.TYPE_RSA, crypto.TYPE_DSA, _TYPE_RSA_PSS):
        for bits, strength in ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80)):
            if size >= bits:
                return strength
        return 0
    return size // 2 if key.type() == crypto.TYPE_EC else 256


def offer(certificate: crypto.X509) -> Offer:
    """What a certificate offers, in words; what ``cryptography`` cannot read is empty."""
    der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    names = names_of(der)
    parsed = _parsed(certificate)
    return Offer(
        subject=_shown(lambda: parsed.subject.rfc4514_string() if parsed else ""),
        issuer=_shown(lambda: parsed.issuer.rfc4514_string() if parsed else ""),
        names=tuple(str(name) for name in (*names.dns, *names.ips)),
        cn=names.cn or "",
        not_before=_shown(lambda: parsed.not_valid_before_utc.isoformat() if parsed else ""),
        not_after=_shown(lambda: parsed.not_valid_after_utc.isoformat() if parsed else ""),
        key=_shown(lambda: _key(parsed) if parsed else ""),
        fingerprint=sha256(der).digest().hex(":").upper(),
    )


def _parsed(certificate: crypto.X509) -> x509.Certificate | None:
    """A certificate to look into, None for one that is not to the letter. What is odd is for the verdict to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return certificate.to_cryptography()
        except (ValueError, x509.InvalidVersion):
            return None


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    kind = type(key).__name__.lstrip("_").removesuffix("PublicKey")
    size = getattr(key, "key_size", "")
    return f"{'EC' if isinstance(key, ec.EllipticCurvePublicKey) else kind} {size}".strip()


def _shown(read: Callable[[], str]) -> str:
    try:
        return read()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
