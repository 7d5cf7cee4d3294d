"""SHA-256 fingerprints of certificates as Expressway and OpenSSL print them: ``AB:CD:..``, 32 bytes."""

from __future__ import annotations

from hashlib import sha256


def fingerprint(der: bytes) -> str:
    """Return the fingerprint of a certificate given in DER."""
    return _printed(sha256(der).digest())


def canonical_fingerprint(text: str) -> str:
    """Return a fingerprint in the printed form, from hexadecimal digits in either case, with or without colons.

    Raises ``ValueError`` for any other text. The number of bytes is not checked.
    """
    return _printed(bytes.fromhex(text.replace(":", "")))


def _printed(digest: bytes) -> str:
    return digest.hex(":").upper()
