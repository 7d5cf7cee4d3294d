"""Sentences with claims, so that the findings at one server and port never contradict each other.

A certificate can have several faults. A sentence that is true if its own fault is the only one ("its chain is good")
may be false next to another fault. Each sentence therefore lists its claims, and ``DENIES`` lists the claims that each
code contradicts. ``choose`` returns the first wording whose claims are not contradicted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, get_args

Claim = Literal[
    "chain-good",  # every certificate of the chain was accepted
    "issuer-trusted",  # a CA above the certificate is in the trust store
    "ca-signed",  # a CA signed the certificate, it did not sign itself
    "chain-complete",  # no issuer is missing between the certificate and its root
    "in-date",  # every certificate is within its validity
    "expired-only",  # the only certificate of the server has expired
    "future-only",  # the only certificate of the server is not valid yet
    "certificate-stays",  # the server can keep its certificate
    "cas-stay",  # the CAs above it need not change
    "name-matches",  # the certificate contains the name that clients use
    "no-certificate-blamed",  # no line reports a fault of a certificate of this server and port
    "speaks-tls",  # the port answers with TLS
    "never-tls",  # the port does not answer with TLS
    "log-read",  # every line of traffic_server in the log was parsed
]
CLAIMS: Final[frozenset[Claim]] = frozenset(get_args(Claim))

_CERTIFICATE_SEEN: Final[frozenset[Claim]] = frozenset({"never-tls"})
_CHAIN: Final[frozenset[Claim]] = _CERTIFICATE_SEEN | {"chain-good", "no-certificate-blamed"}
_REPLACE: Final[frozenset[Claim]] = _CHAIN | {"certificate-stays"}
_REPLACE_ANY: Final[frozenset[Claim]] = _REPLACE | {"cas-stay"}

DENIES: Final[dict[str, frozenset[Claim]]] = {
    "self-signed": _CHAIN | {"issuer-trusted", "ca-signed"},
    "unknown-ca": _CHAIN | {"issuer-trusted"},
    "issuer-missing": _CHAIN | {"chain-complete", "issuer-trusted"},
    "partial-chain": _CHAIN | {"chain-complete"},
    "issuer-mismatch": _CHAIN | {"issuer-trusted"},
    "distrusted": _CHAIN | {"issuer-trusted"},
    "expired": _REPLACE_ANY | {"in-date", "future-only"},
    "not-yet-valid": _CHAIN | {"in-date", "expired-only"},
    "wrong-purpose": _REPLACE_ANY,
    "weak": _REPLACE_ANY,
    "unsupported-key": _REPLACE_ANY,
    "chain-too-long": _REPLACE,
    "invalid-ca": _REPLACE_ANY,
    "revoked": _REPLACE_ANY,
    "revocation-unknown": _CHAIN,
    "bad-signature": _REPLACE_ANY,
    "malformed-certificate": _REPLACE_ANY,
    "critical-extension": _REPLACE_ANY,
    "name-constraints": _REPLACE_ANY,
    "certificate-policy": _REPLACE_ANY,
    "proxy-certificate": _REPLACE,
    "suite-b": _REPLACE_ANY,
    "dane": _CHAIN,
    "transparency": _CHAIN,
    "no-certificate": _CHAIN,
    "verification-error": _CHAIN,
    "verify-failed": _CHAIN,
    "name-not-in-certificate": _CERTIFICATE_SEEN | {"name-matches", "no-certificate-blamed"},
    "not-tls": frozenset({"speaks-tls"}),
}
"""The claims that may be false next to a finding with this code; a doubtful claim counts as false.

Codes that are not about the server's certificate have no entry."""


class Sentence(NamedTuple):
    """One sentence with placeholders (``{..}``), and the claims that it makes."""

    text: str
    asserts: frozenset[Claim] = frozenset()


Wordings = tuple[Sentence, ...]
"""Alternative wordings of one sentence, the best first."""


def say(text: str, *asserts: Claim) -> Sentence:
    """Return a sentence with its claims."""
    return Sentence(text, frozenset(asserts))


NO_REASON_READ: Final[Wordings] = (
    say("The line that says why is not in this log.", "log-read"),
    say("No line that was read says why; {unread} of traffic_server could not be read."),
)


def choose(wordings: Wordings, denied: frozenset[Claim]) -> Sentence | None:
    """Return the first wording without a claim in ``denied``; None if each wording has one."""
    return next((sentence for sentence in wordings if not sentence.asserts & denied), None)


def denied_by(codes: Iterable[str]) -> frozenset[Claim]:
    """Return every claim that at least one of ``codes`` contradicts."""
    return frozenset(claim for code in codes for claim in DENIES.get(code, frozenset()))
