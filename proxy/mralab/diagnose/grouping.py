"""Group occurrences into findings: one finding for each code, server and port."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from .findings import Finding
from .occurrence import FindingRule, Occurrence
from .outlook import proves_repaired
from .rules import explain, rule_for


@dataclass(slots=True)
class _Group:
    """The occurrences of one finding: their number, their times, and the latest one with its rule.

    The latest is so by its time, since rotated logs may be read in any order.
    """

    rule: FindingRule
    latest: Occurrence
    count: int
    first: float
    last: float
    first_number: int

    def add(self, rule: FindingRule, occurrence: Occurrence) -> None:
        self.count += 1
        self.first = min(self.first, occurrence.at)
        self.last = max(self.last, occurrence.at)
        self.first_number = min(self.first_number, occurrence.number)
        if (occurrence.at, occurrence.number) >= (self.latest.at, self.latest.number):
            self.rule, self.latest = rule, occurrence

    def finding(self, codes: list[str], unread: int) -> Finding:
        """Return the finding. ``codes`` are those of all findings at the same server and port."""
        occurrence = replace(self.latest, unread=unread)
        explanation = explain(self.rule, occurrence, codes)
        return Finding.from_occurrence(
            self.rule, occurrence, explanation, count=self.count, first=self.first, last=self.last
        )


class FindingGroups:
    """Occurrences, grouped by code, server and port."""

    def __init__(self, listener: Callable[[str, Occurrence], object] | None = None) -> None:
        """``listener`` is called with each occurrence that is counted and the code of its finding."""
        self._groups: dict[tuple[str, str, int | None], _Group] = {}
        self._listener = listener

    def add(self, occurrence: Occurrence) -> None:
        """Add an occurrence. It is ignored if no rule fits."""
        rule = rule_for(occurrence)
        if rule is None:
            return
        if self._listener is not None:
            self._listener(rule.code, occurrence)
        key = (rule.code, occurrence.server.lower(), occurrence.port)
        if key in self._groups:
            self._groups[key].add(rule, occurrence)
        else:
            at, number = occurrence.at, occurrence.number
            self._groups[key] = _Group(rule, occurrence, 1, at, at, number)

    def copy(self) -> FindingGroups:
        """Return a copy that can grow independently. Its occurrences go to no listener."""
        copied = FindingGroups()
        copied._groups = {key: replace(group) for key, group in self._groups.items()}
        return copied

    def findings(self, unread: int) -> list[Finding]:
        """Return the findings in order of first occurrence. ``unread`` is the number of lines that were not parsed."""
        by_place: defaultdict[tuple[str, int | None], list[_Group]] = defaultdict(list)
        for (_, server, port), group in self._groups.items():
            by_place[server, port].append(group)
        return [
            group.finding([other.rule.code for other in others if not _is_over(group, other)], unread)
            for group in sorted(self._groups.values(), key=lambda group: group.first_number)
            for others in (by_place[group.latest.server.lower(), group.latest.port],)
        ]


def _is_over(one: _Group, other: _Group) -> bool:
    """Return whether one fault was repaired before the other appeared: neither says anything of the other then."""
    return any(
        proves_repaired(earlier.rule.code, later.rule.code)
        and "Continue" not in later.latest.action
        and 0 < earlier.last < later.first
        for earlier, later in ((one, other), (other, one))
    )
