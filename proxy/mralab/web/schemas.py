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
from ..diagnose.finding_report import Finding
from ..errors import first_problems

LARGEST_NUMBER: Final = 2**53 - 1
"""Largest integer that every JSON parser represents (RFC 8259 section 6)."""
TEXT_PATTERN: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"
"""Text without the control characters that ``strictjson`` refuses."""
Fingerprint = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$", max_length=95)]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(json_schema_extra={"pattern": TEXT_PATTERN})]
"""A field of this type needs ``max_length``, unless its text may be longer than in other JSON (``requests``)."""

ErrorCode = Literal[
    "ambiguous",
    "busy",
    "foreign-authority",
    "foreign-origin",
    "host-not-loopback",
    "http",
    "internal",
    "invalid",
    "method-not-allowed",
    "no-lab",
    "not-found",
    "not-started",
    "peer-not-loopback",
    "through-a-proxy",
    "token-missing",
    "too-large",
    "too-many-readers",
    "unusable",
    "worker-silent",
]


class Body(BaseModel):
    """Base class of request bodies: no unknown keys, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


_RULES: Final[Mapping[str, dict[str, Any]]] = {
    "UpstreamTableChange": {  # ciphers have no effect in TLS 1.3 (config.model)
        "not": {
            "required": ["ciphers", "tls"],
            "properties": {
                "ciphers": {"type": "string", "minLength": 1},
                "tls": {"type": "array", "minItems": 1, "items": {"const": "1.3"}},
            },
        }
    }
}
"""What the keys of a change must be together, by the name of its type."""


def _describe_change(schema: dict[str, Any], change: type[BaseModel]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)
    schema |= _RULES.get(change.__name__, {})


class _Change(Body):
    """Base class of changes. A key that is missing stays as it is, so its default does not apply."""

    model_config = ConfigDict(json_schema_extra=_describe_change)


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
        default=[],
        min_length=1,
        max_length=1000,
        description="SHA-256, with or without colons",
        examples=[["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]],
    )
    pem: Text = Field(default="", description="Certificates in PEM, one after the other")


class Answer(BaseModel):
    """Base class of answers and of the records in them: every field is in the JSON."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Problem(Answer):
    """An error."""

    code: ErrorCode = Field(description="Kind of the error, which a program can compare")
    message: str = Field(description="The problems as one text, for people")
    problems: list[str] = Field(description="Every problem found, each with the key, parameter or file that has it")
    hint: str = Field(description="What to do next")


class ErrorAnswer(Answer):
    """The answer for a status of 400 or more."""

    error: Problem


class CheckAnswer(Answer):
    """One health check."""

    name: str = Field(description="What was checked: proxy, worker and its number, log, or a mock")
    address: str = Field(description="Address, process ID or file that was checked, else empty")
    ok: bool = Field(description="Whether it passed")
    error: str = Field(description="Why it failed, else empty")
    note: str = Field(description="Other useful facts, such as a worker that was started again; else empty")


class HealthAnswer(Answer):
    """The result of the health checks."""

    status: Literal["ok", "failing"] = Field(description="`failing`, with the status 503, if a check failed")
    release: str = Field(description="The Expressway release that is emulated")
    pid: int = Field(description="Process ID; of several processes, that of the one that controls them")
    checks: list[CheckAnswer] = Field(description="Every check")


ProxyAnswer: Final = create_model(
    "ProxyAnswer",
    __base__=Answer,
    __doc__="The table `proxy`, without its secret.",
    **_fields(declared for declared in declared_keys(ProxyTable) if not declared.is_secret),
)


class ConfigAnswer(Answer):
    """The configuration in force. Keys that follow the release have its values."""

    release: str = Field(description="The Expressway release that is emulated")
    proxy: ProxyAnswer  # type: ignore[valid-type]  # made from the table
    verify: VerifyTable
    trust: TrustTable
    upstream: UpstreamTable
    limits: LimitsTable
    hosts: dict[str, HostEntry] = Field(description="The hosts in force, by name")
    allow: AllowTable
    log: LogTable
    capture: CaptureTable
    lab: bool = Field(
        description="Whether the proxy runs in a lab; without one, operations that need a lab are answered 409"
    )


class HostBody(Body):
    """Where a host is. ``ip``, ``dial`` or ports must be set; ports need an address to connect to."""

    ip: Text = Field(default="", max_length=64, description="IP address shown in the log", examples=["10.48.36.215"])
    dial: Text = Field(default="", max_length=64, description="IP address to connect to", examples=["127.0.0.1"])
    ports: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}$")], Port] = Field(
        default={},
        max_length=100,
        description="Requested port -> port that is connected to",
        examples=[{"8443": 41021}],
        json_schema_extra={"additionalProperties": False},
    )
    port: Port | None = Field(default=None, description="Port to connect to for every port that `ports` does not list")
    node: Literal["cucm", "imp", "unity", "none"] = Field(
        default="cucm", description="Kind of node, which decides which automatic rules the host gets"
    )


class HostAnswer(Answer):
    """One host."""

    name: str = Field(description="Its name in canonical form: lower case, without a dot at the end")
    host: HostEntry = Field(description="Where it is")


class HostsAnswer(Answer):
    """The hosts in force. Other hosts are resolved by DNS."""

    hosts: dict[str, HostEntry] = Field(description="Where each host is, by name")


