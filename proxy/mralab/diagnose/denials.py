"""Denied requests whose response has not been read yet.

A denial has a line of its own, which names method and URL but, in a log, no transaction. Each denial explains the
response of one request.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from .answered_servers import Process

_MOST_DENIALS: Final = 100_000


class Denials:
    """Denials by process, method and URL. They are forgotten once there are too many without a response."""

    def __init__(self) -> None:
        self._denials: Counter[tuple[Process, str, str]] = Counter()

    def add(self, process: Process, method: str, url: str) -> None:
        """Note a denial."""
        if len(self._denials) >= _MOST_DENIALS:
            self._denials.clear()
        self._denials[process, method, url] += 1

    def take(self, process: Process, method: str, url: str) -> bool:
        """Remove one denial of this request; return whether there was one."""
        key = process, method, url
        if not self._denials[key]:
            return False
        self._denials[key] -= 1
        return True

    def take_any(self, process: Process) -> bool:
        """Remove one denial of the process; return whether there was one."""
        key = next((key for key, count in self._denials.items() if count and key[0] == process), None)
        if key is None:
            return False
        self._denials[key] -= 1
        return True
