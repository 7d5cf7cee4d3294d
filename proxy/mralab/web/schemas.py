"""Types of the control API's requests and answers: for validation and for the OpenAPI description."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..config import (
    AllowTable,
    CaptureTable,
    Config,
    DeclaredKey,
    HostEntry,
    LimitsTable,
    LogTable,
    ProxyTable,
    TrustTable,
    UpstreamTable,
    VerifyTable,
    declared_keys,
    live_tables,
)
from ..core.nearest import did_you_mean
from ..core.outcome import Outcome
from ..diagnose.chain_report import PresentedCertificate
from ..errors import first_problems

Fingerprint = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(json_schema_extra={"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"})]
"""Text without the control characters that ``strictjson`` refuses."""


class Body(BaseModel):
    """Base class of request bodies: no unknown keys, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class _Change(Body):
    """Base class of changes. A key that is missing stays as it is, so its default does not apply."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


def change_model(model: type[BaseModel], live: Mapping[str, Collection[DeclaredKey]]) -> type[BaseModel]:
    """Return the type of a change of a configuration ``model``: its ``live`` keys, by table, all of them optional."""
    fields: dict[str, Any] = {}
    for name, keys in live.items():
        field = model.model_fields[name]
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            description = f"Keys of the table `{name}` to change."
            table = create_model(f"{table.__name__}Change", __base__=_Change, __doc__=description, **_fields(keys))
            fields[name] = (table, table())
        else:
            fields |= _fields(keys)
    description = "Keys to change, as in the configuration file; the others stay as they are."
    return create_model("ConfigChange", __base__=_Change, __doc__=description, **fields)


def _fields(keys: Iterable[DeclaredKey]) -> dict[str, Any]:
    # Copies, because releases of pydantic 2 differ in whether create_model changes the fields that it is given.
    return {declared.name: (declared.field.annotation, copy(declared.field)) for declared in keys}


ConfigChange: Final = change_model(Config, live_tables())


class TrustBody(Body):
    """One or more certificates to trust, in PEM."""

    pem: Text = Field(
        description="Certificates in PEM, one after the other",
        examples=["-----BEGIN CERTIFICATE-----\nMII...\n-----END CERTIFICATE-----\n"],
    )


class DistrustBody(Body):
    """Certificates to remove from the trust store, by fingerprint or in PEM."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    fingerprints: list[Fingerprint] = Field(
        default=[], min_length=1, max_length=1000, description="SHA-256, with or without colons"
    )
    pem: Text = Field(default="", description="Certificates in PEM, one after the other")


class Answer(BaseModel):
    """Base class of answers and of the records in them: every field is in the JSON."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Problem(Answer):
    """An error: ``problems`` lists every problem found, ``hint`` says what to do next."""

    code: str
    message: str
    problems: list[str]
    hint: str


class ErrorAnswer(Answer):
    """The answer for any status but 200."""

    error: Problem


class CheckAnswer(Answer):
    """One health check. ``error`` is empty if it passed; ``note`` has details."""

    name: str
    address: str
    ok: bool
    error: str
    note: str


class HealthAnswer(Answer):
    """``failing`` (status 503) if a check failed."""

    status: Literal["ok", "failing"]
    release: str
    pid: int
    checks: list[CheckAnswer]


ProxyAnswer: Final = create_model(
    "ProxyAnswer",
    __base__=Answer,
    __doc__="The table `proxy`, without its secret.",
    **_fields(declared for declared in declared_keys(ProxyTable) if not declared.is_secret),
)


class ConfigAnswer(Answer):
    """The configuration in force. Keys that the file leaves to the release have the release's values."""

    release: str
    proxy: ProxyAnswer  # type: ignore[valid-type]  # made from the table
    verify: VerifyTable
    trust: TrustTable
    upstream: UpstreamTable
    limits: LimitsTable
    hosts: dict[str, HostEntry]
    allow: AllowTable
    log: LogTable
    capture: CaptureTable
    lab: bool = Field(
        description="Whether the proxy runs in a lab; without one, operations that need a lab are answered 409"
    )


