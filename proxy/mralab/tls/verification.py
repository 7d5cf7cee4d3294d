"""TLS to servers, verified inside the handshake.

There is one ``TlsContext`` for each combination of settings, trust store and own certificate. ``TlsClient`` has the
state of one connection and no socket: bytes in, bytes out. ``TlsClient.inspect`` is OpenSSL's verify callback. It gets
what Traffic Server's callback gets (certificate, error, depth), and where it refuses, OpenSSL sends its alert for that
error. The rules are those of SSLClientUtils.cc (8.1.11): ``core.tls.chain_step`` judges the steps of the chain,
``core.tls.hostname`` checks the name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from OpenSSL import SSL, crypto

from ..core.release import Preference, VerifyMode, signature_algorithms
from ..core.tls.chain_step import LEVEL_1, WEAKNESSES, CertificateFacts, Step, judge_step
from ..core.tls.first_flight import FirstFlight
from ..core.tls.hostname import is_address, match_name
from ..core.tls.verdict import NO_CERTIFICATE, CertificateFault, Verdict
from .certificate import LARGEST_CACHED, read_facts
from .identity import Identity
from .openssl import Endpoint, TlsError, prepare
from .trust_store import TrustStore

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
# OpenSSL 1.1.1 accepts servers without secure renegotiation (RFC 5746), such as old CUCM; 3 and later need this option.
_OP_LEGACY_SERVER_CONNECT: Final = 0x4
_OP_NO_RENEGOTIATION: Final = 1 << 30
# Anonymous Diffie-Hellman. Pre-shared keys and SRP have no certificate either, but OpenSSL offers their suites only
# if such keys are set.
_ANONYMOUS: Final = ("ADH-", "AECDH-")
_VERIFY_DEPTH: Final = 7  # Traffic Server: iocore/net/SSLConfig.cc:341
_LARGEST_PRIME: Final = 4096  # bits; 20 ms. OpenSSL accepts up to 10000 (DH_R_MODULUS_TOO_LARGE): 600 ms
_PRIME_TOO_LARGE: Final = ("modulus too large", "error:02800067:Diffie-Hellman routines::modulus too large")
_FATAL_ALERT: Final = re.compile(rb"\x15\x03[\x00-\x04]\x00\x02\x02.\Z", re.DOTALL)
"""A plaintext alert record: type, version, length, level fatal, description (RFC 8446 section 6)."""


class TlsSettings(NamedTuple):
    """Offers to servers, and how servers are verified."""

    mode: VerifyMode
    ip_san: bool
    ciphers: str
    versions: tuple[str, ...]
    prefer: Preference = "ecdsa"
    """The kind of certificate to prefer in TLS 1.3. In older versions the order of ``ciphers`` decides."""


def check_ciphers(ciphers: str) -> str:
    """Return why OpenSSL cannot use this cipher string, or nothing."""
    try:
        SSL.Context(SSL.TLS_CLIENT_METHOD).set_cipher_list(ciphers.encode())
    except (SSL.Error, UnicodeEncodeError):
        return "OpenSSL knows no cipher of this string"
    return ""


def offers_anonymous(ciphers: str) -> bool:
    """Return whether a cipher string offers suites in which the server presents no certificate."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(f"{ciphers}:@SECLEVEL=0".encode())
    return any(name.startswith(_ANONYMOUS) for name in SSL.Connection(context, None).get_cipher_list())


