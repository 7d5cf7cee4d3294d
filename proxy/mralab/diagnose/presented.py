"""The certificate chain that a server presented, with the trust store and time that it is verified with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509

from ..core.tls.hostname import CertificateNames, names_of
from . import chain
from .chain import Link


@dataclass(frozen=True)
class PresentedChain:
    """The certificates of one handshake, leaf first (``sent``), and what is needed to explain their faults.

    ``server_name`` is the name or address that the certificate should contain, ``port`` None if it is not known.
    ``sent_by_others`` has the certificates that other servers sent in the same run. ``ip_san`` is whether
    iPAddress entries count (``verify.ip_san``). ``trust_store`` is empty if ``store_is_known`` is false.
    """

    server_name: str
    port: int | None
    sent: tuple[x509.Certificate, ...]
    trust_store: tuple[x509.Certificate, ...]
    now: datetime
    sent_by_others: tuple[x509.Certificate, ...] = ()
    ip_san: bool = True
    store_is_known: bool = True

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The chain from the leaf up, as far as it can be built."""
        return chain.build(self.sent, self.trust_store, self.now)

    @cached_property
    def names(self) -> CertificateNames:
        """The names of the leaf, as OpenSSL reads them."""
        return names_of(chain.der(self.sent[0])) if self.sent else CertificateNames()

    def certificate_at(self, depth: int) -> x509.Certificate | None:
        """Return the certificate at a depth of the chain; None if the chain is shorter."""
        return self.links[depth].certificate if depth < len(self.links) else None
