"""What one handshake with a server came to, and what X14.2 would make of it: findings, chain, lines, state.

Everything is judged from what was seen (``Handshake``), the trust store and the clock. Nothing touches the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from cryptography import x509

from ..config import Config
from ..core.http.error_pages import ERROR_PAGES, ErrorPage
from ..core.log.escape import escape
from ..core.log.events import (
    Event,
    HandshakeFailed,
    NameMismatch,
    RequestReceived,
    RequestSent,
    ResponseSent,
    VerifyFailed,
)
from ..core.log.writer import LineWriter
from ..core.mra.target import Target, encode
from ..core.release import Preference
from ..core.tls.tlserror import error_string
from ..core.tls.verdict import CertificateFault as CertificateFault
from ..core.tls.verdict import CertificateSummary, error_text
from . import chain
from .chain import Link, Shown
from .findings import Finding
from .occurrence import CISCO_218018, CISCO_225746, FindingRule, Kind, Occurrence
from .remedies import Remedy
from .rules import explain, rule_for
from .shown import Expiry, also, expiring, explain_shown, namesakes

State = Literal["accepted", "refused", "failed", "not-asked"]
"""What X14.2 would do: accept the certificate, refuse it, or fail in TLS for another reason; or nothing is known."""

_REFUSED: Final = "certificate verify failed"
_OK: Final = "200 "


class Question(NamedTuple):
    """A server as clients ask for it: a name or an address (IPv6 without brackets), and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return joined(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Member:
    """One certificate of the chain: ``sent`` by the server, in the trust store (``trusted``), or both."""

    subject: str
    issuer: str
    key: str
    not_before: str
    not_after: str
    days_left: int
    fingerprint: str
    sent: bool
    trusted: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """What a server showed to one who prefers ``prefer``, and what X14.2 would make of it.

    ``prefer`` has both where both got the same. ``dial`` is the address and port that was connected to, empty where the
    name has no address. ``certificate`` is None where none was shown, ``chain`` goes as far as it could be built.
    ``findings`` are in the order in which X14.2 comes to the faults: it stops at the first. ``lines`` are those that
    X14.2 would log, with every fault. ``expiring`` has what will fail within 30 days, ``namesakes`` sentences about CAs
    that share a name with another in the trust store. ``client_certificate`` is whether the server asked for one, None
    where that could not be seen; ``presented`` is whether it got one.
    """

    question: Question
    prefer: tuple[Preference, ...]
    state: State
    dial: str
    certificate: CertificateSummary | None
    chain: tuple[Member, ...]
    findings: tuple[Finding, ...]
    lines: tuple[str, ...]
    expiring: tuple[Expiry, ...]
    namesakes: tuple[str, ...]
    client_certificate: bool | None
    presented: bool

    @property
    def ok(self) -> bool:
        """Whether X14.2 would accept the server."""
        return self.state == "accepted"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of a server that is accepted all the same."""
        notes = [*(str(expiry) for expiry in self.expiring), *self.namesakes]
        if self.client_certificate and self.ok:
            notes.append(
                "the server asks for a client certificate, and has accepted the configured one"
                if self.presented
                else "the server asks for a client certificate and goes on without one; Expressway-C presents its own, "
                "whose CA the server has to trust"
            )
        return tuple(notes)

    def as_json(self) -> dict[str, Any]:
        """Return it all, as JSON takes it."""
        certificate = None
        if self.certificate is not None:
            certificate = {**self.certificate._asdict(), "days_left": self.chain[0].days_left if self.chain else None}
        return {
            "host": self.question.host,
            "port": self.question.port,
            "dial": self.dial,
            "prefer": list(self.prefer),
            "state": self.state,
            "accepted": self.ok,
            "certificate": certificate,
            "chain": [asdict(member) for member in self.chain],
            "findings": [
                {
                    "code": finding.code,
                    "cause": finding.cause,
                    "error": finding.error,
                    "depth": finding.depth,
                    "evidence": list(finding.evidence),
                    "remedies": [asdict(remedy) for remedy in finding.remedies],
                    "reference": finding.reference,
                }
                for finding in self.findings
            ],
            "order": [finding.code for finding in self.findings],
            "expiring": [expiry._asdict() for expiry in self.expiring],
            "client_certificate_requested": self.client_certificate,
            "client_certificate_presented": self.presented,
            "notes": list(self.notes),
            "lines": list(self.lines),
        }


@dataclass(frozen=True)
class Handshake:
    """What was seen of one handshake, in audit mode, with a server that was asked for ``prefer``'s certificate first.

    ``ip`` is the server's address as a log shows it, ``dial`` the address and port that was connected to; both are
    empty where the name has none. ``sent`` are the certificates in DER, leaf first, ``certificate`` the leaf in words.
    ``faults`` are those of the certificates in the order in which OpenSSL came to them. A handshake that failed has
    OpenSSL's ``reason`` and the text that it ``printed``, or ``why``, and Traffic Server's ``answer`` to its client.
    ``client_certificate`` is whether the server asked for one, ``presented`` whether it got one.
    """

    question: Question
    prefer: Preference
    ip: str = ""
    dial: str = ""
    sent: tuple[bytes, ...] = ()
    certificate: CertificateSummary | None = None
    faults: tuple[CertificateFault, ...] = ()
    reason: str = ""
    printed: str = ""
    answer: ErrorPage | None = None
    why: str = ""
    client_certificate: bool | None = None
    presented: bool = False

    @cached_property
    def members(self) -> tuple[x509.Certificate, ...]:
        """The certificates that were sent, up to the first that cannot be read."""
        members: list[x509.Certificate] = []
        for der in self.sent:
            member = chain.parse(der)
            if member is None:
                break
            members.append(member)
        return tuple(members)


_CLIENT_CERTIFICATE: Final = FindingRule(
    "rejected-by-server",
    "handshake",
    "",
    cause="{place} insists on a client certificate: it asked for one, got none, and ended the handshake ({reason}). "
    "Expressway-C presents its own certificate then: what X14.2 gets depends on whether the server accepts that one.",
    remedies=("trust-us", "check-own-certificate"),
    reference=CISCO_225746,
)
_BY_CLIENT_CERTIFICATE: Final = frozenset(("rejected-by-server",))
_ALSO_BY_CLIENT_CERTIFICATE: Final = frozenset(("alert handshake failure", "alert unexpected message"))
"""What servers say, too, when they require a client certificate (in TLS 1.2 there is no alert for it)."""

_NO_COMMON_TLS: Final = FindingRule(
    "tls-mismatch",
    "handshake",
    "",
    cause="{place} found no TLS version, cipher or signature acceptable that was offered to it ({reason}). It did not "
    "ask for a client certificate.",
    remedies=("check-ciphers",),
    reference=CISCO_218018,
)
"""Alert 40 where no client certificate can have been missing: in a log that stays open."""

_INTERRUPTED: Final = FindingRule(
    "handshake-failed",
    "handshake",
    "",
    cause="{place} presented its certificate, in which no fault was found, and then the handshake ended: {reason}.",
    remedies=("check-server", "check-network"),
)
_UNKNOWN: Final = "It could not be asked, so nothing is known of its certificate; Expressway-C may reach it."
_NOT_ASKED: Final = {
    "dns": FindingRule(
        "dns",
        "answer",
        "",
        cause=f"The name {{server}} could not be resolved here, so nothing was dialled. {_UNKNOWN}",
        remedies=("check-dns",),
    ),
    "timeout": FindingRule(
        "timeout",
        "answer",
        "",
        cause=f"{{place}}{{dialled}} did not answer: {{reason}}. {_UNKNOWN}",
        remedies=("check-network", "check-server"),
    ),
    "unreachable": FindingRule(
        "unreachable",
        "answer",
        "",
        cause=f"There was no TLS connection to {{place}}{{dialled}}: {{reason}}. {_UNKNOWN}",
        remedies=("check-network", "check-port"),
    ),
}


def judge(
    seen: Handshake,
    config: Config,
    store: Sequence[x509.Certificate],
    elsewhere: Sequence[x509.Certificate],
    now: datetime,
) -> Checked:
    """Judge a handshake with the trust store, and with the certificates ``elsewhere`` that other servers sent."""
    host, port = seen.question
    store = tuple(one for one in store if chain.is_readable(one))
    shown = Shown(host, port, seen.members, store, now, tuple(elsewhere), config.verify.ip_san == "accept")
    lines = _Lines(seen, config, now)
    state: State = "accepted"
    findings: tuple[Finding, ...] = ()
    if seen.faults:
        state, findings = "refused", _verification(seen, shown, lines)
        if seen.reason:
            findings = (*findings, _handshake_failed(seen, lines))
    elif seen.reason:
        state, findings = "failed", (_handshake_failed(seen, lines),)
    elif seen.answer is not None and seen.sent:
        state, findings = "failed", (_interrupted(seen, lines),)
    elif seen.answer is not None:
        state, findings = "not-asked", (_not_asked(seen, lines),)
    return Checked(
        question=seen.question,
        prefer=(seen.prefer,),
        state=state,
        dial=seen.dial,
        certificate=seen.certificate,
        chain=tuple(_member(link, now) for link in shown.links),
        findings=findings,
        lines=lines.all if state != "not-asked" else (),
        expiring=expiring(shown),
        namesakes=namesakes(shown),
        client_certificate=seen.client_certificate,
        presented=seen.presented,
    )


def _verification(seen: Handshake, shown: Shown, lines: _Lines) -> tuple[Finding, ...]:
    """Return a finding for each code, in the order in which X14.2 comes to them, with the first error of each.

    The same code at other depths is said in its cause.
    """
    first: dict[str, tuple[FindingRule, Occurrence]] = {}
    more: dict[str, dict[int, str]] = {}
    for number, (fault, text) in enumerate(zip(seen.faults, lines.errors, strict=True)):
        kind: Kind = "name" if fault.number is None else "chain"
        one = _fault(seen, kind, text, (lines.warnings[number], lines.refusal), lines.at)
        one.depth, one.action = fault.depth, "Terminate"
        if (rule := rule_for(one)) is None:
            continue
        _, earlier = first.setdefault(rule.code, (rule, one))
        if fault.depth != earlier.depth:
            earlier.evidence = (*earlier.evidence[:-1], lines.warnings[number], earlier.evidence[-1])
            more.setdefault(rule.code, {}).setdefault(fault.depth, text)
    order = tuple(first)
    findings = []
    for code, (rule, one) in first.items():
        cause, remedies = explain_shown(rule, one, shown, order)
        cause = " ".join((cause, *(also(shown, depth, text) for depth, text in more.get(code, {}).items())))
        findings.append(_finding(rule, one, cause, remedies))
    return tuple(findings)


def _handshake_failed(seen: Handshake, lines: _Lines) -> Finding:
    one = _fault(seen, "handshake", lines.reason, (lines.error,), lines.at)
    rule = rule_for(one)
    assert rule is not None  # noqa: S101 - the last rule of this kind fits everything
    missed = seen.client_certificate and not seen.presented
    if missed and (rule.code in _BY_CLIENT_CERTIFICATE or one.words in _ALSO_BY_CLIENT_CERTIFICATE):
        rule = _CLIENT_CERTIFICATE
    elif one.words == "alert handshake failure" and seen.client_certificate is False:
        rule = _NO_COMMON_TLS
    return _finding(rule, one, *explain(rule, one))


def _interrupted(seen: Handshake, lines: _Lines) -> Finding:
    """Return the finding for a server that showed its certificate and then ended the connection without a word."""
    assert seen.answer is not None  # noqa: S101 - that is why it was called
    rule = _CLIENT_CERTIFICATE if seen.client_certificate and not seen.presented else _INTERRUPTED
    one = _fault(seen, "handshake", f"{seen.answer.status} {seen.answer.reason}", lines.all[-1:], lines.at)
    return _finding(rule, one, *explain(rule, one, known={"reason": escape(seen.why)}))


def _not_asked(seen: Handshake, lines: _Lines) -> Finding:
    assert seen.answer is not None  # noqa: S101 - that is why it was called
    one = _fault(seen, "answer", f"{seen.answer.status} {seen.answer.reason}", (), lines.at)
    code = "dns" if not seen.ip else "timeout" if seen.answer == ERROR_PAGES["connect-timeout"] else "unreachable"
    dialled = f" at {seen.dial}" if seen.dial else ""
    rule = _NOT_ASKED[code]
    return _finding(rule, one, *explain(rule, one, known={"dialled": dialled, "reason": escape(seen.why)}))


def _fault(seen: Handshake, kind: Kind, error: str, evidence: tuple[str, ...], at: float) -> Occurrence:
    host, port = seen.question
    return Occurrence(kind, host, seen.ip, error, at, 0, evidence, port)


def _finding(rule: FindingRule, fault: Occurrence, cause: str, remedies: tuple[Remedy, ...]) -> Finding:
    return Finding(
        code=rule.code,
        server=fault.server,
        ip=fault.ip,
        port=fault.port,
        error=fault.error,
        depth=fault.depth,
        action=fault.action,
        count=1,
        first=fault.at,
        last=fault.at,
        evidence=fault.evidence,
        cause=cause,
        remedies=remedies,
        reference=rule.reference,
    )


class _Lines:
    """The lines that X14.2 would log, were it to go on after each fault: ``all``, and those that are evidence."""

    def __init__(self, seen: Handshake, config: Config, now: datetime) -> None:
        (host, port), wording = seen.question, config.verify.openssl
        self.at = now.timestamp()
        self._writer = LineWriter(config.log.hostname, 0)
        self.errors = [
            "not in certificate" if fault.number is None else error_text(fault.number, wording) for fault in seen.faults
        ]
        self.warnings = [
            self._text(
                NameMismatch(self.at, 0, host, "Terminate", host, seen.ip)
                if fault.number is None
                else VerifyFailed(self.at, 0, host, "Terminate", error, host, seen.ip, fault.depth)
            )
            for fault, error in zip(seen.faults, self.errors, strict=True)
        ]
        refused = error_string(_REFUSED, wording) if seen.faults else ""
        self.refusal = self._text(HandshakeFailed(self.at, 0, host, refused)) if refused else ""
        self.reason = (error_string(seen.reason, wording) or seen.printed) if seen.reason else ""
        self.error = self._text(HandshakeFailed(self.at, 0, host, self.reason)) if seen.reason else ""
        failed = ERROR_PAGES["connect-failed"] if refused or seen.reason else None
        answer = failed if refused else seen.answer or failed
        status = f"{answer.status} {answer.reason}" if answer is not None else _OK
        token = encode(Target("preflight", "https", host, port))
        asked = f"GET http://{config.proxy.control_host}/{token}/ HTTP/1.1"
        self.all = (
            self._text(RequestReceived(self.at, 1, "", "127.0.0.1", 0, asked)),
            self._text(RequestSent(self.at, 1, "", seen.ip, port, "GET / HTTP/1.1")),
            *self.warnings,
            *(line for line in (self.refusal, self.error) if line),
            self._text(ResponseSent(self.at, 1, "127.0.0.1", 0, f"HTTP/1.1 {status}")),
        )

    def _text(self, event: Event) -> str:
        return self._writer.format(event).removesuffix("\n")


def _member(link: Link, now: datetime) -> Member:
    certificate = link.certificate
    return Member(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        key=chain.key(certificate),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        days_left=chain.days_left(certificate, now),
        fingerprint=chain.fingerprint(certificate),
        sent=link.sent,
        trusted=link.trusted,
    )


def joined(host: str, port: int) -> str:
    """Return ``HOST:PORT``, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
