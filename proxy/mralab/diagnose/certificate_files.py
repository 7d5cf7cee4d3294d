"""Check certificate files as X14.2 would check a server that presents them, without a connection.

A file has a certificate with or without its chain, in any order, as exported from CUCM OS Administration: PEM, DER or
PKCS#7. The verification is the one of a handshake (``tls.offline``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from ..config import Config
from ..core.hostport import authority_of_url
from ..core.mra.target import canonical_host, canonical_port
from ..core.tls.hostname import is_address, names_of
from ..errors import InputError
from ..tls import offline
from ..tls.certificate import summarize
from ..tls.trust_store import TrustStore, load_certificates
from . import chain
from .address_sources import parse_each
from .assessment import assess
from .handshake import Address, Handshake, ServerName
from .server_check import ServerCheck


class FileChain(NamedTuple):
    """A server certificate of a file and the file's CA certificates: DER, leaf first.

    ``source`` is the file, with the certificate's number in it if the file has several server certificates.
    """

    source: str
    sent: tuple[bytes, ...]


def read_chains(files: Sequence[Path]) -> tuple[FileChain, ...]:
    """Return a chain for each server certificate of each file. Raises ``InputError`` with every problem."""
    return tuple(
        found
        for file, certificates in zip(files, load_certificates(files), strict=True)
        for found in _chains(str(file), certificates)
    )


def parse_names(texts: Iterable[str]) -> tuple[Address | ServerName, ...]:
    """Parse names with or without a port: ``HOST``, ``HOST:PORT``, ``2001:db8::1``, ``[2001:db8::1]:8443``.

    Raises ``InputError`` with every text that is invalid.
    """
    hint = "such as --name cucm.steven.lab or --name cucm.steven.lab:8443"
    return parse_each(texts, _parse_name, "a name or NAME:PORT", hint)


def _parse_name(text: str) -> Address | ServerName:
    if (authority := authority_of_url(text)) is not None:
        raise ValueError(f"it is a URL; write {authority or 'HOST'}")
    host, colon, port = text.rpartition(":")
    if text.count(":") > 1 and not text.startswith("["):  # without a port, IPv6 needs no brackets
        return ServerName(canonical_host(f"[{text}]"))
    if not colon or text.endswith("]"):
        return ServerName(canonical_host(text))
    return Address(canonical_host(host), canonical_port(port))


def check_files(
    chains: Iterable[FileChain], names: Sequence[Address | ServerName], config: Config, store: TrustStore
) -> tuple[ServerCheck, ...]:
    """Check each chain for each name. Raises ``InputError`` with every chain that OpenSSL cannot read."""
    now = datetime.now(UTC)
    checks: list[ServerCheck] = []
    problems: dict[str, None] = {}
    for found in chains:
        for name in names:
            try:
                checks.append(_check(found, name, config, store, now))
            except offline.UnreadableChainError as error:
                problems[f"{found.source}: {error}"] = None
    if problems:
        raise InputError(problems)
    return tuple(checks)


def _check(
    found: FileChain, name: Address | ServerName, config: Config, store: TrustStore, now: datetime
) -> ServerCheck:
    verdict = offline.verify(found.sent, name.host, store, ip_san=config.verify.ip_san == "accept", at=now)
    entry = config.hosts.get(name.host)
    handshake = Handshake(
        name,
        None,
        ip=name.host if is_address(name.host) else entry.ip if entry is not None else "",
        sent=found.sent,
        certificate=summarize(found.sent[0]),
        faults=tuple(verdict.faults),
        source=found.source,
    )
    return assess(handshake, config, store.certificates, (), now)


def _chains(file: str, certificates: Sequence[x509.Certificate]) -> list[FileChain]:
    """Return a chain for each server certificate in a file.

    A file with one server certificate keeps all other certificates in their order, as a server would send them. In a
    file with several, or in one that is larger than a handshake may be, each gets only the certificates whose names
    lead up from it: such a file is a bundle.
    """
    unique = list(dict.fromkeys(certificates))
    leaves = _leaves(unique)
    if len(leaves) == 1:
        (leaf,) = leaves
        sent = tuple(map(chain.der, (leaf, *(other for other in unique if other != leaf))))
        if sum(map(len, sent)) <= offline.LONGEST:
            return [FileChain(file, sent)]
    return [
        FileChain(
            f"{file}, certificate {unique.index(leaf) + 1}" if len(leaves) > 1 else file,
            tuple(map(chain.der, (leaf, *_above(leaf, unique)))),
        )
        for leaf in leaves
    ]


def _leaves(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates that issued no other of the file.

    A CA that names no server is left out beside one that is not a CA: its file lacks the CA between the two. If each
    certificate issued another (CAs that certify each other), the first one counts as the server's.
    """
    by_subject = _by_subject(certificates)
    issuers = {
        issuer
        for child in certificates
        if not chain.signed_by(child, child)  # self-signed: only a renewal with the same key could have signed it
        for issuer in by_subject.get(chain.name_key(child.issuer), ())
        if chain.signed_by(child, issuer)
    }
    candidates = [certificate for certificate in certificates if certificate not in issuers]
    servers = [certificate for certificate in candidates if not _is_ca(certificate) or _names_server(certificate)]
    return servers or candidates or list(certificates[:1])


def _is_ca(certificate: x509.Certificate) -> bool:
    basic = chain.extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.ca


def _names_server(certificate: x509.Certificate) -> bool:
    names = names_of(chain.der(certificate))
    return bool(names.dns or names.ips)


def _above(leaf: x509.Certificate, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates with the name of the leaf's issuer, of their issuers, and so on; in order."""
    by_subject = _by_subject(certificates)
    above: set[x509.Certificate] = set()
    below = [leaf]
    while below:
        issuers = by_subject.get(chain.name_key(below.pop().issuer), ())
        new = [issuer for issuer in issuers if issuer != leaf and issuer not in above]
        above.update(new)
        below += new
    return [certificate for certificate in certificates if certificate in above]


def _by_subject(certificates: Iterable[x509.Certificate]) -> dict[object, list[x509.Certificate]]:
    found: dict[object, list[x509.Certificate]] = {}
    for certificate in certificates:
        found.setdefault(chain.name_key(certificate.subject), []).append(certificate)
    return found
