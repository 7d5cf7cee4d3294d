"""What became of a request: one vocabulary for metrics, the transactions API and the journal."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one request, decided by the data plane, which sends it along with the events."""

    PENDING = "pending"
    """No response has begun."""
    PASSED = "passed"
    """The server's response was relayed, or the proxy answered as the request asked it to (Max-Forwards: 0)."""
    TOLERATED = "tolerated"
    """Relayed although verification found faults (``verify.origin = "audit"``)."""
    DENIED = "denied"
    """Refused from its head alone: not in the allow list, not a token, a loop; nothing was dialled."""
    REFUSED = "refused"
    """Verification of the server ended it."""
    FAILED = "failed"
    """No response of the server for another reason: DNS, TCP, TLS, a timeout, an unreadable response."""
    MALFORMED = "malformed"
    """Not a request that the proxy accepts: 400, 408 and 411."""
    ABANDONED = "abandoned"
    """The client's connection ended before the response began."""

    # Counting a request hashes its outcome. Enum's own __hash__ is Python code.
    __hash__ = str.__hash__
