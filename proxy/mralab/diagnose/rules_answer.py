"""Rules for the proxy's own responses and refusals that no WARNING or ERROR explains.

No public Expressway log has a line for a request that is refused before a server is dialled. The only sign is a
response to the client without a "Sending Request" line before it. Sources of the statuses: MRA guide X12.5 (403), Cisco
211304 (403 for clocks and domains, 404, 429), Traffic Server 8.1.11's HttpTransact.cc (the others).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .occurrence import MRA_GUIDE, FindingRule, Occurrence
from .sentence import Sentence, Wordings, say


def _is_dialled(occurrence: Occurrence) -> bool:
    return bool(occurrence.ip)


_NOTHING_SENT = (
    say("No line shows that anything was sent to a server.", "log-read"),
    say("No line that was read shows that a server was dialled; {unread} of traffic_server could not be read."),
)


def _not_sent(code: str, pattern: str, cause: str, remedies: str, *more: str) -> FindingRule:
    """Return a rule for a response to a request that was not sent to a server. ``more`` are further sentences.

    ``remedies`` are keys of ``REMEDIES``, separated by spaces.
    """
    sentences: tuple[Sentence | Wordings, ...] = (say(cause), _NOTHING_SENT, *(say(text) for text in more))
    return FindingRule(
        code,
        "answer",
        pattern,
        sentences,
        tuple(remedies.split()),
        MRA_GUIDE,
        when=lambda occurrence: not _is_dialled(occurrence),
    )


def _sent(
    code: str,
    pattern: str,
    cause: str | tuple[Sentence | Wordings, ...],
    remedies: str,
    *,
    when: Callable[[Occurrence], bool] = _is_dialled,
) -> FindingRule:
    """Return a rule for a response to a request whose server was dialled."""
    return FindingRule(code, "answer", pattern, cause, tuple(remedies.split()), MRA_GUIDE, when=when)


def _refused(
    code: str, pattern: str, cause: str, remedies: str, *, when: Callable[[Occurrence], bool] | None = None
) -> FindingRule:
    """Return a rule for a request that the proxy denied."""
    return FindingRule(code, "refusal", pattern, cause, tuple(remedies.split()), MRA_GUIDE, when=when)


_BY_EXPRESSWAY: Final = "{method} {url} was answered {error} by Expressway-C itself."
_NO_RULE: Final = "No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled"
_NOT_DIALLED: Final = "{method} {url} was refused before anything was dialled"

ANSWER_RULES: Final[tuple[FindingRule, ...]] = (
    FindingRule(
        "request-not-in-log",
        "answer",
        "",
        "A client was answered {error}, and this line is all that the log has of the request: it shows neither the "
        "server nor what happened before. The log starts in the middle, or was filtered.",
        ("whole-log",),
        MRA_GUIDE,
        when=lambda occurrence: not occurrence.server and not occurrence.url,
    ),
    FindingRule(
        "dns",
        "answer",
        "^50[02] Cannot find server",
        "The name {server} could not be resolved, so nothing was dialled.",
        ("check-dns",),
        MRA_GUIDE,
    ),
    _not_sent(
        "not-allowed",
        "^403",
        _BY_EXPRESSWAY,
        "allow-rule check-domain check-clocks",
        "Most often no rule of the HTTP allow list covers the URL; a domain that is not enabled for MRA and clocks "
        "that differ between Expressway-C and Expressway-E give a 403 as well.",
    ),
    _not_sent("not-found", "^404", _BY_EXPRESSWAY, "check-url check-domain"),
    _not_sent(
        "rate-limited",
        "^429",
        "{method} {url} was answered {error}: more logins than Expressway-C allows in a period (3 in 300 seconds by "
        "default).",
        "rate-limit",
    ),
    _not_sent(
        "invalid-request",
        "^4(00|08|11|13|14|17|31)",
        "{method} {url} was answered {error}: the proxy did not accept the request.",
        "fix-request",
    ),
    _not_sent("not-dialled", "^50[0-9]", _BY_EXPRESSWAY, "check-load read-log"),
    _sent(
        "answer-not-in-log",
        "^(403|404|429|503|500)",
        "{place} was dialled, and the client was answered {error}. The log has no Receive Response for it, so it is "
        "not known whether that status came from the server or from Expressway-C.",
        "whole-log check-server",
    ),
    _sent(
        "timeout",
        "^504|^502 (.*timed out|internal error - server connection terminated)",
        "{place} did not answer in time ({reason}).",
        "check-network check-server",
    ),
    _sent(
        "bad-response",
        "^502 (Server Hangup|Invalid HTTP Response|Malformed|No Response Header)",
        "{place} received the request and then sent no valid HTTP response ({reason}).",
        "check-server",
    ),
    _sent(
        "unreachable",
        "^502",
        "The connection to {place} failed: {dial} was dialled, and the result was: {because}.",
        "check-network check-port",
        when=lambda occurrence: _is_dialled(occurrence) and bool(occurrence.because),
    ),
    _sent(
        "unreachable",
        "^502",
        (
            say("The connection to {place} failed: it was refused, reset or closed, or there is no route ({reason})."),
            (
                say("No line blames a certificate.", "log-read", "no-certificate-blamed"),
                say(
                    "No line that was read blames a certificate; {unread} of traffic_server could not be read.",
                    "no-certificate-blamed",
                ),
            ),
        ),
        "check-network check-port",
    ),
    _refused(
        "bad-token",
        "^Invalid token",
        "A request was refused because the first part of its path is not a token of domain, protocol, host and port: "
        "{reason}.",
        "fix-token",
    ),
    _refused(
        "not-allowed",
        "^Access denied",
        f"{_NO_RULE}: {{nearest}}{{stop}}",
        "add-host allow-rule-only",
        when=lambda occurrence: occurrence.unlisted and "[hosts]" in occurrence.nearest,
    ),
    _refused(
        "not-allowed",
        "^Access denied",
        f"{_NO_RULE}: {{nearest}}{{stop}} {{server}} is not in [hosts] either.",
        "add-host allow-rule-only",
        when=lambda occurrence: occurrence.unlisted,
    ),
    _refused(
        "not-allowed",
        "^Access denied",
        f"{_NO_RULE}: {{nearest}}{{stop}}",
        "allow-rule-here",
        when=lambda occurrence: bool(occurrence.nearest),
    ),
    _refused("not-allowed", "^Access denied", f"{_NO_RULE}.", "allow-rule"),
    _refused(
        "invalid-request",
        "^Invalid request: the address leads back",
        f"{_NOT_DIALLED}: {{reason}}, to its own port or that of its control API.",
        "fix-address",
    ),
    _refused("invalid-request", "^Invalid request", f"{_NOT_DIALLED}: {{reason}}.", "fix-request"),
)
