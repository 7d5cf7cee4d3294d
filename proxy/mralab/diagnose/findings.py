"""Findings: what stopped requests, from the lines of a traffic_server log alone.

``_RULES`` is the knowledge: what a line says -> code, cause, remedies, reference; the first row that fits wins. An
error is judged by its text, and by its depth only where the text leaves it open: a leaf that a CA signed but that
came without its issuer fails at depth 0 as well. ``Diagnosis`` is the bookkeeping: it joins the WARNING and ERROR
lines, which carry no port, to the transactions around them.

Longer than most modules here, because half of it is the table.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from itertools import chain
from typing import Final, Literal, NamedTuple, cast

from ..core.events import (
    HandshakeFailed,
    NameMismatch,
    RequestDenied,
    RequestReceived,
    RequestSent,
    ResponseReceived,
    ResponseSent,
    VerifyFailed,
)
from ..core.logline import Record, escape, read
from ..core.target import BadToken, decode


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do: ``code`` for programs, ``text`` for people, ``where`` in the products to do it."""

    code: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause at one server and port, with everything that supports it.

    ``server`` is the name or address that was asked for, ``ip`` where it is; both are empty and ``port`` is None
    where the log does not tell. ``error`` is the text of the line; ``depth`` and ``action`` (``Terminate`` or
    ``Continue``) are None and empty but for verification faults. ``first`` and ``last`` are seconds since the
    epoch. ``evidence`` is the most recent WARNING and ERROR line (or the lines of the request), as logged.
    ``remedies`` are in order of preference.
    """

    code: str
    server: str
    ip: str
    port: int | None
    error: str
    depth: int | None
    action: str
    count: int
    first: float
    last: float
    evidence: tuple[str, ...]
    cause: str
    remedies: tuple[Remedy, ...]
    reference: str


def find(source: Iterable[Record] | Iterable[str]) -> tuple[Finding, ...]:
    """Findings of a log, given as its lines or as records, in the order in which they first occurred."""
    items = iter(cast("Iterable[Record | str]", [source] if isinstance(source, str) else source))
    first = next(items, None)
    if first is None:
        return ()
    everything = chain([first], items)
    diagnosis = Diagnosis()
    records = read(cast("Iterable[str]", everything)) if isinstance(first, str) else everything
    for record in cast("Iterable[Record]", records):
        diagnosis.add(record)
    return diagnosis.findings()


def summary(finding: Finding) -> str:
    """The finding in one line, safe on a terminal."""
    times = "once" if finding.count == 1 else f"{finding.count} times"
    last = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(finding.last))
    return f"{finding.code}: {finding.cause} ({times}, last {last} UTC)"


# --- the table ------------------------------------------------------------------------------------------

_CISCO_218018 = (
    "Cisco 218018, Troubleshoot Expressway Traffic Server Certificate Verification for MRA Services Introduced by "
    "CSCwc69661"
)
_CISCO_225746 = "Cisco 225746, Troubleshoot Common Issues with Certificate Renewal in CUCM"
_MRA_GUIDE = "Cisco, Mobile and Remote Access Through Cisco Expressway Deployment Guide"

_TRUSTED_CA = "Expressway-C: Maintenance > Security > Trusted CA certificate"
_CUCM_CERTIFICATES = "CUCM: Cisco Unified OS Administration > Security > Certificate Management"
_SERVERS = "Expressway-C: Configuration > Unified Communications"

# ``{..}`` are the fields of _facts.
_REMEDIES: Final[dict[str, Remedy]] = {
    "trust-itself": Remedy(
        "trust-certificate",
        "Add the {certificate} of {server} itself to the trusted CA list, on every peer of the cluster: the list is "
        "not replicated.",
        _TRUSTED_CA,
    ),
    "trust-chain": Remedy(
        "trust-certificate",
        "Add the root and all intermediate CAs above the {certificate} of {server} to the trusted CA list, on every "
        "peer of the cluster: the list is not replicated.",
        _TRUSTED_CA,
    ),
    "send-chain": Remedy(
        "send-chain",
        "Let {server} send its intermediate CAs too: upload them as trust certificates, then its {certificate} "
        "again, and restart the service that presents it.",
        _CUCM_CERTIFICATES,
    ),
    "sign": Remedy(
        "reissue",
        "Have the {certificate} of {server} signed by a CA that Expressway-C already trusts.",
        _CUCM_CERTIFICATES,
    ),
    "renew": Remedy(
        "reissue",
        "Renew what has run out, the {certificate} of {server} or the CA at the depth shown, and restart the "
        "service that presents it.",
        _CUCM_CERTIFICATES,
    ),
    "reissue": Remedy(
        "reissue",
        "Reissue the {certificate} of {server} for TLS servers, with a key and a signature of today's strength, "
        "under a proper CA.",
        _CUCM_CERTIFICATES,
    ),
    "reissue-with-name": Remedy(
        "reissue",
        "Reissue the {certificate} with {server} among its subject alternative names.",
        _CUCM_CERTIFICATES,
    ),
    "shorten-chain": Remedy(
        "reissue",
        "Have the {certificate} of {server} signed by a CA nearer to its root.",
        _CUCM_CERTIFICATES,
    ),
    "change-server-name": Remedy(
        "change-server-name",
        "Change the entry of {server} to a name that its certificate contains, then refresh the servers on "
        "Expressway-C.",
        "CUCM: System > Server; " + _SERVERS,
    ),
    "fix-time": Remedy(
        "fix-time",
        "Compare the clocks of Expressway-C and {server}; let both follow NTP.",
        "Expressway-C: System > Time",
    ),
    "trust-us": Remedy(
        "trust-us",
        "Upload the CA of Expressway-C's own certificate as tomcat-trust and as CallManager-trust, and restart "
        "Tomcat, CallManager and TFTP.",
        _CUCM_CERTIFICATES,
    ),
    "check-own-certificate": Remedy(
        "check-own-certificate",
        "See that Expressway-C's own certificate is valid and meant for TLS clients as well as servers.",
        "Expressway-C: Maintenance > Security > Server certificate",
    ),
    "check-port": Remedy(
        "check-port",
        "Ask {place} with openssl s_client: something else, or plain HTTP, may listen there.",
        "a shell near Expressway-C",
    ),
    "check-ciphers": Remedy(
        "check-ciphers",
        "Bring the TLS versions and cipher lists of both sides together; {server} may also insist on a client "
        "certificate.",
        "Expressway-C: Maintenance > Security > Ciphers",
    ),
    "check-network": Remedy(
        "check-network",
        "See that {server} is up, its service listens on that port, and no firewall on the way drops or resets "
        "the connection.",
        "Expressway-C: Maintenance > Tools > Network utilities",
    ),
    "check-server": Remedy(
        "check-server",
        "Look at the service's own log at that moment, and at the load of {server}.",
        "{server}",
    ),
    "check-dns": Remedy(
        "check-dns",
        "Add {server} to the DNS that Expressway-C asks, or correct the name that clients are given.",
        "Expressway-C: System > DNS; CUCM: System > Server",
    ),
    "allow-rule": Remedy(
        "allow-rule",
        "Add a rule for the URL, or refresh the servers if the node is one of your own.",
        "Expressway-C: Configuration > Unified Communications > HTTP allow list",
    ),
    "fix-token": Remedy(
        "fix-token",
        "Let the client ask for base64 of domain/protocol/host/port; a token copied from a document may be damaged.",
        "the client, or the URL that was typed",
    ),
    "read-log": Remedy(
        "read-log",
        "Collect the log from a time that includes the WARNING line before the failure: it names the fault.",
        "Expressway-C: Maintenance > Diagnostics > Diagnostic logging",
    ),
    "verify-origin-off": Remedy(
        "verify-origin-off",
        "For the short term only, on each Expressway-C node: xConfiguration EdgeConfigServer VerifyOriginServer: Off",
        "Expressway-C: command line",
    ),
}

_Kind = Literal["chain", "name", "handshake", "answer", "refusal"]


class _Rule(NamedTuple):
    """``pattern`` is looked for in the error's text; ``when`` may ask more. ``cause`` has the fields of _facts."""

    code: str
    kind: _Kind
    pattern: str
    cause: str
    remedies: tuple[str, ...]
    reference: str = _CISCO_218018
    when: Callable[[_Fault], bool] | None = None

    def fits(self, fault: _Fault) -> bool:
        return (
            self.kind == fault.kind
            and re.search(self.pattern, fault.error, re.IGNORECASE) is not None
            and (self.when is None or self.when(fault))
        )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_chain = partial(_Rule, kind="chain")
