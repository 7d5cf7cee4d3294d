"""The CA that has to be trusted or sent: subject, key identifier, and whether a root above it is trusted."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from . import chain
from .issuer import trusted_root_above, why_issuer_is_root
from .presented import PresentedChain

_CODES = frozenset(("issuer-missing", "unknown-ca", "partial-chain"))


@dataclass(frozen=True, slots=True)
class MissingCa:
    """A CA without which a chain does not end at a trusted root.

    ``subject`` is its name (RFC 4514). ``key_identifier`` is its subject key identifier with colons, from the authority
    key identifier of the certificate below it, or from its own certificate if that was sent; empty if neither has one.
    ``root_trusted`` is whether its root is in the trust store, None if no certificate tells.
    """

    subject: str
    key_identifier: str
    root_trusted: bool | None


def missing_ca(code: str, presented: PresentedChain, depth: int) -> MissingCa | None:
    """Return the CA that is missing according to the finding ``code`` at ``depth``; None if no CA is missing."""
    certificate = presented.certificate_at(depth)
    if code not in _CODES or certificate is None:
        return None
    if chain.is_self_issued(certificate):  # the root was sent, and is not trusted
        if certificate in presented.trust_store:
            return None
        return MissingCa(certificate.subject.rfc4514_string(), chain.subject_key(certificate), root_trusted=False)
    if any(chain.may_have_issued(sent, certificate) for sent in presented.sent[1:]):
        return None  # a loop, or a chain that is too long
    return MissingCa(
        certificate.issuer.rfc4514_string(),
        chain.authority_key(certificate),
        root_trusted=_root_is_trusted(presented, certificate),
    )


def _root_is_trusted(presented: PresentedChain, certificate: x509.Certificate) -> bool | None:
    if why_issuer_is_root(presented, certificate) is not None:
        return False
    return True if trusted_root_above(presented, certificate)[0] is not None else None
