"""What follows from a finding: how to check that its remedy worked, and what is likely to fail next.

X14.2 ends a handshake at the first fault, so a repaired fault may uncover the next (Cisco 218018; Traffic Server,
iocore/net/SSLClientUtils.cc). A table by kind of code; nothing here knows more than the log does.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from ..core.hostport import host_port
from ..core.log.escape import escape
from .answered_servers import Answers
from .findings import Finding

CHAIN_CODES: Final = frozenset(
    (
        "self-signed", "unknown-ca", "issuer-missing", "partial-chain", "issuer-mismatch", "distrusted", "expired",
        "not-yet-valid", "wrong-purpose", "weak", "unsupported-key", "chain-too-long", "invalid-ca", "revoked",
        "revocation-unknown", "bad-signature", "malformed-certificate", "critical-extension", "name-constraints",
        "certificate-policy", "proxy-certificate", "suite-b", "dane", "transparency", "verification-error",
        "verify-failed",
    )
)  # fmt: skip
"""Codes of faults in the chain, which X14.2 checks before the name."""

NAME_CODE: Final = "name-not-in-certificate"
VERIFICATION_CODES: Final = CHAIN_CODES | {NAME_CODE}
_ENDED_BY_ANSWERS: Final = VERIFICATION_CODES | {"rejected-by-server", "unreachable", "timeout", "dns"}
ISSUER_CODES: Final = frozenset(
    ("self-signed", "unknown-ca", "issuer-missing", "partial-chain", "issuer-mismatch", "distrusted")
)
"""Codes of faults that depend on the trusted CA list."""

_DATE_CODES: Final = frozenset(("expired", "not-yet-valid"))
_AFTER_THE_NAME: Final = frozenset(("name-constraints", "certificate-policy"))
"""Faults of the chain that are checked after the name (``repair``)."""

# Codes that are checked in the same way.
_CONNECTION_CODES: Final = frozenset(("unreachable", "timeout", "dns", "not-tls", "tls-mismatch"))
_ALLOW_CODES: Final = frozenset(("not-allowed", "not-found", "bad-token"))
_LOGIN_CODES: Final = frozenset(("login-rejected", "login-not-completed"))
_ASKS_FOR_CERTIFICATE: Final = frozenset((6971, 6972))
"""Ports on which CUCM asks the Expressway for a certificate (Cisco 218018, its packet capture; 225746)."""


def proves_repaired(earlier: str, later: str) -> bool:
    """Return whether a handshake that ended with ``later`` had passed the check for ``earlier``; both are codes.

    X14.2 checks the issuer, then the dates, then the name (``repair``), and ends a handshake at the first fault.
    """
    if later == NAME_CODE:
        return earlier in CHAIN_CODES - _AFTER_THE_NAME
    return later in _DATE_CODES and earlier in ISSUER_CODES


def is_ended_by_answers(finding: Finding) -> bool:
    """Return whether no request succeeds as long as the fault is there."""
    return finding.code in _ENDED_BY_ANSWERS and finding.action != "Continue"


def is_about(answers: Answers, finding: Finding) -> bool:
    """Return whether answers are about what failed: a name is at fault for the requests with that name only."""
    return answers.is_at(finding.server, finding.ip, finding.port) and (
        finding.code != NAME_CODE or answers.is_named(finding.server)
    )


def is_elsewhere(answers: Answers, finding: Finding) -> bool:
    """Return whether the answers came from another address of the same name."""
    return bool(answers.ip and finding.ip) and answers.ip != finding.ip


def answered_after(finding: Finding, known: Iterable[Answers]) -> float:
    """Return the time of the latest answer about what failed that came after the finding; 0 without one."""
    if not is_ended_by_answers(finding):
        return 0.0
    times = (one.last for one in known if is_about(one, finding) and not is_elsewhere(one, finding))
    return max((at for at in times if at > finding.last), default=0.0)


def how_to_check(finding: Finding) -> str:
    """Return how a person sees that the remedy worked."""
    place = _place(finding)
    if finding.code == NAME_CODE:
        return (
            f"Log in again: no WARNING names {place}, and if its name was changed, the Sending Request lines go to the "
            "new one and are followed by a Receive Response."
        )
    if finding.code in VERIFICATION_CODES or finding.code == "no-certificate":
        ask = f", or check first: mralab preflight {place} --trust FOLDER" if finding.port else ""
        return (
            f"Log in again: the log then has a Receive Response after the Sending Request to {place}, and no WARNING "
            f"that names it{ask}."
        )
    if finding.code == "rejected-by-server":
        return f"Log in again: the ERROR line that names {place} does not come back."
    if finding.code in _CONNECTION_CODES:
        return f"Log in again: the log then has a Receive Response after the Sending Request to {place}."
    if finding.code in _ALLOW_CODES:
        return "Repeat the request: the log then has a Sending Request for it."
    if finding.code in _LOGIN_CODES:
        return "Log in again: the line does not come back."
    return "Log in again, and read the new log with this command."


def what_may_fail_next(finding: Finding, known: Set[str], *, chain_is_known: bool) -> list[str]:
    """Return what may come to light once ``finding`` is repaired.

    ``known`` has the codes of all findings at that server and port. ``chain_is_known`` is whether the certificates were
    at hand, so that all their faults are findings already.
    """
    place = _place(finding)
    sentences = []
    if finding.code in CHAIN_CODES and NAME_CODE not in known and not chain_is_known:
        sentences.append(
            f"X14.2 checks the name once the chain is good, so this log cannot show whether the certificate of {place} "
            f"contains {escape(finding.server) or 'the name'}."
        )
    if finding.code in ISSUER_CODES and not chain_is_known and not known & {"expired", "not-yet-valid"}:
        sentences.append(
            "The dates of the certificate are checked after its issuer, so this log cannot show whether they are good."
        )
    if (
        finding.code in VERIFICATION_CODES
        and finding.port in _ASKS_FOR_CERTIFICATE
        and "rejected-by-server" not in known
    ):
        sentences.append(
            f"Port {finding.port} asks for Expressway-C's own certificate: its CA has to be in CallManager-trust and "
            "tomcat-trust of the server, otherwise the server refuses next (tlsv1 alert unknown ca)."
        )
    if finding.code in ("unreachable", "timeout", "dns"):
        sentences.append(f"The certificate of {place} has not been seen in this case: its verification comes next.")
    return sentences


def _place(finding: Finding) -> str:
    server = escape(finding.server)
    if not server:
        return "the server"
    return host_port(server, finding.port) if finding.port else server
