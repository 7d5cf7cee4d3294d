"""Explain occurrences: from the text of a line to cause, remedies and reference.

The rules are tables, one for each kind of occurrence; the first row that fits applies. ``explain`` selects the
sentences of a finding that no other finding at the same server and port contradicts, and adds the order of repair if
there are several faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ..core.counting import counted
from ..core.hostport import host_port
from ..core.log.escape import escape
from .occurrence import FindingRule, Occurrence
from .remedies import REMEDIES, Remedy
from .remedy_wordings import ALTERNATIVES
from .repair import order_of_repair
from .rules_answer import ANSWER_RULES
from .rules_chain import CHAIN_RULES
from .rules_edge import EDGE_RULES
from .rules_handshake import HANDSHAKE_RULES
from .rules_login import LOGIN_RULES
from .sentence import Claim, Sentence, choose, denied_by
from .tlscode import parse

__all__ = ["CODES", "Explanation", "FindingRule", "Occurrence", "Remedy", "explain", "rule_for"]

RULES: Final = (*CHAIN_RULES, *HANDSHAKE_RULES, *ANSWER_RULES, *EDGE_RULES, *LOGIN_RULES)
"""All rules, in the order in which they are tried."""

CODES: Final = tuple(dict.fromkeys(rule.code for rule in RULES))
"""All codes that a finding can have."""

_OFF: Final = "verify-origin-off"
_MOST_SHOWN: Final = 500  # characters: no error text or URL of a real login is longer
_WITH_UNREAD_LINES: Final[frozenset[Claim]] = frozenset({"log-read"})
_IN_AUDIT_MODE: Final[frozenset[Claim]] = frozenset({"chain-good"})
"""Claims that a WARNING with Action=Continue does not support: audit mode may have tolerated faults of the chain."""


class Advice(NamedTuple):
    """The key of a remedy in ``REMEDIES``, and its selected wording."""

    name: str
    sentence: Sentence


class Explanation(NamedTuple):
    """Cause and remedies of a finding, in words."""

    cause: str
    remedies: tuple[Remedy, ...]


def rule_for(occurrence: Occurrence) -> FindingRule | None:
    """Return the first rule that fits; None if the occurrence needs no finding."""
    return next((rule for rule in RULES if rule.fits(occurrence)), None)


def causes(rule: FindingRule, occurrence: Occurrence, other_codes: Iterable[str] = ()) -> tuple[Sentence, ...]:
    """Return the sentences of a finding's cause that no code of ``other_codes`` contradicts."""
    denied = _denied(occurrence, other_codes)
    chosen = (choose(wordings, denied) for wordings in rule.sentences())
    return tuple(sentence for sentence in chosen if sentence is not None)


def advice(rule: FindingRule, occurrence: Occurrence, other_codes: Iterable[str] = ()) -> tuple[Advice, ...]:
    """Return the remedies of a finding, in order. Remedies that another fault makes useless for now come later.

    Switching verification off comes last. It is left out if verification does not stop requests (Action=Continue).
    """
    denied = _denied(occurrence, other_codes)
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
            if occurrence.action != "Continue":
                last.append(Advice(name, sentence))
        else:
            (first if sentence is wordings[0] else later).append(Advice(name, sentence))
    return (*first, *later, *last)


def explain(
    rule: FindingRule,
    occurrence: Occurrence,
    other_codes: Iterable[str] = (),
    *,
    facts: Mapping[str, str] | None = None,
    codes_in_order: Sequence[str] = (),
) -> Explanation:
    """Return cause and remedies in words. Text from the log is escaped, because clients and servers control it.

    ``other_codes`` are the codes of the other findings at the same server and port. ``facts`` overrides the facts from
    the log; its values must be escaped. ``codes_in_order`` has the codes of all faults of one handshake, in the order
    in which X14.2 reports them, if the caller knows it.
    """
    other_codes = tuple(code for code in dict.fromkeys(other_codes) if code != rule.code)
    values = {**_facts(occurrence), **(facts or {})}
    sentences = [sentence.text.format_map(values) for sentence in causes(rule, occurrence, other_codes)]
    sentences += order_of_repair(rule, occurrence, other_codes, codes_in_order)
    if occurrence.action == "Continue":
        sentences.append("The request continued, because verification is in audit mode (Action=Continue).")
    remedies = list(_filled_in(advice(rule, occurrence, other_codes), values))
    if values["reuse"]:
        for index, remedy in enumerate(remedies):
            if values["certificate"] in remedy.text:
                remedies[index] = replace(remedy, text=f"{remedy.text} {values['reuse']}")
                break
    return Explanation(" ".join(sentences), tuple(remedies))


