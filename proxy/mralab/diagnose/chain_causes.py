"""Explain faults of a presented chain more precisely than a log can.

A log gives an error and a depth. With the chain at hand, the certificate at that depth is known: its contents
(``details``), and what the trust store has in place of its issuer (``issuer``). ``explain_with_chain`` adds these facts
to the causes and remedies of the same rules. Nothing in this module uses the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509

from ..core.log.escape import escape
from . import chain
from .details import DETAILS, only_short, renewal, trusted_signer
from .issuer import ISSUER_CAUSES, literal
from .occurrence import FindingRule, Occurrence
from .presented import PresentedChain
from .rules import Explanation, certificate_on_port, explain


def explain_with_chain(
    rule: FindingRule, occurrence: Occurrence, presented: PresentedChain, codes_in_order: Sequence[str] = ()
) -> Explanation:
    """Return cause and remedies of a fault of ``presented``.

    ``codes_in_order`` has the codes of all faults of that handshake, in the order in which X14.2 reports them.
    """
    depth = occurrence.depth or 0
    certificate = presented.certificate_at(depth)
    if certificate is None:
        return explain(rule, occurrence, codes_in_order, codes_in_order=codes_in_order)
    rule = rule_for_chain(rule, occurrence, presented)
    facts = _facts(presented, depth, certificate)
    return explain(rule, occurrence, codes_in_order, facts=facts, codes_in_order=codes_in_order)


def rule_for_chain(rule: FindingRule, occurrence: Occurrence, presented: PresentedChain) -> FindingRule:
    """Return the rule with the cause, and possibly the remedies, that certificate and trust store support."""
    depth = occurrence.depth or 0
    certificate = presented.certificate_at(depth)
    if certificate is None:
        return rule
    find_cause = ISSUER_CAUSES.get(rule.code)
    if find_cause is not None:
        found = find_cause(presented, depth, certificate)
        if found is not None:
            return rule._replace(cause=found.cause, remedies=found.remedies or rule.remedies)
    details = DETAILS.get(rule.code)
    sentences = details(presented, certificate) if details is not None else []
    rule = rule._replace(cause=(*rule.sentences(), *(literal(text) for text in sentences)))
    if rule.code == "name-not-in-certificate" and only_short(presented):
        rule = rule._replace(remedies=tuple(sorted(rule.remedies, key="change-server-name".__ne__)))
    if rule.code == "expired" and renewal(presented, certificate) is not None:
        rule = rule._replace(remedies=("trust-renewed", *rule.remedies))
    if rule.code == "bad-signature" and trusted_signer(presented, certificate) is not None:
        rule = rule._replace(remedies=("remove-namesake", *rule.remedies))
    return rule


def same_fault_sentence(presented: PresentedChain, depth: int, error: str) -> str:
    """Return a sentence about another certificate of the chain that has the same fault."""
    certificate = presented.certificate_at(depth)
    name = f" {chain.quoted(certificate.subject)}" if certificate is not None else ""
    which = "the certificate" if not depth else "the CA certificate"
    return f"The same fault is reported for {which}{name} at depth {depth}: {error}."


def _facts(presented: PresentedChain, depth: int, certificate: x509.Certificate) -> Mapping[str, str]:
    """Return the facts that are known from the certificate, and that a log leaves vague."""
    name = escape(chain.title(certificate.subject))
    which = f"The certificate {name}" if not depth else f"The CA certificate {name} (depth {depth})"
    return {
        "which": which,
        "which_small": which[0].lower() + which[1:],
        "certificate": certificate_on_port(presented.port, chain.key(presented.sent[0])),
        "clock": "the clock of this machine",
        "ca": name,
        "missing": escape(chain.title(certificate.issuer)),
    }