class TlsContext:
    """Settings that connections share: versions, ciphers, trust store, verification, the proxy's own certificate."""

    def __init__(
        self,
        settings: TlsSettings,
        store: TrustStore,
        identity: Identity | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """``at`` is the time at which certificates must be valid; by default that of each handshake."""
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
        # OpenSSL checks no strength at level 0. judge_step checks it as level 1 of 1.1.1 does, which no later OpenSSL
        # has (3 refuses SHA-1 at level 1).
        context.set_cipher_list(f"{settings.ciphers}:@SECLEVEL=0".encode())
        # OpenSSL does not verify in a resumed session, nor in a renegotiation to an anonymous cipher suite. So sessions
        # are not resumed, and renegotiation is off if such suites are offered. inspect() sees all other handshakes.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        if settings.mode != "off" and offers_anonymous(settings.ciphers):
            context.set_options(_OP_NO_RENEGOTIATION)
        context.set_verify_depth(_VERIFY_DEPTH)
        # One list applies to all offered versions. Without TLS 1.3 it is OpenSSL's default.
        signatures = signature_algorithms(settings.prefer) if "1.3" in offered else ""
        prepare(context, verify=settings.mode != "off", signatures=signatures)
        if identity is not None:
            identity.use_in(context)
        if settings.mode != "off":
            certificates = context.get_cert_store()
            assert certificates is not None  # noqa: S101 - an SSL_CTX always has one
            for certificate in store.certificates:
                certificates.add_cert(crypto.X509.from_cryptography(certificate))
            if at is not None:
                certificates.set_time(at.astimezone(UTC))
        self._context = context

    def connect(self, name: str) -> TlsClient:
        """Return the TLS of a new connection to the server of this host name or IP address."""
        return TlsClient(self._context, self.settings, name)

    def log_secrets(self, client: TlsClient, on_secret: Callable[[bytes], None]) -> None:
        """Call ``on_secret`` with each line of an NSS key log for a connection of this context."""
        client.endpoint.log_secrets(self._context, on_secret)


class TlsClient:
    """The TLS of one connection: ``receive`` takes the server's bytes, ``outgoing`` returns those to send."""

    __slots__ = (
        "_first_flight",
        "_settings",
        "endpoint",
        "established",
        "expires",
        "verdict",
    )

    def __init__(self, context: SSL.Context, settings: TlsSettings, name: str) -> None:
        self._settings = settings
        self.verdict = Verdict(name, settings.mode)
        self.established = False
        self.expires = math.inf
        """When the first certificate of the verified chain expires, in seconds since the epoch."""
        self._first_flight = FirstFlight()
        self.endpoint = Endpoint(context, b"" if is_address(name) else name.encode("ascii"), self.inspect)
        """OpenSSL's part. Once ``established``, ``receive`` and ``send`` are its own: callers may save a call."""

    # -- verification

    def inspect(self, der: bytes, number: int, depth: int, ok: bool) -> bool:
        """Judge one step of the verification (OpenSSL's verify callback). Return whether the handshake continues."""
        if self.established:  # renegotiation: only the certificate that was verified is accepted
            return depth > 0 or der == self.verdict.leaf
        certificate = read_facts(der)
        if ok and self._settings.mode == "on":
            self.expires = min(self.expires, certificate.expires)
        # judge_step returns nothing for a strong certificate without a fault, the usual one: saves the call.
        if not ok or certificate.bits < LEVEL_1 or certificate.weakly_signed:
            step = Step(certificate, number, depth, ok)
            for fault in judge_step(step, self.verdict.faults, self._presented_facts):
                if not self._report(fault):
                    return False
            if not ok:
                return True
        return depth > 0 or self._names_host(der, certificate)

    def _names_host(self, der: bytes, leaf: CertificateFacts) -> bool:
        """Check the host name: the chain passed, or audit mode tolerates it. Return whether the handshake continues."""
        verdict = self.verdict
        verdict.leaf, verdict.judged = der, True
        match = match_name if len(der) <= LARGEST_CACHED else match_name.__wrapped__  # without the cache
        if match(leaf.names, verdict.name, ip_san_accepted=self._settings.ip_san):
            return True
        return self._report(CertificateFault(None, 0))

    def _report(self, fault: CertificateFault) -> bool:
        """Add a fault to the verdict, with the first one the server's certificates. Return whether to continue."""
        verdict = self.verdict
        if not verdict.faults:
            verdict.presented = tuple(self.presented())
            verdict.leaf = verdict.leaf or (verdict.presented[0] if verdict.presented else b"")
        return verdict.add(fault)

    def _presented_facts(self) -> list[CertificateFacts]:
        return [read_facts(der) for der in self.presented()]

    @property
    def client_certificate_requested(self) -> bool:
        """Whether the server requested the proxy's certificate."""
        return self.endpoint.requested

    def acceptable_issuers(self) -> list[str]:
        """Return the subjects (RFC 4514) of the CAs that the server named in its request for the proxy's certificate.

        Empty if it named none (then any CA is acceptable) or did not request one. Must not be called after ``free``.
        """
        return self.endpoint.acceptable_issuers()

    @property
    def closed(self) -> bool:
        """Whether the server sent close_notify: the data before it is complete."""
        return self.endpoint.closed

    @property
    def version(self) -> str:
        """The TLS version in use, as ``1.2``; empty during the handshake. Must not be read after ``free``."""
        return self.endpoint.version() if self.established else ""

    def presented(self) -> list[bytes]:
        """Return the certificates that the server sent, in DER, leaf first; empty until it sent them."""
        return self.endpoint.presented()

    # -- bytes

    def start(self) -> bytes:
        """Return the ClientHello."""
        self.endpoint.handshake()
        return self.endpoint.take()

    def receive(self, data: bytes) -> bytes:
        """Decrypt bytes from the server. Return their plaintext. Raises ``TlsError``; then send ``alert``."""
        endpoint, first_flight = self.endpoint, self._first_flight
        if self.established:
            return endpoint.receive(data)
        if not first_flight.done and first_flight.feed(data) > _LARGEST_PRIME:
            raise TlsError(*_PRIME_TOO_LARGE)
        endpoint.put(data)
        self.established = endpoint.handshake()
        if not self.established:
            return b""
        if not self.verdict.judged and self._settings.mode != "off" and not self.verdict.add(NO_CERTIFICATE):
            endpoint.shut()  # a fatal alert is not possible any more: the handshake is complete
            raise TlsError("certificate verify failed")
        return endpoint.read() if endpoint.waiting() else b""

    def send(self, data: bytes) -> bytes:
        """Encrypt plaintext. Return the bytes to send. Raises ``TlsError``."""
        return self.endpoint.send(data)

    def outgoing(self) -> bytes:
        """Return the bytes that OpenSSL has to send."""
        return self.endpoint.take()

    def close(self) -> bytes:
        """Return the bytes of a close_notify."""
        self.endpoint.shut()
        return self.endpoint.take()

    def free(self) -> None:
        """Free OpenSSL's memory at the end of the connection. Only ``verdict`` and ``expires`` remain usable."""
        self.endpoint.free()

    def alert(self) -> bytes:
        """Return the bytes of the fatal alert after a ``TlsError``.

        A key or digest that is too weak is a fault of ``judge_step``, not of OpenSSL, which therefore sends the alert
        of its own last error, or internal error (80). 1.1.1 sends bad certificate (42). The alert is plaintext in
        TLS 1.3 too, because OpenSSL's client does not encrypt before it has verified the server.
        """
        data = self.outgoing()
        last = self.verdict.faults[-1] if self.verdict.faults else None
        if last is not None and last.number in WEAKNESSES and _FATAL_ALERT.search(data):
            return data[:-1] + b"\x2a"
        return data
