"""Types of the events of ``GET /api/events``: the data of each kind, for the OpenAPI description."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schemas import Answer


class _Data(Answer):
    """Base class of the data of events. A field with a default may be missing."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


class LogEvent(_Data):
    """A line of the traffic_server log was written."""

    worker: int = Field(description="Number of the worker that wrote it, from 0")
    line: str = Field(description="The line, without its line break")


class MissedEvent(_Data):
    """Events were lost, because this reader or a worker was slow."""

    worker: int | None = Field(default=None, description="The slow worker; missing for this reader")
    count: int = Field(description="Number of events that were lost")


class ConfigEvent(_Data):
    """The configuration was changed: read it again."""

    changed: list[str] = Field(description="Tables, or keys outside tables")
    values: dict[str, Any] = Field(
        description="New value in force of each key, by TABLE.KEY or hosts.NAME; null for a host that was removed."
        " Empty if the values were in force already. Secrets are left out."
    )
    left_out: int = Field(default=0, description="Number of further values that changed: an event has at most 100")


class TrustEvent(_Data):
    """The trust store was changed."""

    added: int = Field(default=0, description="Number of certificates that were added")
    removed: int = Field(default=0, description="Number of certificates that were removed")


class ResetEvent(_Data):
    """Everything was reset: configuration, trust store, records, faults and fault points."""


class ClearedEvent(_Data):
    """The journal was cleared."""


class WorkerEvent(_Data):
    """A worker ended unexpectedly and is started again."""

    worker: int = Field(description="Its number")
    pid: int = Field(description="Its process ID")
    ended: int = Field(description="Its exit code; negative: the signal that ended it")
    lost: str = Field(description="What was lost with it, as a sentence")


class LabEvent(_Data):
    """The lab was changed: a setting of its CUCM, or a discovery."""

    what: Literal["setting", "discovery"] = Field(description="What kind of change it is")
    text: str = Field(description="What has changed, for people: the new value, or the result of the discovery")


class FaultsEvent(_Data):
    """A fault was injected or lifted, or a fault point was opened or closed."""

    text: str = Field(description="What has changed, for people")


class RunEvent(_Data):
    """A run of a scenario began, entered its next stage or ended."""

    id: int = Field(description="Number of the run, for GET /api/runs/ID")
    scenario: str = Field(description="Name of the scenario")
    state: Literal["running", "done", "failed"] = Field(description="`failed`: it could not be completed")
    stage: Literal["", "before", "after", "fixed"] = Field(description="The latest stage that has begun")


EVENTS: Final[dict[str, type[BaseModel]]] = {
    "log": LogEvent,
    "missed": MissedEvent,
    "config": ConfigEvent,
    "trust": TrustEvent,
    "reset": ResetEvent,
    "cleared": ClearedEvent,
    "worker": WorkerEvent,
    "lab": LabEvent,
    "faults": FaultsEvent,
    "run": RunEvent,
}
"""Kind of an event (its field ``event``) -> the type of its data."""
