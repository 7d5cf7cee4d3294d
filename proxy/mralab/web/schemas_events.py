"""Types of the events of ``GET /api/events``: the data of each kind, for the OpenAPI description."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from .schemas import Answer


class LogEvent(Answer):
    """A line of the traffic_server log was written."""

    worker: int
    line: str


class MissedEvent(Answer):
    """Events were lost, because this reader or a worker was slow."""

    worker: int | None = Field(default=None, description="The slow worker; missing for this reader")
    count: int


class ConfigEvent(Answer):
    """The configuration was changed: read it again."""

    changed: list[str] = Field(description="Tables, or keys outside tables")


class TrustEvent(Answer):
    """The trust store was changed."""

    added: int = 0
    removed: int = 0


class ResetEvent(Answer):
    """Everything was reset: configuration, trust store, records and faults."""


class ClearedEvent(Answer):
    """The journal was cleared."""


class WorkerEvent(Answer):
    """A worker ended unexpectedly and is started again."""

    worker: int
    pid: int
    ended: int = Field(description="Its exit code; negative: the signal that ended it")
    lost: str = Field(description="What was lost with it, as a sentence")


class LabEvent(Answer):
    """The lab was changed: what CUCM advertises, a discovery or a fault."""


class RunEvent(Answer):
    """A run of a scenario began, went on or ended."""

    id: int
    scenario: str
    state: Literal["running", "done", "failed"]
    stage: Literal["", "before", "after", "fixed"]


EVENTS: Final[dict[str, type[BaseModel]]] = {
    "log": LogEvent,
    "missed": MissedEvent,
    "config": ConfigEvent,
    "trust": TrustEvent,
    "reset": ResetEvent,
    "cleared": ClearedEvent,
    "worker": WorkerEvent,
    "lab": LabEvent,
    "run": RunEvent,
}
"""Kind of an event (its field ``event``) -> the type of its data."""
