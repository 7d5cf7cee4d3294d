"""The lines and events of a transaction that differs from an earlier one only by its moment.

A repeated request has the same lines but for the time, the transaction's number, the TrackingID and the client's port.
``PlannedRequest`` and ``PlannedResponse`` hold the rest as text with gaps. Their pieces, and the functions that fill
the gaps, are made from the writer's table (``grammar.TEMPLATES``), so the result is what ``LineWriter.format`` writes
for the events, line by line. One text for three lines, and one for two, costs a fifth of five events with five lines.

Listeners that need events get them from a ``Brief``: what fills the gaps, with ``events()`` for the rest. A buffer may
keep briefs and make the events when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Final, NamedTuple, cast

from ..outcome import Outcome
from .escape import escape_field
from .events import Event, RequestAllowed, RequestReceived, RequestSent, ResponseReceived, ResponseSent
from .grammar import TEMPLATES, compile_function
from .writer import UTC_KEY, LineWriter

_Part = tuple[str, str, str]
"""A gap, or a field and its kind, or literal text: (gap, "", ""), ("", field, kind), ("", "", text)."""


def _parts(kind: type[Event], gaps: Mapping[str, str]) -> list[_Part]:
    """Return the parts of an event's line. ``gaps`` are the fields that are gaps, with the name of what fills them."""
    parts = [("prefix", "", "")]
    for literal, name, field_kind, _ in Formatter().parse(TEMPLATES[kind]):
        parts.append(("", "", literal))
        if name:
            gap = "utc" if field_kind == "utc" else gaps.get(name, "")
            parts.append((gap, "", "") if gap else ("", name, field_kind or ""))
    if parts[1:3] == [("", "", UTC_KEY), ("utc", "", "")]:  # most lines begin with the time twice: one gap
        parts[:3] = [("stamp", "", "")]
    return [*parts, ("", "", "\n")]


_TIMES: Final = ("prefix", "utc", "stamp")
"""The gaps that a ``LineWriter`` fills."""

_REQUEST: Final = (
    _parts(RequestReceived, {"txn": "txn", "tracking_id": "tracking_id", "src_port": "port"}),
    _parts(RequestAllowed, {}),
    _parts(RequestSent, {"txn": "txn", "tracking_id": "tracking_id"}),
)
_RESPONSE: Final = (
    _parts(ResponseReceived, {"txn": "txn"}),
    _parts(ResponseSent, {"txn": "txn", "dst_port": "port"}),
)


def _pieces(events: tuple[Event, ...], lines: tuple[list[_Part], ...]) -> tuple[str, ...]:
    """Return the text between the gaps of the events' lines, from the first gap to the end."""
    pieces: list[str] = []
    for event, parts in zip(events, lines, strict=True):
        for gap, field, text in parts:
            if gap:
                pieces.append("")
            elif field:
                value = getattr(event, field)
                pieces[-1] += str(value) if isinstance(value, int) else escape_field(value, text)
            else:
                pieces[-1] += text
    return tuple(pieces)


def _filler(lines: tuple[list[_Part], ...]) -> Callable[..., str]:
    """Make ``write(writer, pieces, ...)``, which returns the lines; the writer's times and the rest fill the gaps."""
    filled = [gap for parts in lines for gap, _, _ in parts if gap]
    names = [f"piece_{number}" for number in range(len(filled))]
    others = dict.fromkeys(gap for gap in filled if gap not in _TIMES)
    fills = [f"writer.{gap}" if gap in _TIMES else gap for gap in filled]
    text = "".join(f"{{{fill}}}{{{name}}}" for fill, name in zip(fills, names, strict=True))
    source = (
        f"def made({', '.join(('writer', 'pieces', *others))}):\n    {', '.join(names)}, = pieces\n    return f'{text}'"
    )
    return cast("Callable[..., str]", compile_function(source))


write_request: Final[Callable[[LineWriter, tuple[str, ...], int, str, int], str]] = _filler(_REQUEST)
"""Return the three lines of a request: ``(writer, pieces, txn, tracking_id, port)``, the TrackingID escaped."""
write_response: Final[Callable[[LineWriter, tuple[str, ...], int, int], str]] = _filler(_RESPONSE)
"""Return the two lines of a response: ``(writer, pieces, txn, port)``."""
REQUEST_LINES: Final = len(_REQUEST)
RESPONSE_LINES: Final = len(_RESPONSE)


class PlannedRequest(NamedTuple):
    """The events of a request up to "Sending Request"; what fills the gaps is 0 or empty in them."""

    received: RequestReceived
    allowed: RequestAllowed
    sent: RequestSent

    def pieces(self) -> tuple[str, ...]:
        """Return the text for ``write_request``."""
        return _pieces(self, _REQUEST)


class PlannedResponse(NamedTuple):
    """The events of its response; what fills the gaps is 0 or empty in them."""

    received: ResponseReceived
    sent: ResponseSent

    def pieces(self) -> tuple[str, ...]:
        """Return the text for ``write_response``."""
        return _pieces(self, _RESPONSE)


class BriefRequest(NamedTuple):
    """The three events of one request."""

    plan: PlannedRequest
    at: float
    txn: int
    tracking_id: str
    port: int

    def events(self) -> tuple[Event, ...]:
        """Return the events."""
        received, allowed, sent = self.plan
        _, at, txn, tracking_id, port = self
        return (
            received._replace(at=at, txn=txn, tracking_id=tracking_id, src_port=port),
            allowed._replace(at=at, txn=txn),
            sent._replace(at=at, txn=txn, tracking_id=tracking_id),
        )


class BriefResponse(NamedTuple):
    """The two events of one response."""

    plan: PlannedResponse
    at: float
    txn: int
    port: int
    outcome: Outcome

    def events(self) -> tuple[Event, ...]:
        """Return the events."""
        received, sent = self.plan
        _, at, txn, port, outcome = self
        return received._replace(at=at, txn=txn), sent._replace(at=at, txn=txn, dst_port=port, outcome=outcome)


Brief = BriefRequest | BriefResponse
