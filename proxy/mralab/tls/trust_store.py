"""The trust store: the certificates that servers are verified against. It is loaded and replaced as a whole.

A store is a file or a folder of files. Anything in it that is not a certificate refuses the whole load, and the store
in use stays: falling back to fewer certificates would be falling back to no verification.
"""

from __future__ import annotations

import binascii
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.utils import CryptographyDeprecationWarning

from ..core.counting import counted
from ..core.tls.der import SEQUENCE, NotDer, first, values
from ..errors import TrustStoreError

_SUFFIXES: Final = frozenset((".pem", ".crt", ".cer", ".der", ".p7b", ".p7c"))
_LARGEST_FILE: Final = 16 << 20
"""Bytes. No file of certificates is larger, but /dev/zero is endless."""
_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "
_DASHES: Final = b"-----"
_LONGEST_LABEL: Final = 64
_NOT_LETTERS: Final = "- \t\r\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""Hyphens, the dashes that mail programs and word processors replace them with, and blanks."""
_BLANKS: Final = b" \t\r\n"

_KEY: Final = "holds a private key, so no certificate in it was loaded; use a file with the certificate only"
_REQUEST: Final = "is a certificate signing request (CSR): give the certificate that the CA issued for it"
_REVOCATIONS: Final = "is a certificate revocation list (CRL), not a certificate"
_PUBLIC_KEY: Final = "is a public key without a certificate"
_PKCS12: Final = (
    "is PKCS#12 (.p12, .pfx), which usually holds a private key, so nothing was loaded; "
    "export the certificates only: openssl pkcs12 -in FILE -nokeys"
)
_KEYSTORE: Final = "is a Java keystore: export its certificates: keytool -exportcert -rfc -keystore FILE -alias NAME"
_TRUSTED: Final = (
    "is in OpenSSL's own form (TRUSTED CERTIFICATE), whose trust settings are not supported: convert it: "
    "openssl x509 -in FILE"
)
_UTF16: Final = "is UTF-16 text: save it as ASCII or UTF-8"
_BARE_BASE64: Final = "is base64 without the lines '-----BEGIN CERTIFICATE-----' and '-----END CERTIFICATE-----'"

_CERTIFICATES: Final = frozenset(("CERTIFICATE", "X509 CERTIFICATE"))
_BUNDLES: Final = frozenset(("PKCS7", "CMS"))
_OTHERS: Final = {
    "TRUSTED CERTIFICATE": _TRUSTED,
    "CERTIFICATE REQUEST": _REQUEST,
    "NEW CERTIFICATE REQUEST": _REQUEST,
    "X509 CRL": _REVOCATIONS,
    "PUBLIC KEY": _PUBLIC_KEY,
    "RSA PUBLIC KEY": _PUBLIC_KEY,
}
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2, RFC 5652 section 5.1
_INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _VERSION = 0x02, 0x03, 0x04, 0x06, 0xA0
_TIMES: Final = (0x17, 0x18)  # UTCTime, GeneralizedTime


class TrustStore:
    """An immutable set of certificates. ``add`` and ``remove`` return a new store.

    A certificate that was given several times counts once.
    """

    __slots__ = ("certificates",)

    def __init__(self, certificates: Iterable[x509.Certificate] = ()) -> None:
        unique = {certificate.public_bytes(Encoding.DER): certificate for certificate in certificates}
        self.certificates: tuple[x509.Certificate, ...] = tuple(unique.values())

    def __len__(self) -> int:
        return len(self.certificates)

    def add(self, certificates: Iterable[x509.Certificate]) -> TrustStore:
        """Return this store with ``certificates`` added."""
        return TrustStore((*self.certificates, *certificates))

    def remove(self, certificates: Iterable[x509.Certificate]) -> TrustStore:
        """Return this store without ``certificates``."""
        removed = set(certificates)
        return TrustStore(certificate for certificate in self.certificates if certificate not in removed)


def parse_pem(data: bytes, source: str) -> list[x509.Certificate]:
    """Return all certificates of a file's content: PEM text, one DER certificate, or PKCS#7 (.p7b) in either form.

    Text between PEM blocks is ignored, as in OpenSSL. ``source`` names the file in messages. The time is linear in the
    size of ``data``. Raises ``TrustStoreError`` with every problem.
    """
    if problem := _not_text(data):
        raise TrustStoreError([f"{source}: {problem}"])
    try:
        if _looks_like_der(data):
            return _from_der(data)
    except ValueError as error:
        raise TrustStoreError([f"{source}: {error}"]) from error
    certificates: list[x509.Certificate] = []
    problems: list[str] = []
    blocks = 0
    for block in _blocks(data):
        blocks += 1
        try:
            certificates += block.certificates()
        except ValueError as error:
            problems.append(f"{source}:{block.line}: {error}")
    if not blocks:
        bare = data[:200].lstrip().startswith(b"MI") and not data.translate(None, _BASE64 + _BLANKS)
        problems.append(f"{source}: {_BARE_BASE64 if bare else 'holds no PEM certificate'}")
    if problems:
        raise TrustStoreError(problems)
    return certificates


