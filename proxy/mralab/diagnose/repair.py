"""The order in which to repair several faults of one server's certificates.

X14.2 ends a handshake at the first fault, so a log shows the next one only after the first is repaired. OpenSSL 1.1.1
reports faults in this order (crypto/x509/x509_vfy.c): faults of the chain and of extensions, then keys and digests,
revocation, signatures and dates from the root down to the leaf. Traffic Server's own name check follows when the leaf
is accepted. Name constraints and policies come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .occurrence import FindingRule, Occurrence

# Code -> text of the WARNING, in the order in which X14.2 reports them.
NEXT: Final[dict[str, str]] = {
    "no-certificate": "no certificate was presented",
    "verification-error": "OpenSSL could not complete the verification",
    "self-signed": "self signed certificate",
    "unknown-ca": "the root or intermediate CA is not trusted",
    "issuer-missing": "unable to get local issuer certificate",
    "partial-chain": "unable to get issuer certificate",
    "issuer-mismatch": "the issuer does not fit",
    "distrusted": "certificate not trusted",
    "chain-too-long": "certificate chain too long",
    "critical-extension": "unhandled critical extension",
    "invalid-ca": "invalid CA certificate",
    "wrong-purpose": "unsupported certificate purpose",
    "proxy-certificate": "a proxy certificate is not allowed",
    "unsupported-key": "the key cannot be used",
    "malformed-certificate": "the certificate is malformed",
    "dane": "no matching DANE TLSA records",
    "transparency": "no valid SCTs found",
    "weak": "a key or digest is too weak",
    "revocation-unknown": "the revocation check failed",
    "revoked": "certificate revoked",
    "suite-b": "Suite B",
    "bad-signature": "certificate signature failure",
    "not-yet-valid": "certificate is not yet valid",
    "expired": "certificate has expired",
    "name-not-in-certificate": "SNI not in certificate",
    "name-constraints": "a subtree violation",
    "certificate-policy": "no explicit policy",
    "verify-failed": "another verification error",
}
_RANK: Final = {code: rank for rank, code in enumerate(NEXT)}
_BY_ONE_CERTIFICATE: Final = frozenset(
    ("self-signed", "unknown-ca", "issuer-missing", "expired", "wrong-purpose", "weak", "name-not-in-certificate")
)
"""Faults that a new server certificate repairs: signed by a trusted CA, in date, strong, with the right name."""


def in_order(codes: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of certificate faults in the order in which X14.2 reports them, without other codes."""
    return tuple(sorted({code for code in codes if code in _RANK}, key=_RANK.__getitem__))


def order_of_repair(
    rule: FindingRule, occurrence: Occurrence, other_codes: tuple[str, ...], codes_in_order: Sequence[str] = ()
) -> list[str]:
    """Return sentences about other certificate faults at the same server and port: which to repair first, what follows.

    Faults reported in audit mode (Action=Continue) belong to one chain, and so do those of ``codes_in_order``. A fault
    that ended a handshake was the first in it, so several of them come from different certificates or different times.
    """
    if rule.kind not in ("chain", "name") or rule.code not in _RANK:
        return []
    order = tuple(code for code in codes_in_order if code in _RANK) or in_order((rule.code, *other_codes))
    if len(order) < 2:
        return []
    position = order.index(rule.code)
    before, after = order[:position], order[position + 1 :]
    if occurrence.action != "Continue" and not codes_in_order:
        first = f"fix {_joined(before)} before this" if before else f"fix this first, then {_joined(after)}"
        others = _joined((*before, *after))
        return [
            f"Other handshakes with this server and port ended with {others}, with another certificate or at another "
            f"time: {first}. Expressway-C ends each handshake at its first fault, which may hide others."
        ]
    if before:
        return [f"Fix {_joined(before)} first: Expressway-C stops at the first fault and reports this one after that."]
    following = ", then ".join(f"{code} ({NEXT[code]})" for code in after)
    sentences = [f"Fix this first: Expressway-C stops at the first fault; after this one it will log {following}."]
    if _BY_ONE_CERTIFICATE.issuperset(order):
        sentences.append(
            "One new certificate can fix them all: signed by a CA that Expressway-C trusts, in date, for server "
            "authentication, with the name that clients use."
        )
    return sentences


def _joined(codes: Iterable[str]) -> str:
    *others, last = codes
    return f"{', '.join(others)} and {last}" if others else last