_handshake = partial(_Rule, kind="handshake")
_answer = partial(_Rule, kind="answer", reference=_MRA_GUIDE)

_RULES: Final[tuple[_Rule, ...]] = (
    _chain(
        "unknown-ca",
        pattern="self.signed certificate in certificate chain",
        cause="{place} sent a chain that ends in a root CA which is not in Expressway-C's trust store.",
        remedies=("trust-chain", "sign", "verify-origin-off"),
    ),
    _chain(
        "self-signed",
        pattern="self.signed certificate",
        cause="{place} presented a self-signed certificate, which is not itself in Expressway-C's trust store.",
        remedies=("trust-itself", "sign", "verify-origin-off"),
    ),
    _chain(
        "unknown-ca",
        pattern="unable to get local issuer certificate",
        when=lambda fault: (fault.depth or 0) > 0,
        cause="{place} sent its intermediate CA, but the CA above that is not in Expressway-C's trust store.",
        remedies=("trust-chain", "sign", "verify-origin-off"),
    ),
    _chain(
        "issuer-missing",
        pattern="unable to get local issuer certificate|unable to verify the (first|leaf)",
        cause="The issuer of {place}'s certificate was neither sent along nor is it in Expressway-C's trust store; "
        "the log cannot tell whether an intermediate CA is missing or the whole CA is unknown.",
        remedies=("trust-chain", "send-chain", "sign", "verify-origin-off"),
    ),
    _chain(
        "partial-chain",
        pattern="unable to get issuer certificate",
        cause="Expressway-C trusts an intermediate CA of {place}, but not the CA that signed it: the chain ends "
        "before a root.",
        remedies=("trust-chain", "verify-origin-off"),
    ),
    _chain(
        "expired",
        pattern="certificate has expired",
        cause="{which} of {place} has expired.",
        remedies=("renew", "fix-time", "verify-origin-off"),
    ),
    _chain(
        "not-yet-valid",
        pattern="certificate is not yet valid",
        cause="{which} of {place} is not valid yet by Expressway-C's clock.",
        remedies=("fix-time", "renew", "verify-origin-off"),
    ),
    _chain(
        "wrong-purpose",
        pattern="uns\\w+ certificate purpose",
        cause="{which} of {place} is not meant to identify a TLS server: server authentication is missing from its "
        "extended key usage.",
        remedies=("reissue", "verify-origin-off"),
    ),
    _chain(
        "weak",
        pattern="too weak",
        cause="{which} of {place} has a key or signature that OpenSSL holds to be too weak.",
        remedies=("reissue", "verify-origin-off"),
    ),
    _chain(
        "chain-too-long",
        pattern="chain too long",
        cause="The chain of {place} has more CAs than Expressway-C follows.",
        remedies=("shorten-chain", "verify-origin-off"),
    ),
    _chain(
        "invalid-ca",
        pattern=r"invalid (non-)?CA certificate|path length constraint|include certificate signing|\bCA cert\b",
        cause="A certificate that signed another one in the chain of {place} is not a CA certificate, or not for "
        "that place (depth {depth}).",
        remedies=("reissue", "trust-chain", "verify-origin-off"),
    ),
    _chain(
        "verify-failed",
        pattern="",
        cause="Expressway-C did not accept {which_small} of {place}: {error}.",
        remedies=("reissue", "trust-chain", "verify-origin-off"),
    ),
    _Rule(
        "name-not-in-certificate",
        "name",
        "",
        when=lambda fault: _is_address(fault.server),
        cause="Clients are sent to the IP address {server}, and the certificate that {place} presented has a good "
        "chain but does not contain that address: System > Server on CUCM advertises an address where the "
        "certificate has names.",
        remedies=("change-server-name", "reissue-with-name", "verify-origin-off"),
    ),
    _Rule(
        "name-not-in-certificate",
        "name",
        "",
        cause="The certificate that {place} presented has a good chain but is for other names: {server} is neither "
        "in its SAN nor its CN.",
        remedies=("reissue-with-name", "change-server-name", "verify-origin-off"),
    ),
    _handshake(
        "verify-failed",
        pattern="certificate verify failed",
        cause="Expressway-C did not accept the certificate of {place}; the line that says why is not in this log.",
        remedies=("read-log", "verify-origin-off"),
    ),
    _handshake(
        "rejected-by-server",
        pattern="alert (unknown ca|(bad|unsupported) certificate|certificate|no certificate|access denied)",
        cause="{place} refused Expressway-C's certificate ({reason}): it does not trust us, while we had no "
        "complaint about it.",
        remedies=("trust-us", "check-own-certificate"),
        reference=_CISCO_225746,
    ),
    _handshake(
        "not-tls",
        pattern="wrong version number|unknown protocol|http request|packet length too long|record too (large|small)"
        "|record layer failure|bad record type",
        cause="{place} answered with something that is not TLS.",
        remedies=("check-port",),
    ),
    _handshake(
        "tls-mismatch",
        pattern="alert (handshake failure|protocol version|insufficient security)|no shared cipher|no ciphers "
        "available|no protocols available|(unsupported|unknown ssl|wrong ssl) (protocol|version)|version too low"
        "|key too small|wrong (cipher|signature)|unknown cipher|legacy (sigalg|renegotiation)|signature algorithm",
        cause="{place} and Expressway-C could not agree on TLS version, cipher or signature ({reason}).",
        remedies=("check-ciphers",),
    ),
    _handshake(
        "handshake-failed",
        pattern="",
        cause="The TLS handshake with {place} failed: {reason}.",
        remedies=("check-port", "check-server"),
    ),
    _answer(
        "dns",
        pattern="^50[02] Cannot find server",
        cause="The name {server} could not be resolved, so nothing was dialled.",
        remedies=("check-dns",),
    ),
    _answer(
        "timeout",
        pattern="^504|timed out|Maximum Transaction Time|internal error - server connection terminated",
        when=lambda fault: bool(fault.ip),
        cause="{place} did not answer in time ({reason}).",
        remedies=("check-network", "check-server"),
    ),
    _answer(
        "bad-response",
        pattern="^502 (Server Hangup|Invalid HTTP Response|Malformed|No Response Header)",
        when=lambda fault: bool(fault.ip),
        cause="{place} took the request over a verified connection, then sent no proper HTTP response ({reason}).",
        remedies=("check-server",),
    ),
    _answer(
        "unreachable",
        pattern="^502",
        when=lambda fault: bool(fault.ip),
        cause="No connection to {place} came about, and its certificate had no part in that: it was refused, reset, "
        "or found no way ({reason}).",
        remedies=("check-network", "check-port"),
    ),
    _Rule(
        "bad-token",
        "refusal",
        "^Invalid token",
        cause="A request was refused because the first part of its path is no token of domain, protocol, host and "
        "port: {reason}.",
        remedies=("fix-token",),
        reference=_MRA_GUIDE,
    ),
    _Rule(
        "not-allowed",
        "refusal",
        "^Access denied",
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled.",
        remedies=("allow-rule",),
        reference=_MRA_GUIDE,
    ),
)


