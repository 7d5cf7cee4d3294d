"""The input of the rules: an occurrence in the log, and the row of a table that explains it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .sentence import Sentence, Wordings
from .tlscode import parse

Kind = Literal["chain", "name", "handshake", "answer", "refusal", "edge", "login"]

Tie = Literal["transaction", "only-port", "latest-port", "unknown-port"]
"""How an occurrence got its server and port: by its line or transaction number; as the only port with unanswered
requests at that address; as the port used last while several had unanswered requests or none had; or it has no port."""


class LogLine(str):
    """The text of a line, with the ``file`` and the number of the ``line`` where it stands (empty and 0 if unknown)."""

    file: str = ""
    line: int = 0

    def __new__(cls, text: str, file: str = "", line: int = 0) -> LogLine:
        """Keep where ``text`` stands."""
        self = super().__new__(cls, text)
        self.file, self.line = file, line
        return self

    def __reduce__(self) -> tuple[type[LogLine], tuple[str, str, int]]:
        """Copy and pickle with the place."""
        return LogLine, (str(self), self.file, self.line)


CISCO_218018 = (
    "Cisco 218018, Troubleshoot Expressway Traffic Server Certificate Verification for MRA Services Introduced by "
    "CSCwc69661"
)
CISCO_225746 = "Cisco 225746, Troubleshoot Common Issues with Certificate Renewal in CUCM"
MRA_GUIDE = "Cisco, Mobile and Remote Access Through Cisco Expressway Deployment Guide"


@dataclass(slots=True)
class Occurrence:
    """One occurrence of a failure. ``number`` is the number of its record; other fields are as in a ``Finding``.

    ``kind`` is the line that reports it: a WARNING (``chain`` and ``name``), an ERROR (``handshake``), the proxy's own
    response (``answer``, with status and reason phrase as ``error``), a denied request (``refusal``), a response in the
    log of an Expressway-E (``edge``), or a line of the login service (``login``). ``tie`` is how server and port were
    derived. ``unread`` is the number of lines of the log that could not be parsed.
    ``nearest``, ``unlisted``, ``dial``, ``because`` and ``presented`` come from a running proxy's events only
    (``core.log.events``).
    """

    kind: Kind
    server: str
    ip: str
    error: str
    at: float
    number: int
    evidence: tuple[str, ...]
    port: int | None = None
    depth: int | None = None
    action: str = ""
    method: str = ""
    url: str = ""
    dial: str = ""
    nearest: str = ""
    unlisted: bool = False
    because: str = ""
    unread: int = 0
    tie: Tie = "transaction"
    user: str = ""
    presented: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def words(self) -> str:
        """The error that rules match: for a handshake OpenSSL's reason, derived from the code if the text is lost."""
        return parse(self.error).reason if self.kind == "handshake" else self.error


class FindingRule(NamedTuple):
    """A row: it fits an occurrence whose ``words`` contain ``pattern``, and for which ``when`` is true if given.

    ``cause`` is one text, or sentences in order, some with alternative wordings. Placeholders (``{..}``) are filled in
    by ``rules.explain``. ``remedies`` are keys of ``remedies.REMEDIES``, the best first.
    """

    code: str
    kind: Kind
    pattern: str
    cause: str | tuple[Sentence | Wordings, ...]
    remedies: tuple[str, ...]
    reference: str = CISCO_218018
    when: Callable[[Occurrence], bool] | None = None

    def fits(self, occurrence: Occurrence) -> bool:
        """Return whether the rule explains this occurrence."""
        return (
            self.kind == occurrence.kind
            and re.search(self.pattern, occurrence.words, re.IGNORECASE) is not None
            and (self.when is None or self.when(occurrence))
        )

    def sentences(self) -> tuple[Wordings, ...]:
        """Return the cause as sentences, each with its wordings."""
        if isinstance(self.cause, str):
            return ((Sentence(self.cause),),)
        return tuple((entry,) if isinstance(entry, Sentence) else entry for entry in self.cause)
