"""Rules for ERROR lines: handshakes that failed, by OpenSSL's reason or by the alert that the server sent.

The sentence for each alert follows RFC 8446 section 6.2 (RFC 5246 section 7.2.2 for older alerts). ``tlscode`` derives
the reason from the packed code if the text is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from ..core.tls.tlserror import ALERTS
from .occurrence import CISCO_218018, CISCO_225746, FindingRule, Occurrence
from .sentence import NO_REASON_READ, say
from .tlscode import parse

_handshake = partial(FindingRule, kind="handshake")

_OURS: Final = ("trust-us", "check-own-certificate")
_REFUSED_OURS: Final = "{place} refused the certificate that Expressway-C presented to it as a client ({reason}): "

# Alert number -> code, cause, remedies. The server sent the alert, so it is not about the server's own certificate.
_ALERTS: Final[dict[int, tuple[str, str, tuple[str, ...]]]] = {
    40: (
        "tls-mismatch",
        "{place} found no acceptable TLS version, cipher or signature in Expressway-C's offer ({reason}); some "
        "servers also send this alert when they require a client certificate and get none.",
        ("check-ciphers", "present-certificate-if-asked"),
    ),
    41: (
        "rejected-by-server",
        "{place} requires a client certificate, and Expressway-C presented none ({reason}).",
        ("present-certificate",),
    ),
    42: (
        "rejected-by-server",
        "{place} did not accept what Expressway-C presented as its client certificate ({reason}): it could not read "
        "it, found its signature wrong, or considers it not valid yet. Some servers also send this alert when they "
        "require a certificate and get none.",
        ("check-own-certificate", "renew-own-certificate", "trust-us"),
    ),
    43: (
        "rejected-by-server",
        _REFUSED_OURS + "it does not accept a certificate of that kind, for example one without client authentication "
        "in its extended key usage.",
        ("check-own-certificate", "trust-us"),
    ),
    44: (
        "rejected-by-server",
        _REFUSED_OURS + "its CA has revoked it.",
        ("replace-own-certificate",),
    ),
    45: (
        "rejected-by-server",
        _REFUSED_OURS + "it has expired or is not valid yet, by the clock of {server}.",
        ("renew-own-certificate",),
    ),
    46: (
        "rejected-by-server",
        _REFUSED_OURS + "the alert gives no particular reason.",
        ("check-own-certificate", "trust-us", "check-server"),
    ),
    48: (
        "rejected-by-server",
        _REFUSED_OURS + "it does not trust the CA that signed it.",
        _OURS,
    ),
    49: (
        "rejected-by-server",
        "{place} could read Expressway-C's certificate, but does not grant it access ({reason}).",
        ("check-server", "check-own-certificate"),
    ),
    51: (
        "handshake-failed",
        "{place} could not verify a signature or a Finished message of the handshake ({reason}): something in between "
        "changed it, or the key on one side does not belong to its certificate.",
        ("check-server", "check-port"),
    ),
    70: (
        "tls-mismatch",
        "{place} does not accept any TLS version that Expressway-C offers ({reason}).",
        ("check-ciphers",),
    ),
    71: (
        "tls-mismatch",
        "{place} requires stronger ciphers than Expressway-C offers ({reason}).",
        ("check-ciphers",),
    ),
    80: (
        "handshake-failed",
        "{place} ended the handshake because of an internal error of its own ({reason}).",
        ("check-server",),
    ),
    86: (
        "tls-mismatch",
        "{place} ended the handshake because it supports a newer TLS version than the one that was offered as a "
        "fallback ({reason}).",
        ("check-ciphers",),
    ),
    90: (
        "handshake-failed",
        "{place} cancelled the handshake for an internal reason ({reason}).",
        ("check-server",),
    ),
    100: (
        "handshake-failed",
        "{place} refused to renegotiate TLS on an existing connection ({reason}).",
        ("check-server", "check-ciphers"),
    ),
    112: (
        "unrecognized-name",
        "{place} does not serve the name {server} that Expressway-C sent as SNI ({reason}).",
        ("check-server-names", "check-server"),
    ),
    115: (
        "tls-mismatch",
        "{place} does not know the pre-shared key that was offered ({reason}).",
        ("check-ciphers",),
    ),
    116: (
        "rejected-by-server",
        "{place} requires a client certificate, and Expressway-C presented none ({reason}).",
        ("present-certificate",),
    ),
    120: (
        "tls-mismatch",
        "{place} supports no application protocol (ALPN) that was offered ({reason}).",
        ("check-server", "check-port"),
    ),
}
_OTHER_ALERT: Final = (
    "handshake-failed",
    "{place} ended the handshake with an alert ({reason}), which says that it could not use what it received.",
    ("check-port", "check-server"),
)


def _alert_rules() -> Iterator[FindingRule]:
    for number, name in ALERTS.items():
        code, cause, remedies = _ALERTS.get(number, _OTHER_ALERT)
        reference = CISCO_225746 if code == "rejected-by-server" else CISCO_218018
        pattern = rf"^alert {re.escape(name)}$"
        yield _handshake(code, pattern=pattern, cause=cause, remedies=remedies, reference=reference)
    code, _, remedies = _OTHER_ALERT
    cause = "{place} ended the handshake with an alert that has no name in TLS ({reason})."
    yield _handshake(code, pattern=r"^alert ", cause=cause, remedies=remedies)


def _is_from_server_code(occurrence: Occurrence) -> bool:
    return parse(occurrence.error).server_side


HANDSHAKE_RULES: Final[tuple[FindingRule, ...]] = (
    *_alert_rules(),
    _handshake(
        "verify-failed",
        pattern="certificate verify failed",
        when=_is_from_server_code,
        cause=(
            say(
                "A TLS server wrote this line (function {function}): it did not accept the certificate that its client "
                "presented."
            ),
            NO_REASON_READ,
        ),
        remedies=("check-own-certificate", "trust-us"),
        reference=CISCO_225746,
    ),
    _handshake(
        "verify-failed",
        pattern="certificate verify failed",
        cause=(say("Expressway-C did not accept the certificate of {place}."), NO_REASON_READ),
        remedies=("read-log", "verify-origin-off"),
    ),
    _handshake(
        "not-tls",
        pattern="wrong version number|unknown protocol|https? (proxy )?request|packet length too long"
        "|encrypted length too long|data length too long|record too (large|small)|record layer failure|bad record type",
        cause=(
            (
                say("{place} answered with something that is not TLS ({reason}).", "never-tls"),
                say(
                    "{place} answered at least once with something that is not TLS ({reason}), although it presented a "
                    "certificate at another time."
                ),
            ),
        ),
        remedies=("check-port",),
    ),
    _handshake(
        "tls-mismatch",
        pattern="no shared (cipher|group|signature)|no ciphers available|no protocols available"
        "|(unsupported|unknown ssl|wrong ssl) (protocol|version)|version too (low|high)|key too small|md too weak"
        "|wrong (cipher|signature|curve)|unknown cipher|legacy (sigalg|renegotiation)|signature algorithm"
        "|no suitable (key share|groups?|digest)|unsupported elliptic curve|bad ecpoint|no required digest",
        cause="{place} and Expressway-C could not agree on TLS version, cipher, key or signature ({reason}).",
        remedies=("check-ciphers",),
    ),
    _handshake(
        "handshake-failed",
        pattern="unexpected eof",
        cause="{place} closed the connection in the middle of the TLS handshake ({reason}).",
        remedies=("check-network", "check-server"),
    ),
    _handshake(
        "handshake-failed",
        pattern="",
        cause="The TLS handshake with {place} failed: {reason}.",
        remedies=("check-port", "check-server"),
    ),
)
