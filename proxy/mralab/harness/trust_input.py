"""Trusted certificates in the forms that test authors have: trustme, cryptography, PEM, files, our ``Certified``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from ..errors import TrustStoreError
from ..mocks.pki import Certified
from ..mocks.recipes import Authority, Leaf
from ..tls.trust_store import load_store, parse_pem

Trusted = Certified | Authority | Leaf | x509.Certificate | str | bytes | Path
"""A certificate (of a CA, or a server's own), PEM text or bytes, DER, or the path of a PEM file or folder."""


def certificates(*things: Trusted | Iterable[Trusted]) -> list[x509.Certificate]:
    """Return the certificates of all ``things``, in order; of a server's chain only the server's own.

    Raises:
        TrustStoreError: lists every problem in all of them.
    """
    result: list[x509.Certificate] = []
    problems: list[str] = []
    for thing in things:
        try:
            result += _certificates(thing)
        except TrustStoreError as error:
            problems += error.problems
    if problems:
        raise TrustStoreError(problems)
    return result


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
        [f"{thing!r}: not a certificate to trust"],
        "pass a trustme CA, an x509.Certificate, PEM, or the path of PEM files",
    )
