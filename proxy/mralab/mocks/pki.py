"""The lab's certificates, minted at each run from the recipes in ``certs/pki.toml``.

An RSA key takes about 60 ms to generate, everything else less than a millisecond. So a certificate is minted on first
access, with its own key and its issuers' generated in parallel threads. RSA keys are cached for the life of the
process, by recipe name and size: a second ``Pki`` in the process has the same RSA keys under new certificates. This is
harmless in a lab, where no key protects anything. Two recipes never share a key, and ``fresh=True`` generates new
ones. EC keys are always new.
"""

from __future__ import annotations

import copy
import datetime as dt
import ipaddress
import os
import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..core.nearest import did_you_mean
from ..core.tls.fingerprint import fingerprint
from ..data import data_path
from ..errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Recipes = Mapping[str, Mapping[str, Any]]
"""Tables as parsed from TOML: recipe name -> key -> value. ``certs/pki.toml`` documents the keys."""

_RSA_BITS: Final = {"rsa2048": 2048}
_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {"ec-p256": ec.SECP256R1, "ec-p384": ec.SECP384R1}
_KEY_TYPES: Final = (*_RSA_BITS, *_CURVES)
_SUBJECT_TYPES: Final = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
_PURPOSES: Final = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "anyExtendedKeyUsage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_USAGES: Final = {  # RFC 5280 4.2.1.3 -> the names of cryptography
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate with its key and its issuers, root last; no issuers if it is self-signed."""

    name: str
    cert: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()
    issuer_key: Key | None = field(default=None, repr=False)
    """The issuer's key if known; needed to sign the certificate again."""

    @property
    def pem(self) -> str:
        """PEM of the certificate alone, for a trust store."""
        return _pem(self.cert)

    @property
    def key_pem(self) -> str:
        """PEM of the private key, unencrypted PKCS #8."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")

    @property
    def chain_pem(self) -> str:
        """PEM of the certificate and its issuers, root included, as CUCM sends them (the article's capture, 8443)."""
        return "".join(_pem(cert) for cert in (self.cert, *self.chain))

    @property
    def fingerprint(self) -> str:
        """SHA-256 fingerprint, as ``AB:CD:...``."""
        return fingerprint(self.cert.public_bytes(serialization.Encoding.DER))

    @property
    def kind(self) -> str:
        """Type of the key: ``"rsa"`` or ``"ec"``."""
        return "rsa" if isinstance(self.key, rsa.RSAPrivateKey) else "ec"


@dataclass(frozen=True, slots=True)
class _Recipe:
    name: str
    subject: x509.Name
    key: str
    issuer: str
    ca: bool
    path_length: int | None
    sans: tuple[x509.GeneralName, ...]
    eku: tuple[x509.ObjectIdentifier, ...]
    key_usage: frozenset[str]
    days: tuple[float, float]


class Pki(Mapping[str, Certified]):
    """Certificates by recipe name; each is minted on first access and then kept."""

    def __init__(self, recipes: Mapping[str, _Recipe], now: dt.datetime, *, fresh: bool, tables: Recipes) -> None:
        self._recipes = recipes
        self._tables = tables
        self._now = now
        self._minted: dict[str, Certified] = {}
        self._lock = threading.RLock()
        self._fresh = fresh

    def __getitem__(self, name: str) -> Certified:
        with self._lock:
            if name not in self._minted:
                self._minted[name] = self._mint(self._recipes[name])
            return self._minted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._recipes)

    def __len__(self) -> int:
        return len(self._recipes)

    def __repr__(self) -> str:
        return f"Pki({', '.join(self._recipes)})"

    @property
    def authorities(self) -> tuple[str, ...]:
        """Names of the recipes that issue others. Nothing is minted."""
        issuers = {recipe.issuer for name, recipe in self._recipes.items() if recipe.issuer != name}
        return tuple(name for name in self._recipes if name in issuers)

    def extended(self, recipes: Recipes, source: str = "recipes") -> Pki:
        """Return these certificates and those of further recipes, which these may issue.

        What both have is the same: nothing is minted twice. Raises ``ConfigError`` with every problem in ``recipes``,
        and for the name of a recipe that is there already.
        """
        if taken := [name for name in recipes if name in self._tables]:
            raise ConfigError([f"{source}: [{name}] exists already" for name in taken])
        tables = {**self._tables, **recipes}
        return _Extended(self, _check(tables, source), self._now, fresh=self._fresh, tables=tables)

    def write(self, directory: Path) -> None:
        """Write NAME.pem (with its chain) and NAME.key (readable by its owner only) for every recipe."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, certified in self.items():
            (directory / f"{name}.pem").write_text(certified.chain_pem, encoding="ascii")
            key_file = directory / f"{name}.key"
            key_file.unlink(missing_ok=True)  # an older file may be readable by others
            descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(certified.key_pem)

    def _mint(self, recipe: _Recipe) -> Certified:
        bits = _RSA_BITS.get(recipe.key)
        pending = None if bits is None else _rsa_key(recipe.name, bits, self._fresh)
        issuer = None if recipe.issuer == recipe.name else self[recipe.issuer]  # minted while the key is generated
        key: Key = ec.generate_private_key(_CURVES[recipe.key]()) if pending is None else pending.result()
        if issuer is None:
            return Certified(recipe.name, _sign(recipe, key, recipe.subject, key, self._now), key, issuer_key=key)
        cert = _sign(recipe, key, issuer.cert.subject, issuer.key, self._now)
        return Certified(recipe.name, cert, key, (issuer.cert, *issuer.chain), issuer.key)


class _Extended(Pki):
    """Certificates of further recipes; the others are those of ``base``."""

    def __init__(self, base: Pki, recipes: Mapping[str, _Recipe], now: dt.datetime, *, fresh: bool, tables: Recipes):
        super().__init__(recipes, now, fresh=fresh, tables=tables)
        self._base = base

    def __getitem__(self, name: str) -> Certified:
        return self._base[name] if name in self._base else super().__getitem__(name)


def read_recipes(file: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return the recipes of a file, by default the lab's own. ``mint`` checks their values.

    The lab's own are parsed once: the checks of the shipped scenarios read them some 140 times. Callers may change
    what they get.

    Raises:
        ConfigError: the file cannot be read, is not TOML (with the line), or has keys outside of tables.
    """
    if file is None:
        return copy.deepcopy(_shipped_recipes())
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{file}: {error.strerror}"]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{file}: {error}"]) from error
    if misplaced := [key for key, value in tables.items() if not isinstance(value, dict)]:
        raise ConfigError([f"{file}: {key}: must be in the table of a certificate" for key in misplaced])
    return tables


