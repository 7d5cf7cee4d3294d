"""Servers and ports that answered requests, as the lines of a log show them: TLS with them succeeded."""

from __future__ import annotations

from typing import Final, NamedTuple

from .request_line import RequestLine

Process = tuple[str, int]
"""Host name and process ID: transaction numbers are unique within a process only."""
_MOST_SERVERS: Final = 10_000


class Answers(NamedTuple):
    """A server and port that answered requests, so that TLS with it succeeded. Times are seconds since the epoch.

    ``last`` is the latest answer among the records that were added; a reader may have left out later ones that were
    like it. ``is_plain``: over HTTP without TLS.
    """

    server: str
    ip: str
    port: int
    first: float
    last: float
    is_plain: bool = False

    def is_at(self, server: str, ip: str, port: int | None) -> bool:
        """Return whether a server at this port, under this name or address, is the one that answered."""
        return self.port == port and (self.is_named(server) or self.ip == ip != "")

    def is_named(self, server: str) -> bool:
        """Return whether the requests were for this name or address."""
        return self.server.lower() == server.lower()


class AnsweredServers:
    """The servers that answered each process, in order of the first answer; bounded."""

    def __init__(self) -> None:
        self._answers: dict[tuple[Process, str, str, int], Answers] = {}

    def add(self, process: Process, server: str, ip: str, port: int, at: float, line: RequestLine) -> None:
        """Note an answer to the request whose first line is ``line``."""
        key = process, server.lower(), ip, port
        known = self._answers.get(key)
        if known is not None:
            self._answers[key] = known._replace(first=min(at, known.first), last=max(at, known.last))
        elif len(self._answers) < _MOST_SERVERS:
            is_plain = line.url.startswith("http://") and bool(line.server)
            self._answers[key] = Answers(server, ip, port, at, at, is_plain)

    def without(self, processes: set[Process]) -> list[Answers]:
        """Return the answers to all but some processes."""
        return [known for (process, *_), known in self._answers.items() if process not in processes]