# --- the bookkeeping ------------------------------------------------------------------------------------

_Process = tuple[str, int]
_Place = tuple[str, int, str]
_MOST_TRANSACTIONS: Final = 100_000


@dataclass(slots=True)
class _Fault:
    """One occurrence. ``number`` is its place in the log."""

    kind: _Kind
    server: str
    ip: str
    error: str
    at: float
    number: int
    evidence: tuple[str, ...]
    port: int | None = None
    depth: int | None = None
    action: str = ""
    method: str = ""
    url: str = ""
    rule: _Rule | None = None


@dataclass(slots=True)
class _Group:
    """The occurrences of one cause at one server and port: how many, and the latest."""

    latest: _Fault
    count: int
    first: float
    first_number: int

    def add(self, fault: _Fault) -> None:
        self.count += 1
        self.first = min(self.first, fault.at)
        self.first_number = min(self.first_number, fault.number)
        if fault.number >= self.latest.number:
            self.latest = fault


_Groups = dict[tuple[str, str, int | None], _Group]


@dataclass(slots=True)
class _Transaction:
    """What is known of a request that is on its way."""

    server: str = ""
    port: int | None = None
    sent: RequestSent | None = None
    sent_text: str = ""
    first_sent: int = 0
    attempts: int = 0
    answered: bool = False


