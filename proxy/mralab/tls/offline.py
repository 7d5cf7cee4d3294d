"""Verify a chain of certificates without a server, exactly as in a handshake.

OpenSSL's client verifies the server's chain as soon as it has the Certificate message, before the server has to prove
that it holds the key (RFC 5246 section 7.4.2; ``tls_process_server_certificate``). So ``verify`` plays the server as
far as that message, with certificates from a file or a capture, and the verify callback of ``TlsClient`` judges them:
same code, same order of faults as on the wire. No private key is needed, and no connection is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ..core.tls.verdict import Verdict
from .openssl import TlsError
from .trust_store import TrustStore
from .verification import TlsContext, TlsSettings

LONGEST: Final = 100 * 1024
"""Bytes of certificates that OpenSSL's client accepts (SSL_MAX_CERT_LIST_DEFAULT)."""

_CIPHERS: Final = "ECDHE-RSA-AES128-GCM-SHA256"
_CIPHER_SUITE: Final = b"\xc0\x2f"  # the same, RFC 5289 section 3.2
_TLS_1_2: Final = b"\x03\x03"
_HANDSHAKE: Final = 22  # content type, RFC 5246 section 6.2.1
_SERVER_HELLO, _CERTIFICATE = 2, 11  # handshake types, RFC 5246 section 7.4
_LARGEST_RECORD: Final = 1 << 14
_RENEGOTIATION_INFO: Final = bytes.fromhex("ff01000100")  # RFC 5746 section 3.6: empty at the first handshake


class UnreadableChainError(ValueError):
    """OpenSSL cannot read the chain, or it is larger than a TLS client accepts; the text says which."""


def verify(
    chain: Sequence[bytes],
    name: str,
    store: TrustStore,
    *,
    ip_san: bool,
    at: datetime | None = None,
) -> Verdict:
    """Return the verdict on ``chain`` (DER, leaf first) for a server that clients request as ``name``.

    The mode is audit, so the verdict has every fault. ``ip_san`` is as in ``TlsSettings``. ``at`` is the time at which
    the certificates must be valid, by default now. Raises ``UnreadableChainError``.
    """
    if not chain:
        raise ValueError("a chain has at least one certificate")
    if sum(map(len, chain)) > LONGEST:
        raise UnreadableChainError(f"the chain has more than {LONGEST} bytes")
    context = TlsContext(TlsSettings("audit", ip_san, _CIPHERS, ("1.2",)), store, at=at)
    tls = context.connect(name)
    try:
        tls.start()
        try:
            tls.receive(_records(_message(_SERVER_HELLO, _server_hello()) + _message(_CERTIFICATE, _entries(chain))))
        except TlsError as error:
            # After the verification OpenSSL compares the key with the cipher suite, which says nothing about the chain.
            if not tls.verdict.leaf:
                raise UnreadableChainError(f"OpenSSL cannot read the chain: {error.reason}") from error
        return tls.verdict
    finally:
        tls.free()


def _server_hello() -> bytes:
    """Return the body of a ServerHello: version, random, no session, cipher suite, no compression, extensions."""
    extensions = _RENEGOTIATION_INFO
    return _TLS_1_2 + bytes(32) + b"\0" + _CIPHER_SUITE + b"\0" + len(extensions).to_bytes(2) + extensions


def _entries(chain: Sequence[bytes]) -> bytes:
    """Return the body of a Certificate message (RFC 5246 section 7.4.2)."""
    entries = b"".join(len(der).to_bytes(3) + der for der in chain)
    return len(entries).to_bytes(3) + entries


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3) + body


def _records(data: bytes) -> bytes:
    pieces = [data[at : at + _LARGEST_RECORD] for at in range(0, len(data), _LARGEST_RECORD)]
    return b"".join(bytes((_HANDSHAKE,)) + _TLS_1_2 + len(piece).to_bytes(2) + piece for piece in pieces)
