"""What a report shows, in the order in which it is read: summary, overview, then a section for each scenario or server.

``report_diagnosis``, ``report_run`` and ``report_preflight`` make it, ``html`` writes it. Texts are not escaped here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ..diagnose.ladder_model import Ladder, LadderStep
from .ladder_drawing import MOST_DRAWN, Drawing, draw

State = Literal["good", "bad", "warn", "plain"]

_MOST_LISTED: Final = 50  # requests


@dataclass(frozen=True, slots=True)
class Verdict:
    """A result in two words: ``X14.2`` and ``cannot sign in``."""

    label: str
    text: str
    state: State


@dataclass(frozen=True, slots=True)
class Line:
    """A log line, with the file and line number where it stands (empty if unknown)."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A ladder under its caption."""

    caption: str
    verdict: Verdict
    ladder: Ladder
    most: int = MOST_DRAWN
    """Requests that are drawn."""

    @property
    def drawing(self) -> Drawing:
        """The ladder with the places of its parts."""
        return draw(self.ladder, most=self.most)

    @property
    def requests(self) -> list[tuple[LadderStep, ...]]:
        """The steps of each request, the first 50."""
        return self.ladder.exchanges()[:_MOST_LISTED]

    @property
    def more(self) -> int:
        """Number of requests beyond those."""
        return max(0, self.ladder.transactions - _MOST_LISTED)


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, where, and the command if the text has one. ``is_temporary``: it switches verification off."""

    text: str
    where: str
    command: str
    is_temporary: bool


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """A certificate in rows. ``matched`` is None for a CA certificate, ``dates_are_good`` None if unknown."""

    title: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    more_names: int
    matched: bool | None
    dates: str
    validity: str
    dates_are_good: bool | None
    key: str
    signature: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ShownChain:
    """What the server presented. ``asked`` is the requested name, ``matching`` the certificate's name for it."""

    asked: str
    matching: str
    certificates: tuple[ShownCertificate, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """One finding. ``number`` is that of the ladder's red labels."""

    number: int
    title: str
    state: State
    code: str
    place: str
    text: str
    actions: tuple[Action, ...]
    chain: ShownChain | None
    lines: tuple[Line, ...]
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    """Titled sentences: when, confidence, how to check, what may fail next, reference."""


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario or server. ``anchor`` is its id in the document."""

    anchor: str
    title: str
    subtitle: str
    verdicts: tuple[Verdict, ...]
    figures: tuple[Figure, ...]
    later: tuple[Figure, ...]
    """Ladders that are folded: the login after the remedy."""
    causes: tuple[Cause, ...]
    remarks: tuple[str, ...]
    chain: ShownChain | None = None
    """The chain of a server without findings."""
    lines: tuple[Line, ...] = ()
    headline: str = ""
    """The cause in a few words, for the overview."""


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report. ``facts`` are titled numbers or words under the summary, ``notes`` stand at its end."""

    kind: str
    title: str
    summary: str
    state: State
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    remarks: tuple[tuple[str, tuple[str, ...]], ...]
    """Titled lists: what was looked at without a finding, what was not read."""
    notes: tuple[str, ...]

    @property
    def folded(self) -> tuple[str, ...]:
        """What the page shows only when a reader opens it, in words: none of it is printed while it is closed."""
        sections = self.sections
        captions = dict.fromkeys(f"the login {one.caption.lower()}" for each in sections for one in each.later)
        has_steps = any(one.ladder.steps for each in sections for one in each.figures)
        has_lines = any(each.lines for each in sections)
        return (
            *captions,
            *(["every step with its log lines"] if has_steps else []),
            *(["all lines of a server or login"] if has_lines else []),
        )


def place_of(file: str, line: int | None) -> str:
    """Return ``FILE:LINE``, as far as it is known."""
    return f"{file}:{line}" if file and line else file
