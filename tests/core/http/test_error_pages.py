"""The reason of a 502 is the error's, never an event loop's own text, which has the address of the server."""

from __future__ import annotations

import errno
from socket import EAI_NONAME, gaierror

import pytest

from mralab.core.http.error_pages import connection_error
from mralab.net.failures import ConnectError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "connect failed"),
        (OSError("out of something"), "connect failed"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 8443)"), "connect failed"),
        (OSError(errno.ECONNRESET, "Connect call failed ('10.0.0.1', 8443)"), "Connection reset by peer"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 8443)"), "No route to host"),
        (gaierror(EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (TimeoutError(errno.ETIMEDOUT, "Connect call failed ('10.0.0.1', 8443)"), "Connection timed out"),
    ],
)
def test_the_reason_of_a_failed_connection_is_that_of_its_errno(error: OSError | None, reason: str) -> None:
    page = connection_error(error)
    assert (page.status, page.reason) == (502, reason)


def test_the_reason_in_events_is_the_same() -> None:
    for error in (
        gaierror(EAI_NONAME, "Name or service not known"),
        OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 8443)"),
    ):
        assert ConnectError(error).reason == connection_error(error).reason
