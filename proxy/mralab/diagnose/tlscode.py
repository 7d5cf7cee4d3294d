"""Parse OpenSSL's packed error code in an ERROR line: library, function and reason, even if the text is lost.

OpenSSL 1.0 and 1.1 pack ``library << 24 | function << 12 | reason``, OpenSSL 3 ``library << 23 | reason``; the SSL
library is 20 in both, so its codes begin with 14 or with 0A. A reason of 1000 + n is alert n from the other side.
Reason numbers are those of include/openssl/sslerr.h, which keeps them from 1.0.2 to 3; the few that moved are left out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from ..core.tls.tlserror import ALERTS, alert_number

_ERROR: Final = re.compile(r"error:([0-9A-Fa-f]{7,16})\b(?::([^:]*))?(?::([^:]*))?(?::(.*))?", re.DOTALL)
_NO_TEXT: Final = re.compile(r"(?:lib|func|reason)\(\d+\)")
_SSL: Final = 20
_FIRST_ALERT: Final = 1000
_LAST_ALERT: Final = 1255

# Reasons that rules match, for lines whose text is cut off or not loaded ("reason(267)").
_REASONS: Final[dict[int, str]] = {
    101: "no suitable key share",
    110: "bad extension",
    118: "no suitable signature algorithm",
    123: "bad signature",
    134: "certificate verify failed",
    146: "data length too long",
    150: "encrypted length too long",
    155: "https proxy request",
    156: "http request",
    159: "length mismatch",
    160: "length too short",
    166: "version too high",
    181: "no ciphers available",
    191: "no protocols available",
    193: "no shared cipher",
    198: "packet length too long",
    199: "peer did not return a certificate",
    244: "unexpected message",
    245: "unexpected record",
    248: "unknown cipher returned",
    252: "unknown protocol",
    254: "unknown ssl version",
    258: "unsupported protocol",
    259: "unsupported ssl version",
    261: "wrong cipher returned",
    266: "wrong ssl version",
    267: "wrong version number",
    281: "decryption failed or bad record mac",
    306: "bad ecpoint",
    315: "unsupported elliptic curve",
    338: "unsafe legacy renegotiation disabled",
    370: "wrong signature type",
    376: "no shared signature algorithms",
    378: "wrong curve",
    394: "dh key too small",
    396: "version too low",
    397: "ca key too small",
    398: "ca md too weak",
    399: "ee key too small",
    443: "bad record type",
}


class SslError(NamedTuple):
    """The parsed text of an ERROR line.

    ``reason`` is OpenSSL's reason, or ``alert NAME`` for an alert that the other side sent; empty if neither code nor
    text gives one. ``text`` is the reason as logged, ``function`` the C function, which OpenSSL 3 leaves out.
    """

    reason: str
    text: str = ""
    function: str = ""
    code: str = ""

    @property
    def server_side(self) -> bool:
        """Whether the function belongs to a TLS server, which verifies the certificate of a client."""
        return self.function.lower() in _FUNCTIONS.values()


@lru_cache(1024)
def parse(error: str) -> SslError:
    """Parse ``error:CODE:LIBRARY:FUNCTION:REASON``, any prefix of it, or a bare reason.

    Alerts come from the code. Other reasons come from the text if there is one, because a few numbers have another
    meaning in OpenSSL 1.0.
    """
    match = _ERROR.search(error)
    if match is None:
        return _of_text(error.strip())
    code, library, function = match[1].upper(), match[2] or "", (match[3] or "").strip()
    text = (match[4] or "").strip()
    number = _ssl_reason(int(code, 16), library)
    if _NO_TEXT.fullmatch(text):
        text = ""
    if not function or _NO_TEXT.fullmatch(function):
        function = _FUNCTIONS.get(int(code, 16) >> 12, "")
    if number is not None and _FIRST_ALERT <= number <= _LAST_ALERT:
        reason = f"alert {ALERTS.get(number - _FIRST_ALERT, number - _FIRST_ALERT)}"
    else:
        known = _REASONS.get(number or 0, "")
        is_known = known.startswith(text) or bool(known and text.startswith(known))  # cut, or with more behind it
        reason = known if is_known else _of_text(text).reason
    return SslError(reason, text, function, code)


_FUNCTIONS: Final[dict[int, str]] = {
    0x14089: "ssl3_get_client_certificate",  # 1.0
    0x1417C: "tls_process_client_certificate",  # 1.1
}
"""Functions that change the meaning of a line, by library and function number."""


def _ssl_reason(code: int, library: str) -> int | None:
    """Return the reason number of a code of the SSL library, or None.

    In OpenSSL 1.x, 0A is the DSA library, whose codes have a function number.
    """
    if code >> 24 == _SSL:
        return code & 0xFFF
    if code >> 23 == _SSL and not code & 0x7FF000 and "dsa" not in library.lower():
        return code & 0x7FFFFF
    return None


def _of_text(text: str) -> SslError:
    alert = alert_number(text)
    return SslError(text if alert is None else f"alert {ALERTS.get(alert, alert)}", text)
