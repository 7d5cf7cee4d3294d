"""Outcomes of requests and logins: one vocabulary for metrics, the transactions API, the journal and reports."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Seen = Literal[
    "signed in",
    "signed in without voicemail",
    "signed in without presence",
    "signed in without presence and voicemail",
    "configuration missing",
    "cannot sign in",
]
"""What the user would see of a login. Emulated, not observed: which failures keep Jabber from signing in over MRA."""


class Outcome(StrEnum):
    """Outcome of one request. The data plane decides it and sends it with the events."""

    PENDING = "pending"
    """No response has started."""
    PASSED = "passed"
    """The server's response was relayed, or the proxy answered because the request says so (Max-Forwards: 0)."""
    TOLERATED = "tolerated"
    """The response was relayed although verification found faults (``verify.origin = "audit"``)."""
    DENIED = "denied"
    """Refused because of its head: not in the allow list, not a token, a loop. No server was connected to."""
    REFUSED = "refused"
    """The verification of the server failed."""
    FAILED = "failed"
    """No response from the server for another reason: DNS, TCP, TLS, a timeout, an unreadable response."""
    MALFORMED = "malformed"
    """Not a request that the proxy accepts: 400, 408 and 411."""
    ABANDONED = "abandoned"
    """The client's connection ended before the response started."""

    # Counting a request hashes its outcome. Enum's own __hash__ is Python code.
    __hash__ = str.__hash__