_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


def _not_text(data: bytes) -> str:
    """Return why a file is neither DER nor text that could hold PEM, or nothing."""
    if not data.strip():
        return "is empty"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"-\0-\0" in data[:4096] or b"\0-\0-" in data[:4096]:
        return _UTF16
    if data[:4] in (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"):  # JKS, JCEKS
        return _KEYSTORE
    if b"\0" in data and not _looks_like_der(data):
        return f"is not PEM text: it has a NUL character at byte {data.index(0) + 1}"
    return ""


def _looks_like_der(data: bytes) -> bool:
    """Return whether data is a SEQUENCE: its length has several bytes, which are not ASCII, or one that is exact."""
    return len(data) > 2 and data[0] == SEQUENCE and (data[1] >= 0x80 or data[1] + 2 == len(data))


class _Block(NamedTuple):
    """A PEM block, or a remnant of one. ``problem``: why it cannot be decoded. ``line`` counts from 1."""

    line: int
    label: str
    body: bytes
    problem: str = ""

    def certificates(self) -> list[x509.Certificate]:
        """Return the certificates in it. Raises ``ValueError``."""
        if self.problem:
            raise ValueError(self.problem)
        if self.label.endswith("PRIVATE KEY"):
            raise ValueError(_KEY)
        if self.label in _OTHERS:
            raise ValueError(_OTHERS[self.label])
        if self.label not in _CERTIFICATES | _BUNDLES:
            raise ValueError(f"a PEM block {self.label!a} in a trust store, not a certificate")
        der = self._decoded()
        return _bundle(der) if self.label in _BUNDLES else [_certificate(der)]

    def _decoded(self) -> bytes:
        body = self.body.translate(None, _BLANKS)
        if not body:
            raise ValueError("a certificate that is empty")
        if b":" in self.body:
            raise ValueError("a certificate with header lines (RFC 1421): remove them")
        try:
            return binascii.a2b_base64(body, strict_mode=True)
        except binascii.Error as error:
            raise ValueError(f"a certificate that cannot be read: it is not base64 ({str(error).lower()})") from None


def _blocks(data: bytes) -> Iterator[_Block]:
    """Yield every PEM block and every remnant of one, in linear time.

    A block ends before the next ``-----BEGIN``, complete or not.
    """
    line, at = 1, 0
    start = data.find(_BEGIN)
    while start >= 0:
        yield from _remnants(data[at:start], line)
        line += data.count(b"\n", at, start)
        following = data.find(_BEGIN, start + len(_BEGIN))
        limit = following if following >= 0 else len(data)
        block, at = _block(data, start, limit, line)
        yield block
        line += data.count(b"\n", start, at)
        start = following
    yield from _remnants(data[at:], line)


def _block(data: bytes, start: int, limit: int, line: int) -> tuple[_Block, int]:
    """Read the block at ``start``, which ends before ``limit``. Return it and the index of the text after it."""
    named = start + len(_BEGIN)
    end_of_label = data.find(_DASHES, named, min(limit, named + _LONGEST_LABEL + len(_DASHES)))
    if end_of_label < 0:
        return _Block(line, "", b"", "a line begins with '-----BEGIN ' and does not end in '-----'"), limit
    label = data[named:end_of_label]
    body = end_of_label + len(_DASHES)
    final = _END + label + _DASHES
    end = data.find(final, body, limit)
    text = label.decode("latin-1")
    if end < 0:
        missing = f"'-----BEGIN {ascii(text)[1:-1]}-----' without its '-----END': the file is cut short or damaged"
        return _Block(line, text, b"", missing), limit
    return _Block(line, text, data[body:end]), end + len(final)


def _remnants(text: bytes, line: int) -> Iterator[_Block]:
    """Yield damaged BEGIN and END lines between blocks: their certificate would otherwise be ignored silently."""
    if b"BEGIN " not in text and _END not in text:
        return
    for number, raw in enumerate(text.split(b"\n"), line):
        word = raw.decode("utf-8", "replace").strip(_NOT_LETTERS)
        action, _, label = word.partition(" ")
        known = label in _CERTIFICATES or label in _BUNDLES or label in _OTHERS or label.endswith("PRIVATE KEY")
        if action == "BEGIN" and known:
            yield _Block(number, label, b"", f"'-----BEGIN {label}-----' is spelled {raw.decode('latin-1')!a}")
            return  # the rest of this text belongs to this block, with its END line
        if action == "END" and known:
            yield _Block(number, label, b"", f"'-----END {label}-----' without its '-----BEGIN': the file is damaged")


def _from_der(data: bytes) -> list[x509.Certificate]:
    """Return the certificate, or those of the PKCS#7 bundle. Raises ``ValueError``, which says what the data is."""
    try:
        outer = list(values(first(data, SEQUENCE)))
    except NotDer:
        raise ValueError("is DER that is cut short or damaged") from None
    if outer and outer[0] == (_OID, _SIGNED_DATA):
        return _bundle(data)
    if problem := _other_der(outer):
        raise ValueError(problem)
    return [_certificate(data)]


def _other_der(outer: list[tuple[int, bytes]]) -> str:
    """Return what a DER value is if it is not a certificate, from its outer fields; empty if it may be one."""
    tags = [tag for tag, _ in outer]
    if tags[:2] == [_INTEGER, SEQUENCE] and outer[0][1] == b"\x03":  # PFX, RFC 7292 section 4
        return _PKCS12
    # RFC 5958 section 2 (version 0 or 1), RFC 8017 appendix A.1.2, RFC 5915 section 3; encrypted: RFC 5958 section 3
    if tags[:2] in ([_INTEGER, SEQUENCE], [_INTEGER, _OCTET_STRING]) or tags == [SEQUENCE, _OCTET_STRING]:
        return _KEY
    if tags[:2] == [_INTEGER, _INTEGER]:
        return _KEY if len(tags) > 2 else _PUBLIC_KEY
    if tags == [SEQUENCE, _BIT_STRING]:
        return _PUBLIC_KEY
    if tags == [SEQUENCE, SEQUENCE, _BIT_STRING]:
        try:
            inner = list(values(outer[0][1]))
        except NotDer:
            return ""
        inner_tags = [tag for tag, _ in inner]
        if inner_tags[:3] == [_INTEGER, SEQUENCE, SEQUENCE] and inner_tags[3:4] == [_VERSION]:  # RFC 2986 section 4
            return _REQUEST
        rest = inner_tags[inner_tags[:1] == [_INTEGER] :]
        if rest[:2] == [SEQUENCE, SEQUENCE] and rest[2:3] and rest[2] in _TIMES:  # RFC 5280 section 5.1
            return _REVOCATIONS
    return ""


def _certificate(der: bytes) -> x509.Certificate:
    """Return the certificate. Raises ``ValueError``, which says what is wrong with it."""
    try:
        after = len(der) - len(first(der, SEQUENCE)) - _header_size(der)
    except NotDer:
        raise ValueError("a certificate that cannot be read: it is cut short or damaged") from None
    if after:
        raise ValueError(f"a certificate with {counted(after, 'byte')} after it, not a certificate")
    return _checked(lambda: [x509.load_der_x509_certificate(der)])[0]


def _header_size(der: bytes) -> int:
    """Return the number of bytes of a DER value's tag and length (X.690 section 8.1.3)."""
    return 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)


