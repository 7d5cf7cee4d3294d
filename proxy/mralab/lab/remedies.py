"""Remedies of findings, applied to a running lab: one table of actions, and one of remedies that a lab cannot apply.

``apply`` says for each remedy whether it was applied, and why not. A test fails until a new code of
``diagnose.remedies`` is in one of the tables.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ..diagnose.findings import Finding
from ..diagnose.remedies import Remedy
from ..errors import MralabError
from ..mocks.cucm import Cucm
from ..mocks.node import Node
from ..mocks.pki import Certified
from .reissuing import authorities
from .running_lab import RunningLab

Action = Callable[[RunningLab, Finding], None]
"""Apply one remedy for a finding; the next request meets its effect. Raises ``NotApplicableError``."""


class NotApplicableError(MralabError):
    """The lab cannot apply a remedy to a finding; the text is the reason."""


@dataclass(frozen=True, slots=True)
class RemedyResult:
    """Whether a remedy was applied for a finding."""

    finding: Finding
    remedy: Remedy | None
    """None if the finding offers no remedy of the code that was chosen."""
    reason: str = ""
    """Why it was not applied; empty if it was."""

    @property
    def place(self) -> str:
        """Server and port of the finding."""
        return _place(self.finding)

    def __str__(self) -> str:
        code = self.remedy.code if self.remedy else "no remedy"
        outcome = f"not applied: {self.reason}" if self.reason else "applied"
        return f"{code} for {self.finding.code} at {self.place}: {outcome}"


def choose(finding: Finding, code: str) -> Remedy | None:
    """Return the finding's remedy with this code; ``first``: its first remedy; None if it has none such."""
    return next((remedy for remedy in finding.remedies if code in ("first", remedy.code)), None)


def apply(lab: RunningLab, findings: Iterable[Finding], code: str = "first") -> tuple[RemedyResult, ...]:
    """Apply to each finding its remedy with this code, and return a result for each finding.

    A remedy that several findings of one port share is applied once, and one that changes the whole lab too.
    """
    done: dict[tuple[str | int | None, ...], str] = {}
    results = []
    for finding in findings:
        remedy = choose(finding, code)
        if remedy is None:
            offered = ", ".join(dict.fromkeys(each.code for each in finding.remedies)) or "none"
            results.append(RemedyResult(finding, None, f"{code!r} is not among its remedies ({offered})"))
            continue
        key = (remedy.code,) if remedy.code in _WHOLE_LAB else (remedy.code, finding.server, finding.port)
        if key not in done:
            done[key] = _apply(lab, finding, remedy.code)
        results.append(RemedyResult(finding, remedy, done[key]))
    return tuple(results)


def _apply(lab: RunningLab, finding: Finding, code: str) -> str:
    """Apply one remedy. Return why it is not applicable; empty if it was applied."""
    action = ACTIONS.get(code)
    if action is None:
        return NOT_APPLICABLE.get(code, "the lab does not know this remedy")
    try:
        action(lab, finding)
    except MralabError as error:  # of the action, or of the node: a port without TLS has no certificate
        return error.message
    return ""


# -- actions


def _trust_certificate(lab: RunningLab, finding: Finding) -> None:
    """Trust a self-signed certificate, or the CAs above another, in place of other CAs of the same name."""
    node, port = _node(lab, finding)
    presented = _presented(node, port)
    if is_self_issued(presented.cert):
        lab.trust(presented.cert)
        return
    issuers = issuers_of(lab, presented, node.presented(port).chain)
    now = dt.datetime.now(dt.UTC)
    if expired := [each for each in issuers if each.not_valid_after_utc <= now]:
        raise NotApplicableError(f"{_name(expired[0])} has expired, and the lab has no renewed one")
    lab.trust(*issuers)
    if namesakes := namesakes_of(lab, issuers):
        lab.distrust(*namesakes)


def _remove_certificate(lab: RunningLab, finding: Finding) -> None:
    """Remove trusted certificates that have the name of a CA above the server's certificate but are not that CA."""
    node, port = _node(lab, finding)
    presented = _presented(node, port)
    own_chain = node.presented(port).chain
    issuers = (presented.cert,) if is_self_issued(presented.cert) else issuers_of(lab, presented, own_chain)
    namesakes = namesakes_of(lab, issuers)
    if not namesakes:
        raise NotApplicableError("the trust store has no other certificate of that name")
    lab.distrust(*namesakes)