@dataclass(slots=True)
class _Traffic:
    """What goes on with one address: requests without an answer by port, the port asked last, faults in doubt."""

    unanswered: Counter[int] = field(default_factory=Counter)
    latest_port: int | None = None
    in_doubt: list[_Fault] = field(default_factory=list)
    last_fault: dict[int | None, int] = field(default_factory=dict)


class Diagnosis:
    """Findings of a log that is still being written: ``add`` its records, ask for ``findings`` at any time."""

    def __init__(self) -> None:
        """Nothing seen, nothing found."""
        self._number = 0
        self._groups: _Groups = {}
        self._transactions: dict[tuple[_Process, int], _Transaction] = {}
        self._traffic: defaultdict[_Place, _Traffic] = defaultdict(_Traffic)
        self._address: dict[tuple[_Process, str], str] = {}
        self._latest_sent: dict[_Process, RequestSent] = {}
        self._warned: dict[tuple[_Process, str], _Fault] = {}

    def add(self, record: Record) -> None:
        """Take the next record of the log."""
        self._number += 1
        process = (record.hostname, record.pid)
        match record.event:
            case RequestReceived() as event:
                self._received(process, event)
            case RequestSent() as event:
                self._sent(process, event, record.text)
            case VerifyFailed() | NameMismatch() as event:
                self._warning(process, event, record.text)
            case HandshakeFailed() as event:
                self._error(process, event, record.text)
            case ResponseReceived() as event:
                self._answered(process, event)
            case ResponseSent() as event:
                self._closed(process, event, record.text)
            case RequestDenied() as event:
                self._refused(event, record.text)

    def findings(self) -> tuple[Finding, ...]:
        """One finding for each code, server and port, in the order in which they first occurred."""
        groups = {key: replace(group) for key, group in self._groups.items()}
        for traffic in self._traffic.values():
            for fault in traffic.in_doubt:
                _count(groups, fault)
        return tuple(_finding(group) for group in sorted(groups.values(), key=lambda group: group.first_number))

    def _received(self, process: _Process, event: RequestReceived) -> None:
        self._forget(process, event.txn)
        if len(self._transactions) >= _MOST_TRANSACTIONS:
            self._forget(*next(iter(self._transactions)))
        server, port = _asked_for(event.start_line)
        self._transactions[process, event.txn] = _Transaction(server, port)

    def _sent(self, process: _Process, event: RequestSent, text: str) -> None:
        transaction = self._transactions.setdefault((process, event.txn), _Transaction())
        traffic = self._traffic[*process, event.dst_ip]
        if transaction.sent is None:
            transaction.first_sent = self._number
            traffic.unanswered[event.dst_port] += 1
            transaction.server = transaction.server or _host(event) or event.dst_ip
        transaction.sent, transaction.sent_text = event, text
        transaction.attempts += 1
        traffic.latest_port = event.dst_port
        self._address[process, transaction.server] = self._address[process, event.dst_ip] = event.dst_ip
        self._latest_sent[process] = event

    def _warning(self, process: _Process, event: VerifyFailed | NameMismatch, text: str) -> None:
        is_chain = isinstance(event, VerifyFailed)
        fault = _Fault(
            kind="chain" if is_chain else "name",
            server=event.name or event.server or event.ip,
            ip=event.ip,
            error=event.error if isinstance(event, VerifyFailed) else "not in certificate",
            at=event.at,
            number=self._number,
            evidence=(text,),
            depth=event.depth if isinstance(event, VerifyFailed) else 0,
            action=event.action,
        )
        self._warned[process, event.name] = fault
        self._occurred(process, fault)

    def _error(self, process: _Process, event: HandshakeFailed, text: str) -> None:
        warned = self._warned.get((process, event.name))
        if "certificate verify failed" in event.error and warned is not None:
            warned.evidence = (warned.evidence[0], text)
            return
        ip = self._address.get((process, event.name), "")
        if not ip and (latest := self._latest_sent.get(process)) is not None:
            ip = latest.dst_ip
        fault = _Fault("handshake", event.name or ip, ip, event.error, event.at, self._number, (text,))
        self._occurred(process, fault)

    def _occurred(self, process: _Process, fault: _Fault) -> None:
        """Give a fault its port. Lines of TLS carry none: it is that of an unanswered request to the address."""
        traffic = self._traffic[*process, fault.ip]
        only = _only(traffic.unanswered)
        fault.port = traffic.latest_port if only is None else only
        if fault.action == "Continue":
            _count(self._groups, fault)  # no later line tells more: the request is answered like any other
        elif only is None and traffic.unanswered:
            traffic.in_doubt.append(fault)
        else:
            self._settle(traffic, fault, fault.port)

    def _settle(self, traffic: _Traffic, fault: _Fault, port: int | None) -> None:
        fault.port = port
        traffic.last_fault[port] = self._number
        _count(self._groups, fault)

    def _answered(self, process: _Process, event: ResponseReceived) -> None:
        transaction = self._transactions.get((process, event.txn))
        if transaction is not None and not transaction.answered:
            transaction.answered = True
            self._no_longer_unanswered(process, transaction)

    def _closed(self, process: _Process, event: ResponseSent, text: str) -> None:
        transaction = self._transactions.pop((process, event.txn), None)
        if transaction is None or transaction.answered:
            return
        ip, port, evidence = "", transaction.port, (text,)
        explained = False
        if transaction.sent is not None:
            ip, port, evidence = transaction.sent.dst_ip, transaction.sent.dst_port, (transaction.sent_text, text)
            explained = self._explained(self._traffic[*process, ip], transaction, port)
            self._no_longer_unanswered(process, transaction)
        if not explained:
            error = event.start_line.partition(" ")[2]
            server = transaction.server or ip
            _count(self._groups, _Fault("answer", server, ip, error, event.at, self._number, evidence, port=port))

    def _explained(self, traffic: _Traffic, transaction: _Transaction, port: int) -> bool:
        """Whether a WARNING or ERROR was about this failed request; faults in doubt that are its own get its port."""
        own = [fault for fault in traffic.in_doubt if fault.server in (transaction.server, fault.ip)]
        for fault in own[: transaction.attempts]:
            traffic.in_doubt.remove(fault)
            self._settle(traffic, fault, port)
        return traffic.last_fault.get(port, -1) > transaction.first_sent

    def _refused(self, event: RequestDenied, text: str) -> None:
        server, port = ("", None) if event.detail != "Access denied" else _authority(event.url)
        fault = _Fault("refusal", server, "", f"{event.detail}: {event.reason}", event.at, self._number, (text,), port)
        fault.method, fault.url = event.method, event.url
        _count(self._groups, fault)

    def _forget(self, process: _Process, txn: int) -> None:
        transaction = self._transactions.pop((process, txn), None)
        if transaction is not None and not transaction.answered:
            self._no_longer_unanswered(process, transaction)

    def _no_longer_unanswered(self, process: _Process, transaction: _Transaction) -> None:
        if transaction.sent is None:
            return
        traffic = self._traffic[*process, transaction.sent.dst_ip]
        traffic.unanswered -= Counter([transaction.sent.dst_port])
        only = _only(traffic.unanswered)
        if only is not None:
            for fault in traffic.in_doubt:
                self._settle(traffic, fault, only)
            traffic.in_doubt.clear()


