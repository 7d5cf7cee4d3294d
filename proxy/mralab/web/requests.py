"""Read requests of the control API: JSON bodies and parameters. All problems of a request are reported at once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from ..core.nearest import did_you_mean
from ..errors import InputError
from .guard import MediaTypeError, is_json, is_pem
from .operations import LONGEST_NAME, NAME_CHARACTERS, Operation, Parameter
from .schemas import problems_of
from .strictjson import LONGEST_NUMBER, StrictJsonError, loads

_LONG_TEXTS: Final = ("pem", "certificate", "key", "issuer", "parameters.certificate")
"""Keys whose text may be longer than ``strictjson`` allows."""
_NAME_CHARACTERS: Final = frozenset(NAME_CHARACTERS)
_CHARACTERS: Final = {"integer": frozenset("0123456789"), "number": frozenset("0123456789.eE+-")}
"""Characters of a number as JSON writes it (RFC 8259 section 6)."""
Model = TypeVar("Model", bound=BaseModel)


class BadRequestError(InputError):
    """The request cannot be parsed, or does not match the OpenAPI description."""


async def json_of(request: web.Request) -> dict[str, Any]:
    """Return the body, a JSON object. Its Content-Type has been checked by ``guard``."""
    if not is_json(request.headers.get("Content-Type", "")):
        what = f"{request.method} {request.path}"
        is_given = request.can_read_body
        raise MediaTypeError(
            "http",
            f"{what} takes no PEM" if is_given else f"{what} needs a body in JSON, at least {{}}",
            "send JSON with Content-Type: application/json",
        )
    try:
        value = loads(await bytes_of(request), _LONG_TEXTS)
    except StrictJsonError as error:
        raise BadRequestError([f"the body is not JSON: {problem}" for problem in error.problems]) from error
    if not isinstance(value, dict):
        raise BadRequestError(["the body is not a JSON object"])
    return value


async def bytes_of(request: web.Request) -> bytes:
    """Return the body as it was sent. Raises ``BadRequestError`` if its framing is damaged."""
    try:
        return await request.read()
    except web.RequestPayloadError:
        raise BadRequestError(["the body is damaged: its chunks do not follow RFC 9112 section 7.1"]) from None


async def pem_of(request: web.Request) -> bytes | None:
    """Return a body in PEM, None if it is JSON."""
    return await bytes_of(request) if is_pem(request.headers.get("Content-Type", "")) else None


async def body_of(
    request: web.Request, model: type[Model], more: Callable[[dict[str, Any]], Awaitable[list[str]]] | None = None
) -> Model:
    """Return the body, validated. Raises ``BadRequestError`` with every problem in it.

    These include what ``more`` says of a body that is not valid: a valid one is checked when it is used.
    """
    given = await json_of(request)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        others = await more(given) if more is not None else []
        raise BadRequestError([*problems_of(error, model), *others]) from None


async def parameters_of(request: web.Request, operation: Operation) -> dict[str, Any]:
    """Return the values of an operation's parameters by name, and refuse a body where it takes none.

    Raises ``BadRequestError`` with every unknown or wrong parameter, and every key of such a body.
    """
    values, problems = _read_parameters(request, operation)
    if operation.body is None and request.body_exists and await bytes_of(request):
        problems += [f"{name}: unknown key; {operation.path} takes no body" for name in await json_of(request)]
    if problems:
        raise BadRequestError(problems)
    return values


def _read_parameters(request: web.Request, operation: Operation) -> tuple[dict[str, Any], list[str]]:
    known = [parameter.name for parameter in operation.parameters if parameter.place == "query"]
    unknown = [name for name in dict.fromkeys(request.query) if name not in known]
    problems = [f"{name}: unknown parameter{did_you_mean(name, known)}" for name in unknown]
    values: dict[str, Any] = {}
    for parameter in operation.parameters:
        if parameter.place == "path":
            given = [request.match_info[parameter.name]]
        else:
            given = request.query.getall(parameter.name, [])
        if not given and not parameter.required:
            values[parameter.name] = parameter.default
        elif not given:
            problems.append(f"{parameter.name}: is missing")
        else:
            try:
                values[parameter.name] = _value(parameter, given)
            except ValueError as error:
                problems.append(f"{parameter.name}: {error} (is {', '.join(given)!r})")
    return values, problems


def _value(parameter: Parameter, given: list[str]) -> Any:
    """Return a parameter's value. Raises ``ValueError`` with what it must be."""
    (text, *more) = given
    if parameter.choices and (more or text not in parameter.choices):
        near = did_you_mean(text, parameter.choices)
        raise ValueError(f"must be one of {', '.join(parameter.choices)}{near}")
    if parameter.kind == "name":
        if more or not 0 < len(text) <= LONGEST_NAME or not _NAME_CHARACTERS.issuperset(text):
            raise ValueError(f"must be one name of 1 to {LONGEST_NAME} letters, digits, '.', ':', '_' and '-'")
        return text
    low, high = parameter.bounds
    number: float = math.nan
    if not more and len(text) <= LONGEST_NUMBER and _CHARACTERS[parameter.kind].issuperset(text):
        with contextlib.suppress(ValueError):
            number = int(text) if parameter.kind == "integer" else float(text)
    if not low <= number <= high:  # nan is neither
        raise ValueError(f"must be one number from {low} to {high}")
    return number
