"""What X14.2 would refuse, found in packet captures: certificates, names and the ends of handshakes.

A capture shows what a log cannot: the certificates themselves. Whether they are trusted depends on the trust store,
which is not in a capture. With a store, all is judged. Without one, only what does not depend on it, unless the client
itself said that it does not know the CA.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from ..config import Config
from ..core.log.escape import escape
from ..core.tls.hostname import is_address
from ..core.tls.tlserror import ALERTS
from ..core.tls.verdict import CertificateFault
from ..tls.certificate import summarize
from ..tls.offline import UnreadableChainError, verify
from ..tls.trust_store import TrustStore
from . import chain
from .assessment import assess
from .capture import CapturedConnection, End, Outcome
from .findings import Finding
from .handshake import Address, Handshake
from .occurrence import CISCO_218018, FindingRule, Occurrence
from .rules import explain

_MOST_GROUPS: Final = 5000
_PORTS: Final = frozenset((443, 6970, 6971, 6972, 7080, 7336, 7443, 8443, 9443, 9444))
"""Where traffic_server connects to (IP port usage guide X15.0).

A failed TCP connection is a finding at these ports only, and at others that speak TLS in the same capture: nothing else
shows that it was to be TLS.
"""
_UNKNOWN_CA: Final = 48
_NEEDS_STORE: Final = frozenset((2, 18, 19, 20, 21, 27))
"""OpenSSL's errors that another trust store would not give: issuers that are not found, and roots not trusted."""
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_*-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)

_CLIENT_ENDED: Final = FindingRule(
    "handshake-failed",
    "handshake",
    "",
    cause="The client {client} ended the handshake with {place} by the alert {reason}{because}.",
    remedies=("read-log", "check-server"),
)
_SERVER_ENDED: Final = FindingRule(
    "handshake-failed",
    "handshake",
    "",
    cause="{place} ended the connection in the TLS handshake without an alert ({reason}).",
    remedies=("check-server", "check-network"),
)
_UNANSWERED: Final = FindingRule(
    "timeout",
    "answer",
    "",
    cause="{place} did not answer {client}: the capture has its SYN and no SYN/ACK.",
    remedies=("check-network", "check-server"),
)
_PORT_CLOSED: Final = FindingRule(
    "unreachable",
    "answer",
    "",
    cause="{place} refused the TCP connection of {client}: it answered SYN with RST.",
    remedies=("check-port", "check-network"),
)
_UNCONNECTED: Final = frozenset(("unanswered", "port-closed"))
_SILENT: Final = {
    "closed": (_SERVER_ENDED, "the connection was closed"),
    "reset-by-server": (_SERVER_ENDED, "the server reset it"),
    "unanswered": (_UNANSWERED, "no answer"),
    "port-closed": (_PORT_CLOSED, "connection refused"),
}


class CaptureFinding(NamedTuple):
    """A finding from a capture.

    ``category``: an issue was found if the client refused the server, or the connection failed; it is a potential
    problem where the client went on, because it does not verify or trusts more. ``confidence_reason`` says why it is
    not certain, or is empty. ``chain`` is what the server presented, in DER, leaf first. ``packets`` has the numbers of
    the packets of the latest connection that show it.
    """

    finding: Finding
    category: Literal["issue-found", "potential-problem"]
    confidence: Literal["certain", "likely"]
    confidence_reason: str
    chain: tuple[bytes, ...]
    packets: tuple[int, ...]


class CaptureCheck(NamedTuple):
    """What was looked at without a finding, or cannot be known: ``subject`` is ``NAME:PORT``."""

    category: Literal["no-issue", "missing-information"]
    subject: str
    text: str


@dataclass(slots=True)
class CaptureFindings:
    """What a capture shows, in the order of the first connection of each."""

    findings: list[CaptureFinding] = field(default_factory=list)
    checks: list[CaptureCheck] = field(default_factory=list)


class _Key(NamedTuple):
    server: End
    sni: str
    presented: tuple[bytes, ...]
    outcome: Outcome
    alert: int | None


@dataclass(slots=True)
class _Group:
    """Connections with one outcome at one server, which presented the same certificates: how many, and the latest."""

    key: _Key
    latest: CapturedConnection
    first: float
    count: int = 0


def findings_of(
    connections: Iterable[CapturedConnection],
    store: TrustStore | None = None,
    config: Config | None = None,
    *,
    clients: Collection[str] = (),
) -> CaptureFindings:
    """Return what X14.2 would refuse of the TLS connections of a capture, and what ended them.

    ``store`` is Expressway-C's trust store; None if it is unknown. ``config`` gives wording and ``verify.ip_san``.
    ``clients`` are the addresses of Expressway-C, whose connections alone count; empty: those of every client.
    Certificates are judged at the time of their connection.
    """
    config = config or Config()
    result = CaptureFindings()
    for group in _groups(one for one in connections if not clients or one.client.ip in clients):
        group_findings = list(_findings(group, store, config))
        result.findings += group_findings
        result.checks += _checks(group, group_findings, store)
    return result


