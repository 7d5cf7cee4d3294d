"""Look-alikes of given certificates: copies with new keys, which are accepted or refused as the originals are.

A copy has the original's bytes (names with their string types, dates, extensions in their order, unknown ones too),
except for what depends on keys: public key, signature, key identifiers and serial number. A key identifier or serial
number that occurs in several places is replaced by the same value everywhere, so that what matched still matches, and
what did not still does not. One key gives one new key, so re-issued and cross-signed CAs keep their shape. A
certificate that one of the others has signed is signed by that one's new key; any other by a stand-in for its issuer.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha1, shake_256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from ..core.log.escape import visible
from ..core.tls.der import SEQUENCE, NotDer, first, values
from .lookalike_keys import AnyKey, has_signed, key_of_signer, new_key, signer
from .pki import Certified
from .recipes import KEY_USAGES

_INTEGER, _BIT_STRING, _OCTET_STRING = 0x02, 0x03, 0x04
_VERSION, _EXTENSIONS = 0xA0, 0xA3  # RFC 5280 section 4.1
_KEY_ID, _SERIAL = 0x80, 0x82  # of an AuthorityKeyIdentifier, RFC 5280 section 4.2.1.1
_SUBJECT_KEY_ID: Final = bytes.fromhex("551d0e")
_AUTHORITY_KEY_ID: Final = bytes.fromhex("551d23")
_KEPT: Final = 4  # bytes: so short a serial number or key identifier may have a meaning (0, 1), and could coincide
_NOT_VALID: Final = {
    bytes.fromhex("2b06010401d679020402"): (  # 1.3.6.1.4.1.11129.2.4.2, RFC 6962 section 3.3
        "its signed certificate timestamps (SCT) are copied, but not valid for the copy"
    ),
    bytes.fromhex("2b06010505070118"): (  # 1.3.6.1.5.5.7.1.24, RFC 7633
        "it demands a stapled OCSP response, which no mock sends"
    ),
}
"""Extensions that are copied, but whose content depends on the original's signature or on its CA."""
_STAND_IN_VALID: Final = dt.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """The look-alikes of some certificates."""

    copies: Mapping[x509.Certificate, Certified]
    """Original -> its copy with the new key, without a chain. CAs whose keys are neither RSA nor EC are only in
    ``certificates``."""
    certificates: Mapping[x509.Certificate, x509.Certificate]
    """Original -> copy."""
    stand_ins: tuple[x509.Certificate, ...]
    """The CAs that were not among the originals, but have signed some of them."""
    differences: tuple[str, ...]
    """What could not be copied: a sentence each."""

    def presented(self, chain: Sequence[x509.Certificate]) -> Certified:
        """Return the copy of a chain, which begins with the server's certificate, in the same order."""
        leaf = self.copies[chain[0]]
        issuers = tuple(self.certificates[each] for each in chain[1:])
        return Certified(leaf.name, leaf.cert, leaf.key, issuers, leaf.issuer_key)

    def trusted(self, originals: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
        """Return the copies of the certificates in a trust store."""
        return tuple(self.certificates[each] for each in originals)


def mint_lookalikes(
    chains: Sequence[Sequence[x509.Certificate]],
    others: Sequence[x509.Certificate] = (),
    now: dt.datetime | None = None,
) -> Lookalikes:
    """Return look-alikes of the chains that servers present, server's certificate first, and of other certificates.

    A certificate that no chain can lead to is its own look-alike: a trust store may have a hundred, and a large RSA key
    takes seconds. ``now`` is the time when the stand-ins for issuers that were not given must be valid.
    """
    presented = tuple(dict.fromkeys(each for chain in chains for each in chain))
    originals = _referred_to(presented, tuple(dict.fromkeys(others)))
    servers = {chain[0] for chain in chains if chain}
    copies = _Copier(originals, servers, now or dt.datetime.now(dt.UTC)).copy()
    return replace(copies, certificates={**{each: each for each in others}, **copies.certificates})


def _referred_to(
    presented: Sequence[x509.Certificate], others: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return ``presented`` and those of ``others`` that may be above one of them: OpenSSL looks for issuers by name."""
    found = dict.fromkeys(presented)
    by_subject = _by_subject(others)
    waiting = list(presented)
    while waiting:
        for issuer in by_subject.pop(_comparable(waiting.pop().issuer), ()):
            if issuer not in found:
                found[issuer] = None
                waiting.append(issuer)
    return tuple(found)


def _by_subject(certificates: Iterable[x509.Certificate]) -> dict[str, list[x509.Certificate]]:
    found: dict[str, list[x509.Certificate]] = {}
    for each in certificates:
        found.setdefault(_comparable(each.subject), []).append(each)
    return found


class _Copier:
    """The originals with the new keys, and the values that replace key identifiers and serial numbers."""

    def __init__(self, originals: Sequence[x509.Certificate], servers: set[x509.Certificate], now: dt.datetime) -> None:
        self._originals = originals
        self._now = now
        self._differences: dict[str, None] = {}
        self._keys = self._new_keys(servers)
        self._identifiers: dict[bytes, bytes] = {}
        for each in originals:
            new = first(_encoded(self._keys[_public_key(each)]), SEQUENCE)
            self._identifiers.setdefault(_key_identifier(_public_key(each)), _key_identifier(new))
        self._stand_ins: dict[tuple[str, bytes], tuple[AnyKey, x509.Certificate]] = {}
        self._by_subject = _by_subject(originals)

    def copy(self) -> Lookalikes:
        copies: dict[x509.Certificate, Certified] = {}
        certificates: dict[x509.Certificate, x509.Certificate] = {}
        for each in self._originals:
            issuer_key = self._issuer_key(each)
            copied = certificates[each] = self._copied(each, issuer_key)
            key = self._keys[_public_key(each)]
            if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
                signing = issuer_key if isinstance(issuer_key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None
                copies[each] = Certified(title(each), copied, key, (), signing)
        stand_ins = tuple(certificate for _, certificate in self._stand_ins.values())
        return Lookalikes(copies, certificates, stand_ins, tuple(self._differences))

    # -- keys

    def _new_keys(self, servers: set[x509.Certificate]) -> dict[bytes, AnyKey]:
        """Return the new key of each public key: the same key in several certificates gives one new key."""
        owners: dict[bytes, x509.Certificate] = {}
        for each in self._originals:
            if _public_key(each) not in owners or each in servers:
                owners[_public_key(each)] = each
        with ThreadPoolExecutor() as pool:  # OpenSSL generates RSA keys without holding Python's lock
            made = list(pool.map(lambda each: new_key(each, for_server=each in servers), owners.values()))
        keys: dict[bytes, AnyKey] = {}
        for (public, owner), new in zip(owners.items(), made, strict=True):
            keys[public] = new.key
            if new.difference:
                self._note(owner, f"the copy {new.difference}")
            elif next(values(public)) != next(values(first(_encoded(new.key), SEQUENCE))):
                self._note(
                    owner, "the copy's public key is encoded as a named curve or as rsaEncryption, unlike its own"
                )
        return keys

    def _note(self, original: x509.Certificate, text: str) -> None:
        self._differences[f"{title(original)}: {text}."] = None

    def _issuer_key(self, original: x509.Certificate) -> AnyKey:
        """Return the new key of the original's issuer: one of the originals, or a stand-in."""
        unverifiable = []
        for candidate in self._by_subject.get(_comparable(original.issuer), []):
            match has_signed(candidate, original):
                case True:
                    return self._keys[_public_key(candidate)]
                case None:
                    unverifiable.append(candidate)
        wanted = _authority_key_id(original)
        for candidate in unverifiable:
            if not wanted or _subject_key_id(candidate) in (b"", wanted):
                return self._keys[_public_key(candidate)]
        return self._stand_in(original, wanted)

    def _stand_in(self, original: x509.Certificate, key_id: bytes) -> AnyKey:
        """Return the key of the stand-in for an issuer that was not given; one for each name and key identifier."""
        named = _comparable(original.issuer), key_id
        if named not in self._stand_ins:
            key = key_of_signer(original)
            self._stand_ins[named] = key, self._stand_in_certificate(original, key, key_id)
        missing = "was given with another key only" if named[0] in self._by_subject else "was not given"
        self._note(original, f"its issuer {_shown(original.issuer)} {missing}, so a stand-in has signed the copy")
        return self._stand_ins[named][0]

    def _stand_in_certificate(self, original: x509.Certificate, key: AnyKey, key_id: bytes) -> x509.Certificate:
        """Return a CA certificate that verifies the copy of ``original`` once it is trusted."""
        public = key.public_key()
        identifier = self._replacement_id(key_id) or x509.SubjectKeyIdentifier.from_public_key(public).digest
        usages = dict.fromkeys(KEY_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
        return (
            x509.CertificateBuilder()
            .subject_name(original.issuer)
            .issuer_name(original.issuer)
            .public_key(public)
            .serial_number(_authority_serial(original) or x509.random_serial_number())
            .not_valid_before(min(original.not_valid_before_utc, self._now - dt.timedelta(days=1)))
            .not_valid_after(max(original.not_valid_after_utc, self._now + _STAND_IN_VALID))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usages), critical=True)
            .add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
            .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256())
        )

    # -- certificates

    def _copied(self, original: x509.Certificate, issuer_key: AnyKey) -> x509.Certificate:
        (_, content), (_, algorithm) = list(values(first(original.public_bytes(Encoding.DER), SEQUENCE)))[:2]
        signing = signer(issuer_key, original, algorithm)
        if signing.difference:
            self._note(original, f"the copy {signing.difference}")
        fields = list(values(content))
        serial = 1 if fields[0][0] == _VERSION else 0  # absent in a certificate of version 1
        fields[serial] = _INTEGER, _replacement_serial(fields[serial][1])
        fields[serial + 1] = SEQUENCE, signing.algorithm
        fields[serial + 5] = SEQUENCE, first(_encoded(self._keys[_public_key(original)]), SEQUENCE)
        for at, (tag, value) in enumerate(fields):
            if tag == _EXTENSIONS:
                extensions = (self._extension(original, each) for _, each in values(first(value, SEQUENCE)))
                fields[at] = tag, _der(SEQUENCE, b"".join(extensions))
        signed = _der(SEQUENCE, _joined(fields))
        signature = _der(_BIT_STRING, b"\0" + signing.sign(signed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # the original is as odd
            return x509.load_der_x509_certificate(
                _der(SEQUENCE, signed + _der(SEQUENCE, signing.algorithm) + signature)
            )

    def _extension(self, original: x509.Certificate, content: bytes) -> bytes:
        """Return the copy of an extension: OBJECT IDENTIFIER, critical (optional), OCTET STRING."""
        fields = list(values(content))
        oid, value = fields[0][1], fields[-1][1]
        try:
            if oid == _SUBJECT_KEY_ID:
                fields[-1] = _OCTET_STRING, _der(_OCTET_STRING, self._replacement_id(first(value, _OCTET_STRING)))
            elif oid == _AUTHORITY_KEY_ID:
                parts = [self._authority_part(*part) for part in values(first(value, SEQUENCE))]
                fields[-1] = _OCTET_STRING, _der(SEQUENCE, _joined(parts))
        except NotDer:  # copied as it is: OpenSSL refuses the copy as it refuses the original
            pass
        if text := _NOT_VALID.get(oid):
            self._note(original, text)
        return _der(SEQUENCE, _joined(fields))

    def _authority_part(self, tag: int, value: bytes) -> tuple[int, bytes]:
        """Return a part of an AuthorityKeyIdentifier; the issuer's name is kept."""
        if tag == _KEY_ID:
            return tag, self._replacement_id(value)
        return tag, _replacement_serial(value) if tag == _SERIAL else value

    def _replacement_id(self, identifier: bytes) -> bytes:
        """Return the key identifier that replaces ``identifier`` everywhere, of the same length."""
        if identifier in self._identifiers or len(identifier) <= _KEPT:
            return self._identifiers.get(identifier, identifier)
        return shake_256(identifier).digest(len(identifier))


def title(certificate: x509.Certificate) -> str:
    """Return the name of a certificate in messages: its common name, or else its whole subject."""
    return _shown(certificate.subject)


def _shown(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(common[-1].value) if common else name.rfc4514_string()
    return visible(text) or "(a certificate without a subject)"


def _comparable(name: x509.Name) -> str:
    """Return a name as OpenSSL compares it: in any case, any string type, and with single blanks."""
    return " ".join(name.rfc4514_string().casefold().split())


def _replacement_serial(serial: bytes) -> bytes:
    """Return the serial number that replaces ``serial`` everywhere: of the same length and sign."""
    if len(serial) <= _KEPT:
        return serial
    return serial[:2] + shake_256(serial).digest(len(serial) - 2)  # DER limits the first nine bits


def _public_key(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo's content, also of a key that ``cryptography`` cannot load."""
    fields = list(values(first(certificate.tbs_certificate_bytes, SEQUENCE)))
    return fields[6 if fields[0][0] == _VERSION else 5][1]


def _encoded(key: AnyKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_identifier(public_key: bytes) -> bytes:
    """Return the usual key identifier (RFC 5280 section 4.2.1.2, method 1) of a SubjectPublicKeyInfo's content."""
    (_, _), (_, bits) = list(values(public_key))[:2]
    return sha1(bits[1:], usedforsecurity=False).digest()


def _subject_key_id(certificate: x509.Certificate) -> bytes:
    """Return the key identifier in the certificate; empty if it has none that can be read."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return b""


def _authority_key_id(certificate: x509.Certificate) -> bytes:
    """Return the key identifier of the issuer in the certificate; empty if it has none that can be read."""
    found = _authority(certificate)
    return (found.key_identifier if found is not None else None) or b""


def _authority_serial(certificate: x509.Certificate) -> int:
    """Return the serial number of the issuer in a copy; 0 if the original has none that can be read."""
    found = _authority(certificate)
    number = found.authority_cert_serial_number if found is not None else None
    if not number or number < 0:
        return 0
    return int.from_bytes(_replacement_serial(number.to_bytes(number.bit_length() // 8 + 1)))


def _authority(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _joined(fields: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(_der(tag, content) for tag, content in fields)


def _der(tag: int, content: bytes) -> bytes:
    """Return a DER value (X.690 section 8.1.3)."""
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
