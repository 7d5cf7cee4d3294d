"""What the rules speak of: a fault that was found, and the row of a table that explains it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .sentence import Sentence, Wordings
from .tlscode import parse

Kind = Literal["chain", "name", "handshake", "answer", "refusal", "edge"]

CISCO_218018 = (
    "Cisco 218018, Troubleshoot Expressway Traffic Server Certificate Verification for MRA Services Introduced by "
    "CSCwc69661"
)
CISCO_225746 = "Cisco 225746, Troubleshoot Common Issues with Certificate Renewal in CUCM"
MRA_GUIDE = "Cisco, Mobile and Remote Access Through Cisco Expressway Deployment Guide"


@dataclass(slots=True)
class Occurrence:
    """One occurrence in the log. ``number`` is its place there; the other fields are as in a ``Finding``.

    ``kind`` is what it was found by: ``chain`` and ``name`` by a WARNING, ``handshake`` by an ERROR, ``answer`` by
    our own response (``error`` is its status and reason), ``refusal`` by a denied request, ``edge`` by a response in
    the log of an Expressway-E. ``unread`` is how many lines of the log were not understood. ``nearest``, ``unlisted``,
    ``dial`` and ``because`` are what only the proxy itself knows (``core.events``).
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

    @property
    def words(self) -> str:
        """The error as rules read it: OpenSSL's reason for a handshake, derived from the code if the text is lost."""
        return parse(self.error).reason if self.kind == "handshake" else self.error


class FindingRule(NamedTuple):
    """A row: ``pattern`` is looked for in the fault's ``words``, ``when`` may ask more.

    ``cause`` is one text, or sentences in order, each of them perhaps with wordings to choose from. ``{..}`` in a text
    is a fact (``rules.explain`` lists them). ``remedies`` are keys of ``remedies.REMEDIES``, the best first.
    """

    code: str
    kind: Kind
    pattern: str
    cause: str | tuple[Sentence | Wordings, ...]
    remedies: tuple[str, ...]
    reference: str = CISCO_218018
    when: Callable[[Occurrence], bool] | None = None

    def fits(self, fault: Occurrence) -> bool:
        """Whether the rule speaks of this fault."""
        return (
            self.kind == fault.kind
            and re.search(self.pattern, fault.words, re.IGNORECASE) is not None
            and (self.when is None or self.when(fault))
        )

    def sentences(self) -> tuple[Wordings, ...]:
        """The cause as sentences, each with its wordings."""
        if isinstance(self.cause, str):
            return ((Sentence(self.cause),),)
        return tuple((entry,) if isinstance(entry, Sentence) else entry for entry in self.cause)