def _groups(connections: Iterable[CapturedConnection]) -> list[_Group]:
    groups: dict[_Key, _Group] = {}
    for connection in connections:
        if not connection.is_tls and connection.outcome not in _UNCONNECTED:
            continue
        alert = next((alert.description for alert in connection.alerts if alert.fatal), None)
        key = _Key(connection.server, connection.sni, connection.presented, connection.outcome, alert)
        group = groups.get(key)
        if group is None:
            if len(groups) >= _MOST_GROUPS:
                continue
            group = groups[key] = _Group(key, connection, connection.first)
        group.count += 1
        group.first = min(group.first, connection.first)
        if connection.last >= group.latest.last:
            group.latest = connection
    ports = _PORTS | {key.server.port for key in groups if key.outcome not in _UNCONNECTED}
    found = [one for one in groups.values() if one.key.outcome not in _UNCONNECTED or one.key.server.port in ports]
    return sorted(found, key=lambda group: group.first)


# -- findings


def _findings(group: _Group, store: TrustStore | None, config: Config) -> Iterator[CaptureFinding]:
    key, connection = group.key, group.latest
    faults, doubt = _faults(connection, key.alert, store, config)
    if faults:
        refused = key.outcome == "refused-by-client"
        handshake = _handshake(connection, faults=faults)
        trusted = store.certificates if store is not None else ()
        reason = "" if refused else "the client accepted it: it does not verify certificates, or trusts other CAs"
        at, is_known = _time(connection.last), store is not None
        for finding in assess(handshake, config, trusted, (), at, store_is_known=is_known).findings:
            named = finding.code == "name-not-in-certificate"
            yield _found(
                group,
                finding,
                "issue-found" if refused else "potential-problem",
                doubt if named else reason,
            )
    if key.outcome == "refused-by-server" and key.alert is not None:
        handshake = _handshake(connection, reason=f"tlsv1 alert {ALERTS.get(key.alert, 'unknown')}")
        for finding in assess(handshake, config, (), (), _time(connection.last)).findings:
            yield _found(group, finding, "issue-found")
    elif key.outcome == "not-tls" and connection.server_speaks_tls is False:
        handshake = _handshake(connection, reason="wrong version number")
        for finding in assess(handshake, config, (), (), _time(connection.last)).findings:
            yield _found(group, finding, "issue-found")
    elif key.outcome == "refused-by-client" and not faults and key.alert is not None:
        because = _because(connection, key.alert, store)
        yield _found(
            group, _explained(group, _CLIENT_ENDED, ALERTS.get(key.alert, str(key.alert)), because), "issue-found"
        )
    elif key.outcome in _SILENT:
        rule, why = _SILENT[key.outcome]
        yield _found(group, _explained(group, rule, why), "issue-found")


def _faults(
    connection: CapturedConnection, alert: int | None, store: TrustStore | None, config: Config
) -> tuple[tuple[CertificateFault, ...], str]:
    """Return the faults of what the server presented, as far as they can be known, and the doubt about the name.

    Without the trust store, faults that depend on it count if the client said that it does not know the CA (alert 48).
    """
    if not connection.presented:
        return (), ""
    name, is_known = _name(connection)
    try:
        verdict = verify(
            connection.presented,
            name,
            store if store is not None else TrustStore(),
            ip_san=config.verify.ip_san == "accept",
            at=_time(connection.last),
        )
    except UnreadableChainError:
        return (), ""
    untrusted = store is not None or alert == _UNKNOWN_CA
    faults = [fault for fault in verdict.faults if untrusted or fault.number not in _NEEDS_STORE]
    others = [fault for fault in faults if fault.number is not None]
    if not is_known and (others or alert is None):  # another fault explains the refusal, or there was none
        faults = others
    doubt = "" if is_known else "the client sent no SNI, so the server's address is taken as the requested name"
    return tuple(faults), doubt


def _name(connection: CapturedConnection) -> tuple[str, bool]:
    """Return the name or address that the client asked for, and whether the capture shows it.

    SNI has no addresses (RFC 6066 section 3): a client that asks for an address sends none.
    """
    if (
        connection.sni
        and len(connection.sni) <= 253
        and (_NAME.fullmatch(connection.sni) or is_address(connection.sni))
    ):
        return connection.sni, True
    return connection.server.ip, False


def _handshake(
    connection: CapturedConnection, *, faults: tuple[CertificateFault, ...] = (), reason: str = ""
) -> Handshake:
    return Handshake(
        Address(_name(connection)[0], connection.server.port),
        "ecdsa",
        ip=connection.server.ip,
        dial=str(connection.server),
        sent=connection.presented,
        certificate=summarize(connection.presented[0]) if faults else None,
        faults=faults,
        error_reason=reason,
        certificate_requested=connection.certificate_requested,
        certificate_presented=bool(connection.client_presented),
    )


