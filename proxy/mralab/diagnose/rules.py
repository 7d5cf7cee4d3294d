"""What a fault in the log means: from the words of a line to cause, remedies and reference.

The rules stand in tables by kind of fault; the first row that fits wins. ``explain`` writes a finding's sentences: only
those that no other finding at the same place contradicts, and the order of repair where there are several faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ..core.log.escape import escape
from .occurrence import FindingRule, Occurrence
from .remedies import ALTERNATIVES, REMEDIES, Remedy
from .repair import order_of_repair
from .rules_answer import ANSWER_RULES
from .rules_chain import CHAIN_RULES
from .rules_edge import EDGE_RULES
from .rules_handshake import HANDSHAKE_RULES
from .sentence import Claim, Sentence, choose, denied_by
from .tlscode import parse

__all__ = ["CODES", "Explanation", "FindingRule", "Occurrence", "Remedy", "explain", "rule_for"]

RULES: Final = (*CHAIN_RULES, *HANDSHAKE_RULES, *ANSWER_RULES, *EDGE_RULES)
"""Every rule, in the order in which they are tried."""

CODES: Final = tuple(dict.fromkeys(rule.code for rule in RULES))
"""Every code that a finding can have."""

_OFF: Final = "verify-origin-off"
_NOT_ALL_READ: Final[frozenset[Claim]] = frozenset({"log-read"})
_AUDITED: Final[frozenset[Claim]] = frozenset({"chain-good"})
"""What a WARNING of audit mode (Action=Continue) does not imply: the chain's faults were tolerated before it."""


class Advice(NamedTuple):
    """A remedy's key in ``REMEDIES``, and the wording chosen for it."""

    name: str
    sentence: Sentence


class Explanation(NamedTuple):
    """Cause and remedies of a finding, in words."""

    cause: str
    remedies: tuple[Remedy, ...]


def rule_for(fault: Occurrence) -> FindingRule | None:
    """Return the first rule that fits, None if there is nothing to say about the fault."""
    return next((rule for rule in RULES if rule.fits(fault)), None)


def causes(rule: FindingRule, fault: Occurrence, beside: Iterable[str] = ()) -> tuple[Sentence, ...]:
    """Return the sentences of a finding's cause, none of which a code of ``beside`` denies."""
    denied = _denied(fault, beside)
    chosen = (choose(wordings, denied) for wordings in rule.sentences())
    return tuple(sentence for sentence in chosen if sentence is not None)


def advice(rule: FindingRule, fault: Occurrence, beside: Iterable[str] = ()) -> tuple[Advice, ...]:
    """Return the remedies of a finding, in order: what would be wasted beside another fault comes after the rest.

    To switch verification off comes last, and not at all where verification only watches (Action=Continue).
    """
    denied = _denied(fault, beside)
    first: list[Advice] = []
    later: list[Advice] = []
    last: list[Advice] = []
    for name in rule.remedies:
        remedy = REMEDIES[name]
        wordings = ALTERNATIVES.get(name, (Sentence(remedy.text),))
        sentence = choose(wordings, denied)
        if sentence is None:
            continue
        if remedy.code == _OFF:
            if fault.action != "Continue":
                last.append(Advice(name, sentence))
        else:
            (first if sentence is wordings[0] else later).append(Advice(name, sentence))
    return (*first, *later, *last)


def explain(
    rule: FindingRule,
    fault: Occurrence,
    beside: Iterable[str] = (),
    *,
    known: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
) -> Explanation:
    """Return cause and remedies in words, escaped: a name in a log is anybody's text.

    ``beside`` are the codes of the other findings at the same server and port. ``known`` overrides facts, for callers
    that know more than the log says; its values must be escaped. ``order`` has the codes of all faults of one chain, in
    the order in which X14.2 comes to them, for callers that have seen them in one handshake.
    """
    beside = tuple(code for code in dict.fromkeys(beside) if code != rule.code)
    facts = {**_facts(fault), **(known or {})}
    sentences = [sentence.text.format_map(facts) for sentence in causes(rule, fault, beside)]
    sentences += order_of_repair(rule, fault, beside, order)
    if fault.action == "Continue":
        sentences.append("The request went on all the same, as verification only watches (Action=Continue).")
    remedies = list(_worded(advice(rule, fault, beside), facts))
    if facts["reuse"]:
        at = next((at for at, remedy in enumerate(remedies) if facts["certificate"] in remedy.text), None)
        if at is not None:
            one = remedies[at]
            remedies[at] = Remedy(one.code, f"{one.text} {facts['reuse']}", one.where)
    return Explanation(" ".join(sentences), tuple(remedies))


