"""Error texts of OpenSSL."""

from __future__ import annotations

import pytest
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from mralab.core.tls.sslreasons import FUNCTIONS, REASONS
from mralab.core.tls.tlserror import ALERTS, alert_number, error_string


@pytest.mark.parametrize(
    ("reason", "old", "new"),
    [
        (
            "certificate verify failed",
            "error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed",
            "error:0A000086:SSL routines::certificate verify failed",
        ),
        (
            "wrong version number",
            "error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
            "error:0A00010B:SSL routines::wrong version number",
        ),
        (
            "tls alert handshake failure",
            "error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure",
            "error:0A000410:SSL routines::sslv3 alert handshake failure",
        ),
        (
            "tlsv1 alert protocol version",
            "error:1409442E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version",
            "error:0A00042E:SSL routines::tlsv1 alert protocol version",
        ),
        (
            "tlsv1 alert unknown ca",
            "error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca",
            "error:0A000418:SSL routines::tlsv1 alert unknown ca",
        ),
        (
            "unsupported protocol",
            "error:1425F102:SSL routines:ssl_choose_client_version:unsupported protocol",
            "error:0A000102:SSL routines::unsupported protocol",
        ),
        # printed by a 1.1.1l client for a record, an alert or a ServerHello that was made for this
        (
            "unexpected message",
            "error:141A10F4:SSL routines:ossl_statem_client_read_transition:unexpected message",
            "error:0A0000F4:SSL routines::unexpected message",
        ),
        (
            "no ciphers available",
            "error:141A90B5:SSL routines:ssl_cipher_list_to_bytes:no ciphers available",
            "error:0A0000B5:SSL routines::no ciphers available",
        ),
        (
            "unknown cipher returned",
            "error:1421C0F8:SSL routines:set_client_ciphersuite:unknown cipher returned",
            "error:0A0000F8:SSL routines::unknown cipher returned",
        ),
        (
            "unsupported compression algorithm",
            "error:14171101:SSL routines:tls_process_server_hello:unsupported compression algorithm",
            "error:0A000101:SSL routines::unsupported compression algorithm",
        ),
        (
            "excessive message size",
            "error:14160098:SSL routines:read_state_machine:excessive message size",
            "error:0A000098:SSL routines::excessive message size",
        ),
        (
            "no renegotiation",
            "error:14094153:SSL routines:ssl3_read_bytes:no renegotiation",
            "error:0A000153:SSL routines::no renegotiation",
        ),
        (
            "tlsv1 alert unknown psk identity",
            "error:1409445B:SSL routines:ssl3_read_bytes:reason(1115)",
            "error:0A00045B:SSL routines::tlsv1 alert unknown psk identity",
        ),
        (
            "tlsv1 alert no application protocol",
            "error:14094460:SSL routines:ssl3_read_bytes:reason(1120)",
            "error:0A000460:SSL routines::tlsv1 alert no application protocol",
        ),
        (
            "reason(1255)",
            "error:140944E7:SSL routines:ssl3_read_bytes:reason(1255)",
            "error:0A0004E7:SSL routines::reason(1255)",
        ),
        (
            "reason(1000)",
            "error:140943E8:SSL routines:ssl3_read_bytes:reason(1000)",
            "error:0A0003E8:SSL routines::reason(1000)",
        ),
        # several functions of a client raise it, and the text does not name the function
        (
            "length mismatch",
            "error:1400009F:SSL routines:func(0):length mismatch",
            "error:0A00009F:SSL routines::length mismatch",
        ),
        # renamed in OpenSSL 4
        (
            "tls session id too long",
            "error:1417112C:SSL routines:tls_process_server_hello:ssl3 session id too long",
            "error:0A00012C:SSL routines::ssl3 session id too long",
        ),
    ],
)
def test_errors_are_worded_as_either_openssl_prints_them(reason: str, old: str, new: str) -> None:
    assert error_string(reason, "1.1.1") == old
    assert error_string(reason, "3") == new


def test_alerts_are_known_in_any_wording() -> None:
    assert alert_number("ssl/tls alert bad certificate") == 42
    assert alert_number("tlsv1 unrecognized name") == 112
    assert alert_number("certificate verify failed") is None
    assert alert_number("reason(1115)") == 115
    assert alert_number("reason(1999)") is None


@pytest.mark.parametrize("number", range(256))
def test_every_alert_has_its_code_by_the_rule(number: int) -> None:
    """The code is 0x14094000 + 1000 + number, even if OpenSSL has no name for the alert."""
    for reason in (f"reason({1000 + number})", *(f"tlsv1 alert {name}" for at, name in ALERTS.items() if at == number)):
        assert error_string(reason, "1.1.1").startswith(
            f"error:{0x14094000 + 1000 + number:08X}:SSL routines:ssl3_read"
        )
        assert error_string(reason, "3").startswith(f"error:{0x0A000000 + 1000 + number:08X}:SSL routines::")


def emitted() -> dict[int, str]:
    """Return every SSL reason of the OpenSSL in use."""
    SSL.Context(SSL.TLS_CLIENT_METHOD)  # loads the texts
    lib, ffi = Binding.lib, Binding.ffi
    texts = {number: lib.ERR_reason_error_string(20 << 23 | number) for number in range(100, 4096)}
    return {number: ffi.string(text).decode() for number, text in texts.items() if text != ffi.NULL}


def test_every_error_of_the_openssl_in_use_has_its_text_and_code() -> None:
    reasons = emitted()
    assert len(reasons) > 250
    for number, reason in reasons.items():
        printed = f"error:{20 << 23 | number:08X}:SSL routines::{reason}"
        new = error_string(reason, "3", printed)
        assert int(new.split(":")[1], 16) == 20 << 23 | number
        old = error_string(reason, "1.1.1", printed)
        code = int(old.split(":")[1], 16)
        if reason in REASONS or alert_number(reason) is not None:
            assert code >> 24 == 20
            assert code & 0xFFF == number or reason == "ocsp callback failure"
            assert (code >> 12 & 0xFFF == 0) == (":func(0):" in old)
        elif old != printed:  # renamed: its number in 1.1.1
            assert code >> 24 == 20
            assert code & 0xFFF == number


def test_functions_belong_to_reasons_that_exist() -> None:
    assert set(FUNCTIONS) <= set(REASONS.values())
    assert len(set(REASONS.values())) == len(REASONS)


def test_other_errors_are_printed_unchanged() -> None:
    newer = "error:0A000139:SSL routines::record layer failure"
    assert error_string("record layer failure", "1.1.1", newer) == newer
    other = "error:0680007B:asn1 encoding routines::bad length"  # libssl has a reason of this text too
    assert error_string("bad length", "1.1.1", other) == error_string("bad length", "3", other) == other
    assert error_string("internal error", "3", "error:0A0C0103:SSL routines::internal error").startswith(
        "error:0A0C0103"
    )
    assert error_string("internal error", "1.1.1") == "error:14000044:SSL routines:func(0):internal error"
    assert error_string("the server ended TLS during the handshake", "1.1.1") == ""