class Judgement(Answer):
    """The result of an assertion."""

    holds: bool = Field(description="Whether it holds")
    text: str = Field(description="What happened, in words")


class JudgedAnswer(Answer):
    """The outcome of the requests to a server, as ``refused`` and ``allowed`` of the Python API return it."""

    server: str = Field(description="The requested name or address")
    port: int | None = Field(description="The given port; null: every port")
    because: str | None = Field(description="The given code; null: any reason")
    refused: Judgement = Field(description="A request to the server was refused, for this reason if one was given")
    allowed: Judgement = Field(description="The server itself answered the latest request on each requested port")


class CertificateAnswer(Answer):
    """A certificate of the trust store."""

    subject: str = Field(description="RFC 4514")
    issuer: str = Field(description="RFC 4514")
    serial: str = Field(description="Serial number, hexadecimal")
    not_before: str = Field(description="Start of its validity, ISO 8601 in UTC")
    not_after: str = Field(description="End of its validity, ISO 8601 in UTC")
    fingerprint: str = Field(description="SHA-256, with colons")


class TrustAnswer(Answer):
    """The trust store, and what the request changed."""

    certificates: list[CertificateAnswer] = Field(description="Every certificate that is trusted")
    added: int = Field(default=0, description="Number of certificates that the request added")
    removed: int = Field(default=0, description="Number of certificates that the request removed")


class TransactionAnswer(Answer):
    """One request and its outcome. Texts are empty, and numbers 0, while they are not known."""

    worker: int = Field(description="Number of the worker that served it, from 0")
    txn: int = Field(description="Transaction number (Txn-id), which is unique within a worker")
    tracking_id: str = Field(description="TrackingID of the request")
    started: float = Field(description="When its head arrived, in seconds since the epoch")
    seconds: float = Field(description="Time until the response began; 0 before it")
    client: str = Field(description="Address of the client")
    method: str = Field(description="Method; empty for an invalid request")
    url: str = Field(description="URL at the server; before the allow list allows it, the requested URL")
    username: str = Field(description="User that the request names")
    deployment: str = Field(description="Deployment of the user")
    rule: str = Field(description="Rule of the allow list that allows it")
    allowed: bool = Field(description="Whether the allow list allows it")
    denied: str = Field(description="Why it was denied")
    server: str = Field(description="Name or address of the server")
    ip: str = Field(description="Address of the server, as in the log")
    port: int = Field(description="Requested port of the server")
    attempts: int = Field(description="Number of attempts to connect")
    faults: list[str] = Field(
        description="What was wrong with the certificate, for each attempt that found a fault: OpenSSL's text, or"
        " `not in certificate` for the name"
    )
    action: str = Field(description="What a fault led to: Terminate or Continue")
    error: str = Field(description="Error text of the last handshake that failed")
    answered: bool = Field(description="Whether the server itself answered")
    status: int = Field(description="Status of the response; 0 before it")
    reason: str = Field(description="Reason phrase of the response")
    dial: str = Field(description="ADDRESS:PORT of the actual connection")
    nearest: str = Field(description="The nearest miss in the allow list, if the request is denied because of it")
    because: str = Field(description="Why the proxy itself answered, such as Connection refused")
    verdict: Annotated[Outcome, Field(strict=False, description="Outcome of the request")]


class LossAnswer(Answer):
    """Records that are missing from the answer, because a worker ended or memory is limited."""

    worker: int = Field(description="Number of the worker that had them")
    pid: int = Field(description="Its process ID")
    since: float = Field(description="Start of the gap, in seconds since the epoch")
    until: float = Field(description="End of the gap")
    requests: int = Field(description="Lower bound of the missing requests; 0: unknown")
    entries: int = Field(description="Number of missing log entries; 0: unknown")
    what: str = Field(description="The same as a sentence")


Silent = Annotated[list[str], Field(description="Workers that did not answer, each with the reason")]
Lost = Annotated[list[LossAnswer], Field(description="What is missing, since the start or the last reset")]


class TransactionsAnswer(Answer):
    """The latest requests."""

    transactions: list[TransactionAnswer] = Field(description="The requests, oldest first")
    total: int = Field(description="Number of requests that are kept")
    silent: Silent
    lost: Lost


class FindingsAnswer(Answer):
    """The problems found in the log. There may be more if workers are ``silent`` or records ``lost``."""

    findings: list[Finding] = Field(description="The findings, in the order in which they first occurred")
    silent: Silent
    lost: Lost


class LogAnswer(Answer):
    """The latest lines of the traffic_server log."""

    lines: list[str] = Field(description="The lines, oldest first")
    total: int = Field(description="Number of lines that are kept")
    silent: Silent
    lost: Lost


class ClearedAnswer(Answer):
    """The journal was cleared."""

    cleared: str = Field(description="When, ISO 8601 in UTC")


class StartAnswer(Answer):
    """A diagnostic log was started."""

    started: str = Field(description="When, ISO 8601 in UTC")


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return a line for each problem of a body. One for an unknown key suggests the nearest key."""
    return first_problems(error.errors(include_url=False), lambda detail: _problem(detail, model))


def _problem(detail: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{did_you_mean(key, model.model_fields)}"
    message = str(detail["msg"])
    return f"{key}: {message[:1].lower()}{message[1:]}"
