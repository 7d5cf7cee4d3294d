"""The OpenAPI 3.1 description of the control API, made from ``operations`` and the types that they name."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..core.release import DEFAULT
from . import schemas
from .guard import PEM
from .json_schema import uniform
from .operations import GROUPS, LONGEST_NAME, NAME_CHARACTERS, OPERATIONS, Operation, Parameter, group_of
from .schemas_events import EVENTS
from .strictjson import LONGEST_NUMBER

_DONE: Final = {200: "Done", 201: "Created", 202: "Begun"}


class Error(NamedTuple):
    """What an error status means, and the codes of its answers."""

    text: str
    codes: tuple[schemas.ErrorCode, ...]


ERRORS: Final = {
    400: Error(
        "The request cannot be parsed, or does not match this description; the answer lists every problem",
        ("invalid", "ambiguous"),
    ),
    401: Error("Refused: from another machine without the token (proxy.admin_token)", ("token-missing",)),
    403: Error(
        "Refused: not addressed to loopback, from another origin, or through a proxy",
        ("peer-not-loopback", "host-not-loopback", "foreign-authority", "foreign-origin", "through-a-proxy"),
    ),
    404: Error("It does not exist; the message suggests the nearest name", ("not-found",)),
    405: Error("The path does not have this method; the hint lists those that it has", ("method-not-allowed",)),
    409: Error(
        "Well-formed, but not possible now, so nothing changed; the answer lists every problem",
        ("unusable", "busy", "no-lab", "not-started"),
    ),
    413: Error("The body is too large", ("too-large",)),
    415: Error("The operation does not accept a body of this type", ("http",)),
    500: Error("A bug in mralab; its traceback is on standard error", ("internal",)),
    503: Error("Unavailable: a health check fails, or too many readers are connected", ("too-many-readers",)),
    504: Error("Applied, but a worker has not confirmed it", ("worker-silent",)),
}
COMMON_ERRORS: Final = (400, 401, 403)
"""Statuses that every operation described here may answer."""
BODY_ERRORS: Final = (413, 415)
"""Statuses of operations other than GET as well."""

DESCRIPTIONS: Final = {
    "change_config": "Any of the live keys; null restores the release's value. An invalid body changes nothing.",
    "put_host": "Clients request the name, and the proxy connects to what the body says. A reset restores the hosts.",
    "findings": "Each has its evidence, cause and remedies, and the certificates that the server sent.",
    "judged": "The assertions `refused` and `allowed` of the Python API; their texts say what happened.",
    "ladder": "The document `mralab/ladder`, which the live page, `mralab watch` and reports show as arrows.",
    "events": "Each event has the fields `id`, `event` (its kind) and `data` (JSON). A reader that reconnects with"
    " Last-Event-ID gets the events that it missed, as far as they are kept.",
    "add_trust": "Several are added together or not at all. A file without a certificate is answered 409.",
    "remove_trust": "By fingerprint, or in PEM.",
    "reset": "The trust store and the hosts also become those of the start or the last reload. A running diagnostic log"
    " is discarded.",
    "stop_diagnostic_logging": "The archive has the log lines, a packet capture and dumps, like Expressway's.",
    "inject_fault": "It applies to new connections to that port. GET /api/faults lists the names and parameters.",
    "open_fault_point": "It terminates TLS and relays the bytes to the mock. PUT /api/hosts/NAME with its host (as "
    "`dial`) and port makes the proxy connect to it, and POST /api/faults with its address injects a fault. A reset "
    "closes it. No answer contains the key.",
    "login": "The journal is cleared first, unless `clear` is false. A failed login is an answer with status 200.",
    "begin_run": "One runs at a time. GET /api/runs/ID has the result, and events of the kind `run` report the stages.",
}
"""What the summary of an operation does not say, by name."""

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "change_config": {"release": DEFAULT, "verify": {"origin": "audit"}},
    "lift_faults": {"ids": [1]},
}
"""Bodies, by operation, where the examples of all fields together make no good one."""


def describe(version: str) -> dict[str, Any]:
    """Return the description as JSON data."""
    models = {model for operation in OPERATIONS for model in (operation.answer, operation.body)}
    models |= {schemas.ErrorAnswer, *EVENTS.values()}
    bodies = {operation.body for operation in OPERATIONS}
    _, definitions = models_json_schema(
        [
            (model, "validation" if model in bodies else "serialization")
            for model in sorted((m for m in models if isinstance(m, type)), key=lambda m: m.__name__)
        ],
        ref_template="#/components/schemas/{model}",
    )
    types: dict[str, Any] = {name: uniform(schema) for name, schema in definitions["$defs"].items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mralab control API",
            "version": version,
            "description": "Controls a running proxy, from this machine only, unless proxy.admin_token is set: then "
            "from others too, with Authorization: Bearer TOKEN. HEAD is GET without the body. Bodies are JSON in "
            f"UTF-8, of at most 1 MB; a number has at most {LONGEST_NUMBER} characters, and no key is repeated. "
            "Of a lab with several Expressway-C peers, the API operates the first one.",
        },
        "tags": [{"name": group.name, "description": group.description} for group in GROUPS],
        "paths": paths,
        "components": {"schemas": types},
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [group_of(operation).name],
    }
    if operation.name in DESCRIPTIONS:
        described["description"] = DESCRIPTIONS[operation.name]
    if operation.parameters:
        described["parameters"] = [_parameter(each) for each in operation.parameters]
    if operation.body is not None:
        content: dict[str, Any] = {
            "application/json": {"schema": _reference(operation.body), "example": _example(operation, operation.body)}
        }
        if operation.takes_pem:
            content[PEM] = {"schema": {"type": "string", "description": "Certificates in PEM, one after the other"}}
        described["requestBody"] = {"required": True, "content": content}
    responses: dict[str, Any] = {
        str(operation.status): {"description": _DONE[operation.status], "content": _content(operation.answer)}
    }
    for status in sorted({*COMMON_ERRORS, *operation.errors, *(() if operation.method == "GET" else BODY_ERRORS)}):
        unhealthy = status == 503 and operation.answer is schemas.HealthAnswer
        model = schemas.HealthAnswer if unhealthy else schemas.ErrorAnswer
        responses[str(status)] = {"description": ERRORS[status].text, "content": _content(model)}
    described["responses"] = responses
    return described


def _example(operation: Operation, body: type[BaseModel]) -> dict[str, Any]:
    together = {name: field.examples[0] for name, field in body.model_fields.items() if field.examples}
    return EXAMPLES.get(operation.name, together)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    low, high = parameter.bounds
    pattern = f"^[{NAME_CHARACTERS}]+$"
    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": pattern}
    if parameter.choices:
        schema = {"enum": list(parameter.choices)}
    elif parameter.kind != "name":
        schema = {"type": parameter.kind, "minimum": low, "maximum": high}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
        "example": parameter.example,
    }


def _content(answer: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(answer, str):
        schema: dict[str, Any] = {}  # bytes: OpenAPI 3.1, "Considerations for File Uploads"
        if answer == "application/json":
            schema = {"type": "object", "additionalProperties": True}
        elif answer.startswith("text/") or answer == PEM:
            schema = {"type": "string"}
        if answer == "text/event-stream":
            schema["description"] = f"Events of the kinds {', '.join(EVENTS)}; the data of each is JSON, see x-events"
            schema["x-events"] = {kind: _reference(model) for kind, model in EVENTS.items()}
        return {answer: {"schema": schema}}
    return {"application/json": {"schema": _reference(answer)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