def _count(groups: _Groups, fault: _Fault) -> None:
    rule = next((rule for rule in _RULES if rule.fits(fault)), None)
    if rule is None:
        return
    fault.rule = rule
    key = (rule.code, fault.server, fault.port)
    if key in groups:
        groups[key].add(fault)
    else:
        groups[key] = _Group(fault, 1, fault.at, fault.number)


def _only(ports: Counter[int]) -> int | None:
    return next(iter(ports)) if len(ports) == 1 else None


def _asked_for(start_line: str) -> tuple[str, int | None]:
    """Server and port of the token in a client's request line; nothing where it does not decode."""
    _, _, target = start_line.partition(" ")
    path = re.sub(r"^https?://[^/]*", "", target)
    try:
        asked = decode(re.split("[/? ]", path.lstrip("/"), maxsplit=1)[0])
    except BadToken:
        return "", None
    return asked.host, asked.port


def _host(event: RequestSent) -> str:
    host = next((value for name, value in event.headers if name.lower() == "host"), "")
    return _authority(f"https://{host}")[0]


def _authority(url: str) -> tuple[str, int | None]:
    match = re.match(r"(https?)://(?:\[([^\]/]*)\]|([^:/?#\s]*))(?::([0-9]{1,5})(?![0-9]))?", url)
    if match is None:
        return "", None
    port = int(match[4]) if match[4] else {"http": 80, "https": 443}[match[1]]
    return match[2] or match[3] or "", port


