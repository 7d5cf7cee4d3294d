"""The control API: HTTP and JSON on loopback, served by aiohttp.

Its routes are in ``operations.OPERATIONS``. ``guard`` decides which requests are served. The modules ``api_proxy``,
``api_lab`` and ``api_faults`` have a method for each operation, and a ``Control`` does the work.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from ..control.control import Control, NotListedError, NotRecordingError, SilentError, UnusableError
from ..control.fault_points import NoPointError
from ..control.faults import InjectedFaults
from ..control.lab_interface import NoLabError
from ..control.report import report
from ..control.runs import BusyError, NotKeptError
from ..core.hostport import host_port
from ..core.nearest import did_you_mean
from ..errors import ConfigError, MralabError, TrustStoreError
from ..net.acceptor import listening_socket
from ..net.endpoints import CONTROL
from .answers import problem
from .api_faults import FaultsApi
from .api_lab import LabApi
from .api_proxy import ProxyApi
from .guard import Received, RefusedError, UnauthorizedError, check, check_body
from .openapi import describe
from .operations import OPERATIONS, Operation
from .page_files import add_page
from .requests import BadRequestError, parameters_of

_MAX_BODY: Final = 1 << 20
_SHUTDOWN_LIMIT: Final = 1.0  # seconds for requests that are in progress when the API ends
_log = logging.getLogger(__name__)
_server_log = logging.getLogger(f"{__name__}.http")
_CLIENT_ERRORS: Final = (HttpProcessingError, web.RequestPayloadError)
_server_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_ERRORS)))
"""A malformed request is answered with 400. It is the client's error, so it is not logged."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serve_admin(control: Control, where: socket.socket | str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve the control API on a listening socket, or on a loopback ``host:port``, while the context is open.

    Yields the address. Raises ``ListenError``. Only ``control`` uses threads.
    """
    sock = listening_socket(where, "admin") if isinstance(where, str) else where
    endpoint = CONTROL.add(sock)
    faults = InjectedFaults(control)
    runner = web.AppRunner(
        _application(control, faults),
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
        await faults.close()  # after the last request, which may open a fault point
        CONTROL.remove(endpoint)


def _application(control: Control, faults: InjectedFaults) -> web.Application:
    guard = _guard(control.config.proxy.admin_token)
    app = web.Application(middlewares=[_answer_errors, guard], client_max_size=_MAX_BODY)
    parts = (ProxyApi(control), LabApi(control), FaultsApi(control, faults), _Description())
    for operation in OPERATIONS:
        handler = next(getattr(part, operation.name) for part in parts if hasattr(part, operation.name))
        checked = _checked(operation, handler)
        if operation.method == "GET":
            app.router.add_get(operation.path, checked)  # HEAD as well
        else:
            app.router.add_route(operation.method, operation.path, checked)
    add_page(app)
    return app


def _checked(operation: Operation, handler: Callable[..., Awaitable[web.StreamResponse]]) -> Handler:
    """Return the handler of a route: ``handler`` gets the operation's parameters by name."""

    async def checked(request: web.Request) -> web.StreamResponse:
        return await handler(request, **await parameters_of(request, operation))

    return checked


class _Description:
    """The operation that describes the others."""

    def __init__(self) -> None:
        self._description = describe(importlib.metadata.version("mralab"))

    async def openapi(self, _: web.Request) -> web.Response:
        return web.json_response(self._description)


# -- errors


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnauthorizedError as error:
        return problem(error.status, error.code, error, {"WWW-Authenticate": "Bearer"})
    except RefusedError as error:
        return problem(error.status, error.code, error)
    except (BadRequestError, ConfigError) as error:
        return problem(400, "invalid", error)
    except (UnusableError, TrustStoreError) as error:
        return problem(409, "unusable", error)
    except NotRecordingError as error:
        return problem(409, "not-started", error)
    except NoLabError as error:
        return problem(409, "no-lab", error)
    except BusyError as error:
        return problem(409, "busy", error)
    except (NotKeptError, NotListedError, NoPointError) as error:
        return problem(404, "not-found", error)
    except SilentError as error:
        return problem(504, "worker-silent", error)
    except web.HTTPNotFound:
        paths = {operation.path for operation in OPERATIONS}
        text = f"{request.path}: no such path{did_you_mean(request.path, paths)}"
        return problem(404, "not-found", MralabError(text, "GET /api/openapi.json lists every path"))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        refused = MralabError(f"{request.method} {request.path}: not supported", f"supported: {allowed}")
        return problem(405, "method-not-allowed", refused, {"Allow": allowed})
    except web.HTTPRequestEntityTooLarge:
        return problem(
            413, "too-large", MralabError(f"the body is longer than {_MAX_BODY} bytes", "send several shorter requests")
        )
    except web.HTTPException as error:
        return problem(error.status, "http", MralabError(error.reason))
    except Exception:  # a bug in mralab: answered as such, and logged with its traceback
        _log.exception("%s %s", request.method, request.path)
        return problem(500, "internal", MralabError("a bug in mralab", "its traceback is on standard error"))


def _guard(token: str) -> Middleware:
    """Return the middleware that refuses requests. The first one without the token is said on standard error."""
    is_said = False

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal is_said
        received = Received(request.method, request.raw_path, request.headers, request.remote or "")
        try:
            check(received, token)
        except UnauthorizedError as error:
            if not is_said:
                is_said = True
                report(f"control API: {error.message}: refused; further such requests are refused without a message")
            raise
        if not isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed):
            check_body(received)
        return await handler(request)

    return guard
