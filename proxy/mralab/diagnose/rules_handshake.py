"""Rules for what an ERROR says: handshakes that failed for another reason than the certificate."""

from __future__ import annotations

from functools import partial
from typing import Final

from .fault import CISCO_225746, Rule

_handshake = partial(Rule, kind="handshake")


HANDSHAKE_RULES: Final[tuple[Rule, ...]] = (
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
        reference=CISCO_225746,
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
)
