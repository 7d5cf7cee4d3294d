"""Lay out a ladder as a drawing: lifelines, arrows and labels with their places, for the SVG of the report.

A request takes one row with its arrows to Expressway-C and on to the server, and one with the answers; a fault of TLS
is written between them. Nothing is decided here: states and texts are those of the steps.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ..core.hostport import bracketed
from ..core.outcome import Outcome
from ..core.tls.hostname import is_address
from ..diagnose.ladder_hosts import ROLES
from ..diagnose.ladder_model import CLIENT, EXPRESSWAY, Ladder, LadderStep, Participant

State = Literal["ok", "bad", "warn", "open"]
"""How a step is drawn: succeeded, failed, tolerated or refused by the server itself, not known."""

MOST_DRAWN: Final = 24
"""Requests in one drawing."""
_CLIENT_GAP, _GAP, _NARROWEST_GAP, _EDGE = 132, 132, 104, 58
"""Between client and Expressway-C stands ``502 connect failed``, so that gap is never narrowed."""
_HEAD: Final = 66
_TEXT, _TO_ARROW, _TO_FAULT, _TO_ANSWER, _AFTER = 15, 11, 15, 20, 14
_CHARACTER: Final = 6.4  # width of one at the labels' size
_CLEAR: Final = 8  # between a label and a lifeline
_LONGEST_NAME: Final = 19


@dataclass(frozen=True, slots=True)
class Lifeline:
    """A participant, its role in one or two rows and its short name."""

    x: float
    role: tuple[str, ...]
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow from ``x1`` to ``x2``. ``is_cut``: it does not arrive."""

    x1: float
    x2: float
    y: float
    state: State
    title: str
    is_cut: bool = False

    @property
    def direction(self) -> int:
        """1 to the right, -1 to the left."""
        return 1 if self.x2 > self.x1 else -1

    @property
    def end(self) -> float:
        """Where the line ends."""
        return self.x2 - 13 * self.direction if self.is_cut else self.x2


