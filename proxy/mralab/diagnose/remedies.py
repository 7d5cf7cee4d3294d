"""What can be done about a fault, and where in the products: one table, named by the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do: ``code`` for programs, ``text`` for people, ``where`` in the products to do it."""

    code: str
    text: str
    where: str


_TRUSTED_CA = "Expressway-C: Maintenance > Security > Trusted CA certificate"
_CUCM_CERTIFICATES = "CUCM: Cisco Unified OS Administration > Security > Certificate Management"
_SERVERS = "Expressway-C: Configuration > Unified Communications"

# ``{..}`` are the facts that ``rules.explain`` fills in.
REMEDIES: Final[dict[str, Remedy]] = {
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