def _send_chain(lab: RunningLab, finding: Finding) -> None:
    """Make the server send its issuers again."""
    node, port = _node(lab, finding)
    if has_other_certificate(node, port):
        node.lift_faults(port)
        return
    certified = node.presented(port)
    issuers = issuers_of(lab, certified)
    if issuers == certified.chain:
        raise NotApplicableError(f"{_place(finding)} sends all its issuers already")
    node.install(node.presented_purpose(port), replace(certified, chain=issuers))


def _reissue(lab: RunningLab, finding: Finding) -> None:
    """Replace the server's certificate with one of a trusted CA of the lab, with the name that clients use."""
    node, port = _node(lab, finding)
    if has_other_certificate(node, port):
        node.lift_faults(port)
        return
    lab.reissue(finding.server, port, names=names_of_reissued(finding))


def _change_server_name(lab: RunningLab, finding: Finding) -> None:
    """Set the entry of System > Server to the FQDN."""
    node, _ = _node(lab, finding)
    if not isinstance(node, Cucm):
        raise NotApplicableError(f"{node.fqdn} has no System > Server")
    if finding.server == node.fqdn:
        raise NotApplicableError("System > Server has the FQDN already, and the lab has no other name for this node")
    node.advertise = "fqdn"


def _verify_origin_off(lab: RunningLab, _finding: Finding) -> None:
    lab.verify_origin_server("Off")


def _prefer_rsa(lab: RunningLab, finding: Finding) -> None:
    """Offer RSA ciphers first again."""
    _node(lab, finding)
    if lab.proxy.config.preference == "rsa":
        raise NotApplicableError("RSA certificates are preferred already")
    lab.change(upstream={"prefer": "rsa"})


def _allow_rule(lab: RunningLab, finding: Finding) -> None:
    """Refresh the servers: switch on the automatic rules for the lab's nodes."""
    _node(lab, finding)
    if lab.proxy.config.hosts[finding.server].node == "none":
        raise NotApplicableError(
            f"{finding.server} was not among the servers discovered: refresh() finds it if CUCM advertises it now"
        )
    if lab.proxy.config.allow.automatic:
        raise NotApplicableError("the automatic rules are in force already and do not allow it")
    lab.change(allow={"automatic": True})


def _repair_server(lab: RunningLab, finding: Finding) -> None:
    """Lift the faults of the server's port, and start the server if it is down."""
    node, port = _node(lab, finding)
    if lab.is_unplugged(node, port):
        lab.plug_in(node, port)
        return
    if not node.faults(port):
        raise NotApplicableError(f"no fault is injected at {_place(finding)}")
    node.lift_faults(port)


def _trust_us(lab: RunningLab, finding: Finding) -> None:
    """Make the node trust Expressway-C's own certificate and the CAs in its file."""
    node, _ = _node(lab, finding)
    identity = lab.proxy.server.settings.identity
    if identity is None:
        raise NotApplicableError("Expressway-C has no certificate of its own: set [upstream] certificate")
    node.trust_clients(*identity.certificates)


ACTIONS: Final[Mapping[str, Action]] = {
    "trust-certificate": _trust_certificate,
    "remove-certificate": _remove_certificate,
    "send-chain": _send_chain,
    "reissue": _reissue,
    "change-server-name": _change_server_name,
    "verify-origin-off": _verify_origin_off,
    "prefer-rsa": _prefer_rsa,
    "allow-rule": _allow_rule,
    "check-port": _repair_server,
    "check-ciphers": _repair_server,
    "check-network": _repair_server,
    "check-server": _repair_server,
    "trust-us": _trust_us,
}
"""Code of a remedy -> its action. An action may still find that the lab has nothing to change for a finding."""
_WHOLE_LAB: Final = frozenset(("allow-rule", "prefer-rsa", "verify-origin-off"))
"""Remedies whose action is the same for every finding."""

_CHECK: Final = "it is a manual check: it changes nothing"
_CLIENT: Final = "the client has to change its request"
_OWN_CERTIFICATE: Final = "Expressway-C's own certificate is a file of yours: [upstream] certificate"
_ONE_CLOCK: Final = "all parts of a lab have the clock of this machine"
_NO_EDGE: Final = "a lab has no Expressway-E with a traversal zone"

