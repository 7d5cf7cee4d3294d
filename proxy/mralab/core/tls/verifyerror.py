"""Texts of X.509 verify errors, as ``X509_verify_cert_error_string`` of each OpenSSL prints them.

Read from running libraries: 1.0.2n, 1.1.1l, 3.0.19 and 4.0.3 (1 to 120 each). A log has the texts of the OpenSSL that
wrote it: 1.0.2 in older Expressways, 1.1.1 in the article's. Numbers changed their meaning twice: 65 to 67 with 1.1.0,
24 and 79 with 3.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Wording = Literal["1.1.1", "3"]

_IN_1_1_1: Final[dict[int, str]] = {
    1: "unspecified certificate verification error",
    2: "unable to get issuer certificate",
    3: "unable to get certificate CRL",
    4: "unable to decrypt certificate's signature",
    5: "unable to decrypt CRL's signature",
    6: "unable to decode issuer public key",
    7: "certificate signature failure",
    8: "CRL signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    11: "CRL is not yet valid",
    12: "CRL has expired",
    13: "format error in certificate's notBefore field",
    14: "format error in certificate's notAfter field",
    15: "format error in CRL's lastUpdate field",
    16: "format error in CRL's nextUpdate field",
    17: "out of memory",
    18: "self signed certificate",
    19: "self signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    22: "certificate chain too long",
    23: "certificate revoked",
    24: "invalid CA certificate",
    25: "path length constraint exceeded",
    26: "unsupported certificate purpose",
    27: "certificate not trusted",
    28: "certificate rejected",
    29: "subject issuer mismatch",
    30: "authority and subject key identifier mismatch",
    31: "authority and issuer serial number mismatch",
    32: "key usage does not include certificate signing",
    33: "unable to get CRL issuer certificate",
    34: "unhandled critical extension",
    35: "key usage does not include CRL signing",
    36: "unhandled critical CRL extension",
    37: "invalid non-CA certificate (has CA markings)",
    38: "proxy path length constraint exceeded",
    39: "key usage does not include digital signature",
    40: "proxy certificates not allowed, please set the appropriate flag",
    41: "invalid or inconsistent certificate extension",
    42: "invalid or inconsistent certificate policy extension",
    43: "no explicit policy",
    44: "Different CRL scope",
    45: "Unsupported extension feature",
    46: "RFC 3779 resource not subset of parent's resources",
    47: "permitted subtree violation",
    48: "excluded subtree violation",
    49: "name constraints minimum and maximum not supported",
    50: "application verification failure",
    51: "unsupported name constraint type",
    52: "unsupported or invalid name constraint syntax",
    53: "unsupported or invalid name syntax",
    54: "CRL path validation error",
    55: "Path Loop",
    56: "Suite B: certificate version invalid",
    57: "Suite B: invalid public key algorithm",
    58: "Suite B: invalid ECC curve",
    59: "Suite B: invalid signature algorithm",
    60: "Suite B: curve not allowed for this LOS",
    61: "Suite B: cannot sign P-384 with P-256",
    62: "Hostname mismatch",
    63: "Email address mismatch",
    64: "IP address mismatch",
    65: "No matching DANE TLSA records",
    66: "EE certificate key too weak",
    67: "CA certificate key too weak",
    68: "CA signature digest algorithm too weak",
    69: "Invalid certificate verification context",
    70: "Issuer certificate lookup error",
    71: "Certificate Transparency required, but no valid SCTs found",
    72: "proxy subject name violation",
    73: "OCSP verification needed",
    74: "OCSP verification failed",
    75: "OCSP unknown cert",
    79: "Certificate public key has explicit ECC parameters",
}
_IN_1_0_2: Final[dict[int, str]] = {
    65: "Invalid certificate verification context",
    66: "Issuer certificate lookup error",
    67: "proxy subject name violation",
}
_IN_3: Final[dict[int, str]] = {
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    24: "issuer certificate doesn't have a public key",
    26: "unsuitable certificate purpose",
    44: "different CRL scope",
    45: "unsupported extension feature",
    55: "path loop",
    62: "hostname mismatch",
    63: "email address mismatch",
    65: "no matching DANE TLSA records",
    69: "invalid certificate verification context",
    70: "issuer certificate lookup error",
    76: "Cannot find certificate signature algorithm",
    77: "subject signature algorithm and issuer public key algorithm mismatch",
    78: "cert info signature and signature algorithm mismatch",
    79: "invalid CA certificate",
    80: "Path length invalid for non-CA cert",
    81: "Path length given without key usage keyCertSign",
    82: "Key usage keyCertSign invalid for non-CA cert",
    83: "Issuer name empty",
    84: "Subject name empty",
    85: "Missing Authority Key Identifier",
    86: "Missing Subject Key Identifier",
    87: "Empty Subject Alternative Name extension",
    88: "Subject empty and Subject Alt Name extension not critical",
    89: "Basic Constraints of CA cert not marked critical",
    90: "Authority Key Identifier marked critical",
    91: "Subject Key Identifier marked critical",
    92: "CA cert does not include key usage extension",
    93: "Using cert extension requires at least X509v3",
    94: "Certificate public key has explicit ECC parameters",
    95: "Raw public key untrusted, no trusted keys configured",
    96: "OCSP response(s) invalid",
    97: "OCSP response signature verification failure",
    98: "OCSP response not yet valid (contains a date in the future)",
    99: "OCSP response has expired",
    100: "no OCSP response available for certificate",
}
_IN_4: Final[dict[int, str]] = {
    9: "certificate is not yet valid or the system clock is incorrect",
    102: "Empty Authority Key Identifier",
    103: "Authority Key Identifier issuer and serial number must be paired",
}
# 1.1.0 added these; the numbers that it gave a new meaning are in _IN_1_0_2.
_SINCE_1_1_0: Final = frozenset((1, 55, *range(68, 80)))
# 1.1.1's text where OpenSSL 3 and later use another number for the same error: X509_V_ERR_INVALID_CA moved from 24 to
# 79; 24 is now a CA without a readable key, which is 6 in 1.1.1.
_MOVED: Final = {24: _IN_1_1_1[6], 79: _IN_1_1_1[24]}
_UNKNOWN: Final = "unknown certificate verification error"

VERIFY_TEXTS: Final[Mapping[str, Mapping[int, str]]] = MappingProxyType(
    {
        "1.0.2": MappingProxyType(
            {number: text for number, text in _IN_1_1_1.items() if number not in _SINCE_1_1_0} | _IN_1_0_2
        ),
        "1.1.1": MappingProxyType(_IN_1_1_1),
        "3": MappingProxyType(_IN_1_1_1 | _IN_3),
        "4": MappingProxyType(_IN_1_1_1 | _IN_3 | _IN_4),
    }
)
"""Texts by OpenSSL version and that version's error number. 3 has those of 3.0 to 3.5, 4 those of 4.0."""

ALL_TEXTS: Final[tuple[str, ...]] = tuple(
    sorted({text for texts in VERIFY_TEXTS.values() for text in texts.values()} | {_UNKNOWN})
)
"""Every text that OpenSSL 1.0.2 to 4.0 can write to a log, each once, sorted."""


def error_text(number: int, wording: Wording) -> str:
    """Return the text for a verify error of the OpenSSL in use (3 or later), as 1.1.1 or 3 words it.

    An error that 1.1.1 does not have keeps the text of the OpenSSL that has it.
    """
    if wording == "1.1.1":
        text = _MOVED.get(number) or _IN_1_1_1.get(number)
        if text is not None:
            return text
    return _IN_3.get(number) or _IN_1_1_1.get(number) or _IN_4.get(number, _UNKNOWN)
