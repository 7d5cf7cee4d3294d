"""Rules for what a WARNING says: faults of the chain that a server presented, and of its names.

An error is judged by its text, and by its depth only where the text leaves it open: a leaf that a CA signed but that
came without its issuer fails at depth 0 as well.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ..core.hostname import is_address
from .fault import Rule

_chain = partial(Rule, kind="chain")


CHAIN_RULES: Final[tuple[Rule, ...]] = (
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
)