class HostBody(Body):
    """Where a host is. ``ip``, ``dial`` or ports must be set; ports need an address to connect to."""

    ip: Text = Field(default="", max_length=64, description="IP address shown in the log", examples=["10.48.36.215"])
    dial: Text = Field(default="", max_length=64, description="IP address that is connected to", examples=["127.0.0.1"])
    ports: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}$")], Port] = Field(
        default={},
        max_length=100,
        description="Requested port -> port that is connected to",
        examples=[{"8443": 41021}],
        json_schema_extra={"additionalProperties": False},
    )
    port: Port | None = Field(default=None, description="Port connected to for every port that `ports` does not list")
    node: Literal["cucm", "imp", "unity", "none"] = Field(
        default="cucm", description="Kind of node, which decides what automatic rules the host gets"
    )


class HostAnswer(Answer):
    """One host, under its name in canonical form."""

    name: str
    host: HostEntry


class HostsAnswer(Answer):
    """The hosts in force, by name. Other hosts are resolved by DNS."""

    hosts: dict[str, HostEntry]


class Judgement(Answer):
    """The result of an assertion: whether it holds, and a sentence that says what happened."""

    holds: bool
    text: str


class JudgedAnswer(Answer):
    """What became of the requests to a server, as ``refused`` and ``allowed`` of the Python API say it."""

    server: str
    port: int | None
    because: str | None
    refused: Judgement
    allowed: Judgement = Field(description="The server itself answered the latest request on each requested port")


class CertificateAnswer(Answer):
    """One certificate. Names are in RFC 4514 format, ``serial`` is hexadecimal, dates are in UTC."""

    subject: str
    issuer: str
    serial: str
    not_before: str
    not_after: str
    fingerprint: str = Field(description="SHA-256")


class TrustAnswer(Answer):
    """The trust store, and how many certificates the request added or removed."""

    certificates: list[CertificateAnswer]
    added: int = 0
    removed: int = 0


class TransactionAnswer(Answer):
    """One request and its outcome.

    Times are in seconds, ``started`` since the epoch; ``status`` is 0 before the response.
    """

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


class LossAnswer(Answer):
    """Records that are missing from the answer, because a worker ended or memory is limited."""

    worker: int
    pid: int
    since: float = Field(description="Start of the gap, in seconds since the epoch")
    until: float = Field(description="End of the gap")
    requests: int = Field(description="Lower bound of the missing requests; 0: unknown")
    entries: int = Field(description="Number of missing log entries; 0: unknown")
    what: str = Field(description="The same as a sentence")


class TransactionsAnswer(Answer):
    """The latest requests, oldest first. ``total`` is how many are kept.

    ``silent`` are workers that did not answer, ``lost`` is what is missing since the start or the last reset.
    """

    transactions: list[TransactionAnswer]
    total: int
    silent: list[str]
    lost: list[LossAnswer]


class RemedyAnswer(Answer):
    """One thing to do: ``text`` says what, ``where`` in which menu of which product."""

    code: str
    text: str
    where: str


class FindingAnswer(Answer):
    """One cause at one server and port, with its evidence and remedies."""

    # Not ``diagnose.findings.Finding`` itself, so that the API changes only on purpose; a test compares the fields.

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
    tie: Literal["transaction", "only-port", "latest-port", "unknown-port"]
    presented: list[PresentedCertificate] = Field(description="What the server sent, its own certificate first")


class FindingsAnswer(Answer):
    """The problems found in the log, in the order in which they first occurred.

    There may be more if workers are ``silent`` or records ``lost``.
    """

    findings: list[FindingAnswer]
    silent: list[str]
    lost: list[LossAnswer]


class LogAnswer(Answer):
    """The latest lines of the traffic_server log, oldest first. ``total`` is how many are kept."""

    lines: list[str]
    total: int
    silent: list[str]
    lost: list[LossAnswer]


class ClearedAnswer(Answer):
    """The time at which the journal was cleared, in UTC."""

    cleared: str


class StartAnswer(Answer):
    """The start of the diagnostic log, in UTC."""

    started: str


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return a line for each problem of a body. One for an unknown key suggests the nearest key."""
    return first_problems(error.errors(include_url=False), lambda detail: _problem(detail, model))


def _problem(detail: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{did_you_mean(key, model.model_fields)}"
    message = str(detail["msg"])
    return f"{key}: {message[:1].lower()}{message[1:]}"
