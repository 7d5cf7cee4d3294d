"""The failures of servers: each with its answer, and whether any part of the request may have arrived.

A request may be tried again if none of it was sent; otherwise only if repeating it is safe (Traffic Server 8.1.11,
HttpTransact.cc:3487-3591 and is_request_retryable).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.connection_reason import connection_reason
from ..core.http.error_pages import ERROR_PAGES, ErrorPage, connection_error

if TYPE_CHECKING:
    from ..core.tls.verdict import Verdict
    from ..tls.openssl import TlsError


class ServerError(Exception):
    """A server failed: the answer for the client, and whether any part of the request may have arrived."""

    sent = False
    stale = False
    """The server had already closed a kept connection: this does not count as an attempt."""
    refused = False
    """Verification refused the server."""

    def __init__(self, answer: ErrorPage, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason
        """What happened, as text without addresses."""


class ConnectError(ServerError):
    """The TCP connection could not be made, or it ended during the TLS handshake."""

    def __init__(self, error: OSError | None) -> None:
        reason = connection_reason(error) if error is not None else ""
        super().__init__(connection_error(error), reason or "closed during the TLS handshake")


class ConnectTimeoutError(ServerError):
    """TCP connect and TLS handshake together took longer than ``connect_timeout``."""

    def __init__(self) -> None:
        super().__init__(ERROR_PAGES["connect-timeout"], "connect timeout")


class HandshakeError(ServerError):
    """The handshake failed: ``tls`` is the error, ``verdict`` the result of verification so far."""

    def __init__(self, tls: TlsError, verdict: Verdict) -> None:
        super().__init__(ERROR_PAGES["connect-failed"], tls.reason)
        self.tls = tls
        self.verdict = verdict
        self.refused = verdict.refused


class ResponseError(ServerError):
    """The request was sent, at least in part, but got no valid response: hangup, malformed response or timeout."""

    sent = True
    tls: TlsError | None = None
    """A TLS 1.3 server's alert in place of a response: it refuses our certificate, or requires one."""

    def __init__(self, answer: str, reason: str, *, unread: bool = False) -> None:
        super().__init__(ERROR_PAGES[answer], reason)
        self.unread = unread
        """The connection ended before the first byte of a response: a kept one may have been closed already."""


def attempts_left(left: int, failure: ServerError, *, repeatable: bool) -> int:
    """Return how many of the ``left`` attempts remain after a failure; 0 if the client gets the failure's answer.

    ``repeatable`` is whether the request may be sent twice.
    """
    if failure.sent and not repeatable:
        return 0
    return left if failure.stale else left - 1
