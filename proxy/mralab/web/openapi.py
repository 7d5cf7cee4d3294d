"""The OpenAPI 3.1 description of the control API, made of the types that check and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import schemas

MOST: Final = 100_000
DEFAULT_MOST: Final = 1000

_ERRORS: Final = {
    400: "What was sent cannot be read, or is not as described; every problem at once",
    403: "Refused: not for loopback, from a foreign page, or through a proxy",
    409: "Well-formed, but it cannot be put into force; every problem at once",
    413: "More than a request may hold",
    415: "Not JSON",
    504: "In force, but a worker has not confirmed it",
}


class Operation(NamedTuple):
    """One route and method. ``body`` and ``answer`` are its types."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel] | str
    """A type, or the media type of an answer that is not JSON."""
    body: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    """Statuses besides those that every operation may answer: 400, 403, and 415 unless it is a GET."""
    most: bool = False
    """It takes ``?most=``."""


_CHANGES: Final = (409, 504)

OPERATIONS: Final = (
    Operation("GET", "/api/health", "health", "Does the proxy listen, do its processes and the mocks answer?",
              schemas.HealthAnswer, errors=(503,)),
    Operation("GET", "/api/config", "config", "The configuration in force", schemas.ConfigAnswer),
    Operation("PATCH", "/api/config", "change_config", "Change keys from the next request on",
              schemas.ConfigAnswer, schemas.ConfigChange, _CHANGES),
    Operation("GET", "/api/trust", "trust", "The trust store", schemas.TrustAnswer),
    Operation("POST", "/api/trust", "add_trust", "Trust certificates from the next request on",
              schemas.TrustAnswer, schemas.TrustBody, _CHANGES),
    Operation("DELETE", "/api/trust", "remove_trust", "Trust certificates no more from the next request on",
              schemas.TrustAnswer, schemas.DistrustBody, _CHANGES),
    Operation("GET", "/api/transactions", "transactions", "What became of each request",
              schemas.TransactionsAnswer, most=True),
    Operation("GET", "/api/findings", "findings", "What the log says is wrong, why, and what helps",
              schemas.FindingsAnswer),
    Operation("GET", "/api/log", "log", "The traffic_server log", schemas.LogAnswer, most=True),
    Operation("GET", "/api/events", "events", "Log lines and changes as they happen (server-sent events)",
              "text/event-stream", errors=(503,)),
    Operation("POST", "/api/diagnostic-logging/start", "start_diagnostic_logging",
              "Begin a new diagnostic log", schemas.StartAnswer, errors=(504,)),
    Operation("POST", "/api/diagnostic-logging/stop", "stop_diagnostic_logging",
              "End the diagnostic log; its archive", "application/gzip", errors=(409,)),
    Operation("POST", "/api/reset", "reset", "Back to the configuration file; the journal forgotten, faults lifted",
              schemas.ConfigAnswer, errors=(504,)),
    Operation("GET", "/api/openapi.json", "openapi", "This description", "application/json"),
    Operation("GET", "/metrics", "metrics", "Counters and histograms for Prometheus", "text/plain"),
)  # fmt: skip


def describe(version: str) -> dict[str, Any]:
    """The whole description as JSON takes it."""
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
            "description": "Acts on a running proxy. Loopback only; what is sent is JSON.",
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
                "description": "The latest so many",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_MOST},
            }
        ]
    if operation.body is not None:
        content = {"application/json": {"schema": _reference(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    responses: dict[str, Any] = {"200": {"description": "Done", "content": _content(operation.answer)}}
    for status in sorted({400, 403, *operation.errors, *(() if operation.method == "GET" else (413, 415))}):
        model = operation.answer if status == 503 else schemas.ErrorAnswer
        responses[str(status)] = {"description": _ERRORS.get(status, "Something fails"), "content": _content(model)}
    described["responses"] = responses
    return described


def _content(answer: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "object"} if answer == "application/json" else {"type": "string"}}}
    return {"application/json": {"schema": _reference(answer)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
