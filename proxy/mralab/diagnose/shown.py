"""What a live server showed, judged with certificate, chain and trust store at hand: more than a log can tell.

A log names an error and a depth. Here the certificate at that depth is known, what it contains (``details``), and what
the trust store has in place of its issuer (``issuer``). ``explain_shown`` puts that into causes and remedies of the
same rules; ``expiring`` lists what will fail soon. Nothing here touches the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cryptography import x509

from ..core.log.escape import escape
from . import chain
from .chain import Shown
from .details import DETAILS, days, only_short, renewal, trusted_signer
from .issuer import ISSUER_JUDGES, plain
from .occurrence import FindingRule, Occurrence
from .rules import Explanation, certificate_at, explain

SOON: Final = 30
"""Days before a certificate's expiry in which ``expiring`` lists it."""


class Expiry(NamedTuple):
    """A certificate of an accepted chain that expires within ``SOON`` days: subject, depth, date, whole days left."""

    subject: str
    depth: int
    not_after: str
    days: int

    def __str__(self) -> str:
        which = "the certificate" if not self.depth else "the CA certificate"
        return f"{which} {escape(self.subject)} expires on {self.not_after[:10]}, {days(self.days)} from now"


def expiring(shown: Shown) -> tuple[Expiry, ...]:
    """Return what expires within ``SOON`` days in the chain, CAs and trusted root included; not what has expired."""
    found = []
    for depth, link in enumerate(shown.links):
        left = chain.days_left(link.certificate, shown.now)
        if 0 <= left <= SOON:
            certificate = link.certificate
            subject = certificate.subject.rfc4514_string()
            found.append(Expiry(subject, depth, certificate.not_valid_after_utc.isoformat(), left))
    return tuple(found)


def namesakes(shown: Shown) -> tuple[str, ...]:
    """Return a sentence for each trusted CA of the chain that shares its name with another trusted certificate.

    OpenSSL compares key identifiers, too, and finds the right one. Cisco documents for Expressway-C that it takes the
    first entry of its trust list with a matching subject (CSCwa12894).
    """
    sentences = []
    for link in shown.links:
        name = link.certificate.subject
        twins = [one for one in shown.store if chain.same_name(one.subject, name) and one != link.certificate]
        if link.trusted and twins:
            sentences.append(
                f"the trust store has {len(twins) + 1} certificates {chain.quoted(name)}: Expressway-C stops at the "
                "first whose subject matches, and may not come to the right one"
            )
    return tuple(sentences)


def explain_shown(rule: FindingRule, fault: Occurrence, shown: Shown, order: Sequence[str] = ()) -> Explanation:
    """Return cause and remedies of a fault of ``shown``.

    ``order`` has the codes of all faults of that handshake, in the order in which X14.2 comes to them.
    """
    certificate = shown.at(fault.depth or 0)
    if certificate is None:
        return explain(rule, fault, order, order=order)
    rule = sharpened(rule, fault, shown)
    return explain(rule, fault, order, known=_facts(shown, fault.depth or 0, certificate), order=order)


def sharpened(rule: FindingRule, fault: Occurrence, shown: Shown) -> FindingRule:
    """Return the rule with the cause, and perhaps the remedies, that certificate and trust store allow."""
    certificate = shown.at(fault.depth or 0)
    if certificate is None:
        return rule
    judge = ISSUER_JUDGES.get(rule.code)
    judged = judge(shown, fault.depth or 0, certificate) if judge is not None else None
    if judged is not None:
        return rule._replace(cause=judged.cause, remedies=judged.remedies or rule.remedies)
    details = DETAILS.get(rule.code)
    more = details(shown, certificate) if details is not None else []
    rule = rule._replace(cause=(*rule.sentences(), *(plain(text) for text in more)))
    if rule.code == "name-not-in-certificate" and only_short(shown):
        rule = rule._replace(remedies=tuple(sorted(rule.remedies, key="change-server-name".__ne__)))
    if rule.code == "expired" and renewal(shown, certificate) is not None:
        rule = rule._replace(remedies=("trust-renewed", *rule.remedies))
    if rule.code == "bad-signature" and trusted_signer(shown, certificate) is not None:
        rule = rule._replace(remedies=("remove-namesake", *rule.remedies))
    return rule


def also(shown: Shown, depth: int, error: str) -> str:
    """Return a sentence for a fault that another certificate of the chain has as well."""
    certificate = shown.at(depth)
    name = f" {chain.quoted(certificate.subject)}" if certificate is not None else ""
    which = "the certificate" if not depth else "the CA certificate"
    return f"The same fault is reported for {which}{name} at depth {depth}: {error}."


def _facts(shown: Shown, depth: int, certificate: x509.Certificate) -> Mapping[str, str]:
    """Return the facts that the certificate makes more precise than a log can."""
    name = escape(chain.title(certificate.subject))
    which = f"The certificate {name}" if not depth else f"The CA certificate {name} (depth {depth})"
    return {
        "which": which,
        "which_small": which[0].lower() + which[1:],
        "certificate": certificate_at(shown.port, chain.key(shown.sent[0])),
        "clock": "the clock of this machine",
        "ca": name,
        "missing": escape(chain.title(certificate.issuer)),
    }
