"""The routes of the control API, and their OpenAPI 3.1 description, which is made from the types in ``schemas``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import schemas

MOST: Final = 100_000
DEFAULT_MOST: Final = 1000

_ERRORS: Final = {
    400: "The request cannot be parsed, or does not match this description; lists every problem",
    403: "Refused: not addressed to loopback, from another origin, or through a proxy",
    409: "Well-formed, but unusable, so it is not applied; lists every problem",
    413: "The body is too long",
    415: "The body is not JSON",
    503: "Unavailable: a health check fails, or too many readers are connected",
    504: "Applied, but a worker has not confirmed it",
}


class Operation(NamedTuple):
    """One method of one path. ``body`` and ``answer`` are types of ``schemas``."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel] | str
    """A type, or the media type of an answer that is not JSON."""
    body: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    """Statuses besides those that every operation has: 400, 403, and 413 and 415 unless it is a GET."""
    most: bool = False
    """Whether it has the parameter ``?most=``."""


_CHANGES: Final = (409, 504)

OPERATIONS: Final = (
    Operation("GET", "/api/health", "health", "Check that the proxy listens and that its processes and mocks answer",
              schemas.HealthAnswer, errors=(503,)),
    Operation("GET", "/api/config", "config", "The configuration in force", schemas.ConfigAnswer),
    Operation("PATCH", "/api/config", "change_config", "Change keys from the next request on",
              schemas.ConfigAnswer, schemas.ConfigChange, _CHANGES),
    Operation("GET", "/api/trust", "trust", "The trust store", schemas.TrustAnswer),
    Operation("POST", "/api/trust", "add_trust", "Trust certificates from the next request on",
              schemas.TrustAnswer, schemas.TrustBody, _CHANGES),
    Operation("DELETE", "/api/trust", "remove_trust", "Distrust certificates from the next request on",
              schemas.TrustAnswer, schemas.DistrustBody, _CHANGES),
    Operation("GET", "/api/transactions", "transactions", "The latest requests and their outcomes",
              schemas.TransactionsAnswer, most=True),
    Operation("GET", "/api/findings", "findings", "The problems found in the log, their causes and remedies",
              schemas.FindingsAnswer),
    Operation("GET", "/api/log", "log", "The traffic_server log", schemas.LogAnswer, most=True),
    Operation("GET", "/api/events", "events", "Log lines and changes as they happen (server-sent events)",
              "text/event-stream", errors=(503,)),
    Operation("POST", "/api/diagnostic-logging/start", "start_diagnostic_logging",
              "Start a new diagnostic log", schemas.StartAnswer, errors=(504,)),
    Operation("POST", "/api/diagnostic-logging/stop", "stop_diagnostic_logging",
              "Stop the diagnostic log and return its archive", "application/gzip", errors=(409,)),
    Operation("POST", "/api/journal/clear", "clear_journal",
              "Discard the requests, log lines and findings so far", schemas.ClearedAnswer, errors=(504,)),
    Operation("POST", "/api/reset", "reset", "Restore the file's configuration; clear the journal and the faults",
              schemas.ConfigAnswer, errors=(504,)),
    Operation("GET", "/api/openapi.json", "openapi", "This description", "application/json"),
    Operation("GET", "/metrics", "metrics", "Counters and histograms for Prometheus", "text/plain"),
)  # fmt: skip


def describe(version: str) -> dict[str, Any]:
    """Return the description as JSON data."""
    models = {model for operation in OPERATIONS for model in (operation.answer, operation.body)} | {schemas.ErrorAnswer}
    bodies = {operation.body for operation in OPERATIONS}
    _, definitions = models_json_schema(
        [
            (model, "validation" if model in bodies else "serialization")
            for model in sorted((m for m in models if isinstance(m, type)), key=lambda m: m.__name__)
        ],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, definitions["$defs"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mralab control API",
            "version": version,
            "description": "Controls a running proxy. Loopback only; request bodies are JSON.",
        },
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }


def _described(operation: Operation, names: Sequence[str]) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if operation.most:
        described["parameters"] = [
            {
                "name": "most",
                "in": "query",
                "description": "How many of the latest to return",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_MOST},
            }
        ]
    if operation.body is not None:
        content = {"application/json": {"schema": _reference(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    responses: dict[str, Any] = {"200": {"description": "Done", "content": _content(operation.answer)}}
    for status in sorted({400, 403, *operation.errors, *(() if operation.method == "GET" else (413, 415))}):
        unhealthy = status == 503 and operation.answer is schemas.HealthAnswer
        model = schemas.HealthAnswer if unhealthy else schemas.ErrorAnswer
        responses[str(status)] = {"description": _ERRORS[status], "content": _content(model)}
    described["responses"] = responses
    return described


def _content(answer: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "object"} if answer == "application/json" else {"type": "string"}}}
    return {"application/json": {"schema": _reference(answer)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
