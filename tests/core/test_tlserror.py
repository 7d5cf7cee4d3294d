"""OpenSSL's error texts."""

from __future__ import annotations

import pytest

from mralab.core.tlserror import alert_number, error_string


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
    ],
)
def test_errors_are_worded_as_either_openssl_prints_them(reason: str, old: str, new: str) -> None:
    assert error_string(reason, "1.1.1") == old
    assert error_string(reason, "3") == new


def test_alerts_are_known_in_any_wording() -> None:
    assert alert_number("ssl/tls alert bad certificate") == 42
    assert alert_number("tlsv1 unrecognized name") == 112
    assert alert_number("certificate verify failed") is None
