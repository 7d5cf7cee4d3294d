"""The part of DER that certificates need (X.690 section 10.1): low tags, definite lengths.

Certificates are read from their bytes, as OpenSSL reads them. ``cryptography`` refuses a whole certificate for one odd
string, date or version, although OpenSSL accepts it and Traffic Server verifies it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SEQUENCE: Final = 0x30


class NotDer(ValueError):  # noqa: N818 - a result that callers handle
    """The bytes are not the expected well-formed DER value."""


def values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each DER value in ``data``. Raises ``NotDer``."""
    at, end = 0, len(data)
    while at < end:
        if end - at < 2 or data[at] & 0x1F == 0x1F:
            raise NotDer
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4 or end - at < octets:
                raise NotDer
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if end - at < length:
            raise NotDer
        yield tag, data[at : at + length]
        at += length


def first(data: bytes, tag: int) -> bytes:
    """Return the content of the first value in ``data``, which must have ``tag``. Raises ``NotDer``."""
    found, content = next(values(data), (None, b""))
    if found != tag:
        raise NotDer
    return content


def certificate_parts(certificate: bytes) -> tuple[bytes, bytes]:
    """Return the contents of a certificate's TBSCertificate and signatureAlgorithm. Raises ``NotDer``."""
    parts = list(values(first(certificate, SEQUENCE)))
    if [tag for tag, _ in parts[:2]] != [SEQUENCE, SEQUENCE]:
        raise NotDer
    return parts[0][1], parts[1][1]
