"""In which order to mend several faults of one server's certificates.

X14.2 ends a handshake at the first fault, so a log shows the next one only when the first is mended. OpenSSL 1.1.1
reports them in this order (crypto/x509/x509_vfy.c): while it builds the chain and checks extensions, then keys and
digests, revocation, signatures and dates from the root down to the leaf; Traffic Server's own name check follows when
the leaf is accepted, and name constraints and policies come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .occurrence import FindingRule, Occurrence

# Code -> what the WARNING says, in the order in which X14.2 comes to them.
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
_RANK: Final = {code: at for at, code in enumerate(NEXT)}
_BY_ONE_CERTIFICATE: Final = frozenset(
    ("self-signed", "unknown-ca", "issuer-missing", "expired", "wrong-purpose", "weak", "name-not-in-certificate")
)
"""Faults that a new certificate of the server mends: signed by a trusted CA, in date, strong, with the right name."""


def in_order(codes: Iterable[str]) -> tuple[str, ...]:
    """Sort codes of certificate faults as X14.2 comes to them; other codes are left out."""
    return tuple(sorted({code for code in codes if code in _RANK}, key=_RANK.__getitem__))


def order_of_repair(
    rule: FindingRule, fault: Occurrence, beside: tuple[str, ...], known: Sequence[str] = ()
) -> list[str]:
    """Return sentences about the other certificate faults at the place, if any: what to mend first, what comes next.

    Faults that audit mode (Action=Continue) noted are on one chain, and so are those of ``known``, which has them in
    the right order. Faults that ended handshakes were each the first of theirs: they come from different certificates
    or from different times.
    """
    if rule.kind not in ("chain", "name") or rule.code not in _RANK:
        return []
    order = tuple(code for code in known if code in _RANK) or in_order((rule.code, *beside))
    if len(order) < 2:
        return []
    at = order.index(rule.code)
    before, after = order[:at], order[at + 1 :]
    if fault.action != "Continue" and not known:
        first = f"mend {_list(before)} before this" if before else f"mend this first, then {_list(after)}"
        others = _list((*before, *after))
        return [
            f"Other handshakes with this server and port ended with {others}, with another certificate or at another "
            f"time: {first}. X14.2 ends each handshake at its first fault, which may hide others."
        ]
    if before:
        return [f"Mend {_list(before)} first: X14.2 ends at the first fault and comes to this one only after that."]
    following = ", then ".join(f"{code} ({NEXT[code]})" for code in after)
    sentences = [f"Mend this first: X14.2 ends at the first fault; after this one it will log {following}."]
    if _BY_ONE_CERTIFICATE.issuperset(order):
        sentences.append(
            "One new certificate can mend them all: signed by a CA that Expressway-C trusts, in date, for server "
            "authentication, with the name that clients use."
        )
    return sentences


def _list(codes: Iterable[str]) -> str:
    *others, last = codes
    return f"{', '.join(others)} and {last}" if others else last
