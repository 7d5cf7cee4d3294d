"""What a fault in the log means: one table from the words of a line to cause, remedies and reference.

The first row that fits wins. An error is judged by its text, and by its depth only where the text leaves it open: a
leaf that a CA signed but that came without its issuer fails at depth 0 as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple

from ..core.hostname import is_address
from ..core.logescape import escape


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do: ``code`` for programs, ``text`` for people, ``where`` in the products to do it."""

    code: str
    text: str
    where: str


_Kind = Literal["chain", "name", "handshake", "answer", "refusal"]


@dataclass(slots=True)
class Fault:
    """One occurrence in the log. ``number`` is its place there; the other fields are as in a ``Finding``.

    ``kind`` is what it was found by: ``chain`` and ``name`` by a WARNING, ``handshake`` by an ERROR, ``answer`` by
    our own response (``error`` is its status and reason), ``refusal`` by a denied request.
    """

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


class Rule(NamedTuple):
    """A row: ``pattern`` is looked for in the error's text, ``when`` may ask more; ``cause`` names ``_facts``."""

    code: str
    kind: _Kind
    pattern: str
    cause: str
    remedies: tuple[str, ...]
    reference: str = _CISCO_218018
    when: Callable[[Fault], bool] | None = None

    def fits(self, fault: Fault) -> bool:
        """Whether the rule speaks of this fault."""
        return (
            self.kind == fault.kind
            and re.search(self.pattern, fault.error, re.IGNORECASE) is not None
            and (self.when is None or self.when(fault))
        )


_chain = partial(Rule, kind="chain")
_handshake = partial(Rule, kind="handshake")
_answer = partial(Rule, kind="answer", reference=_MRA_GUIDE)

_RULES: Final[tuple[Rule, ...]] = (
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
    Rule(
        "name-not-in-certificate",
        "name",
        "",
        when=lambda fault: is_address(fault.server),
        cause="Clients are sent to the IP address {server}, and the certificate that {place} presented has a good "
        "chain but does not contain that address: System > Server on CUCM advertises an address where the "
        "certificate has names.",
        remedies=("change-server-name", "reissue-with-name", "verify-origin-off"),
    ),
    Rule(
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
        pattern="^504|^502 (.*timed out|internal error - server connection terminated)",
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
    Rule(
        "bad-token",
        "refusal",
        "^Invalid token",
        cause="A request was refused because the first part of its path is no token of domain, protocol, host and "
        "port: {reason}.",
        remedies=("fix-token",),
        reference=_MRA_GUIDE,
    ),
    Rule(
        "not-allowed",
        "refusal",
        "^Access denied",
        cause="No rule of the HTTP allow list lets {method} {url} through, so nothing was dialled.",
        remedies=("allow-rule",),
        reference=_MRA_GUIDE,
    ),
)


CODES: Final = tuple(dict.fromkeys(rule.code for rule in _RULES))
"""Every code that a finding can have."""


def rule_for(fault: Fault) -> Rule | None:
    """The rule that a fault comes under; None where there is nothing to say about it."""
    return next((rule for rule in _RULES if rule.fits(fault)), None)


def explain(rule: Rule, fault: Fault) -> tuple[str, tuple[Remedy, ...]]:
    """Cause and remedies in words, escaped: a name in a log is anybody's text."""
    facts = _facts(fault)
    cause = rule.cause.format_map(facts)
    names = rule.remedies
    if fault.action == "Continue":
        cause += " The request went on all the same, as verification only watches (Action=Continue)."
        names = tuple(name for name in names if name != "verify-origin-off")
    remedies = (_REMEDIES[name] for name in names)
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
