"""The reason of a 502 is the error's, never an event loop's own text, which has the address of the server."""

from __future__ import annotations

import errno

import pytest

from mralab.core.http.error_pages import connection_error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "connect failed"),
        (OSError("out of something"), "connect failed"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 8443)"), "connect failed"),
        (OSError(errno.ECONNRESET, "Connect call failed ('10.0.0.1', 8443)"), "Connection reset by peer"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 8443)"), "No route to host"),
        (TimeoutError(errno.ETIMEDOUT, "Connect call failed ('10.0.0.1', 8443)"), "Connection timed out"),
    ],
)
def test_the_reason_of_a_failed_connection_is_that_of_its_errno(error: OSError | None, reason: str) -> None:
    page = connection_error(error)
    assert (page.status, page.reason) == (502, reason)
