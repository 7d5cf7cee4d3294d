"""How a server can fail a request: each way with its answer, and whether anything of the request may have arrived.

A request of which nothing was sent may be tried again, and another one only if it is safe to (Traffic Server 8.1.11,
HttpTransact.cc:3487-3591 and is_request_retryable).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..core.http.error_pages import ERROR_PAGES, ErrorPage, connection_error

if TYPE_CHECKING:
    from ..core.tls.verdict import Verdict
    from ..tls.openssl import TlsError


class ServerError(Exception):
    """A server that could not be used: the answer for it, and whether anything of the request may have arrived."""

    sent = False
    stale = False
    """A kept connection that the server had closed already: it does not count as an attempt."""
    refused = False
    """Verification refused the server."""

    def __init__(self, answer: ErrorPage, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason
        """What happened, in words, without addresses."""


class ConnectError(ServerError):
    """No TCP connection, or one that ended or broke during the TLS handshake."""

    def __init__(self, error: OSError | None) -> None:
        # asyncio's own text repeats the address; the transaction has it already.
        reason = os.strerror(error.errno) if error is not None and error.errno else str(error or "")
        super().__init__(connection_error(error), reason or "closed during the TLS handshake")


class ConnectTimeoutError(ServerError):
    """TCP and TLS together took longer than ``connect_timeout``."""

    def __init__(self) -> None:
        super().__init__(ERROR_PAGES["connect-timeout"], "connect timeout")


class HandshakeError(ServerError):
    """The handshake failed: ``tls`` is the error, ``verdict`` what verification had found by then."""

    def __init__(self, tls: TlsError, verdict: Verdict) -> None:
        super().__init__(ERROR_PAGES["connect-failed"], tls.reason)
        self.tls = tls
        self.verdict = verdict
        self.refused = verdict.refused


class ResponseError(ServerError):
    """The server got (some of) the request and did not answer it: hangup, rubbish or silence."""

    sent = True
    tls: TlsError | None = None
    """A TLS 1.3 server's alert in place of a response: it refuses our certificate, or misses one."""

    def __init__(self, answer: str, reason: str, *, unread: bool = False) -> None:
        super().__init__(ERROR_PAGES[answer], reason)
        self.unread = unread
        """The connection ended before a byte of a response came: a kept one may have been closed all along."""
