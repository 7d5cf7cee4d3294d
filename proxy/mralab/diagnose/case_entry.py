"""One cause at one server and port of a case, on one or several peers, while conclusions are drawn."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from ..core.hostport import host_port
from ..core.log.escape import escape
from . import report
from .capture_findings import CaptureFinding
from .findings import Finding
from .remedies import REMEDIES, Remedy


@dataclass(slots=True)
class Entry:
    """One cause at one server and port, on one or several peers. ``finding`` is that of the latest occurrence.

    ``is_logged`` is whether a log shows it; ``captured`` is what a capture (``captured_in``) shows of it.
    """

    finding: Finding
    peers: dict[str, Finding] = field(default_factory=dict)
    is_logged: bool = True
    captured: CaptureFinding | None = None
    captured_in: str = ""
    history: list[str] = field(default_factory=list)
    category: report.Category = "issue-found"

    @property
    def key(self) -> tuple[str, int | None]:
        """Server, in lower case, and port."""
        return self.finding.server.lower(), self.finding.port

    @property
    def first(self) -> float:
        """Time of the first occurrence, on any peer."""
        times = [finding.first for finding in self.peers.values() if finding.first]
        return min(times, default=self.finding.first)

    @property
    def last(self) -> float:
        """Time of the last occurrence, on any peer."""
        return max((finding.last for finding in self.peers.values()), default=self.finding.last)

    @property
    def count(self) -> int:
        """Number of occurrences on all peers."""
        return sum(finding.count for finding in self.peers.values()) or self.finding.count


def derived(code: str, basis: Finding, cause: str, remedies: Collection[str], reference: str) -> Finding:
    """Return a finding that was concluded from ``basis``, with its server, times and evidence."""
    return replace(
        basis,
        code=code,
        cause=cause,
        remedies=tuple(_worded(REMEDIES[name], basis) for name in remedies),
        reference=reference,
    )


def _worded(remedy: Remedy, basis: Finding) -> Remedy:
    facts = {"server": escape(basis.server), "place": place(basis), "certificate": "tomcat-ECDSA certificate"}
    return replace(remedy, text=remedy.text.format_map(facts), where=remedy.where.format_map(facts))


def place(finding: Finding) -> str:
    """Return server and port of a finding, safe on a terminal."""
    server = escape(finding.server) or "the server"
    return host_port(server, finding.port) if finding.port else server


def time_text(at: float) -> str:
    """Return a time as people read it, in UTC."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(at))} UTC"


def names_text(names: Iterable[str]) -> str:
    """Return names in one phrase, safe on a terminal: ``a, b and c``."""
    *most, last = [escape(name) or "(unnamed)" for name in names]
    return f"{', '.join(most)} and {last}" if most else last
