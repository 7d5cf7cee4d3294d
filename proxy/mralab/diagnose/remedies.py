"""Remedies: what to do about a finding, and where in the products. The rules refer to the keys of this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do: ``code`` for programs, ``text`` for people, and ``where`` to do it in the products."""

    code: str
    text: str
    where: str


_TRUSTED_CA = "Expressway-C: Maintenance > Security > Trusted CA certificate"
_SERVER_CERTIFICATES = "{server}: Cisco Unified OS Administration > Security > Certificate Management"
_ALLOW_LIST = "Expressway-C: Configuration > Unified Communications > HTTP allow list"
_SERVERS = "Expressway-C: Configuration > Unified Communications"
_OFF = (
    "xConfiguration EdgeConfigServer VerifyOriginServer: Off (a command of X14.2; the command reference of X15.0 does "
    "not list it)"
)

# ``rules.explain`` fills in the placeholders (``{..}``).
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
    "trust-root": Remedy(
        "trust-certificate",
        "Add the missing CAs, up to and including the root, to the trusted CA list, on every peer of the cluster: the "
        "list is not replicated.",
        _TRUSTED_CA,
    ),
    "trust-again": Remedy(
        "trust-certificate",
        "Add the certificate that the CA has now, with its present key, to the trusted CA list, on every peer of the "
        "cluster. Remove the outdated one of the same name once no server needs it: Expressway-C stops at the first "
        "entry whose subject matches.",
        _TRUSTED_CA,
    ),
    "trust-version": Remedy(
        "trust-certificate",
        "Add the certificate of the CA that the certificates of {server} refer to, to the trusted CA list, on every "
        "peer of the cluster, in place of the other one of the same name.",
        _TRUSTED_CA,
    ),
    "remove-namesake": Remedy(
        "remove-certificate",
        "Remove the other certificate of the same subject from the trusted CA list, on every peer of the cluster, if "
        "no server needs it.",
        _TRUSTED_CA,
    ),
    "trust-renewed": Remedy(
        "trust-certificate",
        "Replace the expired certificate '{ca}' in the trusted CA list by the renewed one, on every peer of the "
        "cluster: the list is not replicated.",
        _TRUSTED_CA,
    ),
    "trust-plain": Remedy(
        "trust-certificate",
        "Replace the entry of the CA in the trusted CA list with its plain certificate, without trust settings that "
        "exclude TLS servers.",
        _TRUSTED_CA,
    ),
    "send-chain": Remedy(
        "send-chain",
        "Have {server} send its intermediate CAs too: upload them as trust certificates, then its {certificate} "
        "again, and restart the service that presents it.",
        _SERVER_CERTIFICATES,
    ),
    "send-intermediate": Remedy(
        "send-chain",
        "Have {server} send the intermediate CA '{missing}' too: upload it as a trust certificate, then the "
        "{certificate} again, and restart the service that presents it.",
        _SERVER_CERTIFICATES,
    ),
    "trust-intermediate": Remedy(
        "trust-certificate",
        "Or add the intermediate CA '{missing}' to the trusted CA list, on every peer of the cluster: the list is not "
        "replicated.",
        _TRUSTED_CA,
    ),
    "sign": Remedy(
        "reissue",
        "Have the {certificate} of {server} signed by a CA that Expressway-C already trusts.",
        _SERVER_CERTIFICATES,
    ),
    "renew": Remedy(
        "reissue",
        "Renew the {certificate} of {server}, and restart the service that presents it.",
        _SERVER_CERTIFICATES,
    ),
    "renew-ca": Remedy(
        "reissue",
        "Have the CA at depth {depth} renewed, and replace its old certificate wherever it is installed. Or have the "
        "{certificate} of {server} signed by another CA.",
        _SERVER_CERTIFICATES,
    ),
    "reissue": Remedy(
        "reissue",
        "Reissue the {certificate} of {server} for TLS servers, with a key and a signature of current strength, "
        "signed by a proper CA.",
        _SERVER_CERTIFICATES,
    ),
    "reissue-for-servers": Remedy(
        "reissue",
        "Reissue the {certificate} of {server} with server authentication in its extended key usage, and with digital "
        "signature in its key usage.",
        _SERVER_CERTIFICATES,
    ),
    "reissue-clean": Remedy(
        "reissue",
        "{reissue} without that fault.",
        _SERVER_CERTIFICATES,
    ),
    "strengthen-ca": Remedy(
        "reissue",
        "Have the CA at depth {depth} reissued with a key and a signature of current strength, or have the "
        "{certificate} of {server} signed by another CA.",
        _SERVER_CERTIFICATES,
    ),
    "replace-ca-purpose": Remedy(
        "reissue",
        "Have the CA at depth {depth} reissued as a CA that may issue for TLS servers (basic constraints CA:TRUE, key "
        "usage certificate signing, and server authentication in its extended key usage if it has one), or have the "
        "{certificate} of {server} signed by another CA.",
        _SERVER_CERTIFICATES,
    ),
    "reissue-within": Remedy(
        "reissue",
        "Reissue the {certificate} of {server} with only those names that the CA's name constraints permit, or have it "
        "signed by a CA without that limit.",
        _SERVER_CERTIFICATES,
    ),
    "reissue-new-key": Remedy(
        "reissue",
        "Issue a new {certificate} of {server} with a new key, and find out why the CA revoked the old one.",
        _SERVER_CERTIFICATES,
    ),
    "replace-ca": Remedy(
        "reissue",
        "Have {ca_at_fault} reissued as a proper CA (basic constraints CA:TRUE, a path length that leaves "
        "room for the CAs below it, key usage certificate signing), or have the {certificate} of {server} signed by "
        "another CA.",
        _SERVER_CERTIFICATES,
    ),
    "reissue-with-name": Remedy(
        "reissue",
        "Reissue the {certificate} with {server} among its subject alternative names.",
        _SERVER_CERTIFICATES,
    ),
    "shorten-chain": Remedy(
        "reissue",
        "Have the {certificate} of {server} signed by a CA nearer to its root.",
        _SERVER_CERTIFICATES,
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
    "mend-crl": Remedy(
        "fix-revocation",
        "Bring the revocation data that Expressway-C has up to date (CRL or OCSP of the CA that issued "
        "{which_small} of {server}), or stop requiring it.",
        "Expressway-C: Maintenance > Security > CRL management",
    ),
    "restart": Remedy(
        "restart",
        "Check the memory and the alarms of Expressway-C at that time, and restart it; if it happens again, open a "
        "case with Cisco.",
        "Expressway-C: Status > Alarms; Maintenance > Restart options",
    ),
    "inspect": Remedy(
        "inspect-certificate",
        "Look at the chain that {place} sends, for example with openssl s_client -showcerts and openssl x509 -text.",
        "a shell near Expressway-C",
    ),
    "trust-us": Remedy(
        "trust-us",
        "Upload the CA of Expressway-C's own certificate as tomcat-trust and as CallManager-trust (in mixed mode that "
        "certificate itself as well; on IM and Presence as tomcat-trust and cup-xmpp-trust), and restart Tomcat, "
        "CallManager, HAProxy and TFTP.",
        _SERVER_CERTIFICATES,
    ),
    "check-own-certificate": Remedy(
        "check-own-certificate",
        "Make sure that Expressway-C's own certificate is valid and permits use by TLS clients as well as servers.",
        "Expressway-C: Maintenance > Security > Server certificate",
    ),
    "renew-own-certificate": Remedy(
        "renew-own-certificate",
        "Renew Expressway-C's own certificate if it has expired, and compare the clocks of both sides.",
        "Expressway-C: Maintenance > Security > Server certificate; System > Time",
    ),
    "replace-own-certificate": Remedy(
        "renew-own-certificate",
        "Replace Expressway-C's own certificate: {server} reports that its CA has revoked it.",
        "Expressway-C: Maintenance > Security > Server certificate",
    ),
    "present-certificate": Remedy(
        "check-own-certificate",
        "Make sure that Expressway-C has a certificate of its own that allows client authentication: {server} requests "
        "one. If {server} is not meant to require a client certificate, change that setting there.",
        "Expressway-C: Maintenance > Security > Server certificate",
    ),
    "present-certificate-if-asked": Remedy(
        "check-own-certificate",
        "If {server} requires a client certificate, make sure that Expressway-C has one of its own that allows client "
        "authentication.",
        "Expressway-C: Maintenance > Security > Server certificate",
    ),
    "check-server-names": Remedy(
        "change-server-name",
        "Use a name that {server} serves: compare the name that clients use with the names that the service is "
        "configured for.",
        "CUCM: System > Server; " + _SERVERS,
    ),
    "check-port": Remedy(
        "check-port",
        "Look at {place} with openssl s_client: something else, or plain HTTP, may listen there.",
        "a shell near Expressway-C",
    ),
    "check-ciphers": Remedy(
        "check-ciphers",
        "Align the TLS versions and cipher lists of both sides, and make sure that {server} has a certificate with a "
        "key and signature of a type that Expressway-C offers.",
        "Expressway-C: Maintenance > Security > Ciphers",
    ),
    "prefer-rsa": Remedy(
        "prefer-rsa",
        "Or let Expressway-C prefer RSA certificates again: put ECDHE-RSA-AES256-GCM-SHA384: in front of the cipher "
        "string, and restart. It has no effect in TLS 1.3.",
        "Expressway-C: Maintenance > Security > Ciphers",
    ),
    "check-network": Remedy(
        "check-network",
        "Make sure that {server} is up, its service listens on that port, and no firewall in between drops or resets "
        "the connection.",
        "Expressway-C: Maintenance > Tools > Network utilities",
    ),
    "check-server": Remedy(
        "check-server",
        "Check the service's own log at that time, and the load of {server}.",
        "{server}",
    ),
    "check-dns": Remedy(
        "check-dns",
        "Add {server} to the DNS that Expressway-C uses, or correct the name that clients receive.",
        "Expressway-C: System > DNS; CUCM: System > Server",
    ),
    "allow-rule": Remedy(
        "allow-rule",
        "Add a rule for the URL, or refresh the servers if the node is one of your own.",
        _ALLOW_LIST,
    ),
    "allow-rule-here": Remedy(  # for findings of a running mralab
        "allow-rule",
        "Add a rule for the URL, or refresh the servers if the node is one of your own.",
        f"{_ALLOW_LIST}; mralab: configuration, [allow], then a reload",
    ),
    "allow-rule-only": Remedy(
        "allow-rule",
        "If clients should reach it at its own address or by DNS, add a rule for the URL.",
        f"{_ALLOW_LIST}; mralab: configuration, [allow], then a reload",
    ),
    "add-host": Remedy(
        "add-host",
        "Add {server} to [hosts] of the proxy's configuration.",
        "mralab: configuration, [hosts]",
    ),
    "check-domain": Remedy(
        "check-domain",
        "Make sure that the domain of the request is enabled for Unified Communications, and belongs to the deployment "
        "of the server.",
        "Expressway-C: Configuration > Domains",
    ),
    "check-clocks": Remedy(
        "check-clocks",
        "Compare the clocks of Expressway-C and Expressway-E; let both follow NTP.",
        "Expressway-C and Expressway-E: System > Time",
    ),
    "check-url": Remedy(
        "check-url",
        "Compare the URL with the one that the client should request.",
        "the client, or its get_edge_config response",
    ),
    "check-password": Remedy(
        "check-password",
        "Let the user sign in inside the network with the same name and password; the name's upper and lower case must "
        "match CUCM's. If that works, the password is not the cause.",
        "CUCM: User Management > End User",
    ),
    "read-provisioning": Remedy(
        "read-log",
        "Set the module developer.edgeconfigprovisioning to DEBUG, log in again, and read what the server answered.",
        "Expressway-C: Maintenance > Diagnostics > Advanced > Support Log configuration",
    ),
    "rate-limit": Remedy(
        "rate-limit",
        "Wait for the period to end, find out what logs in so often, or raise the limit.",
        "Expressway-C: xConfiguration EdgeConfigServer RateLimitLogins and RateLimitPeriod",
    ),
    "fix-request": Remedy(
        "fix-request",
        "Correct the client's request: HTTP/1.1 with Host, a length for a body, no other protocol, no loop.",
        "the client, or a proxy in front of Expressway",
    ),
    "fix-address": Remedy(
        "fix-address",
        "Correct the token's host and port if the client asked for the wrong server; otherwise the address of {server} "
        "in [hosts] or in DNS, so that it leads to the server itself.",
        "the client's URL; mralab: configuration, [hosts]",
    ),
    "check-load": Remedy(
        "check-load",
        "Check the load and the alarms of Expressway-C at that time.",
        "Expressway-C: Status > Alarms; Status > System",
    ),
    "check-traversal": Remedy(
        "check-traversal",
        "Make sure that the Unified Communications traversal zone and the SSH tunnels (port 2222) between Expressway-C "
        "and Expressway-E are up; alarm 35013 reports a failed tunnel.",
        "Expressway-E: Status > Unified Communications; Configuration > Zones",
    ),
    "read-expressway-c": Remedy(
        "read-expressway-c",
        "Collect the diagnostic log of every Expressway-C peer for the same time, and analyse that instead.",
        "Expressway-C: Maintenance > Diagnostics > Diagnostic logging",
    ),
    "fix-token": Remedy(
        "fix-token",
        "Have the client request the base64 of domain/protocol/host/port; a token copied from a document may be "
        "damaged.",
        "the client, or the URL that was typed",
    ),
    "read-log": Remedy(
        "read-log",
        "Collect the log from a time that includes the WARNING line before the failure: it names the fault.",
        "Expressway-C: Maintenance > Diagnostics > Diagnostic logging",
    ),
    "whole-log": Remedy(
        "read-log",
        "Read the whole log with this command, from before the login until it has failed: unfiltered, with the files "
        "that were rotated.",
        "Expressway-C: Maintenance > Diagnostics > Diagnostic logging",
    ),
    "verify-origin-off": Remedy(
        "verify-origin-off",
        f"For the short term only, on each Expressway-C node: {_OFF}",
        "Expressway-C: command line",
    ),
    "verify-origin-off-risky": Remedy(
        "verify-origin-off",
        "For the short term only, and only if you know that {server} is genuine: verification may have stopped an "
        f"impostor. On each Expressway-C node: {_OFF}",
        "Expressway-C: command line",
    ),
}
