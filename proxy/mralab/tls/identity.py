"""The proxy's own certificate with chain and private key, presented to servers that request it.

The files are read and checked at start, at a reload and at a change of the configuration; otherwise the key of another
certificate would fail in the middle of a handshake. The key is in memory and on the channel to the workers, and never
in a message.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import SSL

from ..errors import ConfigError

_CERTIFICATES: Final = frozenset((b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"))
_KEYS: Final = frozenset((b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY", b"DSA PRIVATE KEY"))
_ENCRYPTED: Final = b"ENCRYPTED PRIVATE KEY"
_PARAMETERS: Final = frozenset((b"EC PARAMETERS", b"DH PARAMETERS"))  # ``openssl ecparam -genkey`` writes them too
_LARGEST_FILE: Final = 1 << 20  # bytes
_MOST_PROBLEMS: Final = 20  # per file
_CERTIFICATE_KEY, _KEY_KEY = "upstream.certificate", "upstream.key"


class Identity:
    """The proxy's own certificate: ``certificates`` (its own first, then the chain) and the private key."""

    __slots__ = ("_key", "certificates")

    def __init__(self, certificates: tuple[x509.Certificate, ...], key: PrivateKeyTypes) -> None:
        self.certificates = certificates
        self._key = key

    def __repr__(self) -> str:
        return f"<Identity {self.certificates[0].subject.rfc4514_string()}>"

    def __reduce__(self) -> str:
        raise TypeError("an identity is not pickled: it holds a private key")

    def use_in(self, context: SSL.Context) -> None:
        """Present it in connections of a context. Raises ``SSL.Error`` or ``TypeError`` if OpenSSL cannot use it."""
        own, *chain = self.certificates
        context.use_certificate(own)
        for certificate in chain:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(self._key)  # type: ignore[arg-type]  # other kinds of keys raise TypeError
        context.check_privatekey()

    def secret_pem(self) -> str:
        """Return certificates and private key in PEM. Only for another process of the proxy."""
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.certificates)
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (pem + key).decode("ascii")


class _Block(NamedTuple):
    """One PEM block of a file, with the number of its first line."""

    label: bytes
    pem: bytes
    line: int


class _Contents(NamedTuple):
    """The contents of one file."""

    certificates: list[x509.Certificate]
    keys: list[PrivateKeyTypes]
    found_keys: int
    """Number of keys in the file, readable or not."""
    cut: bool
    """A block has no end, so the file may lack more than it shows."""


def load_identity(certificate: Path, key: Path | None = None) -> Identity:
    """Read a certificate with its chain, and its private key from the same file or from ``key``.

    The PEM blocks may be in any order, except that the chain follows its certificate. Raises ``ConfigError`` with every
    problem in the files; no message has any part of a key.
    """
    problems: list[str] = []
    contents = _read(_CERTIFICATE_KEY, certificate, problems)
    if contents is not None and not contents.certificates and not problems:
        problems.append(f"{_CERTIFICATE_KEY}: {certificate} holds no certificate")
    source, key_file, keys = _CERTIFICATE_KEY, certificate, contents
    if key is not None and key != certificate:
        if contents is not None and contents.found_keys:
            problems.append(f"{_CERTIFICATE_KEY}: {certificate} holds a private key, and {_KEY_KEY} names {key} for it")
        source, key_file, keys = _KEY_KEY, key, _read(_KEY_KEY, key, problems)
    if keys is not None and keys.found_keys != 1 and not (keys.cut and not keys.found_keys):
        count = f"{keys.found_keys} private keys; one is needed" if keys.found_keys else "no private key"
        hint = "" if keys.found_keys or key is not None else f"; add it, or name its file as {_KEY_KEY}"
        problems.append(f"{source}: {key_file} holds {count}{hint}")
    elif contents is not None and contents.certificates and keys is not None and keys.keys:
        problems += _mismatch(contents.certificates, keys.keys[0], source, key_file)
    if problems or contents is None or keys is None:
        raise ConfigError(problems)
    return Identity(tuple(contents.certificates), keys.keys[0])


def parse_identity(pem: str) -> Identity:
    """Read the result of ``Identity.secret_pem``. Raises ``ConfigError``."""
    problems: list[str] = []
    contents = _parse("the identity of the main process", pem.encode("ascii"), problems)
    if problems or not contents.certificates or not contents.keys:
        raise ConfigError(problems or ["the identity of the main process is incomplete"])
    return Identity(tuple(contents.certificates), contents.keys[0])


