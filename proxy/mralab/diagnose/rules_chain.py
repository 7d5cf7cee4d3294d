"""Rules for what a WARNING says: faults of the chain that a server presented, and of its names.

An error is judged by its text, and by its depth only where the text leaves it open: a leaf that a CA signed but that
came without its issuer fails at depth 0 as well. The texts are those of ``X509_verify_cert_error_string``
(crypto/x509/x509_txt.c) of OpenSSL 1.0.2, 1.1.1 and 3. To add a CA to the trust store is a remedy for a CA that is not
trusted, and for nothing else.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ..core.tls.hostname import is_address
from .occurrence import FindingRule, Occurrence
from .sentence import say

_chain = partial(FindingRule, kind="chain")
_OFF: Final = "verify-origin-off"
_RISKY: Final = "verify-origin-off-risky"


def _above_the_leaf(fault: Occurrence) -> bool:
    return (fault.depth or 0) > 0


_TRUST: Final = (
    _chain(
        "unknown-ca",
        pattern="self.signed certificate in certificate chain",
        cause="{place} sent a chain that ends in a root CA which is not in Expressway-C's trust store.",
        remedies=("trust-chain", "sign", _OFF),
    ),
    _chain(
        "self-signed",
        pattern="self.signed certificate",
        cause="{place} presented a self-signed certificate, which is not itself in Expressway-C's trust store (or "
        "comes there after another one with the same subject).",
        remedies=("trust-itself", "sign", _OFF),
    ),
    _chain(
        "unknown-ca",
        pattern="unable to get local issuer certificate",
        when=_above_the_leaf,
        cause="{place} sent its intermediate CA, but the CA above that is not in Expressway-C's trust store.",
        remedies=("trust-chain", "sign", _OFF),
    ),
    _chain(
        "issuer-missing",
        pattern="unable to get local issuer certificate|unable to verify the (first|leaf)",
        cause="The issuer of {place}'s certificate was neither sent along nor is it in Expressway-C's trust store; "
        "the log cannot tell whether an intermediate CA is missing or the whole CA is unknown.",
        remedies=("trust-chain", "send-chain", "sign", _OFF),
    ),
    _chain(
        "partial-chain",
        pattern="unable to get issuer certificate",
        cause="Expressway-C trusts an intermediate CA of {place}, but not the CA that signed it: the chain ends "
        "before a root.",
        remedies=("trust-root", _OFF),
    ),
    _chain(
        "issuer-mismatch",
        pattern="subject issuer mismatch|authority and (subject key identifier|issuer serial number) mismatch",
        cause="A CA that could have signed {which_small} of {place} by its name is not the one that did: its subject, "
        "key identifier or serial number differs ({error}). A CA that was reissued with another key looks like this.",
        remedies=("trust-again", "sign", _OFF),
    ),
    _chain(
        "distrusted",
        pattern="certificate (not trusted|rejected)",
        cause="Expressway-C's trust store has the CA of {place}, but with settings that do not let it vouch for TLS "
        "servers ({error}).",
        remedies=("trust-plain", "sign", _OFF),
    ),
    _chain(
        "distrusted",
        pattern="raw public key untrusted",
        cause="{place} presented a raw public key instead of a certificate, and no such key is trusted.",
        remedies=("reissue", _OFF),
    ),
)

_EXPIRED: Final = (
    (
        say("{which} of {place} has expired.", "expired-only"),
        say("{place} has presented a certificate that has expired (depth {depth})."),
    ),
)
_FUTURE: Final = (
    (
        say("{which} of {place} is not valid yet by {clock}.", "future-only"),
        say("{place} has presented a certificate that is not valid yet by {clock} (depth {depth})."),
    ),
)

_DATES: Final = (
    _chain(
        "expired",
        pattern="^certificate has expired",
        when=_above_the_leaf,
        cause=_EXPIRED,
        remedies=("renew-ca", "fix-time", _OFF),
    ),
    _chain("expired", pattern="^certificate has expired", cause=_EXPIRED, remedies=("renew", "fix-time", _OFF)),
    _chain(
        "not-yet-valid",
        pattern="^certificate is not yet valid",
        when=_above_the_leaf,
        cause=_FUTURE,
        remedies=("fix-time", "renew-ca", _OFF),
    ),
    _chain(
        "not-yet-valid", pattern="^certificate is not yet valid", cause=_FUTURE, remedies=("fix-time", "renew", _OFF)
    ),
)

# Texts about CRLs share words with those about certificates: these rules come first.
_REVOCATION: Final = (
    _chain(
        "revocation-unknown",
        pattern=r"\bCRL\b|\bOCSP\b",
        cause="Expressway-C could not find out whether {which_small} of {place} has been revoked: the revocation data "
        "(CRL or OCSP) is missing, out of date or not acceptable ({error}). That says nothing against the certificate.",
        remedies=("mend-crl", _OFF),
    ),
    _chain(
        "revoked",
        pattern="certificate revoked",
        cause="{which} of {place} has been revoked by the CA that issued it.",
        remedies=("reissue-new-key", _RISKY),
    ),
)

_NO_PROPER_CA: Final = (
    r"invalid CA certificate|include certificate signing|\bCA cert\b|path length (invalid|given)|keyCertSign"
)

_CONTENT: Final = (
    _chain(
        "wrong-purpose",
        pattern="uns\\w+ certificate purpose",
        when=_above_the_leaf,
        cause="{which} of {place} may not issue certificates for TLS servers: its extended key usage, key usage, basic "
        "constraints or Netscape certificate type do not allow that.",
        remedies=("replace-ca-purpose", _OFF),
    ),
    _chain(
        "wrong-purpose",
        pattern="uns\\w+ certificate purpose",
        cause="{which} of {place} is not meant to identify a TLS server: its extended key usage, key usage or Netscape "
        "certificate type do not allow that.",
        remedies=("reissue-for-servers", _OFF),
    ),
    _chain(
        "weak",
        pattern="too weak",
        when=_above_the_leaf,
        cause="{which} of {place} has a key or signature that OpenSSL considers too weak.",
        remedies=("strengthen-ca", _OFF),
    ),
    _chain(
        "weak",
        pattern="too weak",
        cause="{which} of {place} has a key or signature that OpenSSL considers too weak.",
        remedies=("reissue", _OFF),
    ),
    _chain(
        "suite-b",
        pattern="^Suite B",
        cause="{which} of {place} does not meet the Suite B profile that verification was set to require ({error}).",
        remedies=("reissue-clean", _OFF),
    ),
    _chain(
        "unsupported-key",
        pattern="explicit ECC parameters|unable to decode issuer public key|doesn't have a public key",
        cause="OpenSSL cannot use the public key of a certificate in the chain of {place} (depth {depth}): {error}.",
        remedies=("reissue-clean", "inspect", _OFF),
    ),
    _chain(
        "bad-signature",
        pattern="certificate signature failure|unable to decrypt certificate's signature",
        cause="The signature of {which_small} of {place} does not fit the CA that seems to have issued it: either the "
        "certificate was altered, or the CA has another key under the same name.",
        remedies=("inspect", "reissue-clean", _RISKY),
    ),
    _chain(
        "bad-signature",
        pattern="signature algorithm",
        cause="{which} of {place} names a signature algorithm that is unknown or does not fit its issuer's key "
        "({error}).",
        remedies=("reissue-clean", "inspect", _RISKY),
    ),
    _chain(
        "chain-too-long",
        pattern="chain too long",
        cause="The chain of {place} has more CAs than Expressway-C follows.",
        remedies=("shorten-chain", _OFF),
    ),
    _chain(
        "chain-too-long",
        pattern="path loop",
        cause="The chain of {place} leads back to itself: CAs in it have signed each other.",
        remedies=("shorten-chain", "inspect", _OFF),
    ),
    _chain(
        "proxy-certificate",
        pattern="\\bproxy\\b|key usage does not include digital signature",
        cause="A proxy certificate (RFC 3820) is in the chain of {place} (depth {depth}), and those are not accepted "
        "for servers: {error}.",
        remedies=("reissue", _OFF),
    ),
    _chain(
        "invalid-ca",
        pattern="path length constraint exceeded",
        cause="The chain of {place} has more CAs below one of its CAs than that CA's path length constraint permits "
        "(depth {depth}).",
        remedies=("replace-ca", _OFF),
    ),
    _chain(
        "invalid-ca",
        pattern="invalid non-CA certificate",
        cause="{which} of {place} is marked as a CA where a server's own certificate is expected (depth {depth}).",
        remedies=("reissue-clean", _OFF),
    ),
    _chain(
        "invalid-ca",
        pattern=_NO_PROPER_CA,
        when=lambda fault: fault.depth == 0,
        cause="{which} of {place} has markings of a CA that do not fit together, or signed itself without being a "
        "proper CA: {error}.",
        remedies=("reissue-clean", _OFF),
    ),
    _chain(
        "invalid-ca",
        pattern=_NO_PROPER_CA,
        cause="A certificate that signed another one in the chain of {place} is not a proper CA certificate "
        "(depth {depth}): {error}.",
        remedies=("replace-ca", _OFF),
    ),
    _chain(
        "critical-extension",
        pattern="unhandled critical extension",
        cause="{which} of {place} has an extension that is marked critical and that OpenSSL does not know, so it must "
        "be refused (RFC 5280 section 4.2).",
        remedies=("reissue-clean", "inspect", _OFF),
    ),
    _chain(
        "name-constraints",
        pattern="(permitted|excluded) subtree violation",
        cause="A CA above the certificate of {place} may issue only for certain names (name constraints), and "
        "{which_small} has a name that they do not allow: {error}.",
        remedies=("reissue-within", _OFF),
    ),
    _chain(
        "name-constraints",
        pattern="name constraint",
        cause="A CA above the certificate of {place} has name constraints of a form that OpenSSL cannot evaluate: "
        "{error}.",
        remedies=("reissue-clean", "inspect", _OFF),
    ),
    _chain(
        "malformed-certificate",
        pattern="format error in certificate|invalid or inconsistent certificate extension|RFC 3779"
        "|unsupported extension feature|name syntax|(issuer|subject) name empty|at least X509v3|must be paired"
        "|missing (authority|subject) key identifier|(authority|subject) key identifier marked critical"
        "|empty subject alternative name|subject empty and|empty authority key identifier",
        cause="{which} of {place} does not follow the standard (RFC 5280), or uses a part of it that OpenSSL does not "
        "support: {error}.",
        remedies=("reissue-clean", "inspect", _OFF),
    ),
    _chain(
        "certificate-policy",
        pattern="certificate policy extension",
        cause="{which} of {place} has a certificate policy extension that is not valid: {error}.",
        remedies=("reissue-clean", "inspect", _OFF),
    ),
    _chain(
        "certificate-policy",
        pattern="polic(y|ies)",
        cause="{which} of {place} does not meet the certificate policies that its chain requires: {error}.",
        remedies=("reissue-clean", "inspect", _OFF),
    ),
    _chain(
        "dane",
        pattern="DANE",
        cause="No TLSA record in DNS (DANE) matches {which_small} of {place}, and verification was set to require one.",
        remedies=("inspect", _OFF),
    ),
    _chain(
        "transparency",
        pattern="Certificate Transparency",
        cause="{which} of {place} came without a valid Certificate Transparency timestamp (SCT), and verification was "
        "set to require one.",
        remedies=("reissue-clean", _OFF),
    ),
    _chain(
        "no-certificate",
        pattern="application verification failure",
        cause="Not OpenSSL but the program that uses it refused {place} ({error}). mralab writes this for a server "
        "that presented no certificate, as with anonymous or pre-shared-key ciphers.",
        remedies=("check-ciphers", "inspect", _OFF),
    ),
    _chain(
        "verification-error",
        pattern="out of memory|unspecified certificate verification error"
        "|verification context|issuer certificate lookup error",
        cause="OpenSSL could not complete the verification of {place} ({error}): that says nothing about the "
        "certificate itself.",
        remedies=("restart", "inspect", _OFF),
    ),
)

_BY_OPENSSL: Final = (
    _chain(
        "name-not-in-certificate",
        pattern="email address mismatch",
        cause="The certificate that {place} presented does not contain the e-mail address that verification was set to "
        "require ({error}).",
        remedies=("inspect", "reissue-clean", _OFF),
    ),
    _chain(
        "name-not-in-certificate",
        pattern="(hostname|IP address) mismatch",
        cause="The certificate that {place} presented is for other names: {server} is not among them ({error}).",
        remedies=("reissue-with-name", "change-server-name", _OFF),
    ),
    _chain(
        "verify-failed",
        pattern="",
        cause="Expressway-C did not accept {which_small} of {place}: {error}.",
        remedies=("inspect", "reissue-clean", _OFF),
    ),
)

_CHAIN_ACCEPTED: Final = say("Its chain of CAs was accepted.", "chain-good")

_NAMES: Final = (
    FindingRule(
        "name-not-in-certificate",
        "name",
        "",
        when=lambda fault: is_address(fault.server),
        cause=(
            say(
                "Clients are sent to the IP address {server}, which the certificate that {place} presented does not "
                "contain: System > Server on CUCM advertises an address where the certificate has names."
            ),
            _CHAIN_ACCEPTED,
        ),
        remedies=("change-server-name", "reissue-with-name", _OFF),
    ),
    FindingRule(
        "name-not-in-certificate",
        "name",
        "",
        cause=(
            say(
                "The certificate that {place} presented is for other names: {server} is neither in its SAN nor its CN."
            ),
            _CHAIN_ACCEPTED,
        ),
        remedies=("reissue-with-name", "change-server-name", _OFF),
    ),
)

CHAIN_RULES: Final[tuple[FindingRule, ...]] = (*_REVOCATION, *_TRUST, *_DATES, *_CONTENT, *_BY_OPENSSL, *_NAMES)
