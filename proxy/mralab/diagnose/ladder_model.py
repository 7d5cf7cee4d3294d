"""The ladder of a login as data: who talks to whom, in order, and which step failed.

One model for the terminal, ``--json``, the page and the report. ``version`` changes when a field is renamed, removed or
changes its meaning; new fields do not change it. Texts are those of the log line or event; they
are not escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Literal, Protocol

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from ..core.outcome import Outcome
from .document import SCHEMA_TEXT, FirstVersion
from .report import Evidence

Role = Literal[
    "Client", "Expressway-C", "Expressway-E", "CUCM", "TFTP", "IM and Presence", "Unity Connection", "Server"
]

StepKind = Literal["request", "connect", "handshake", "refused", "answer", "failed"]

CLIENT: Final = "client"
EXPRESSWAY: Final = "expressway"
"""The ``id`` of the first two participants; servers are ``server-1``, ``server-2``."""


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, json_schema_serialization_defaults_required=True
    )


class Participant(_Model):
    """A lifeline."""

    id: str = Field(description="client, expressway, server-1, server-2, ...")
    role: Role = Field(description="What it is, as far as requests show it; Server if no request names its service.")
    name: str = Field(
        description="Host name, or address if no request has a name. Empty if unknown, or if there are several clients."
    )
    addresses: tuple[str, ...] = Field(description="Addresses of the host, as far as they are known.")


class LadderStep(_Model):
    """One arrow."""

    number: int = Field(description="From 1, in the order of the log.")
    at: float = Field(description="Seconds since the epoch; 0 if the line has no time.")
    source: str = Field(
        validation_alias=AliasChoices("source", "from"),
        serialization_alias="from",
        description="Id of the participant that sends.",
    )
    to: str = Field(description="Id of the participant that receives.")
    kind: StepKind = Field(
        description="request: the client's. connect: one or more attempts to send it to a server. handshake: the"
        " server's certificate has a fault, and the connection continues (audit mode). refused: Expressway-C refuses a"
        " certificate or a request. answer: a response, the server's or Expressway-C's own. failed: a handshake or"
        " login failed."
    )
    text: str = Field(description="Request line, status line or error, as in the log; at most 1000 characters.")
    label: str = Field(description="Short form of the text: method and decoded URL, status and reason, or error.")
    server: str = Field(description="Name or address that the request is for, empty if unknown.")
    port: int | None = Field(description="Port that the request is for; null if unknown.")
    status: int | None = Field(description="Status of an answer.")
    outcome: Outcome = Field(description="Outcome of the whole request.")
    ok: bool | None = Field(description="False for a step that failed; null while it is not known.")
    times: int = Field(description="Number of attempts that this step represents.")
    transaction: int = Field(description="Txn-id; 0 if the line has none and no request can be tied to it.")
    process: int = Field(description="Process ID: transaction numbers are unique within a process only. 0 if unknown.")
    certain: bool = Field(description="False if a line without a Txn-id may also belong to another request.")
    code: str = Field(description="Code of the finding that explains this step, empty without one.")
    finding: int | None = Field(description="Index of that finding in the list that came with the ladder.")
    lines: tuple[Evidence, ...] = Field(description="The log lines of this step, the first 20.")


class Ladder(_Model):
    """The steps of the requests that one Expressway handled."""

    schema_: Literal["mralab/ladder"] = Field(default="mralab/ladder", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    participants: tuple[Participant, ...] = Field(description="Client, Expressway, then the servers.")
    steps: tuple[LadderStep, ...] = Field(description="The steps, in their order.")
    transactions: int = Field(description="Number of requests, those left out included.")
    omitted: int = Field(description="Number of requests that were left out, because the ladder is bounded.")

    def exchanges(self) -> list[tuple[LadderStep, ...]]:
        """Return the steps of each request, in the order in which the requests begin."""
        found: dict[tuple[int, int, int], list[LadderStep]] = {}
        for step in self.steps:
            alone = 0 if step.transaction else step.number
            found.setdefault((step.process, step.transaction, alone), []).append(step)
        return [tuple(steps) for steps in found.values()]

    def with_lines(self, change: Callable[[str], str]) -> Ladder:
        """Return the ladder with every log line as ``change`` returns it."""
        steps = tuple(
            step.model_copy(
                update={"lines": tuple(line.model_copy(update={"text": change(line.text)}) for line in step.lines)}
            )
            for step in self.steps
        )
        return self.model_copy(update={"steps": steps})

    def of_servers(self, names: Collection[str]) -> Ladder:
        """Return the ladder of the requests for these servers, which are names or addresses in lower case."""
        steps = tuple(step for step in self.steps if step.server.lower() in names)
        ids = {CLIENT, EXPRESSWAY}.union(*({step.source, step.to} for step in steps))
        kept = self.model_copy(
            update={"steps": steps, "participants": tuple(one for one in self.participants if one.id in ids)}
        )
        return kept.model_copy(update={"transactions": len(kept.exchanges()), "omitted": 0})


class Cause(Protocol):
    """What a ladder needs from a finding: a ``findings.Finding`` or a ``report.Finding``."""

    @property
    def code(self) -> str:
        """Code of the cause."""

    @property
    def server(self) -> str:
        """Name or address that clients request."""

    @property
    def port(self) -> int | None:
        """Port, None if unknown."""
