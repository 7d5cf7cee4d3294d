"""Findings: what stopped requests, with evidence, cause and remedies.

``diagnosis`` derives findings from a log or from a running proxy's events, ``server_check`` from a handshake.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..core.counting import counted
from ..core.log.escape import escape
from .occurrence import FindingRule, Occurrence, Tie
from .rules import Explanation, Remedy

__all__ = ["Finding", "Findings", "Remedy", "Unread", "summary"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause at one server and port, with its evidence and remedies.

    ``server`` is the name or address that the client requested, ``ip`` its address; both are empty and ``port`` is None
    if the log does not show them. ``error`` is the text of the line. ``depth`` (of the certificate in its chain) and
    ``action`` (``Terminate`` or ``Continue``) are None and empty except for verification faults. ``first`` and ``last``
    are seconds since the epoch. ``evidence`` has the latest WARNING and ERROR line, or the lines of the request, as
    logged. ``remedies`` are in order of preference. ``dial`` is the ``address:port`` of the actual connection and
    ``nearest`` the nearest miss in the allow list; both are empty for a log, which has no field for them. ``tie`` is
    how server and port of the latest occurrence were derived. ``presented`` are the certificates that the server sent
    then, in DER, its own first; empty for a log. ``answered`` is the time of the latest answer of that server and port
    after ``last``; 0 if there is none.
    """

    code: str
    server: str
    ip: str
    port: int | None
    error: str
    depth: int | None
    action: str
    count: int
    first: float
    last: float
    evidence: tuple[str, ...]
    cause: str
    remedies: tuple[Remedy, ...]
    reference: str
    dial: str = ""
    nearest: str = ""
    tie: Tie = "transaction"
    presented: tuple[bytes, ...] = field(default=(), repr=False)
    answered: float = 0.0

    @classmethod
    def from_occurrence(
        cls,
        rule: FindingRule,
        occurrence: Occurrence,
        explanation: Explanation,
        *,
        count: int = 1,
        first: float | None = None,
        last: float | None = None,
    ) -> Finding:
        """Return the finding of ``count`` occurrences, of which ``occurrence`` is the latest.

        ``first`` and ``last`` default to its time.
        """
        return cls(
            code=rule.code,
            server=occurrence.server,
            ip=occurrence.ip,
            port=occurrence.port,
            error=occurrence.error,
            depth=occurrence.depth,
            action=occurrence.action,
            count=count,
            first=occurrence.at if first is None else first,
            last=occurrence.at if last is None else last,
            evidence=occurrence.evidence,
            cause=explanation.cause,
            remedies=explanation.remedies,
            reference=rule.reference,
            dial=occurrence.dial,
            nearest=occurrence.nearest,
            tie=occurrence.tie,
            presented=occurrence.presented,
        )


ANSWERED_SINCE: Final = "; the server has answered since"
_LONGEST_EXAMPLE: Final = 200


class Unread(NamedTuple):
    """Lines of traffic_server that could not be parsed: their number, and the first three."""

    lines: int = 0
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the number of lines, then the examples; empty if every line was parsed. Safe on a terminal."""
        if not self.lines:
            return ""
        lines = counted(self.lines, "line")
        examples = [f"  {escape(example)[:_LONGEST_EXAMPLE]}" for example in self.examples]
        return "\n".join([f"{lines} of traffic_server not understood; the first:", *examples])


_NOTHING_UNREAD: Final = Unread()


class Findings(tuple[Finding, ...]):
    """Findings in order of first occurrence. ``unread`` counts the lines of the log that could not be parsed."""

    unread: Unread

    def __new__(cls, findings: Iterable[Finding] = (), unread: Unread = _NOTHING_UNREAD) -> Findings:
        """Keep the order of ``findings``."""
        self = super().__new__(cls, findings)
        self.unread = unread
        return self


def summary(finding: Finding) -> str:
    """Return the finding in one line, safe on a terminal."""
    times = "once, at" if finding.count == 1 else f"{finding.count} times, last"
    last = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(finding.last))
    dialled = f", dialled at {escape(finding.dial)}" if finding.dial else ""
    since = ANSWERED_SINCE if finding.answered else ""
    return f"{finding.code}: {finding.cause} ({times} {last} UTC{dialled}{since})"