@cache
def _shipped_recipes() -> dict[str, dict[str, Any]]:
    return read_recipes(data_path("certs/pki.toml"))


def mint(
    recipes: Recipes | None = None,
    now: dt.datetime | None = None,
    *,
    fresh: bool = False,
    source: str = "certs/pki.toml",
) -> Pki:
    """Check all recipes (``certs/pki.toml`` by default) and return their certificates.

    ``now`` is day 0 of the recipes. ``fresh`` generates RSA keys that nothing else in the process uses. ``source`` is
    the file name for error messages.

    Raises:
        ConfigError: lists every problem in the recipes.
    """
    tables = read_recipes() if recipes is None else recipes
    return Pki(_check(tables, source), now or dt.datetime.now(dt.UTC), fresh=fresh, tables=tables)


_rsa_lock = threading.Lock()
_rsa_keys: dict[tuple[str, int], Future[rsa.RSAPrivateKey]] = {}


def _rsa_key(name: str, bits: int, fresh: bool) -> Future[rsa.RSAPrivateKey]:
    with _rsa_lock:
        if not fresh and (name, bits) in _rsa_keys:
            return _rsa_keys[name, bits]
        pending: Future[rsa.RSAPrivateKey] = Future()
        if not fresh:
            _rsa_keys[name, bits] = pending
    # A thread that ends with its key, not a pool: idle threads are a hazard to a process that forks.
    threading.Thread(target=_generate, args=(pending, bits), name=f"rsa-key-{name}").start()
    return pending


def _generate(pending: Future[rsa.RSAPrivateKey], bits: int) -> None:
    try:
        pending.set_result(rsa.generate_private_key(65537, bits))
    except Exception as error:  # raised where the key is used
        pending.set_exception(error)


