"""The control API: HTTP and JSON on loopback, served by aiohttp.

Its routes are in ``openapi.OPERATIONS``. ``guard`` decides which requests are served, and a ``Control`` does the work.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ValidationError

from ..config import Config
from ..control.control import Control, NotRecordingError, Records, SilentError, UnusableError
from ..control.event_stream import MOST_READERS
from ..core.hostport import host_port
from ..core.nearest import did_you_mean
from ..core.tls.fingerprint import canonical_fingerprint, fingerprint
from ..errors import ConfigError, InputError, MralabError, TrustStoreError
from ..net.acceptor import listening_socket
from ..net.endpoints import CONTROL
from ..tls.trust_store import parse_pem
from .guard import Received, RefusedError, check, is_json
from .metrics import CONTENT_TYPE, exposition
from .openapi import DEFAULT_MOST, MOST, OPERATIONS, Operation, describe
from .schemas import (
    CertificateAnswer,
    CheckAnswer,
    ClearedAnswer,
    ConfigAnswer,
    DistrustBody,
    ErrorAnswer,
    FindingsAnswer,
    HealthAnswer,
    LogAnswer,
    Problem,
    StartAnswer,
    TransactionsAnswer,
    TrustAnswer,
    TrustBody,
    problems_of,
)
from .strictjson import StrictJsonError, loads

_MAX_BODY: Final = 1 << 20
_LONG_TEXTS: Final = ("pem",)  # keys whose text may be longer than ``strictjson`` allows
_SHUTDOWN_LIMIT: Final = 1.0  # seconds for requests that are in progress when the API ends
_log = logging.getLogger(__name__)
_server_log = logging.getLogger(f"{__name__}.http")
_CLIENT_ERRORS: Final = (HttpProcessingError, web.RequestPayloadError)
_server_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_ERRORS)))
"""A malformed request is answered with 400. It is the client's error, so it is not logged."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Model = TypeVar("Model", bound=BaseModel)


