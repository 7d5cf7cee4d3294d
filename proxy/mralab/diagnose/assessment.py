"""Assess one handshake as X14.2 would: state, findings, chain, notes and log lines.

The inputs are the handshake, the trust store and the time. Nothing in this module uses the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..config import Config
from ..core.http.error_pages import ERROR_PAGES, ErrorPage
from ..core.log.escape import escape
from ..core.tls.fingerprint import fingerprint
from . import chain
from .chain import Link
from .chain_causes import explain_with_chain, same_fault_sentence
from .chain_notes import expiring, shared_subjects
from .expected_log import ExpectedLog
from .findings import Finding
from .handshake import Handshake
from .missing_ca import missing_ca
from .occurrence import CISCO_218018, CISCO_225746, FindingRule, Kind, Occurrence
from .presented import PresentedChain
from .rules import explain, rule_for
from .server_check import ChainMember, ServerCheck, State
from .uploads import certificates_to_trust

_CLIENT_CERTIFICATE: Final = FindingRule(
    "rejected-by-server",
    "handshake",
    "",
    cause="{place} requires a client certificate: it requested one, received none, and ended the handshake ({reason}). "
    "Expressway-C presents its own certificate in that case; whether it succeeds depends on whether the server "
    "accepts that one.",
    remedies=("trust-us", "check-own-certificate"),
    reference=CISCO_225746,
)
_CLIENT_CERTIFICATE_CODES: Final = frozenset(("rejected-by-server",))
_CLIENT_CERTIFICATE_ALERTS: Final = frozenset(("alert handshake failure", "alert unexpected message"))
"""Alerts that servers also send when they require a client certificate: TLS 1.2 has no alert for that."""

_NO_COMMON_TLS: Final = FindingRule(
    "tls-mismatch",
    "handshake",
    "",
    cause="{place} found no acceptable TLS version, cipher or signature in the offer ({reason}). It did not request a "
    "client certificate.",
    remedies=("check-ciphers",),
    reference=CISCO_218018,
)
"""Alert 40 when a missing client certificate cannot be the reason. A log does not show which of the two it is."""

_INTERRUPTED: Final = FindingRule(
    "handshake-failed",
    "handshake",
    "",
    cause="{place} presented its certificate, in which no fault was found, and then the handshake ended: {reason}.",
    remedies=("check-server", "check-network"),
)
_UNKNOWN: Final = "It could not be checked, so nothing is known about its certificate; Expressway-C may still reach it."


def _no_handshake_rule(code: str, cause: str, *remedies: str) -> FindingRule:
    return FindingRule(code, "answer", "", cause=f"{cause} {_UNKNOWN}", remedies=remedies)


_NO_HANDSHAKE: Final = {
    rule.code: rule
    for rule in (
        _no_handshake_rule(
            "dns", "The name {server} could not be resolved here, so nothing was dialled.", "check-dns", "add-host"
        ),
        _no_handshake_rule("timeout", "{place}{dialled} did not answer: {reason}.", "check-network", "check-server"),
        _no_handshake_rule(
            "unreachable",
            "There was no TLS connection to {place}{dialled}: {reason}.",
            "check-network",
            "check-port",
        ),
    )
}


def assess(
    handshake: Handshake,
    config: Config,
    trust_store: Sequence[x509.Certificate],
    sent_by_others: Sequence[x509.Certificate],
    now: datetime,
    *,
    store_is_known: bool = True,
) -> ServerCheck:
    """Assess a handshake with the trust store, and with the certificates that other servers sent in the same run.

    ``trust_store`` is empty if ``store_is_known`` is false.
    """
    presented = PresentedChain(
        handshake.address.host,
        handshake.address.port,
        handshake.certificates,
        tuple(certificate for certificate in trust_store if chain.is_readable(certificate)),
        now,
        tuple(sent_by_others),
        config.verify.ip_san == "accept",
        store_is_known,
    )
    log = ExpectedLog(handshake, config, now)
    state, findings = _state_and_findings(handshake, presented, log)
    missing = (missing_ca(finding.code, presented, finding.depth or 0) for finding in findings)
    return ServerCheck(
        address=handshake.address,
        prefer=(handshake.prefer,) if handshake.prefer is not None else (),
        state=state,
        dial=handshake.dial,
        certificate=handshake.certificate,
        chain=tuple(_chain_member(link, now) for link in presented.links),
        findings=findings,
        lines=log.lines if state != "not-asked" else (),
        expiring=expiring(presented),
        shared_subjects=shared_subjects(presented),
        certificate_requested=handshake.certificate_requested,
        certificate_presented=handshake.certificate_presented,
        source=handshake.source,
        sent=handshake.sent,
        release=config.release,
        missing=next((ca for ca in missing if ca is not None), None),
        certificates_to_trust=certificates_to_trust(findings, presented),
    )


def _state_and_findings(
    handshake: Handshake, presented: PresentedChain, log: ExpectedLog
) -> tuple[State, tuple[Finding, ...]]:
    if handshake.faults:
        findings = _certificate_findings(handshake, presented, log)
        if handshake.error_reason:
            findings = (*findings, _handshake_failed(handshake, log))
        return "refused", findings
    if handshake.error_reason:
        return "failed", (_handshake_failed(handshake, log),)
    if handshake.error_page is None:
        return "accepted", ()
    if handshake.sent:
        return "failed", (_interrupted(handshake, handshake.error_page, log),)
    return "not-asked", (_no_handshake(handshake, handshake.error_page, log),)


def _certificate_findings(handshake: Handshake, presented: PresentedChain, log: ExpectedLog) -> tuple[Finding, ...]:
    """Return a finding for each code, in the order in which X14.2 reports them, with the first error of each.

    If several certificates have a fault with the same code, the finding's cause names the others.
    """
    first: dict[str, tuple[FindingRule, Occurrence]] = {}
    other_depths: dict[str, dict[int, str]] = {}
    for number, (fault, text) in enumerate(zip(handshake.faults, log.fault_texts, strict=True)):
        kind: Kind = "name" if fault.number is None else "chain"
        occurrence = _occurrence(handshake, kind, text, (log.warnings[number], log.refusal), log.at)
        occurrence.depth, occurrence.action = fault.depth, "Terminate"
        if (rule := rule_for(occurrence)) is None:
            continue
        _, earlier = first.setdefault(rule.code, (rule, occurrence))
        if fault.depth != earlier.depth:
            earlier.evidence = (*earlier.evidence[:-1], log.warnings[number], earlier.evidence[-1])
            other_depths.setdefault(rule.code, {}).setdefault(fault.depth, text)
    codes_in_order = tuple(first)
    findings = []
    for code, (rule, occurrence) in first.items():
        explanation = explain_with_chain(rule, occurrence, presented, codes_in_order)
        others = (same_fault_sentence(presented, *other) for other in other_depths.get(code, {}).items())
        explanation = explanation._replace(cause=" ".join((explanation.cause, *others)))
        findings.append(Finding.from_occurrence(rule, occurrence, explanation))
    return tuple(findings)


def _handshake_failed(handshake: Handshake, log: ExpectedLog) -> Finding:
    """Return the finding for a handshake that OpenSSL ended with an error, or that the server ended with an alert."""
    occurrence = _occurrence(handshake, "handshake", log.error_text, (log.error_line,), log.at)
    rule = rule_for(occurrence)
    assert rule is not None  # noqa: S101 - the last rule of this kind fits everything
    none_presented = handshake.certificate_requested and not handshake.certificate_presented
    about_client_certificate = rule.code in _CLIENT_CERTIFICATE_CODES or occurrence.words in _CLIENT_CERTIFICATE_ALERTS
    if none_presented and about_client_certificate:
        rule = _CLIENT_CERTIFICATE
    elif occurrence.words == "alert handshake failure" and handshake.certificate_requested is False:
        rule = _NO_COMMON_TLS
    return Finding.from_occurrence(rule, occurrence, explain(rule, occurrence))


def _interrupted(handshake: Handshake, page: ErrorPage, log: ExpectedLog) -> Finding:
    """Return the finding for a server that presented its certificate and then closed the connection, with no alert."""
    none_presented = handshake.certificate_requested and not handshake.certificate_presented
    rule = _CLIENT_CERTIFICATE if none_presented else _INTERRUPTED
    occurrence = _occurrence(handshake, "handshake", f"{page.status} {page.reason}", log.lines[-1:], log.at)
    explanation = explain(rule, occurrence, facts={"reason": escape(handshake.failure)})
    return Finding.from_occurrence(rule, occurrence, explanation)


def _no_handshake(handshake: Handshake, page: ErrorPage, log: ExpectedLog) -> Finding:
    """Return the finding for a server that sent no certificate."""
    code = "dns" if not handshake.ip else "timeout" if page == ERROR_PAGES["connect-timeout"] else "unreachable"
    rule = _NO_HANDSHAKE[code]
    occurrence = _occurrence(handshake, "answer", f"{page.status} {page.reason}", (), log.at)
    dialled = f" at {handshake.dial}" if handshake.dial else ""
    explanation = explain(rule, occurrence, facts={"dialled": dialled, "reason": escape(handshake.failure)})
    return Finding.from_occurrence(rule, occurrence, explanation)


def _occurrence(handshake: Handshake, kind: Kind, error: str, evidence: tuple[str, ...], at: float) -> Occurrence:
    host, port = handshake.address
    return Occurrence(kind, host, handshake.ip, error, at, 0, evidence, port)


def _chain_member(link: Link, now: datetime) -> ChainMember:
    certificate = link.certificate
    return ChainMember(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        key=chain.key(certificate),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        days_left=chain.days_left(certificate, now),
        fingerprint=fingerprint(certificate.public_bytes(Encoding.DER)),
        sent=link.sent,
        trusted=link.trusted,
    )