def _filled_in(chosen: Iterable[Advice], values: Mapping[str, str]) -> Iterator[Remedy]:
    for name, sentence in chosen:
        remedy = REMEDIES[name]
        yield Remedy(remedy.code, sentence.text.format_map(values), remedy.where.format_map(values))


def _denied(occurrence: Occurrence, other_codes: Iterable[str]) -> frozenset[Claim]:
    audited = _IN_AUDIT_MODE if occurrence.action == "Continue" else frozenset()
    return denied_by(other_codes) | audited | (_WITH_UNREAD_LINES if occurrence.unread else frozenset())


# Which certificate is on which port: Cisco, CUCM Security Guide 12.5(1)SU5 and SU6, IM and Presence Configuration
# guide, Unity Connection Security Guide 15. Ports 8443 and 443 present tomcat-ECDSA only if the enterprise parameter
# HTTPS Ciphers allows EC ciphers.
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


def _facts(occurrence: Occurrence) -> dict[str, str]:
    """Return the values of placeholders in causes and remedies."""
    server = escape(occurrence.server) or "the server"
    certificate = certificate_on_port(occurrence.port)
    reissue = f"Reissue the {certificate} of {server}"
    if occurrence.depth:
        reissue += f", or have the CA at depth {occurrence.depth} reissued,"
    which = "The certificate" if not occurrence.depth else f"A CA certificate (depth {occurrence.depth})"
    return {
        "server": server,
        "place": host_port(server, occurrence.port) if occurrence.port else server,
        "certificate": certificate,
        "reissue": reissue,
        "ca_at_fault": f"the CA at depth {occurrence.depth}" if occurrence.depth else "the CA at fault",
        "reuse": _REUSE if occurrence.port in _MAY_BE_TOMCAT else "",
        "which": which,
        "which_small": which[0].lower() + which[1:],
        "depth": str(occurrence.depth),
        "error": _shown(occurrence.error) or "no reason given",
        "reason": _shown(_reason(occurrence)) or "no reason given",
        "function": escape(parse(occurrence.error).function),
        "unread": counted(occurrence.unread, "line"),
        "dial": escape(occurrence.dial) or "its address",
        "nearest": escape(occurrence.nearest),
        "stop": "" if occurrence.nearest.endswith("?") else ".",
        "because": escape(occurrence.because),
        "clock": "Expressway-C's clock",
        "method": escape(occurrence.method),
        "url": _shown(occurrence.url),
        "user": escape(occurrence.user) or "(not named)",
    }


def _shown(text: str) -> str:
    """Return a text of the log as a sentence has it: safe on a terminal, and not longer than people read."""
    return escape(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")


def certificate_on_port(port: int | None, key: str = "") -> str:
    """Return the name that CUCM, IM and Presence or Unity has for the certificate of a port.

    ``key`` is the type of the certificate's key, ``RSA..`` or ``EC..``. If it is empty, the name covers both types.
    """
    name = _RSA_NAMES.get(port or 0)
    if name is not None and key.startswith(("RSA", "EC")):
        return f"{name}{'-ECDSA' if key.startswith('EC') else ''} certificate"
    return _CERTIFICATES.get(port or 0, "certificate")


def _reason(occurrence: Occurrence) -> str:
    """Return the error without its codes: ``tlsv1 alert unknown ca``, ``connect failed``."""
    if occurrence.kind == "handshake":
        error = parse(occurrence.error)
        return error.text or error.reason or (f"code {error.code}, its text is not in the log" if error.code else "")
    return re.sub(r"^(\d{3} |[\w ]+: )", "", occurrence.error)
