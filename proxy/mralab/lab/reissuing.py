"""Certificates of the lab's servers, issued again by a CA of the lab that Expressway-C trusts."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable, Iterator

from cryptography import x509

from ..errors import MralabError
from ..harness.proxy import Proxy
from ..mocks.node import Node
from ..mocks.pki import Certified
from ..mocks.recipes import reissued


def authorities(nodes: Iterable[Node]) -> Iterator[Certified]:
    """Yield the CAs of the nodes, with their keys."""
    for node in nodes:
        yield from node.authorities


def trusted_authority(nodes: Iterable[Node], peers: Iterable[Proxy]) -> Certified | None:
    """Return the first CA of the nodes that every peer trusts and that has not expired; None if there is none."""
    now = dt.datetime.now(dt.UTC)
    trusted = [set(peer.trusted.certificates) for peer in peers]
    for each in authorities(nodes):
        if each.cert.not_valid_after_utc > now and all(each.cert in certificates for certificates in trusted):
            return each
    return None


def reissue(node: Node, port: int, issuer: Certified, names: Iterable[str]) -> None:
    """Replace the certificate that ``node`` presents at ``port`` with one of ``issuer`` with these alternative names.

    Raises ``MralabError`` if ``names`` is empty or has something else than host names and IP addresses.
    """
    if isinstance(names, str):
        raise MralabError("names: is one text, not a list of names")
    general_names = [_general_name(name) for name in dict.fromkeys(names)]
    if not general_names:
        raise MralabError("names: is empty", "give at least the name that clients request")
    purpose = node.presented_purpose(port)
    node.install(purpose, reissued(node.certificate(purpose), issuer, general_names))


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names and IP addresses of a certificate; none if it has none that can be read."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(each.value) for each in names if isinstance(each, x509.DNSName | x509.IPAddress))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name or not name.isascii() or not name.isprintable() or " " in name:
        raise MralabError(f"names: {name!r} is neither a host name nor an IP address")
    return x509.DNSName(name)