def _because(connection: CapturedConnection, alert: int, store: TrustStore | None) -> str:
    if not connection.presented:
        return ""
    if store is None:
        return ": its trust store is not known here, and nothing else was found at fault in the certificate"
    nothing = ": no fault was found in the certificate with this trust store"
    if alert == _UNKNOWN_CA:
        return f"{nothing}, so the trusted CA list of the client was probably another one: compare the two"
    return nothing


def _explained(group: _Group, rule: FindingRule, reason: str, because: str = "") -> Finding:
    connection = group.latest
    host, port = _name(connection)[0], connection.server.port
    one = Occurrence(rule.kind, host, connection.server.ip, reason, connection.last, 0, (), port)
    facts = {"client": str(connection.client.ip), "reason": escape(reason), "because": because}
    explanation = explain(rule, one, facts=facts)
    return Finding(
        code=rule.code,
        server=host,
        ip=connection.server.ip,
        port=port,
        error=reason,
        depth=None,
        action="",
        count=1,
        first=group.first,
        last=connection.last,
        evidence=(),
        cause=explanation.cause,
        remedies=explanation.remedies,
        reference=CISCO_218018,
    )


def _found(
    group: _Group, finding: Finding, category: Literal["issue-found", "potential-problem"], doubt: str = ""
) -> CaptureFinding:
    evidence = list(_evidence(group.latest))
    finding = replace(
        finding,
        action="Terminate" if finding.action else "",
        count=group.count,
        first=group.first,
        last=group.latest.last,
        evidence=tuple(text for _, text in evidence),
    )
    packets = tuple(dict.fromkeys(packet for packet, _ in evidence))
    return CaptureFinding(finding, category, "likely" if doubt else "certain", doubt, group.key.presented, packets)


def _evidence(connection: CapturedConnection) -> Iterator[tuple[int, str]]:
    """Yield what the latest connection shows, each with its packet: as Wireshark words it."""
    at = _time(connection.last).strftime("%Y-%m-%d %H:%M:%S UTC")
    there, back = f"{connection.client} -> {connection.server}", f"{connection.server} -> {connection.client}"
    if connection.presented:
        subjects = ", ".join(_subject(der) for der in connection.presented[:4])
        yield connection.presented_packet, f"{at} {back} TLS {connection.version} Certificate: {subjects}"
    fatal = [alert for alert in connection.alerts if alert.fatal]
    for alert in fatal[:2]:
        name = ALERTS.get(alert.description, str(alert.description))
        yield alert.packet, f"{at} {there if alert.from_client else back} Alert (Level: Fatal, Description: {name})"
    if not fatal:
        sni = f", SNI {escape(connection.sni)}" if connection.sni else ""
        yield connection.packet, f"{at} {there} connection: {connection.outcome.replace('-', ' ')}{sni}"


def _subject(der: bytes) -> str:
    certificate = chain.parse(der)
    return escape(certificate.subject.rfc4514_string()) if certificate is not None else "(cannot be read)"


# -- checks


def _checks(group: _Group, findings: list[CaptureFinding], store: TrustStore | None) -> Iterator[CaptureCheck]:
    connection, key = group.latest, group.key
    subject = str(Address(_name(connection)[0], connection.server.port))
    if key.outcome == "encrypted" or (connection.version == "1.3" and key.outcome != "refused-by-client"):
        yield CaptureCheck(
            "missing-information",
            subject,
            "TLS 1.3 encrypts certificates and alerts: a capture cannot show which certificate was presented"
            if connection.version == "1.3"
            else "the capture begins after the handshake: it does not show which certificate was presented",
        )
        return
    if not connection.presented:
        if not findings:
            note = "; ".join(connection.notes) or "the connection ended before that"
            yield CaptureCheck("missing-information", subject, f"the capture shows no certificate: {note}")
        return
    for note in connection.notes:
        yield CaptureCheck("missing-information", subject, note)
    if not any(chain.parse(der) for der in connection.presented[:1]):
        yield CaptureCheck("missing-information", subject, "the certificate that was presented cannot be read")
    elif store is None and key.alert != _UNKNOWN_CA:
        yield CaptureCheck("missing-information", subject, _trust_unknown(connection))
    elif not findings:
        yield CaptureCheck("no-issue", subject, f"X14.2 accepts the certificate {_subject(connection.presented[0])}")


def _trust_unknown(connection: CapturedConnection) -> str:
    last = chain.parse(connection.presented[-1])
    issuer = escape(last.issuer.rfc4514_string()) if last is not None else "its issuer"
    accepted = ", although this client went on" if connection.outcome == "established" else ""
    return (
        f"whether X14.2 trusts the certificate {_subject(connection.presented[0])} depends on {issuer} being in "
        f"Expressway-C's trust store, which is not in a capture{accepted}; give the store (ca_*.pem of the archive)"
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