def _worded(chosen: Iterable[Advice], facts: Mapping[str, str]) -> Iterator[Remedy]:
    for name, sentence in chosen:
        remedy = REMEDIES[name]
        yield Remedy(remedy.code, sentence.text.format_map(facts), remedy.where.format_map(facts))


def _denied(fault: Occurrence, beside: Iterable[str]) -> frozenset[Claim]:
    audited = _AUDITED if fault.action == "Continue" else frozenset()
    return denied_by(beside) | audited | (_NOT_ALL_READ if fault.unread else frozenset())


# Cisco: CUCM Security Guide 12.5(1)SU5 and SU6, IM and Presence Configuration guide, Unity Connection Security Guide 15
# (which certificate is on which port). 8443 and 443 present tomcat-ECDSA only if the enterprise parameter HTTPS Ciphers
# allows EC ciphers.
_TOMCAT: Final = "tomcat or tomcat-ECDSA certificate"
_TOMCAT_OF_8443: Final = "tomcat certificate (tomcat-ECDSA if HTTPS Ciphers allows EC)"
_CALLMANAGER: Final = "CallManager or CallManager-ECDSA certificate"
_CERTIFICATES: Final = {
    443: _TOMCAT_OF_8443,
    8443: _TOMCAT_OF_8443,
    6971: _CALLMANAGER,
    6972: _TOMCAT,
    7080: _TOMCAT,
    7443: _TOMCAT,
    5061: f"{_CALLMANAGER} (cup or cup-ECDSA on IM and Presence)",
    5062: f"{_CALLMANAGER} (cup or cup-ECDSA on IM and Presence)",
    8083: "cup or cup-ECDSA certificate",
    5222: "cup-xmpp or cup-xmpp-ECDSA certificate",
    7400: "cup-xmpp or cup-xmpp-ECDSA certificate",
    5269: "cup-xmpp-s2s or cup-xmpp-s2s-ECDSA certificate",
}
_RSA_NAMES: Final = {443: "tomcat", 8443: "tomcat", 6971: "CallManager", 6972: "tomcat", 7443: "tomcat"}
_MAY_BE_TOMCAT: Final = frozenset((6971, 5061, 5062))
_REUSE: Final = (
    "CUCM 14 and later may reuse the tomcat certificate as CallManager (tomcat-ECDSA as CallManager-ECDSA): then it is "
    "the same certificate."
)


def _facts(fault: Occurrence) -> dict[str, str]:
    """What causes and remedies can name."""
    server = escape(fault.server) or "the server"
    host = f"[{server}]" if ":" in fault.server else server
    which = "The certificate" if not fault.depth else f"A CA certificate (depth {fault.depth})"
    return {
        "server": server,
        "place": f"{host}:{fault.port}" if fault.port else server,
        "certificate": certificate_at(fault.port),
        "reuse": _REUSE if fault.port in _MAY_BE_TOMCAT else "",
        "which": which,
        "which_small": which[0].lower() + which[1:],
        "depth": str(fault.depth),
        "error": escape(fault.error) or "no reason given",
        "reason": escape(_reason(fault)) or "no reason given",
        "function": escape(parse(fault.error).function),
        "unread": "1 line" if fault.unread == 1 else f"{fault.unread} lines",
        "dial": escape(fault.dial) or "its address",
        "nearest": escape(fault.nearest),
        "because": escape(fault.because),
        "clock": "Expressway-C's clock",
        "method": escape(fault.method),
        "url": escape(fault.url),
    }


def certificate_at(port: int | None, key: str = "") -> str:
    """Return what CUCM, IM and Presence or Unity calls the certificate of a port, exactly if its key is known.

    ``key`` begins with ``RSA`` or ``EC``, or is empty.
    """
    name = _RSA_NAMES.get(port or 0)
    if name is not None and key.startswith(("RSA", "EC")):
        return f"{name}{'-ECDSA' if key.startswith('EC') else ''} certificate"
    return _CERTIFICATES.get(port or 0, "certificate")


def _reason(fault: Occurrence) -> str:
    """Return the words of the error without its codes: ``tlsv1 alert unknown ca``, ``connect failed``."""
    if fault.kind == "handshake":
        error = parse(fault.error)
        return error.text or error.reason or (f"code {error.code}, its text is not in the log" if error.code else "")
    return re.sub(r"^(\d{3} |[\w ]+: )", "", fault.error)