@contextlib.asynccontextmanager
async def serve_admin(control: Control, where: socket.socket | str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve the control API on a listening socket, or on a loopback ``host:port``, while the context is open.

    Yields the address. Raises ``ListenError``. Only ``control`` uses threads.
    """
    sock = listening_socket(where, "admin") if isinstance(where, str) else where
    endpoint = CONTROL.add(sock)
    runner = web.AppRunner(
        _application(control),
        access_log=None,
        logger=_server_log,
        shutdown_timeout=_SHUTDOWN_LIMIT,
        auto_decompress=False,  # guard refuses encoded bodies: a megabyte may decode to a gigabyte
    )
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        yield host_port(*sock.getsockname()[:2])
    finally:
        control.stream.close()
        await runner.cleanup()
        CONTROL.remove(endpoint)


def _application(control: Control) -> web.Application:
    app = web.Application(middlewares=[_answer_errors, _guard], client_max_size=_MAX_BODY)
    api = _Api(control)
    for operation in OPERATIONS:
        app.router.add_route(operation.method, operation.path, _strict(operation, getattr(api, operation.name)))
    return app


# -- errors


class _BadRequestError(InputError):
    """The request cannot be parsed, or does not match the OpenAPI description."""


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as error:
        return _problem(error.status, error.code, error)
    except (_BadRequestError, ConfigError) as error:
        return _problem(400, "invalid", error)
    except (UnusableError, TrustStoreError) as error:
        return _problem(409, "unusable", error)
    except NotRecordingError as error:
        return _problem(409, "not-started", error)
    except SilentError as error:
        return _problem(504, "worker-silent", error)
    except web.HTTPNotFound:
        paths = {operation.path for operation in OPERATIONS}
        text = f"{request.path}: no such path{did_you_mean(request.path, paths)}"
        return _problem(404, "not-found", MralabError(text, "GET /api/openapi.json lists every path"))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        refused = MralabError(f"{request.method} {request.path}: not supported", f"supported: {allowed}")
        return _problem(405, "method-not-allowed", refused, {"Allow": allowed})
    except web.HTTPRequestEntityTooLarge:
        return _problem(
            413, "too-large", MralabError(f"the body is longer than {_MAX_BODY} bytes", "send several shorter requests")
        )
    except web.HTTPException as error:
        return _problem(error.status, "http", MralabError(error.reason))
    except Exception:  # a bug in mralab: answered as such, and logged with its traceback
        _log.exception("%s %s", request.method, request.path)
        return _problem(500, "internal", MralabError("a bug in mralab", "its traceback is on standard error"))


def _problem(status: int, code: str, error: MralabError, headers: dict[str, str] | None = None) -> web.Response:
    problems = list(error.listed) if isinstance(error, InputError) else [error.message]
    answer = ErrorAnswer(error=Problem(code=code, message=error.message, problems=problems, hint=error.hint))
    return web.Response(
        status=status, body=answer.model_dump_json().encode(), content_type="application/json", headers=headers
    )


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    check(Received(request.method, request.raw_path, request.headers, request.remote or ""))
    return await handler(request)


# -- reading


async def _json(request: web.Request) -> dict[str, Any]:
    """Return the body, a JSON object. Its Content-Type has been checked by ``guard``."""
    if not is_json(request.headers.get("Content-Type", "")):
        raise web.HTTPUnsupportedMediaType
    try:
        data = await request.read()
    except web.RequestPayloadError:
        raise _BadRequestError(["the body is damaged: its chunks do not follow RFC 9112 section 7.1"]) from None
    try:
        value = loads(data, _LONG_TEXTS)
    except StrictJsonError as error:
        raise _BadRequestError([f"the body is not JSON: {problem}" for problem in error.problems]) from error
    if not isinstance(value, dict):
        raise _BadRequestError(["the body is not a JSON object"])
    return value


async def _body(request: web.Request, model: type[Model]) -> Model:
    try:
        return model.model_validate(await _json(request))
    except ValidationError as error:
        raise _BadRequestError(problems_of(error, model)) from None


def _most(request: web.Request) -> int:
    problems = _unknown_parameters(request, ("most",))
    given = request.query.getall("most", [str(DEFAULT_MOST)])
    number = given[0]
    right = len(given) == 1 and number.isascii() and number.isdigit() and len(number) < 10
    if not right or not 1 <= int(number) <= MOST:
        problems.append(f"most: must be one number from 1 to {MOST} (is {', '.join(given)!r})")
    if problems:
        raise _BadRequestError(problems)
    return int(number)


def _unknown_parameters(request: web.Request, known: tuple[str, ...]) -> list[str]:
    names = [name for name in dict.fromkeys(request.query) if name not in known]
    return [f"{name}: unknown parameter{did_you_mean(name, known)}" for name in names]


def _strict(operation: Operation, handler: Handler) -> Handler:
    """Wrap a handler that reads no parameters or no body, so that they are refused rather than ignored."""

    async def checked(request: web.Request) -> web.StreamResponse:
        problems = [] if operation.most else _unknown_parameters(request, ())
        if operation.body is None and request.body_exists and await request.read():
            problems += [f"{name}: unknown key; {operation.path} takes no body" for name in await _json(request)]
        if problems:
            raise _BadRequestError(problems)
        return await handler(request)

    return checked


def _certificates(pem: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text. Raises ``TrustStoreError`` with every problem in it."""
    return parse_pem(pem.encode(), "pem")


# -- answering


def _answer(model: BaseModel, status: int = 200) -> web.Response:
    return web.Response(status=status, body=model.model_dump_json().encode(), content_type="application/json")


class _Api:
    """One method for each operation, with its name in ``openapi.OPERATIONS``."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._description = describe(importlib.metadata.version("mralab"))

    async def health(self, _: web.Request) -> web.Response:
        checks = await self._control.health()
        ok = not any(check.error for check in checks)
        answer = HealthAnswer(
            status="ok" if ok else "failing",
            release=self._control.config.release,
            pid=os.getpid(),
            checks=[CheckAnswer(ok=not check.error, **check._asdict()) for check in checks],
        )
        return _answer(answer, 200 if ok else 503)

    async def config(self, _: web.Request) -> web.Response:
        return _answer(_in_force(self._control.config))

    async def change_config(self, request: web.Request) -> web.Response:
        await self._control.change(await _json(request))
        return _answer(_in_force(self._control.config))

    async def trust(self, _: web.Request) -> web.Response:
        return await self._store_answer()

    async def add_trust(self, request: web.Request) -> web.Response:
        body = await _body(request, TrustBody)
        certificates = await self._control.aside(_certificates, body.pem)
        return await self._store_answer(added=await self._control.trust(certificates))

    async def remove_trust(self, request: web.Request) -> web.Response:
        body = await _body(request, DistrustBody)
        if not body.model_fields_set:
            raise _BadRequestError(["fingerprints, pem: one of them is required"])
        given = await self._control.aside(_certificates, body.pem) if "pem" in body.model_fields_set else []
        unwanted = [fingerprint(certificate.public_bytes(Encoding.DER)) for certificate in given]
        unwanted += [canonical_fingerprint(text) for text in body.fingerprints]
        return await self._store_answer(removed=await self._control.distrust(unwanted))

    async def _store_answer(self, **changed: int) -> web.Response:
        certificates = self._control.settings.store.certificates
        shown = await self._control.aside(lambda store: [_certificate(each) for each in store], certificates)
        return _answer(TrustAnswer(certificates=shown, **changed))

    async def transactions(self, request: web.Request) -> web.Response:
        records = await self._control.transactions(_most(request))
        return await self._long_answer(TransactionsAnswer, _values("transactions", records) | {"total": records.total})

    async def findings(self, _: web.Request) -> web.Response:
        return await self._long_answer(FindingsAnswer, _values("findings", await self._control.findings()))

    async def log(self, request: web.Request) -> web.Response:
        records = await self._control.log(_most(request))
        return await self._long_answer(LogAnswer, _values("lines", records) | {"total": records.total})

    async def _long_answer(self, model: type[BaseModel], values: dict[str, Any]) -> web.Response:
        """Answer with up to thousands of items. They are validated and serialized without delaying traffic."""
        return await self._control.aside(lambda given: _answer(model.model_validate(given)), values)

    async def events(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
        if self._control.stream.full:
            return _problem(
                503,
                "too-many-readers",
                MralabError(f"{MOST_READERS} readers are connected, the limit", "disconnect one of them"),
            )
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        async with self._control.stream.reading(after) as reader:  # every event from now on is sent
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write(b": follows\n\n")
                async for message in reader.messages():
                    await response.write(message.encode() if message is not None else b": still here\n\n")
        return response

    async def start_diagnostic_logging(self, _: web.Request) -> web.Response:
        started = datetime.fromtimestamp(await self._control.start_recording(), UTC)
        return _answer(StartAnswer(started=started.isoformat(timespec="milliseconds")))

    async def clear_journal(self, _: web.Request) -> web.Response:
        await self._control.clear_journal()
        return _answer(ClearedAnswer(cleared=datetime.now(UTC).isoformat(timespec="milliseconds")))

    async def stop_diagnostic_logging(self, _: web.Request) -> web.Response:
        name, archive = await self._control.stop_recording()
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=archive, content_type="application/gzip", headers=headers)

    async def reset(self, _: web.Request) -> web.Response:
        await self._control.reset()
        return _answer(_in_force(self._control.config))

    async def openapi(self, _: web.Request) -> web.Response:
        return web.json_response(self._description)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=exposition(*await self._control.stats()), headers={"Content-Type": CONTENT_TYPE})


def _values(name: str, records: Records) -> dict[str, Any]:
    """Return the values of an answer: the items under ``name``, and what is missing."""
    return {name: records.items, "silent": records.silent, "lost": [loss._asdict() for loss in records.lost]}


def _in_force(config: Config) -> ConfigAnswer:
    """Return the configuration, with the release's values for keys that leave the choice to it."""
    values = config.model_dump()
    values["verify"]["origin"] = config.verify_mode
    values["upstream"].update(prefer=config.preference_in_force, tls=list(config.tls_versions))
    return ConfigAnswer.model_validate(values)


def _certificate(certificate: x509.Certificate) -> CertificateAnswer:
    return CertificateAnswer(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        fingerprint=fingerprint(certificate.public_bytes(Encoding.DER)),
    )
