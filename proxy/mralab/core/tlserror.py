"""OpenSSL's error texts: what ``SSL connection failed for '..': error:..`` ends in.

Traffic Server prints ``ERR_error_string_n`` of the first error. OpenSSL 1.1.1 packs library, function and reason
into the code and prints the function's name; OpenSSL 3 has no function codes (``error:0A000086:SSL routines::..``).
Numbers from include/openssl/sslerr.h of 1.1.1; checked against what a 1.1.1l client printed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .verdict import Wording


class Reason(NamedTuple):
    """An OpenSSL SSL reason: its number, and the 1.1.1 function that raises it in a client (number and name)."""

    number: int
    function: int
    function_name: str


_READ_BYTES: Final = (148, "ssl3_read_bytes")
_GET_RECORD: Final = (143, "ssl3_get_record")

_SERVER_HELLO: Final = (369, "tls_process_server_hello")
_CIPHERSUITE: Final = (540, "set_client_ciphersuite")
_EXTENSIONS: Final = (435, "tls_collect_extensions")

_REASONS: Final[dict[str, Reason]] = {
    "certificate verify failed": Reason(134, 367, "tls_process_server_certificate"),
    "wrong version number": Reason(267, *_GET_RECORD),
    "packet length too long": Reason(198, *_GET_RECORD),
    "encrypted length too long": Reason(150, *_GET_RECORD),
    "data length too long": Reason(146, *_GET_RECORD),
    "bad record type": Reason(443, *_GET_RECORD),
    "decryption failed or bad record mac": Reason(281, *_GET_RECORD),
    "unexpected record": Reason(245, *_READ_BYTES),
    "unexpected message": Reason(244, 417, "ossl_statem_client_read_transition"),
    "unsupported protocol": Reason(258, 607, "ssl_choose_client_version"),
    "wrong ssl version": Reason(266, 607, "ssl_choose_client_version"),
    "length mismatch": Reason(159, *_SERVER_HELLO),
    "unknown cipher returned": Reason(248, *_CIPHERSUITE),
    "wrong cipher returned": Reason(261, *_CIPHERSUITE),
    "bad extension": Reason(110, *_EXTENSIONS),
    "unsolicited extension": Reason(217, *_EXTENSIONS),
    "unsafe legacy renegotiation disabled": Reason(338, 483, "final_renegotiate"),
    "dh key too small": Reason(394, 419, "tls_process_ske_dhe"),
    "bad signature": Reason(123, 365, "tls_process_key_exchange"),
    "wrong signature type": Reason(370, 333, "tls12_check_peer_sigalg"),
}
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
_ALERT_NUMBERS: Final = {name: number for number, name in ALERTS.items()}
_ALERT_TEXT = re.compile(r"(?:ssl/tls|tlsv13|tlsv1|sslv3|tls)(?: alert)? (.+)")
# These five have no "alert" in 1.1.1's text.
_EXTENSION_ALERTS: Final = frozenset((110, 111, 112, 113, 114))


def alert_number(reason: str) -> int | None:
    """The alert that OpenSSL's reason text tells of, in any version's wording, or None."""
    match = _ALERT_TEXT.fullmatch(reason)
    return None if match is None else _ALERT_NUMBERS.get(match[1])


def _alert_reason(number: int) -> str:
    if number in _SSLV3_ALERTS:
        return f"sslv3 alert {ALERTS[number]}"
    if number in _EXTENSION_ALERTS:
        return f"tlsv1 {ALERTS[number]}"
    prefix = "tlsv13" if number in (109, 116) else "tlsv1"
    return f"{prefix} alert {ALERTS[number]}"


def error_string(reason: str, wording: Wording) -> str:
    """The whole ``error:CODE:SSL routines:FUNCTION:REASON`` for an OpenSSL reason text.

    A reason that is not in the table keeps its text, with OpenSSL 3's form and no code of ours made up.
    """
    alert = alert_number(reason)
    if alert is not None:
        text = _alert_reason(alert)
        entry = Reason(1000 + alert, *_READ_BYTES)
    elif (known := _REASONS.get(reason)) is not None:
        text, entry = reason, known
    else:
        return f"error:00000000:SSL routines::{reason}"
    if wording == "3":
        return f"error:0A{entry.number:06X}:SSL routines::{text}"
    code = 0x14000000 | entry.function << 12 | entry.number
    return f"error:{code:08X}:SSL routines:{entry.function_name}:{text}"