def _sign(recipe: _Recipe, key: Key, issuer: x509.Name, issuer_key: Key, now: dt.datetime) -> x509.Certificate:
    start, end = (now + dt.timedelta(days=days) for days in recipe.days)
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(recipe.subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        # Critical, as RFC 5280 4.2.1.9 requires of a CA, so that strict verifiers accept the self-signed ones too.
        .add_extension(x509.BasicConstraints(recipe.ca, recipe.path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if recipe.sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(recipe.sans), critical=False)
    if recipe.eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(recipe.eku), critical=False)
    if recipe.key_usage:
        usage = {python: name in recipe.key_usage for name, python in _USAGES.items()}
        builder = builder.add_extension(x509.KeyUsage(**usage, encipher_only=False, decipher_only=False), critical=True)
    return builder.sign(issuer_key, digest_for(issuer_key))


def digest_for(key: Key) -> hashes.SHA256 | hashes.SHA384:
    """Return the digest for signatures with this key."""
    large = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256
    return hashes.SHA384() if large else hashes.SHA256()


def _pem(cert: x509.Certificate) -> str:
    return cert.public_bytes(serialization.Encoding.PEM).decode("ascii")


# -- reading recipes


def _check(tables: Recipes, source: str) -> dict[str, _Recipe]:
    problems: list[str] = []
    recipes = {name: _Table(source, name, table, problems).recipe(tables) for name, table in tables.items()}
    problems += _cycles(recipes, source)
    if problems:
        raise ConfigError(problems)
    return recipes


def _cycles(recipes: Mapping[str, _Recipe], source: str) -> list[str]:
    problems = []
    reported: set[str] = set()
    for name in recipes:
        path = [name]
        while (issuer := recipes[path[-1]].issuer) in recipes and issuer != path[-1] and issuer not in path:
            path.append(issuer)
        if issuer == name and len(path) > 1 and name not in reported:
            reported.update(path)
            loop = " <- ".join([*path, name])
            problems.append(f"{source}: [{name}] issuer: is a cycle: {loop}")
    return problems


class _Table:
    """One recipe's table; reading continues after a problem, so that all are reported."""

    KEYS: Final = ("subject", "key", "issuer", "ca", "path_length", "sans", "eku", "key_usage", "days")

    def __init__(self, source: str, name: str, table: Mapping[str, Any], problems: list[str]) -> None:
        self.name = name
        self.table = table
        self._where = f"{source}: [{name}]"
        self._problems = problems

    def recipe(self, known: Recipes) -> _Recipe:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", self.name) or self.name.startswith("."):
            self._problems.append(f"{self._where}: use only letters, digits, '.', '_' and '-' (the name of a file)")
        for key in self.table:
            if key not in self.KEYS:
                self._problems.append(f"{self._where} {key}: unknown key{did_you_mean(key, self.KEYS)}")
        ca = self._value("ca", bool, False, "true or false")
        return _Recipe(
            name=self.name,
            subject=self._subject(),
            key=self._word("key", _KEY_TYPES, "rsa2048"),
            issuer=self._word("issuer", tuple(known), self.name),
            ca=ca,
            path_length=self._path_length(ca),
            sans=tuple(san for text in self._list("sans") if (san := self._san(text)) is not None),
            eku=tuple(oid for text in self._list("eku") if (oid := self._purpose(text)) is not None),
            key_usage=frozenset(self._usages()),
            days=self._days(),
        )

    def _report(self, key: str, problem: str) -> None:
        self._problems.append(f"{self._where} {key}: {problem}")

    def _value(self, key: str, kind: type[_T], default: _T, expected: str) -> _T:
        value = self.table.get(key, default)
        if type(value) is kind:
            return value
        self._report(key, f"{value!r} is not {expected}")
        return default

    def _word(self, key: str, words: tuple[str, ...], default: str) -> str:
        word = self._value(key, str, default, "a string")
        if word in words:
            return word
        self._report(key, f"{word!r} is not one of {', '.join(words)}{did_you_mean(word, words)}")
        return default

    def _list(self, key: str) -> list[str]:
        value = self.table.get(key, [])
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return list(value)
        self._report(key, f"{value!r} is not a list of strings")
        return []

    def _subject(self) -> x509.Name:
        attributes = []
        if not self.table.get("subject"):
            self._report("subject", 'missing: a list such as ["O=Cisco", "CN=cucm.steven.lab"]')
            return x509.Name([])
        for text in self._list("subject"):
            kind, equals, value = text.partition("=")
            if not equals:
                self._report("subject", f"{text!r} is not TYPE=value")
            elif kind not in _SUBJECT_TYPES:
                self._report("subject", f"{text!r}: unknown type{did_you_mean(kind, tuple(_SUBJECT_TYPES))}")
            else:
                try:
                    attributes.append(x509.NameAttribute(_SUBJECT_TYPES[kind], value))
                except ValueError as error:  # too long, or a country that is not two letters
                    self._report("subject", f"{text!r}: {error}")
        return x509.Name(attributes)

    def _path_length(self, ca: bool) -> int | None:
        if "path_length" not in self.table:
            return None
        length = self._value("path_length", int, 0, "a whole number")
        if length < 0 or not ca:
            self._report("path_length", "must be 0 or more, and needs ca = true")
            return None
        return length

    def _san(self, text: str) -> x509.GeneralName | None:
        kind, colon, value = text.partition(":")
        try:
            if kind.lower() == "dns" and value:
                return x509.DNSName(value)
            if kind.lower() == "ip":
                return x509.IPAddress(ipaddress.ip_address(value))
        except ValueError as error:
            self._report("sans", f"{text!r}: {error}")
            return None
        near = did_you_mean(kind.lower(), ("dns", "ip")) if colon else ""
        self._report("sans", f"{text!r} is not dns:NAME or ip:ADDRESS{near}")
        return None

    def _purpose(self, text: str) -> x509.ObjectIdentifier | None:
        if text in _PURPOSES:
            return _PURPOSES[text]
        if text[:1].isdigit():
            try:
                return x509.ObjectIdentifier(text)
            except ValueError as error:
                self._report("eku", f"{text!r}: {error}")
                return None
        self._report("eku", f"{text!r}: unknown purpose{did_you_mean(text, tuple(_PURPOSES))}")
        return None

    def _usages(self) -> Iterator[str]:
        for text in self._list("key_usage"):
            if text in _USAGES:
                yield text
            else:
                self._report("key_usage", f"{text!r}: unknown usage{did_you_mean(text, tuple(_USAGES))}")

    def _days(self) -> tuple[float, float]:
        match self.table.get("days", [-1, 825]):
            case [int() | float() as start, int() | float() as end] if start < end:
                return start, end
            case other:
                self._report("days", f"{other!r} is not [from, until] in days, such as [-1, 825]")
                return -1, 825