def _bundle(der: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PKCS#7 SignedData. Raises ``ValueError``."""
    try:
        return _checked(lambda: pkcs7.load_der_pkcs7_certificates(der))
    except ValueError as error:
        raise ValueError(f"a PKCS#7 bundle that cannot be read: {error}") from None


def _checked(load: Callable[[], list[x509.Certificate]]) -> list[x509.Certificate]:
    """Load certificates, and read the fields that the control API shows. Raises ``ValueError`` with one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # odd certificates are accepted
            certificates = load()
            for each in certificates:
                _ = (each.subject, each.issuer, each.not_valid_before_utc, each.not_valid_after_utc)  # each may raise
    # TypeError: a name that is not text, such as a BIT STRING
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"a certificate that cannot be read: {reason}") from None
    if not certificates:
        raise ValueError("holds no certificate")
    return certificates


def load_store(path: Path) -> TrustStore:
    """Load a file, or a folder's certificate files in the order of their names.

    An empty folder is a store without certificates. Raises ``TrustStoreError`` with every problem in the files.
    """
    return TrustStore(chain.from_iterable(load_certificates(certificate_files(path))))


def certificate_files(path: Path) -> list[Path]:
    """Return a file, or a folder's certificate files in the order of their names.

    These are ``*.pem``, ``*.crt``, ``*.cer``, ``*.der``, ``*.p7b`` and ``*.p7c``, in upper or lower case. Raises
    ``TrustStoreError`` if the folder cannot be read.
    """
    try:
        return sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
    except OSError as error:
        raise TrustStoreError([f"{path}: cannot be read: {error.strerror}"]) from error


def load_certificates(files: Iterable[Path]) -> list[list[x509.Certificate]]:
    """Return the certificates of each file. Raises ``TrustStoreError`` with every problem in the files."""
    certificates: list[list[x509.Certificate]] = []
    problems: list[str] = []
    for file in files:
        try:
            with file.open("rb") as stream:
                data = stream.read(_LARGEST_FILE + 1)
            if len(data) > _LARGEST_FILE:
                problems.append(f"{file}: too large for a file of certificates (over {_LARGEST_FILE >> 20} MB)")
            else:
                certificates.append(parse_pem(data, str(file)))
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror}")
        except TrustStoreError as error:
            problems += error.problems
    if problems:
        raise TrustStoreError(problems)
    return certificates
