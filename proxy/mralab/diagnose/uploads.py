"""The certificates at hand that a finding's remedy adds to Expressway-C's trusted CA list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from cryptography import x509

from . import chain
from .details import renewal
from .findings import Finding
from .presented import PresentedChain

TRUST: Final = "trust-certificate"
"""Code of the remedies that add a certificate to the trusted CA list."""


def certificates_to_trust(findings: Iterable[Finding], presented: PresentedChain) -> tuple[x509.Certificate, ...]:
    """Return the certificates to add: the self-signed leaf, or the untrusted CAs above it, from the lowest up.

    A server sent each of them. A self-signed certificate with another fault is left out, because it has to be replaced.
    """
    findings = tuple(findings)
    found: dict[x509.Certificate, None] = {}
    for finding in findings:
        certificate = presented.certificate_at(finding.depth or 0)
        if certificate is None or all(remedy.code != TRUST for remedy in finding.remedies):
            continue
        if finding.code == "self-signed":
            if len(findings) == 1 and certificate not in presented.trust_store:
                found[certificate] = None
        elif (renewed := renewal(presented, certificate)) is not None:
            found[renewed] = None
        else:
            found.update(dict.fromkeys(_untrusted_cas(presented)))
    return tuple(found)


def _untrusted_cas(presented: PresentedChain) -> Iterator[x509.Certificate]:
    """Yield the CAs above the leaf that a server of this run sent, as far as the signatures match."""
    links = chain.build((*presented.sent, *presented.sent_by_others), presented.trust_store, presented.now)
    for lower, upper in pairwise(links):
        if not chain.signed_by(lower.certificate, upper.certificate):
            return
        if not upper.trusted:
            yield upper.certificate