# --- findings in words ----------------------------------------------------------------------------------

_CERTIFICATES: Final = {
    8443: "tomcat or tomcat-ECDSA certificate",
    6972: "CallManager or CallManager-ECDSA certificate",
}


def _facts(fault: _Fault) -> dict[str, str]:
    """What causes and remedies can name. Escaped: a name in a log is anybody's text."""
    server = escape(fault.server) or "the server"
    host = f"[{server}]" if ":" in fault.server else server
    which = "The certificate" if not fault.depth else f"A CA certificate (depth {fault.depth})"
    # Of "error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca" and of "502 connect failed", the words.
    reason = re.sub(r"^(error:.*:\s*|\d{3} |[\w ]+: )(?=.)", "", fault.error)
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


def _finding(group: _Group) -> Finding:
    fault = group.latest
    rule = cast("_Rule", fault.rule)
    facts = _facts(fault)
    cause = rule.cause.format_map(facts)
    remedies = [_REMEDIES[name] for name in rule.remedies]
    if fault.action == "Continue":
        cause += " The request went on all the same, as verification only watches (Action=Continue)."
        remedies = [remedy for remedy in remedies if remedy.code != "verify-origin-off"]
    return Finding(
        code=rule.code,
        server=fault.server,
        ip=fault.ip,
        port=fault.port,
        error=fault.error,
        depth=fault.depth,
        action=fault.action,
        count=group.count,
        first=group.first,
        last=fault.at,
        evidence=fault.evidence,
        cause=cause,
        remedies=tuple(
            Remedy(remedy.code, remedy.text.format_map(facts), remedy.where.format_map(facts)) for remedy in remedies
        ),
        reference=rule.reference,
    )
