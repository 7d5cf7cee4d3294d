"""Notes on a chain that may be accepted today: certificates that expire soon, and trusted CAs with the same name."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..core.log.escape import escape
from . import chain
from .details import days
from .presented import PresentedChain

SOON: Final = 30
"""Days before a certificate's expiry in which ``expiring`` lists it."""


class Expiry(NamedTuple):
    """A certificate of the chain that expires within ``SOON`` days. ``days`` are the whole days left."""

    subject: str
    depth: int
    not_after: str
    days: int

    def __str__(self) -> str:
        which = "the certificate" if not self.depth else "the CA certificate"
        return f"{which} {escape(self.subject)} expires on {self.not_after[:10]}, {days(self.days)} from now"


def expiring(presented: PresentedChain) -> tuple[Expiry, ...]:
    """Return the certificates that expire within ``SOON`` days, CAs and trusted root included; not expired ones."""
    found = []
    for depth, link in enumerate(presented.links):
        left = chain.days_left(link.certificate, presented.now)
        if 0 <= left <= SOON:
            certificate = link.certificate
            subject = certificate.subject.rfc4514_string()
            found.append(Expiry(subject, depth, certificate.not_valid_after_utc.isoformat(), left))
    return tuple(found)


def shared_subjects(presented: PresentedChain) -> tuple[str, ...]:
    """Return a sentence for each trusted CA of the chain that shares its subject with another trusted certificate.

    OpenSSL also compares key identifiers, and finds the right one. Cisco documents for Expressway-C that it takes the
    first entry of its trust list with a matching subject (CSCwa12894).
    """
    sentences = []
    for link in presented.links:
        subject = link.certificate.subject
        others = [
            trusted
            for trusted in presented.trust_store
            if chain.same_name(trusted.subject, subject) and trusted != link.certificate
        ]
        if link.trusted and others:
            sentences.append(
                f"the trust store has {len(others) + 1} certificates {chain.quoted(subject)}: Expressway-C stops at "
                "the first whose subject matches, and may not reach the right one"
            )
    return tuple(sentences)
