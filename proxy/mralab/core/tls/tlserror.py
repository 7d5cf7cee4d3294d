"""OpenSSL's error texts: the end of ``SSL connection failed for '..': error:..``.

Traffic Server prints ``ERR_error_string_n`` of the last error (``ERR_peek_last_error``). OpenSSL 1.1.1 packs library,
function and reason into the code and prints the function's name; OpenSSL 3 has no functions
(``error:0A000086:SSL routines::..``).

No text has an invented code. If 1.1.1 raises a reason in several functions of a client, and the reason text does not
show which, the function is 0 and printed as ``func(0)``, as 1.1.1 prints a function without a name; library and reason
of such a code are right. Errors that 1.1.1 does not have (later reasons, libraries other than libssl) are printed as
the OpenSSL in use prints them.
"""

from __future__ import annotations

import re
from typing import Final

from .sslreasons import FUNCTIONS, REASONS, Function
from .verifyerror import Wording

_READ_BYTES: Final = Function(148, "ssl3_read_bytes")
_UNKNOWN: Final = Function(0, "func(0)")
# Reasons with a new text in OpenSSL 4, by the text that 1.1.1 and 3 print.
_RENAMED: Final = {
    "tls ext invalid max fragment length": "ssl3 ext invalid max fragment length",
    "tls ext invalid servername": "ssl3 ext invalid servername",
    "tls ext invalid servername type": "ssl3 ext invalid servername type",
    "tls session id too long": "ssl3 session id too long",
}
_RENUMBERED: Final = frozenset(("ocsp callback failure",))  # in OpenSSL 3
_LIBRARY: Final = ":SSL routines:"
# Alert number -> name (RFC 8446 section 6, OpenSSL's ssl/ssl_stat.c), and OpenSSL 1.1.1's prefix for it.
_SSLV3_ALERTS: Final = frozenset((10, 20, 30, 40, 41, 42, 43, 44, 45, 46, 47))
ALERTS: Final[dict[int, str]] = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record mac",
    21: "decryption failed",
    22: "record overflow",
    30: "decompression failure",
    40: "handshake failure",
    41: "no certificate",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown ca",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    60: "export restriction",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user cancelled",
    100: "no renegotiation",
    109: "missing extension",
    110: "unsupported extension",
    111: "certificate unobtainable",
    112: "unrecognized name",
    113: "bad certificate status response",
    114: "bad certificate hash value",
    115: "unknown psk identity",
    116: "certificate required",
    120: "no application protocol",
}
# 1.1.1 has no text for these and prints "reason(1115)".
_NAMELESS_IN_1_1_1: Final = frozenset((115, 120))
_ALERT_NUMBERS: Final = {name: number for number, name in ALERTS.items()}
_ALERT_TEXT: Final = re.compile(r"(?:ssl/tls|tlsv13|tlsv1|sslv3|tls)(?: alert)? (.+)")
_NAMELESS: Final = re.compile(r"reason\(1([0-9]{3})\)")
# These five have no "alert" in their text.
_EXTENSION_ALERTS: Final = frozenset((110, 111, 112, 113, 114))


def alert_number(reason: str) -> int | None:
    """Return the number of the alert that a reason text of any OpenSSL version names, or None."""
    if (match := _ALERT_TEXT.fullmatch(reason)) is not None:
        return _ALERT_NUMBERS.get(match[1])
    if (match := _NAMELESS.fullmatch(reason)) is not None and int(match[1]) <= 255:
        return int(match[1])
    return None


def _alert_reason(number: int, wording: Wording) -> str:
    if number not in ALERTS or number == 0 or (wording == "1.1.1" and number in _NAMELESS_IN_1_1_1):
        return f"reason({1000 + number})"
    if number in _SSLV3_ALERTS:
        return f"sslv3 alert {ALERTS[number]}"
    if number in _EXTENSION_ALERTS:
        return f"tlsv1 {ALERTS[number]}"
    prefix = "tlsv13" if number in (109, 116) else "tlsv1"
    return f"{prefix} alert {ALERTS[number]}"


def error_string(reason: str, wording: Wording, printed: str = "") -> str:
    """Return the whole ``error:CODE:SSL routines:FUNCTION:REASON`` for an OpenSSL reason text.

    ``printed`` is the text of the OpenSSL in use (``TlsError.printed``); it is returned for an error that the wording
    does not have. The result is empty if there is no OpenSSL error.
    """
    if printed and _LIBRARY not in printed:
        return printed
    alert = alert_number(reason)
    if alert is not None:
        number, function, text = 1000 + alert, _READ_BYTES, _alert_reason(alert, wording)
    else:
        text = _RENAMED.get(reason, reason)
        if text not in REASONS:
            return printed
        number = REASONS[text]
        function = FUNCTIONS.get(number, _UNKNOWN)
    if wording == "1.1.1":
        code = 0x14000000 | function.number << 12 | number
        return f"error:{code:08X}:SSL routines:{function.name}:{text}"
    if number < 100 or text in _RENUMBERED:
        return printed
    return f"error:0A{number:06X}:SSL routines::{text}"


_PRINTED: Final = re.compile(r"error:[0-9A-Fa-f]{8}: ?[^:]*:[^: ]*:[ ]*(\S.*)", re.DOTALL)
_FORMER_REASONS: Final = frozenset(("unknown protocol", "unsupported protocol"))  # 1.0.2's


def is_whole(printed: str) -> bool:
    """Return whether an ``error:CODE:LIBRARY:FUNCTION:REASON`` ends with a reason that OpenSSL has.

    A log line that was cut short does not.
    """
    match = _PRINTED.fullmatch(printed)
    if match is None:
        return False
    reason = match[1].rstrip()
    return reason in REASONS or reason in _RENAMED or reason in _FORMER_REASONS or alert_number(reason) is not None


_MARKS: Final = frozenset("\"'`,;|<>]})&$^\\\t")
_LONGEST_TAIL: Final = 200


def without_tail(printed: str) -> str:
    """Return an error text without remains of the log's envelope after it: a table cell, a line-end mark, a tag.

    Only a text that is not whole and starts with a whole one before such a mark is cut.
    """
    if is_whole(printed):
        return printed
    for at in range(len(printed) - 1, max(0, len(printed) - _LONGEST_TAIL), -1):
        if printed[at] in _MARKS and is_whole(head := printed[:at].rstrip(" ")):
            return head
    return printed
