"""What a fault in the log means: from the words of a line to cause, remedies and reference.

The rules stand in tables by kind of fault; the first row that fits wins.
"""

from __future__ import annotations

import re
from typing import Final

from ..core.logescape import escape
from .fault import Fault, Rule
from .remedies import REMEDIES, Remedy
from .rules_answer import ANSWER_RULES
from .rules_chain import CHAIN_RULES
from .rules_handshake import HANDSHAKE_RULES

__all__ = ["CODES", "Fault", "Remedy", "Rule", "explain", "rule_for"]

RULES: Final = (*CHAIN_RULES, *HANDSHAKE_RULES, *ANSWER_RULES)
"""Every rule, in the order in which they are tried."""

CODES: Final = tuple(dict.fromkeys(rule.code for rule in RULES))
"""Every code that a finding can have."""


def rule_for(fault: Fault) -> Rule | None:
    """The rule that a fault comes under; None where there is nothing to say about it."""
    return next((rule for rule in RULES if rule.fits(fault)), None)


def explain(rule: Rule, fault: Fault) -> tuple[str, tuple[Remedy, ...]]:
    """Cause and remedies in words, escaped: a name in a log is anybody's text."""
    facts = _facts(fault)
    cause = rule.cause.format_map(facts)
    names = rule.remedies
    if fault.action == "Continue":
        cause += " The request went on all the same, as verification only watches (Action=Continue)."
        names = tuple(name for name in names if name != "verify-origin-off")
    remedies = (REMEDIES[name] for name in names)
    return cause, tuple(
        Remedy(remedy.code, remedy.text.format_map(facts), remedy.where.format_map(facts)) for remedy in remedies
    )


_CERTIFICATES: Final = {
    8443: "tomcat or tomcat-ECDSA certificate",
    6972: "CallManager or CallManager-ECDSA certificate",
}


def _facts(fault: Fault) -> dict[str, str]:
    """What causes and remedies can name."""
    server = escape(fault.server) or "the server"
    host = f"[{server}]" if ":" in fault.server else server
    which = "The certificate" if not fault.depth else f"A CA certificate (depth {fault.depth})"
    # Of "error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca" and of "502 connect failed", the words.
    reason = re.sub(r"^(error:.*:\s*|\d{3} |[\w ]+: )", "", fault.error)
    return {
        "server": server,
        "place": f"{host}:{fault.port}" if fault.port else server,
        "certificate": _CERTIFICATES.get(fault.port or 0, "certificate"),
        "which": which,
        "which_small": which[0].lower() + which[1:],
        "depth": str(fault.depth),
        "error": escape(fault.error),
        "reason": escape(reason) or "no reason given",
        "method": escape(fault.method),
        "url": escape(fault.url),
    }
