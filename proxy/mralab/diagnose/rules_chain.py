"""Rules for WARNING lines: faults of the chain that a server presented, and of the names in its certificate.

A rule matches the text of an error. It uses the depth only if the text does not decide: a leaf that was signed by a CA
but sent without it also fails at depth 0. The texts are those of ``X509_verify_cert_error_string``
(crypto/x509/x509_txt.c) of OpenSSL 1.0.2, 1.1.1 and 3. Only a CA that is not trusted has the remedy of adding it to the
trust store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..core.tls.hostname import is_address
from .occurrence import FindingRule, Occurrence
from .sentence import Sentence, Wordings, say

_NO_ISSUER: Final = "unable to get local issuer certificate|unable to verify the (first|leaf)"
_OFF: Final = "verify-origin-off"
_RISKY: Final = "verify-origin-off-risky"
_Cause = str | tuple[Sentence | Wordings, ...]


def _is_ca(occurrence: Occurrence) -> bool:
    return (occurrence.depth or 0) > 0


def _is_shown(occurrence: Occurrence) -> bool:
    """Return whether the finding shows the certificate, with its issuer: a running proxy knows it, a log does not."""
    return bool(occurrence.presented)


def _chain(
    code: str,
    pattern: str,
    cause: _Cause,
    remedies: str,
    *,
    when: Callable[[Occurrence], bool] | None = None,
    off: str = _OFF,
) -> FindingRule:
    """Return a rule for an OpenSSL error.

    ``remedies`` are keys of ``REMEDIES``, separated by spaces. ``off`` (switching verification off) is the last one.
    """
    return FindingRule(code, "chain", pattern, cause, (*remedies.split(), off), when=when)


def _by_depth(code: str, pattern: str, cause: _Cause, *, ca: str, leaf: str) -> tuple[FindingRule, FindingRule]:
    """Return two rules with one cause: the remedies for a CA certificate, and those for the leaf."""
    return _chain(code, pattern, cause, ca, when=_is_ca), _chain(code, pattern, cause, leaf)


_TRUST: Final = (
    _chain(
        "unknown-ca",
        "self.signed certificate in certificate chain",
        "{place} sent a chain that ends in a root CA which is not in Expressway-C's trust store.",
        "trust-chain sign",
    ),
    _chain(
        "self-signed",
        "self.signed certificate",
        "{place} presented a self-signed certificate, which is not itself in Expressway-C's trust store (or "
        "is listed there after another certificate with the same subject).",
        "trust-itself sign",
    ),
    _chain(
        "unknown-ca",
        "unable to get local issuer certificate",
        "{place} sent its intermediate CA, but the CA above that is not in Expressway-C's trust store.",
        "trust-chain sign",
        when=_is_ca,
    ),
    _chain(
        "issuer-missing",
        _NO_ISSUER,
        "{place} did not send the issuer of its certificate, and Expressway-C's trust store does not have it either. "
        "An intermediate CA is for the server to send, a root CA for Expressway-C to trust.",
        "trust-chain send-chain sign",
        when=_is_shown,
    ),
    _chain(
        "issuer-missing",
        _NO_ISSUER,
        "{place} did not send the issuer of its certificate, which is not in Expressway-C's trust store either; the "
        "log cannot tell whether an intermediate CA is missing or the whole CA is unknown.",
        "trust-chain send-chain sign",
    ),
    _chain(
        "partial-chain",
        "unable to get issuer certificate",
        "Expressway-C trusts an intermediate CA of {place}, but not the CA that signed it: the chain ends "
        "before a root.",
        "trust-root",
    ),
    _chain(
        "issuer-mismatch",
        "subject issuer mismatch|authority and (subject key identifier|issuer serial number) mismatch",
        "A CA has the name of the issuer of {which_small} of {place}, but is not the issuer: its subject, key "
        "identifier or serial number differs ({error}). This happens after a CA was reissued with another key.",
        "trust-again sign",
    ),
    _chain(
        "distrusted",
        "certificate (not trusted|rejected)",
        "Expressway-C's trust store has the CA of {place}, but with trust settings that exclude TLS servers ({error}).",
        "trust-plain sign",
    ),
    _chain(
        "distrusted",
        "raw public key untrusted",
        "{place} presented a raw public key instead of a certificate, and no such key is trusted.",
        "reissue",
    ),
)

_DATES: Final = (
    *_by_depth(
        "expired",
        "^certificate has expired",
        (
            (
                say("{which} of {place} has expired.", "expired-only"),
                say("{place} has presented a certificate that has expired (depth {depth})."),
            ),
        ),
        ca="renew-ca fix-time",
        leaf="renew fix-time",
    ),
    *_by_depth(
        "not-yet-valid",
        "^certificate is not yet valid",
        (
            (
                say("{which} of {place} is not valid yet by {clock}.", "future-only"),
                say("{place} has presented a certificate that is not valid yet by {clock} (depth {depth})."),
            ),
        ),
        ca="fix-time renew-ca",
        leaf="fix-time renew",
    ),
)

# These rules come first, because texts about CRLs share words with texts about certificates.
_REVOCATION: Final = (
    _chain(
        "revocation-unknown",
        r"\bCRL\b|\bOCSP\b",
        "Expressway-C could not find out whether {which_small} of {place} has been revoked: the revocation data "
        "(CRL or OCSP) is missing, out of date or not acceptable ({error}). This says nothing about the certificate "
        "itself.",
        "mend-crl",
    ),
    _chain(
        "revoked",
        "certificate revoked",
        "{which} of {place} has been revoked by the CA that issued it.",
        "reissue-new-key",
        off=_RISKY,
    ),
)

_NO_PROPER_CA: Final = (
    r"invalid CA certificate|include certificate signing|\bCA cert\b|path length (invalid|given)|keyCertSign"
)

_CONTENT: Final = (
    _chain(
        "wrong-purpose",
        "uns\\w+ certificate purpose",
        "{which} of {place} may not issue certificates for TLS servers: its extended key usage, key usage, basic "
        "constraints or Netscape certificate type do not allow that.",
        "replace-ca-purpose",
        when=_is_ca,
    ),
    _chain(
        "wrong-purpose",
        "uns\\w+ certificate purpose",
        "{which} of {place} is not meant to identify a TLS server: its extended key usage, key usage or Netscape "
        "certificate type do not allow that.",
        "reissue-for-servers",
    ),
    *_by_depth(
        "weak",
        "too weak",
        "{which} of {place} has a key or signature that OpenSSL considers too weak.",
        ca="strengthen-ca",
        leaf="reissue",
    ),
    _chain(
        "suite-b",
        "^Suite B",
        "{which} of {place} does not meet the Suite B profile that verification was set to require ({error}).",
        "reissue-clean",
    ),
    _chain(
        "unsupported-key",
        "explicit ECC parameters|unable to decode issuer public key|doesn't have a public key",
        "OpenSSL cannot use the public key of a certificate in the chain of {place} (depth {depth}): {error}.",
        "reissue-clean inspect",
    ),
    _chain(
        "bad-signature",
        "certificate signature failure|unable to decrypt certificate's signature",
        "The signature of {which_small} of {place} does not match the CA that appears to be its issuer: either the "
        "certificate was altered, or the CA has another key under the same name.",
        "inspect reissue-clean",
        off=_RISKY,
    ),
    _chain(
        "bad-signature",
        "signature algorithm",
        "{which} of {place} names a signature algorithm that is unknown or does not match its issuer's key ({error}).",
        "reissue-clean inspect",
        off=_RISKY,
    ),
    _chain(
        "chain-too-long",
        "chain too long",
        "The chain of {place} has more CAs than Expressway-C follows.",
        "shorten-chain",
    ),
    _chain(
        "chain-too-long",
        "path loop",
        "The chain of {place} leads back to itself: CAs in it have signed each other.",
        "shorten-chain inspect",
    ),
    _chain(
        "proxy-certificate",
        "\\bproxy\\b|key usage does not include digital signature",
        "A proxy certificate (RFC 3820) is in the chain of {place} (depth {depth}), and those are not accepted "
        "for servers: {error}.",
        "reissue",
    ),
    _chain(
        "invalid-ca",
        "path length constraint exceeded",
        "The chain of {place} has more CAs below one of its CAs than that CA's path length constraint permits "
        "(depth {depth}).",
        "replace-ca",
    ),
    _chain(
        "invalid-ca",
        "invalid non-CA certificate",
        "{which} of {place} is marked as a CA where a server's own certificate is expected (depth {depth}).",
        "reissue-clean",
    ),
    _chain(
        "invalid-ca",
        _NO_PROPER_CA,
        "{which} of {place} has CA extensions that contradict each other, or signed itself without being a "
        "proper CA: {error}.",
        "reissue-clean",
        when=lambda occurrence: occurrence.depth == 0,
    ),
    _chain(
        "invalid-ca",
        _NO_PROPER_CA,
        "A certificate that signed another one in the chain of {place} is not a proper CA certificate "
        "(depth {depth}): {error}.",
        "replace-ca",
    ),
    _chain(
        "critical-extension",
        "unhandled critical extension",
        "{which} of {place} has an extension that is marked critical and that OpenSSL does not know, so it must "
        "be refused (RFC 5280 section 4.2).",
        "reissue-clean inspect",
    ),
    _chain(
        "name-constraints",
        "(permitted|excluded) subtree violation",
        "A CA above the certificate of {place} may issue only for certain names (name constraints), and "
        "{which_small} has a name that they do not allow: {error}.",
        "reissue-within",
    ),
    _chain(
        "name-constraints",
        "name constraint",
        "A CA above the certificate of {place} has name constraints of a form that OpenSSL cannot evaluate: {error}.",
        "reissue-clean inspect",
    ),
    _chain(
        "malformed-certificate",
        "format error in certificate|invalid or inconsistent certificate extension|RFC 3779"
        "|unsupported extension feature|name syntax|(issuer|subject) name empty|at least X509v3|must be paired"
        "|missing (authority|subject) key identifier|(authority|subject) key identifier marked critical"
        "|empty subject alternative name|subject empty and|empty authority key identifier",
        "{which} of {place} does not follow the standard (RFC 5280), or uses a part of it that OpenSSL does not "
        "support: {error}.",
        "reissue-clean inspect",
    ),
    _chain(
        "certificate-policy",
        "certificate policy extension",
        "{which} of {place} has a certificate policy extension that is not valid: {error}.",
        "reissue-clean inspect",
    ),
    _chain(
        "certificate-policy",
        "polic(y|ies)",
        "{which} of {place} does not meet the certificate policies that its chain requires: {error}.",
        "reissue-clean inspect",
    ),
    _chain(
        "dane",
        "DANE",
        "No TLSA record in DNS (DANE) matches {which_small} of {place}, and verification was set to require one.",
        "inspect",
    ),
    _chain(
        "transparency",
        "Certificate Transparency",
        "{which} of {place} came without a valid Certificate Transparency timestamp (SCT), and verification was "
        "set to require one.",
        "reissue-clean",
    ),
    _chain(
        "no-certificate",
        "application verification failure",
        "The program that uses OpenSSL, not OpenSSL itself, refused {place} ({error}). mralab logs this for a server "
        "that presented no certificate, as with anonymous or pre-shared-key ciphers.",
        "check-ciphers inspect",
    ),
    _chain(
        "verification-error",
        "out of memory|unspecified certificate verification error|verification context|issuer certificate lookup error",
        "OpenSSL could not complete the verification of {place} ({error}): that says nothing about the "
        "certificate itself.",
        "restart inspect",
    ),
)

_BY_OPENSSL: Final = (
    _chain(
        "name-not-in-certificate",
        "email address mismatch",
        "The certificate that {place} presented does not contain the e-mail address that verification was set to "
        "require ({error}).",
        "inspect reissue-clean",
    ),
    _chain(
        "name-not-in-certificate",
        "(hostname|IP address) mismatch",
        "The certificate that {place} presented is for other names: {server} is not among them ({error}).",
        "reissue-with-name change-server-name",
    ),
    _chain(
        "verify-failed",
        "",
        "Expressway-C did not accept {which_small} of {place}: {error}.",
        "inspect reissue-clean",
    ),
)

_CHAIN_ACCEPTED: Final = say("Its chain of CAs was accepted.", "chain-good")


def _name(cause: str, remedies: str, *, when: Callable[[Occurrence], bool] | None = None) -> FindingRule:
    """Return a rule for Traffic Server's own name check, which follows OpenSSL's verification of the chain."""
    sentences = (say(cause), _CHAIN_ACCEPTED)
    return FindingRule("name-not-in-certificate", "name", "", sentences, (*remedies.split(), _OFF), when=when)


_NAMES: Final = (
    _name(
        "Clients are sent to the IP address {server}, which the certificate that {place} presented does not contain: "
        "System > Server on CUCM advertises an address where the certificate has names.",
        "change-server-name reissue-with-name",
        when=lambda occurrence: is_address(occurrence.server),
    ),
    _name(
        "The certificate that {place} presented is for other names: {server} is neither in its SAN nor its CN.",
        "reissue-with-name change-server-name",
    ),
)

CHAIN_RULES: Final[tuple[FindingRule, ...]] = (*_REVOCATION, *_TRUST, *_DATES, *_CONTENT, *_BY_OPENSSL, *_NAMES)