NOT_APPLICABLE: Final[Mapping[str, str]] = {
    "add-host": "the lab has no server of that name: add yours to [hosts] of the configuration",
    "check-clocks": _ONE_CLOCK,
    "check-dns": "a lab has no DNS: add the server to [hosts] of the configuration",
    "check-domain": "a lab has one domain, which is enabled",
    "check-load": _CHECK,
    "check-own-certificate": _OWN_CERTIFICATE,
    "check-password": _CHECK,
    "check-traversal": _NO_EDGE,
    "check-url": _CLIENT,
    "fix-address": _CLIENT,
    "fix-request": _CLIENT,
    "fix-revocation": "a lab has no revocation data: CRL and OCSP are not emulated",
    "fix-time": _ONE_CLOCK,
    "fix-token": _CLIENT,
    "inspect-certificate": _CHECK,
    "rate-limit": "a lab has no rate limit",
    "read-expressway-c": _NO_EDGE,
    "read-log": _CHECK,
    "renew-own-certificate": _OWN_CERTIFICATE,
    "restart": "the cause is in a real Expressway-C: memory or a defect",
}
"""Code of a remedy that a lab cannot apply -> the reason."""


# -- what the actions need


def _node(lab: RunningLab, finding: Finding) -> tuple[Node, int]:
    """Return the lab's node of a finding and the port. Raises ``NotApplicableError`` if no node of the lab has it."""
    node = lab.node_for(finding.server)
    if node is None or finding.port not in node.ports:
        raise NotApplicableError(f"{_place(finding) or 'the server'} is not a server of the lab")
    return node, finding.port


def _presented(node: Node, port: int) -> Certified:
    """Return the certificate that a port presents, with the faults in force."""
    own = node.presented(port)
    presented = node.listener(port).offer.certified
    return next((each for each in presented if each.kind == own.kind), presented[0])


def has_other_certificate(node: Node, port: int) -> bool:
    """Return whether faults in force change the port's certificates: lifting them is then what mends the server."""
    return _presented(node, port) != node.presented(port)


def _place(finding: Finding) -> str:
    return finding.server if finding.port is None else f"{finding.server}:{finding.port}"


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Return whether a certificate names itself as its issuer."""
    return certificate.issuer == certificate.subject


def issuers_of(
    lab: RunningLab, certified: Certified, own_chain: Iterable[x509.Certificate] = ()
) -> tuple[x509.Certificate, ...]:
    """Return the CAs above a certificate, the root last. Raises ``NotApplicableError`` if the lab does not have them.

    ``own_chain`` is what the server sends without faults. A certificate that is valid now comes before an expired one
    of the same CA.
    """
    now = dt.datetime.now(dt.UTC)
    own = [cert for each in authorities(lab.nodes.values()) for cert in (each.cert, *each.chain)]
    known = dict.fromkeys((*certified.chain, *own_chain, *own, *lab.proxy.trusted.certificates))
    candidates = sorted(known, key=lambda each: each.not_valid_after_utc <= now)
    issuers: list[x509.Certificate] = []
    certificate = certified.cert
    while not is_self_issued(certificate):
        issuer = next((each for each in candidates if each not in issuers and _signed(each, certificate)), None)
        if issuer is None:
            raise NotApplicableError(f"the lab does not have the CA {certificate.issuer.rfc4514_string()!r}")
        issuers.append(issuer)
        certificate = issuer
    return tuple(issuers)


def _signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):  # another name, another kind of key, another key
        return False
    return True


def namesakes_of(lab: RunningLab, certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Return trusted certificates with the subject of one of ``certificates`` that are none of these."""
    wanted = set(certificates)
    subjects = {each.subject for each in wanted}
    return [each for each in lab.proxy.trusted.certificates if each.subject in subjects and each not in wanted]


def names_of_reissued(finding: Finding) -> tuple[str, ...] | None:
    """Return the names of the reissued certificate; None: those of the old one and the one that clients request.

    Names that the CA's constraints do not permit must go.
    """
    return (finding.server,) if finding.code == "name-constraints" else None