def _read(source: str, path: Path, problems: list[str]) -> _Contents | None:
    """Read a file. Return None if it is unusable, and add the reason to ``problems``."""
    try:
        if path.exists() and not path.is_file():
            problems.append(f"{source}: {path} is not a file")
            return None
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        problems.append(f"{source}: {path} cannot be read: {error.strerror}")
        return None
    if len(data) > _LARGEST_FILE:
        problems.append(f"{source}: {path} has more than {_LARGEST_FILE} bytes: not a certificate with its key")
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.append(f"{source}: {path} is UTF-16 text; PEM is ASCII: save it as such")
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")  # byte order mark of UTF-8, which some editors add
    if data[:1] == b"\x30":  # a SEQUENCE of DER
        problems.append(f"{source}: {path} is binary (DER or PKCS #12); PEM is needed, as 'openssl' converts it")
        return None
    before = len(problems)
    contents = _parse(f"{source}: {path}", data, problems)
    if (more := len(problems) - before - _MOST_PROBLEMS) > 0:
        del problems[before + _MOST_PROBLEMS :]
        problems.append(f"{source}: {path}: and {more} more problems")
    if len(problems) == before and not contents.certificates and not contents.found_keys:
        problems.append(f"{source}: {path} holds neither certificate nor private key in PEM")
        return None
    return contents


def _parse(source: str, data: bytes, problems: list[str]) -> _Contents:
    certificates: list[x509.Certificate] = []
    keys: list[PrivateKeyTypes] = []
    found_keys, before = 0, len(problems)
    blocks = _blocks(source, data, problems)
    cut = len(problems) > before
    for label, pem, line in blocks:
        if label in _CERTIFICATES:
            try:
                certificates.append(_certificate(pem))
            except ValueError as error:
                reason = "damaged base64" if "PEM" in str(error) else str(error).partition("\n")[0]
                problems.append(f"{source}:{line}: a certificate that cannot be read: {reason}")
        elif label == _ENCRYPTED or (label in _KEYS and b"ENCRYPTED" in pem):
            found_keys += 1
            problems.append(f"{source}:{line}: the private key is encrypted; one without a passphrase is needed")
        elif label in _KEYS:
            found_keys += 1
            try:
                keys.append(_private_key(pem))
            except (ValueError, TypeError, UnsupportedAlgorithm):  # the exception's text could quote the key
                problems.append(f"{source}:{line}: the private key cannot be read")
        elif label.endswith(b"PRIVATE KEY"):
            found_keys += 1
            what = label.decode("ascii", "replace")
            problems.append(f"{source}:{line}: a private key in another format ({what!r:.60}); PKCS #8 is needed")
        elif label not in _PARAMETERS:
            what = label.decode("ascii", "replace").lower()
            problems.append(f"{source}:{line}: a PEM block {what!r:.60}: neither a certificate nor a private key")
    return _Contents(certificates, keys, found_keys, cut)


def _blocks(source: str, data: bytes, problems: list[str]) -> list[_Block]:
    """Return the PEM blocks of a text, in one pass over its lines; text around them is ignored."""
    blocks: list[_Block] = []
    label: bytes | None = None
    first_line, lines, headers = 0, list[bytes](), False
    for number, raw in enumerate(data.splitlines(), 1):
        line = raw.strip()
        if line.startswith(b"-----BEGIN ") and line.endswith(b"-----"):
            if label is not None:
                problems.append(f"{source}:{first_line}: a '-----BEGIN' without its '-----END'")
            label, first_line, lines, headers = line[11:-5], number, [line], False
        elif label is not None:
            headers = headers or b":" in line
            if line or headers:  # a blank line ends headers; elsewhere it has no meaning
                lines.append(line)
            if line == b"-----END " + label + b"-----":
                blocks.append(_Block(label, b"\n".join([*lines, b""]), first_line))
                label = None
    if label is not None:
        problems.append(
            f"{source}:{first_line}: a '-----BEGIN' without its '-----END': the file is cut short or damaged"
        )
    return blocks


def _certificate(pem: bytes) -> x509.Certificate:
    """Read one certificate. Raises ``ValueError``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # odd certificates are accepted
        try:
            return x509.load_pem_x509_certificate(pem)
        except x509.InvalidVersion as error:
            raise ValueError(str(error)) from error


def _private_key(pem: bytes) -> PrivateKeyTypes:
    """Read a private key without a passphrase. Raises ``ValueError``, ``TypeError`` or ``UnsupportedAlgorithm``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # old kinds of keys are accepted
        return load_pem_private_key(pem, None)


def _mismatch(certificates: list[x509.Certificate], key: PrivateKeyTypes, source: str, key_file: Path) -> list[str]:
    """Return why certificate and key cannot be used together, or nothing."""
    own, public = certificates[0], _encoded(key.public_key())
    try:
        matching = [
            number for number, certificate in enumerate(certificates, 1) if _encoded(certificate.public_key()) == public
        ]
    except (ValueError, UnsupportedAlgorithm):
        return [f"{_CERTIFICATE_KEY}: the public key of a certificate cannot be read"]
    if not matching:
        return [f"{source}: {key_file}: the private key is not that of {own.subject.rfc4514_string()}"]
    if matching[0] != 1:
        return [
            f"{source}: {key_file}: the private key is that of certificate {matching[0]}, which must come first, with"
            f" its chain after it (the first is {own.subject.rfc4514_string()})"
        ]
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    try:
        Identity(tuple(certificates), key).use_in(context)
    except (SSL.Error, TypeError, ValueError):
        return [f"{_CERTIFICATE_KEY}: OpenSSL cannot use {own.subject.rfc4514_string()} and its key in TLS"]
    return []


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
