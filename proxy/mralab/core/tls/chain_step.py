"""Judge one step of OpenSSL's verification of a chain, with the result that Traffic Server on OpenSSL 1.1.1 has.

OpenSSL verifies a chain in two passes and calls the verify callback at each step: with ``ok`` false and an error
number for a fault, with ``ok`` true for a certificate without one. The depth counts from the leaf, which is 0.

1. It builds the chain from the leaf up to a trusted root and checks the extensions of its members. The callback is
   called for faults only: no issuer, too many CAs, an issuer that is not a CA, a purpose other than TLS servers.
2. It walks from the root down to the leaf over signatures and dates. The callback is called for each fault, then with
   ``ok`` true for each member, whether or not there was a fault that the callback tolerated.

Between the two passes, 1.1.1 checks the strength of keys and digests by its security level 1 (``check_auth_level`` in
crypto/x509/x509_vfy.c): for each member, leaf first, the key (not the leaf's) and the digest of the signature (not that
of the last member). It checks the leaf's key before the first pass (``X509_verify_cert``). No later OpenSSL has this
level: 3 refuses SHA-1 at its level 1. So ``tls.verification`` sets level 0, where OpenSSL checks no strength, and
``judge_step`` adds the faults where 1.1.1 reports them:

- the leaf's key before any other fault;
- nothing else before a fault of the first pass;
- at the first call of the second pass that is for a fault or for a weak member, the faults of all members below it
  that the server sent, leaf first; then those of the member itself; then the fault that OpenSSL reports.

A fault counts once, although OpenSSL comes to a member several times. With a chain of one certificate, whose issuer is
unknown (error 21), no digest is checked: the leaf is the last member. OpenSSL reports 21 at the start of the second
pass; ``judge_step`` counts it as one of the first pass, so that no digest is reported before it either.

The mode decides whether the handshake continues after a fault (``Verdict.add``). After the last step, a leaf that
OpenSSL accepts is compared with the host name (``hostname``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from .hostname import CertificateNames
from .verdict import CertificateFault

LEVEL_1: Final = 80
"""Bits of security that level 1 of OpenSSL 1.1.1 requires of a key and of a digest (which has half of its length)."""

LEAF_KEY_TOO_WEAK: Final = 66  # X509_V_ERR_EE_KEY_TOO_SMALL
CA_KEY_TOO_WEAK: Final = 67  # X509_V_ERR_CA_KEY_TOO_SMALL
DIGEST_TOO_WEAK: Final = 68  # X509_V_ERR_CA_MD_TOO_WEAK
WEAKNESSES: Final = frozenset((LEAF_KEY_TOO_WEAK, CA_KEY_TOO_WEAK, DIGEST_TOO_WEAK))

_FIRST_PASS: Final = frozenset((2, 18, 19, 20, 21, 22, 24, 25, 26, 34, 37, 40, 41, 79, 85, 86, 89, 90, 91, 92, 93, 94))
_LONE_LEAF: Final = CertificateFault(21, 0)  # X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE


class CertificateFacts(NamedTuple):
    """The fields of one certificate that verification uses."""

    names: CertificateNames
    bits: int
    """Security of its key in bits, as OpenSSL 1.1.1 counts it."""
    weakly_signed: bool
    """Signed by another certificate's key, over a digest below level 1."""
    expires: float
    """Seconds since the epoch."""
    issuer: bytes
    """Distinguished name in DER, as is ``subject``."""
    subject: bytes

    @property
    def is_strong(self) -> bool:
        """Whether key and digest meet level 1."""
        return self.bits >= LEVEL_1 and not self.weakly_signed

    def weaknesses(self, depth: int) -> Iterator[CertificateFault]:
        """Yield the faults of its key, unless it is the leaf's, and of its digest."""
        if depth and self.bits < LEVEL_1:
            yield CertificateFault(CA_KEY_TOO_WEAK, depth)
        if self.weakly_signed:
            yield CertificateFault(DIGEST_TOO_WEAK, depth)


class Step(NamedTuple):
    """One call of the verify callback. ``error`` is OpenSSL's number, without meaning if ``ok``."""

    certificate: CertificateFacts
    error: int
    depth: int
    ok: bool


def judge_step(
    step: Step, reported: Sequence[CertificateFault], sent: Callable[[], Sequence[CertificateFacts]]
) -> list[CertificateFault]:
    """Return the faults to report at this step, in 1.1.1's order; none for an accepted certificate that is strong.

    ``reported`` has the faults of the handshake so far. ``sent`` returns the certificates that the server sent, leaf
    first; it is called only at steps above the leaf.
    """
    certificate, error, depth, ok = step
    if ok and certificate.is_strong:
        return []
    members = sent() if depth else (certificate,)
    faults: list[CertificateFault] = []
    if members and members[0].bits < LEVEL_1:
        faults.append(CertificateFault(LEAF_KEY_TOO_WEAK, 0))
    if ok or error not in _FIRST_PASS:
        own = () if certificate.is_strong else tuple(certificate.weaknesses(depth))
        if depth and (own or not ok):
            faults += _weaknesses_below(depth, members)
        faults += own
    if faults and reported:
        digests_count = _LONE_LEAF not in reported
        faults = [each for each in faults if each not in reported and (digests_count or each.number != DIGEST_TOO_WEAK)]
    return faults if ok else [*faults, CertificateFault(error, depth)]


def _weaknesses_below(depth: int, sent: Sequence[CertificateFacts]) -> Iterator[CertificateFault]:
    """Yield the weaknesses of the members below ``depth``, leaf first.

    Only of those that the server sent; members from the trust store are judged when OpenSSL comes to them.
    """
    member = next(iter(sent), None)
    for below in range(depth):
        if member is None:
            return
        yield from member.weaknesses(below)
        issuer = member.issuer
        member = next((other for other in sent[1:] if other.subject == issuer), None)
