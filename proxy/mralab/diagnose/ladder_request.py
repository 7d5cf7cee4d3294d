"""A request of a ladder while its lines are read, with its steps; and the form in which it is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..core.counting import counted
from ..core.outcome import Outcome
from .answered_servers import Process
from .ladder_model import EXPRESSWAY, LadderStep, Participant, StepKind
from .occurrence import LogLine
from .report import Evidence
from .request_line import RequestLine

LONGEST_TEXT: Final = 1000
_LONGEST_LINE: Final = 4000
_NO_LINE: Final = RequestLine()
_NOT_ACCEPTED: Final = (400, 408, 411)

Place = tuple[str, str, int | None]
"""Code, server in lower case and port: what a finding is grouped by."""


@dataclass(slots=True, eq=False)
class Step:
    """A step; ``place`` is that of the finding that explains it, ``records`` the numbers of its lines."""

    number: int
    at: float
    source: str
    to: str
    kind: StepKind
    text: str
    label: str
    status: int | None = None
    ok: bool | None = None
    times: int = 1
    is_certain: bool = True
    place: Place | None = None
    records: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Request:
    """A request and its steps. ``server`` is the name or address that the client requested, ``ip`` its address."""

    process: Process
    txn: int
    line: RequestLine = _NO_LINE
    server: str = ""
    port: int | None = None
    ip: str = ""
    attempts: int = 0
    faults: int = 0
    is_answered: bool = False
    outcome: Outcome = Outcome.PENDING
    steps: list[Step] = field(default_factory=list)

    @property
    def place(self) -> Place | None:
        """The place of the first finding that explains a step; None without one."""
        return next((step.place for step in self.steps if step.place is not None), None)

    def step(self, kind: StepKind, text: str = "") -> Step | None:
        """Return the latest step of a kind, with this text if one is given; None without one."""
        same_kind = (step for step in reversed(self.steps) if step.kind == kind)
        return next((step for step in same_kind if not text or step.text == text[:LONGEST_TEXT]), None)


def host_of(request: Request) -> str:
    """Return the key of a request's host."""
    return (request.server or request.ip).lower()


def outcome_of(request: Request, status: int) -> Outcome:
    """Return what became of a request whose log lines were read: they do not say it themselves."""
    if request.is_answered:
        return Outcome.TOLERATED if request.outcome is Outcome.TOLERATED else Outcome.PASSED
    if request.outcome not in (Outcome.PENDING, Outcome.TOLERATED):
        return request.outcome
    if 0 < status < 400:
        return Outcome.PASSED
    if request.attempts or status >= 500:
        return Outcome.FAILED
    if status in _NOT_ACCEPTED:
        return Outcome.MALFORMED
    return Outcome.DENIED


def reported(
    number: int,
    step: Step,
    request: Request,
    hosts: Mapping[str, Participant],
    indexes: Mapping[Place, int],
) -> LadderStep:
    """Return a step as it is reported, with ``hosts`` by name and ``indexes`` of findings by their place."""
    host = hosts.get(host_of(request))
    server = host.id if host is not None else EXPRESSWAY
    place = step.place if step.ok or step.place is not None else request.place
    return LadderStep(
        number=number,
        at=step.at,
        source=step.source or server,
        to=step.to or server,
        kind=step.kind,
        text=step.text,
        label=step.label,
        server=request.server or request.ip,
        port=request.port,
        status=step.status,
        outcome=request.outcome,
        ok=step.ok,
        times=step.times,
        transaction=request.txn,
        process=request.process[1],
        certain=step.is_certain,
        code=place[0] if place is not None else "",
        finding=indexes.get(place) if place is not None else None,
        lines=tuple(_evidence(line) for line in step.lines),
    )


def _evidence(text: str) -> Evidence:
    more = len(text) - _LONGEST_LINE
    shown = f"{text[:_LONGEST_LINE]} ... and {counted(more, 'character')} more" if more > 0 else str(text)
    if isinstance(text, LogLine):
        return Evidence(file=text.file, line=text.line or None, text=shown)
    return Evidence(file="", line=None, text=shown)
