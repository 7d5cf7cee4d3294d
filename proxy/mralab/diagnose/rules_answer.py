"""Rules for the proxy's own answers and refusals that no WARNING or ERROR explains.

An Expressway logs no line for a request that it refuses before it dials (none is public): what shows it is a response
to the client with no "Sending Request" before it. Sources of the statuses: MRA guide X12.5 (403), Cisco 211304 (403 for
clocks and domains, 404, 429), Traffic Server 8.1.11's HttpTransact.cc (the rest).
"""

from __future__ import annotations

from functools import partial
from typing import Final

from .occurrence import MRA_GUIDE, FindingRule, Occurrence
from .sentence import say

_answer = partial(FindingRule, kind="answer", reference=MRA_GUIDE)
_refusal = partial(FindingRule, kind="refusal", reference=MRA_GUIDE)


def _dialled(fault: Occurrence) -> bool:
    return bool(fault.ip)


def _undialled(fault: Occurrence) -> bool:
    return not fault.ip


_NOTHING_SENT = (
    say("Nothing was sent to a server.", "log-read"),
    say("No line that was read shows that a server was dialled; {unread} of traffic_server could not be read."),
)

ANSWER_RULES: Final[tuple[FindingRule, ...]] = (
    _answer(
        "dns",
        pattern="^50[02] Cannot find server",
        cause="The name {server} could not be resolved, so nothing was dialled.",
        remedies=("check-dns",),
    ),
    _answer(
        "not-allowed",
        pattern="^403",
        when=_undialled,
        cause=(
            say("{method} {url} was answered {error} by Expressway-C itself."),
            _NOTHING_SENT,
            say(
                "Most often no rule of the HTTP allow list covers the URL; a domain that is not enabled for MRA and "
                "clocks that differ between Expressway-C and Expressway-E give a 403 as well."
            ),
        ),
        remedies=("allow-rule", "check-domain", "check-clocks"),
    ),
    _answer(
        "not-found",
        pattern="^404",
        when=_undialled,
        cause=(say("{method} {url} was answered {error} by Expressway-C itself."), _NOTHING_SENT),
        remedies=("check-url", "check-domain"),
    ),
    _answer(
        "rate-limited",
        pattern="^429",
        when=_undialled,
        cause=(
            say(
                "{method} {url} was answered {error}: more logins than Expressway-C allows in a period (3 in 300 "
                "seconds by default)."
            ),
            _NOTHING_SENT,
        ),
        remedies=("rate-limit",),
    ),
    _answer(
        "invalid-request",
        pattern="^4(00|08|11|13|14|17|31)",
        when=_undialled,
        cause=(say("{method} {url} was answered {error}: the proxy did not accept the request."), _NOTHING_SENT),
        remedies=("fix-request",),
    ),
    _answer(
        "not-dialled",
        pattern="^50[0-9]",
        when=_undialled,
        cause=(say("{method} {url} was answered {error} by Expressway-C itself."), _NOTHING_SENT),
        remedies=("check-load", "read-log"),
    ),
    _answer(
        "timeout",
        pattern="^504|^502 (.*timed out|internal error - server connection terminated)",
        when=_dialled,
        cause="{place} did not answer in time ({reason}).",
        remedies=("check-network", "check-server"),
    ),
    _answer(
        "bad-response",
        pattern="^502 (Server Hangup|Invalid HTTP Response|Malformed|No Response Header)",
        when=_dialled,
        cause="{place} took the request and then sent no proper HTTP response ({reason}).",
        remedies=("check-server",),
    ),
    _answer(
        "unreachable",
        pattern="^502",
        when=lambda fault: _dialled(fault) and bool(fault.because),
        cause="No connection to {place} was established: {dial} was dialled, and the result was: {because}.",
        remedies=("check-network", "check-port"),
    ),
    _answer(
        "unreachable",
        pattern="^502",
        when=_dialled,
        cause=(
            say("No connection to {place} was established: it was refused or reset, or there is no route ({reason})."),
            (
                say("No line blames a certificate.", "log-read", "no-certificate-blamed"),
                say(
                    "No line that was read blames a certificate; {unread} of traffic_server could not be read.",
                    "no-certificate-blamed",
                ),
            ),
        ),
        remedies=("check-network", "check-port"),
    ),
    _refusal(
        "bad-token",
        pattern="^Invalid token",
        cause="A request was refused because the first part of its path is not a token of domain, protocol, host and "
        "port: {reason}.",
        remedies=("fix-token",),
    ),
    _refusal(
        "not-allowed",
        pattern="^Access denied",
        when=lambda fault: fault.unlisted and "[hosts]" in fault.nearest,
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled: {nearest}.",
        remedies=("add-host", "allow-rule-only"),
    ),
    _refusal(
        "not-allowed",
        pattern="^Access denied",
        when=lambda fault: fault.unlisted,
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled: {nearest}. "
        "{server} is not in [hosts] either.",
        remedies=("add-host", "allow-rule-only"),
    ),
    _refusal(
        "not-allowed",
        pattern="^Access denied",
        when=lambda fault: bool(fault.nearest),
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled: {nearest}.",
        remedies=("allow-rule",),
    ),
    _refusal(
        "not-allowed",
        pattern="^Access denied",
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled.",
        remedies=("allow-rule",),
    ),
    _refusal(
        "invalid-request",
        pattern="^Invalid request: the address leads back",
        cause="{method} {url} was refused before anything was dialled: {reason}, to its own port or that of its "
        "control API.",
        remedies=("fix-address",),
    ),
    _refusal(
        "invalid-request",
        pattern="^Invalid request",
        cause="{method} {url} was refused before anything was dialled: {reason}.",
        remedies=("fix-request",),
    ),
)
