"""The trust store: certificates that servers are verified against. Loaded whole, swapped whole.

A store is a PEM file or a folder of them. Anything in it that is no certificate refuses the whole load and the
running store stays: falling back to less would be falling back to no verification.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from ..errors import TrustStoreError

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
_SUFFIXES = frozenset((".pem", ".crt", ".cer"))


class TrustStore:
    """An immutable set of certificates. ``add`` and ``remove`` give a new store.

    A certificate counts once, however often a file holds it.
    """

    __slots__ = ("certificates",)

    def __init__(self, certificates: Iterable[x509.Certificate] = ()) -> None:
        unique = {certificate.public_bytes(Encoding.DER): certificate for certificate in certificates}
        self.certificates: tuple[x509.Certificate, ...] = tuple(unique.values())

    def __len__(self) -> int:
        return len(self.certificates)

    def add(self, certificates: Iterable[x509.Certificate]) -> TrustStore:
        """This store with ``certificates`` in it too."""
        return TrustStore((*self.certificates, *certificates))

    def remove(self, certificates: Iterable[x509.Certificate]) -> TrustStore:
        """This store without ``certificates``."""
        gone = set(certificates)
        return TrustStore(certificate for certificate in self.certificates if certificate not in gone)


def parse_pem(data: bytes, source: str) -> list[x509.Certificate]:
    """All certificates of a PEM text (or one DER certificate). Raises ``TrustStoreError`` with every problem."""
    if data[:2] == b"\x30\x82":
        try:
            return [_load(data, x509.load_der_x509_certificate)]
        except ValueError as error:
            raise TrustStoreError([f"{source}: is no DER certificate: {error}"]) from error
    certificates: list[x509.Certificate] = []
    problems: list[str] = []
    blocks = list(_BLOCK.finditer(data))
    for block in blocks:
        line = data.count(b"\n", 0, block.start()) + 1
        if block[1] not in _CERTIFICATES:
            problems.append(f"{source}:{line}: a {block[1].decode().lower()} in a trust store, not a certificate")
            continue
        try:
            certificates.append(_load(block[0], x509.load_pem_x509_certificate))
        except ValueError as error:
            problems.append(f"{source}:{line}: a certificate that cannot be read: {str(error).splitlines()[0]}")
    if data.count(b"-----BEGIN ") > len(blocks):
        problems.append(f"{source}: a '-----BEGIN' without its '-----END': the file is cut short or damaged")
    elif not blocks:
        problems.append(f"{source}: holds no PEM certificate")
    if problems:
        raise TrustStoreError(problems)
    return certificates


def _load(data: bytes, load: Callable[[bytes], x509.Certificate]) -> x509.Certificate:
    """One certificate. Raises ``ValueError`` for whatever is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # odd, but a certificate
            return load(data)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from error


def load_store(path: Path) -> TrustStore:
    """Load a file, or a folder's ``*.pem``, ``*.crt`` and ``*.cer`` files in the order of their names.

    Raises ``TrustStoreError`` with every problem in it; an empty folder trusts nothing.
    """
    try:
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    except OSError as error:
        raise TrustStoreError([f"{path}: cannot be read: {error.strerror}"]) from error
    certificates: list[x509.Certificate] = []
    problems: list[str] = []
    for file in files:
        try:
            certificates += parse_pem(file.read_bytes(), str(file))
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror}")
        except TrustStoreError as error:
            problems += error.problems
    if problems:
        raise TrustStoreError(problems)
    return TrustStore(certificates)
