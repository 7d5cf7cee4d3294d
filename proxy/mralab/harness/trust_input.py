"""What is to be trusted, taken as it is: trustme, cryptography, PEM, files, and our own certificates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from ..errors import TrustStoreError
from ..mocks.pki import Certified
from ..mocks.recipes import Authority, Leaf
from ..tls.trust_store import load_store, parse_pem

Trusted = Certified | Authority | Leaf | x509.Certificate | str | bytes | Path
"""A certificate (of a CA, or a server's own); PEM text or bytes, or DER; the path of a PEM file or of a folder."""


def certificates(*things: Trusted | Iterable[Trusted]) -> list[x509.Certificate]:
    """Return the certificates of everything given, in order; of a server's chain only its own.

    Raises:
        TrustStoreError: every problem in all of it.
    """
    found: list[x509.Certificate] = []
    problems: list[str] = []
    for thing in things:
        try:
            found += _certificates(thing)
        except TrustStoreError as error:
            problems += error.problems
    if problems:
        raise TrustStoreError(problems)
    return found


def _certificates(thing: Trusted | Iterable[Trusted]) -> Iterable[x509.Certificate]:
    match thing:
        case x509.Certificate():
            return [thing]
        case Certified():
            return [thing.cert]
        case bytes():
            return parse_pem(thing, "the PEM given")
        case str() if "-----BEGIN" in thing:
            return parse_pem(thing.encode(), "the PEM given")
        case str() | Path():
            return load_store(Path(thing)).certificates
        case Leaf():  # before Authority: both have a private key
            return parse_pem(thing.cert_chain_pems[0].bytes(), "the LeafCert")
        case Authority():
            return parse_pem(thing.cert_pem.bytes(), "the CA")
        case Iterable():
            return certificates(*thing)
    raise TrustStoreError(
        [f"{thing!r}: is nothing to trust"], "take a trustme CA, an x509.Certificate, PEM, or a path of PEM files"
    )