@dataclass(frozen=True, slots=True)
class Label:
    """A text; ``title`` has all of it if it was shortened."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"]
    kind: Literal["request", "fault", "status"]
    state: State = "ok"
    title: str = ""


@dataclass(slots=True)
class Drawing:
    """A ladder with the places of its parts. ``left_out`` is the number of requests that are not drawn."""

    width: float
    height: float
    lifelines: tuple[Lifeline, ...]
    arrows: list[Arrow] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    bands: list[tuple[float, float]] = field(default_factory=list)
    """Top and height of each failed request."""
    left_out: int = 0


def draw(ladder: Ladder, *, most: int = MOST_DRAWN) -> Drawing:
    """Return the drawing of a ladder. Of more than ``most`` requests, those that succeeded are left out first."""
    gap = max(_NARROWEST_GAP, _GAP - 7 * max(0, len(ladder.participants) - 3))
    columns: dict[str, float] = {
        one.id: _EDGE + (_CLIENT_GAP + (at - 1) * gap if at else 0) for at, one in enumerate(ladder.participants)
    }
    width = max(columns.values()) + _EDGE
    lifelines = tuple(_lifeline(one, columns[one.id]) for one in ladder.participants)
    drawing = Drawing(width, _HEAD, lifelines)
    requests = ladder.exchanges()
    chosen = _chosen(requests, most)
    drawing.left_out = ladder.omitted + len(requests) - len(chosen)
    names = {one.id: one.name for one in ladder.participants}
    for steps in chosen:
        _draw_request(drawing, steps, columns, names)
    drawing.height += 6
    return drawing


def aligned(ladders: Sequence[Ladder]) -> list[Ladder]:
    """Return the ladders with the same lifelines in the same order, so that they can be compared side by side.

    A server without a name is the one that has its address.
    """
    servers: list[Participant] = []
    own_ids: list[dict[str, int]] = []
    for ladder in ladders:
        places: dict[str, int] = {}
        for server in ladder.participants[2:]:
            at = next((at for at, known in enumerate(servers) if _is_same(known, server)), len(servers))
            if at == len(servers):
                servers.append(server)
            elif is_address(servers[at].name) or servers[at].role == "Server":
                servers[at] = server
            places[server.id] = at
        own_ids.append(places)
    order = sorted(range(len(servers)), key=lambda at: ROLES.index(servers[at].role))
    ids = {at: f"server-{number}" for number, at in enumerate(order, 1)}
    lifelines = tuple(servers[at].model_copy(update={"id": ids[at]}) for at in order)
    return [
        _renamed(ladder, lifelines, {own: ids[at] for own, at in places.items()})
        for ladder, places in zip(ladders, own_ids, strict=True)
    ]


def _is_same(one: Participant, other: Participant) -> bool:
    """Return whether two lifelines are of one host."""
    names = {one.name.lower(), other.name.lower()}
    return len(names) == 1 or any(
        own.name in of.addresses and is_address(own.name) for own, of in ((one, other), (other, one))
    )


def _renamed(ladder: Ladder, servers: tuple[Participant, ...], ids: dict[str, str]) -> Ladder:
    steps = tuple(
        step.model_copy(update={"source": ids.get(step.source, step.source), "to": ids.get(step.to, step.to)})
        for step in ladder.steps
    )
    return ladder.model_copy(update={"participants": (*ladder.participants[:2], *servers), "steps": steps})


def state_of(step: LadderStep) -> State:
    """Return how a step is drawn."""
    if step.ok is None:
        return "open"
    if step.kind == "handshake":
        return "warn"
    if step.ok:
        return "ok"
    return "warn" if step.outcome in (Outcome.PASSED, Outcome.TOLERATED) else "bad"


def _chosen(requests: Sequence[tuple[LadderStep, ...]], most: int) -> list[tuple[LadderStep, ...]]:
    """Return at most ``most`` requests in their order: failed ones first, then the first others."""
    failed = [at for at, steps in enumerate(requests) if any(state_of(step) == "bad" for step in steps)]
    others = [at for at in range(len(requests)) if at not in set(failed)]
    return [requests[at] for at in sorted([*failed, *others][:most])]


def _lifeline(participant: Participant, x: float) -> Lifeline:
    name = participant.name or next(iter(participant.addresses), "")
    is_address = name.replace(".", "").isdigit() or ":" in name
    short = name if is_address or participant.id == CLIENT else name.partition(".")[0]
    role = textwrap.wrap(participant.role, 14) or [""]
    addresses = ", ".join(participant.addresses)
    title = f"{participant.role} {name}{f' ({addresses})' if addresses and addresses != name else ''}"
    return Lifeline(x, tuple(role[:2]), _shortened(short, _LONGEST_NAME), title)


def _draw_request(
    drawing: Drawing, steps: Iterable[LadderStep], columns: Mapping[str, float], names: Mapping[str, str]
) -> None:
    """Draw one request below what is drawn already."""
    steps = tuple(steps)
    top = drawing.height
    asked = [step for step in steps if step.kind in ("request", "connect")]
    faults = [step for step in steps if step.kind in ("refused", "handshake", "failed")]
    answers = [step for step in steps if step.kind == "answer"]
    if asked:
        label = _request(asked, names)
        room = int((drawing.width - 10) / _CHARACTER)
        shown = _shortened(label, room)
        drawing.labels.append(Label(6, top + _TEXT, shown, "start", "request", title=asked[0].label))
    y = top + _TEXT + _TO_ARROW
    stopped = {(step.source, step.to) for step in faults if state_of(step) == "bad"}
    for step in asked:
        is_cut = (step.source, step.to) in stopped or (step.kind == "connect" and step.ok is False)
        arrow = Arrow(columns[step.source], columns[step.to], y, state_of(step), step.text, is_cut)
        drawing.arrows.append(arrow)
    for step in faults:
        if not any(one.source == step.source and one.to == step.to for one in asked):
            arrow = Arrow(columns[step.source], columns[step.to], y, state_of(step), step.text, not step.ok)
            drawing.arrows.append(arrow)
        y += _TO_FAULT
        drawing.labels.append(_fault(step, columns, y, drawing.width))
    if answers:
        y += _TO_ANSWER
        for step in answers:
            arrow = Arrow(columns[step.source], columns[step.to], y, state_of(step), step.text)
            drawing.arrows.append(arrow)
            middle = (columns[step.source] + columns[step.to]) / 2
            is_own = step.source == EXPRESSWAY
            text = step.label if is_own else str(step.status or step.label)
            room = int((abs(arrow.x2 - arrow.x1) - 2 * _CLEAR) / _CHARACTER)
            drawing.labels.append(
                Label(middle, y - 4, _shortened(text, room), "middle", "status", state_of(step), step.text)
            )
    drawing.height = y + _AFTER
    if any(state_of(step) == "bad" for step in steps):
        drawing.bands.append((top + 1, drawing.height - top - 1))


def _fault(step: LadderStep, columns: Mapping[str, float], y: float, width: float) -> Label:
    number = f"{step.finding + 1}: " if step.finding is not None else ""
    text = f"{number}{step.label}{f' ({step.times}x)' if step.times > 1 else ''}"
    left, right = sorted((columns[step.source], columns[step.to]))
    x, room = right - _CLEAR, int((right - 2 * _CLEAR) / _CHARACTER)
    anchor: Literal["start", "end"] = "end"
    if len(text) > room or right < width / 2:  # more room to the right
        x, room, anchor = left + _CLEAR, int((width - left - 2 * _CLEAR) / _CHARACTER), "start"
    return Label(x, y, _shortened(text, room), anchor, "fault", state_of(step), step.text)


def _request(steps: Sequence[LadderStep], names: Mapping[str, str]) -> str:
    """Return ``METHOD :port/path``, with the server as well if its lifeline has another name."""
    step = steps[0]
    connect = next((one for one in steps if one.kind == "connect"), None)
    method, _, url = step.label.partition(" ")
    _, scheme, rest = url.partition("://")
    if not scheme or connect is None:
        return step.label
    is_named = step.server.lower() == names.get(connect.to, "").lower()
    return f"{method} {rest.removeprefix(bracketed(step.server)) if is_named else rest}"


def _shortened(text: str, room: int) -> str:
    """Return a text of at most ``room`` characters, without its middle if it is longer: both ends tell most."""
    if len(text) <= room:
        return text
    first = max(1, room // 3)
    return f"{text[:first]}\u2026{text[len(text) - max(1, room - first - 1) :]}"
