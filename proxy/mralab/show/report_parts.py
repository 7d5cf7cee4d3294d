"""Parts that the reports have in common: a finding, its remedies, a presented chain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Protocol

from ..core.counting import counted, share
from ..core.hostport import host_port
from ..diagnose import findings, report
from ..diagnose.chain_report import PresentedCertificate, PresentedCertificates, described
from ..diagnose.ladder_model import Ladder
from .diagnosis import when
from .ladder_drawing import state_of
from .report_model import Action, Cause, Line, ShownCertificate, ShownChain, State, Verdict, place_of

_OFF: Final = "verify-origin-off"
_COMMAND: Final = re.compile(r"\bx(?:Configuration|Command)(?: [A-Za-z]\w{0,60}){1,6}(?:: \w{1,60})?", re.ASCII)
_MOST_NAMES: Final = 50
_STATES: Final[dict[report.Category, State]] = {
    "issue-found": "bad",
    "potential-problem": "warn",
    "missing-information": "warn",
    "not-applicable": "plain",
    "no-issue": "good",
}


class _Remedy(Protocol):
    @property
    def code(self) -> str:
        """Name of the remedy."""

    @property
    def text(self) -> str:
        """What to do."""

    @property
    def where(self) -> str:
        """Where to do it."""


def unchanged(text: str) -> str:
    """Return a text as it is: the default for a report whose texts do not vary."""
    return text


def actions_of(remedies: Iterable[_Remedy]) -> tuple[Action, ...]:
    """Return the remedies of a finding."""
    return tuple(
        Action(one.text, one.where, command=_command(one.text), is_temporary=one.code == _OFF) for one in remedies
    )


def _command(text: str) -> str:
    """Return the Expressway command in a remedy's text; empty without one."""
    found = _COMMAND.search(text)
    return found[0] if found is not None else ""


def cause_of_report(number: int, finding: report.Finding) -> Cause:
    """Return a finding of ``mralab diagnose``. Its chain is from a capture, dated by the finding's last occurrence."""
    facts = [
        ("Seen", (f"{when(finding)}.",)),
        ("On", (", ".join(finding.peers),) if finding.peers else ()),
        ("Before and after", finding.history),
        ("Check", (finding.check,) if finding.check else ()),
        ("Then", finding.next),
        ("Confidence", (f"{finding.confidence.capitalize()}: {finding.confidence_reason}.",)),
        ("Reference", (finding.reference,) if finding.reference else ()),
    ]
    return Cause(
        number=number,
        title=report.TITLES[finding.category],
        state=_STATES[finding.category],
        code=finding.code,
        place=place(finding),
        text=finding.cause,
        actions=actions_of(finding.remedies),
        chain=chain_of_report(finding),
        lines=tuple(Line(place_of(line.file, line.line), line.text) for line in finding.evidence),
        facts=tuple((title, texts) for title, texts in facts if texts),
    )


def cause_of_finding(
    number: int,
    finding: findings.Finding,
    *,
    chain: ShownChain | None = None,
    same: Callable[[str], str] = unchanged,
) -> Cause:
    """Return a finding of a running proxy or of preflight. ``same`` replaces what varies between two runs."""
    return Cause(
        number=number,
        title=report.TITLES["issue-found"],
        state="bad",
        code=finding.code,
        place=place(finding),
        text=same(finding.cause),
        actions=actions_of(finding.remedies),
        chain=chain,
        lines=tuple(Line("", same(line)) for line in finding.evidence),
        facts=(("Reference", (finding.reference,)),) if finding.reference else (),
    )


def place(finding: report.Finding | findings.Finding) -> str:
    """Return server and port of a finding; empty if it names no server."""
    return host_port(finding.server, finding.port) if finding.server and finding.port else finding.server


def chain_of_report(finding: report.Finding) -> ShownChain | None:
    """Return the chain that a capture shows; None without one."""
    if not finding.chain:
        return None
    if finding.last is None:
        return shown_chain(described(finding.chain, finding.server, finding.port, finding.chain[0].not_before))
    return shown_chain(described(finding.chain, finding.server, finding.port, finding.last))


def shown_chain(presented: PresentedCertificates, *, run_at: datetime | None = None) -> ShownChain | None:
    """Return a presented chain in rows; None if nothing was presented.

    ``run_at`` is the time of a lab's run: dates are then counted in days from it, and fingerprints, which are new in
    each run, are left out.
    """
    if not presented.certificates:
        return None
    return ShownChain(
        presented.server, presented.matching, tuple(_shown(one, run_at) for one in presented.certificates)
    )


def _shown(certificate: PresentedCertificate, run_at: datetime | None) -> ShownCertificate:
    role = "Server certificate" if certificate.depth == 0 else f"CA certificate, depth {certificate.depth}"
    if certificate.self_signed:
        role += ", self-signed" if certificate.depth == 0 else ", root"
    return ShownCertificate(
        title=role,
        subject=certificate.subject,
        issuer=certificate.issuer,
        names=certificate.names[:_MOST_NAMES],
        more_names=max(0, len(certificate.names) - _MOST_NAMES),
        matched=certificate.matched,
        dates=_dates(certificate, run_at),
        validity=certificate.validity,
        dates_are_good=certificate.validity == "in date",
        key=certificate.key,
        signature=certificate.signature,
        fingerprint="" if run_at is not None else certificate.fingerprint,
    )


def _dates(certificate: PresentedCertificate, run_at: datetime | None) -> str:
    if run_at is None:
        return f"{certificate.not_before:%Y-%m-%d} until {certificate.not_after:%Y-%m-%d}"
    begin, end = (_day(moment, run_at) for moment in (certificate.not_before, certificate.not_after))
    return f"from {begin} until {end}"


def _day(moment: datetime, run_at: datetime) -> str:
    """Return a time in days from the run, rounded: a lab mints its certificates seconds before."""
    days = round((moment - run_at).total_seconds() / 86_400)
    count = counted(abs(days), "day")
    return "the run" if not days else f"{count} {'after' if days > 0 else 'before'} the run"


def verdict_of(label: str, ladder: Ladder) -> Verdict:
    """Return how many requests of a ladder failed."""
    requests = ladder.exchanges()
    failed = sum(any(state_of(step) == "bad" for step in steps) for steps in requests)
    if failed:
        return Verdict(label, f"{share(failed, len(requests), 'request')} failed", "bad")
    return Verdict(label, f"{counted(len(requests), 'request')}, none failed" if requests else "no request", "good")


def headline(found: Iterable[report.Finding | findings.Finding]) -> str:
    """Return the codes of findings with their ports: ``self-signed on 8443 and 6972``."""
    ports: dict[str, dict[int, None]] = {}
    for finding in found:
        ports.setdefault(finding.code, {}).update({finding.port: None} if finding.port else {})
    return "; ".join(
        f"{code}{f' on {listed(map(str, numbers))}' if numbers else ''}" for code, numbers in ports.items()
    )


def listed(texts: Iterable[str]) -> str:
    """Return texts as a list in a sentence."""
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last
