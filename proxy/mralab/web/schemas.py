"""Requests and answers of the control API as types: what is checked, and what the OpenAPI description is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..config import (
    AllowTable,
    Config,
    DeclaredKey,
    HostEntry,
    LimitsTable,
    LogTable,
    ProxyTable,
    TrustTable,
    UpstreamTable,
    VerifyTable,
    live_tables,
)
from ..core.nearest import did_you_mean
from ..core.outcome import Outcome
from ..errors import first_problems

Fingerprint = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$")]
Text = Annotated[str, Field(json_schema_extra={"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"})]
"""Text without the control characters that ``strictjson`` refuses."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def change_model(model: type[BaseModel], live: Mapping[str, Collection[DeclaredKey]]) -> type[BaseModel]:
    """Return the type of a change of a configuration ``model``: its ``live`` keys, by table, all of them optional."""
    description = "Keys to change, as in the configuration file; the others stay as they are."
    fields: dict[str, Any] = {}
    for name, keys in live.items():
        field = model.model_fields[name]
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            if len(keys) < len(table.model_fields):
                table = create_model(f"{table.__name__}Change", __base__=_Body, **_fields(keys))
            fields[name] = (table, table())
        else:
            fields |= _fields(keys)
    return create_model("ConfigChange", __base__=_Body, __doc__=description, **fields)


def _fields(keys: Iterable[DeclaredKey]) -> dict[str, Any]:
    # Copies, because releases of pydantic 2 differ in whether create_model changes the fields that it is given.
    return {declared.name: (declared.field.annotation, copy(declared.field)) for declared in keys}


ConfigChange: Final = change_model(Config, live_tables())


class TrustBody(_Body):
    """Certificates to trust: one or more in PEM."""

    pem: Text = Field(description="Certificates in PEM, one after the other")


class DistrustBody(_Body):
    """Certificates to trust no more, by fingerprint or as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    fingerprints: list[Fingerprint] = Field(
        default=[], min_length=1, max_length=1000, description="SHA-256, with or without colons"
    )
    pem: Text = Field(default="", description="Certificates in PEM, one after the other")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """What went wrong. ``problems`` has all of it at once, ``hint`` says what to do."""

    code: str
    message: str
    problems: list[str]
    hint: str


class ErrorAnswer(_Answer):
    """Every answer but 200."""

    error: Problem


class CheckAnswer(_Answer):
    """One thing that must work; ``error`` says why it does not, ``note`` what is worth knowing although it does."""

    name: str
    address: str
    ok: bool
    error: str
    note: str


class HealthAnswer(_Answer):
    """``failing`` (503) as soon as one check is not ok."""

    status: Literal["ok", "failing"]
    release: str
    pid: int
    checks: list[CheckAnswer]


class ConfigAnswer(_Answer):
    """The configuration in force; where the file leaves it to the release, what the release says."""

    release: str
    proxy: ProxyTable
    verify: VerifyTable
    trust: TrustTable
    upstream: UpstreamTable
    limits: LimitsTable
    hosts: dict[str, HostEntry]
    allow: AllowTable
    log: LogTable


class CertificateAnswer(_Answer):
    """One certificate. Names as RFC 4514 writes them, ``serial`` in hexadecimal, dates in UTC."""

    subject: str
    issuer: str
    serial: str
    not_before: str
    not_after: str
    fingerprint: str = Field(description="SHA-256")


class TrustAnswer(_Answer):
    """The trust store, and what the request changed in it."""

    certificates: list[CertificateAnswer]
    added: int = 0
    removed: int = 0


class TransactionAnswer(_Answer):
    """What became of one request. Times in seconds, ``started`` since the epoch; ``status`` 0: not answered yet."""

    worker: int
    txn: int
    tracking_id: str
    started: float
    seconds: float
    client: str
    method: str
    url: str
    username: str
    deployment: str
    rule: str
    allowed: bool
    denied: str
    server: str
    ip: str
    port: int
    attempts: int
    faults: list[str]
    action: str
    error: str
    answered: bool
    status: int
    reason: str
    dial: str
    nearest: str
    because: str
    verdict: Annotated[Outcome, Field(strict=False)]


class LossAnswer(_Answer):
    """Something that happened and is not in the answer, because a worker ended or memory is limited."""

    worker: int
    pid: int
    since: float = Field(description="From when it is missing, in seconds since the epoch")
    until: float = Field(description="Until when")
    requests: int = Field(description="At least so many requests; 0: not known")
    entries: int = Field(description="So many entries of the log; 0: not known")
    what: str = Field(description="The same in words")


class TransactionsAnswer(_Answer):
    """The latest requests, the latest last, and how many are kept.

    ``silent``: workers that did not answer. ``lost``: what is missing since the start or the last reset.
    """

    transactions: list[TransactionAnswer]
    total: int
    silent: list[str]
    lost: list[LossAnswer]


class RemedyAnswer(_Answer):
    """One thing to do, and where."""

    code: str
    text: str
    where: str


class FindingAnswer(_Answer):
    """One cause at one server and port, with its evidence and what helps."""

    code: str
    server: str
    ip: str
    port: int | None
    error: str
    depth: int | None
    action: str
    count: int
    first: float
    last: float
    evidence: list[str]
    cause: str
    remedies: list[RemedyAnswer]
    reference: str
    dial: str
    nearest: str


class FindingsAnswer(_Answer):
    """What the log says is wrong, in the order in which it first occurred.

    ``silent`` workers did not answer; with ``lost``, there may have been more.
    """

    findings: list[FindingAnswer]
    silent: list[str]
    lost: list[LossAnswer]


class LogAnswer(_Answer):
    """The latest lines of the traffic_server log, the latest last, and how many are kept."""

    lines: list[str]
    total: int
    silent: list[str]
    lost: list[LossAnswer]


class StartAnswer(_Answer):
    """Since when a diagnostic log is written, in UTC."""

    started: str


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """What is wrong with a body, a line a problem, with the nearest right name for a wrong one."""
    return first_problems(error.errors(include_url=False), lambda detail: _problem(detail, model))


def _problem(detail: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{did_you_mean(key, model.model_fields)}"
    message = str(detail["msg"])
    return f"{key}: {message[:1].lower()}{message[1:]}"
