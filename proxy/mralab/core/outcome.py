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
    """Outcome of one request.

    - ``pending``: no response has started.
    - ``passed``: the server's response was relayed, or the proxy answered as the request says (Max-Forwards: 0).
    - ``tolerated``: the response was relayed although verification found faults (``verify.origin = "audit"``).
    - ``denied``: refused because of its head: not in the allow list, not a token, a loop. No server was connected to.
    - ``refused``: the verification of the server failed.
    - ``failed``: no response from the server for another reason: DNS, TCP, TLS, a timeout, an unreadable response.
    - ``malformed``: not a request that the proxy accepts: 400, 408 and 411.
    - ``abandoned``: the client's connection ended before the response started.
    """

    # The data plane decides it and sends it with the events.
    PENDING = "pending"
    PASSED = "passed"
    TOLERATED = "tolerated"
    DENIED = "denied"
    REFUSED = "refused"
    FAILED = "failed"
    MALFORMED = "malformed"
    ABANDONED = "abandoned"

    # Counting a request hashes its outcome. Enum's own __hash__ is Python code.
    __hash__ = str.__hash__
