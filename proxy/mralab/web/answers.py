"""Answers of the control API: JSON of a pydantic model, and errors."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import BaseModel

from ..core.tls.private_keys import without_keys
from ..errors import InputError, MralabError
from .schemas import ErrorAnswer, ErrorCode, Problem

_HINT: Final = "GET /api/openapi.json describes every request"
_HINTS: Final = {
    400: "GET /api/openapi.json describes the parameters and the body of every request",
    409: "nothing was changed: correct it and repeat the whole request",
    415: "send JSON with Content-Type: application/json",
}
"""What to do next where the error itself does not say it, by status."""


def answer(model: BaseModel, status: int = 200) -> web.Response:
    """Return the response with a model as its body."""
    body = model.model_dump_json(by_alias=True).encode()
    return web.Response(status=status, body=body, content_type="application/json")


def problem(status: int, code: ErrorCode, error: MralabError, headers: dict[str, str] | None = None) -> web.Response:
    """Return the response for an error: its message, every problem in it, and what to do next.

    A private key that was sent where it does not belong is not sent back.
    """
    problems = [without_keys(each) for each in (error.listed if isinstance(error, InputError) else [error.message])]
    hint = error.hint or _HINTS.get(status, _HINT)
    value = ErrorAnswer(error=Problem(code=code, message=without_keys(error.message), problems=problems, hint=hint))
    response = answer(value, status)
    response.headers.update(headers or {})
    return response
