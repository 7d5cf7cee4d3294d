"""HTTP applications of the mocks, put together from the routes of services, and the responses that they share.

Like the Tomcat behind real UDS, they answer without a reason phrase: ``HTTP/1.1 200 `` (the article's log).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from .xmlbody import document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from xml.etree.ElementTree import Element

MAX_BODY: Final = 1 << 20
"""Bytes of a request's body; a longer one is answered 413."""
_ANY_PATH: Final = "/{path:.*}"


def application(*services: Iterable[web.RouteDef]) -> web.Application:
    """Return an application with the routes of ``services``; 405 for their other methods, 404 for all other paths."""
    app = web.Application(client_max_size=MAX_BODY)
    allowed: dict[str, list[str]] = {}
    for routes in services:
        for route in routes:
            methods = ["GET", "HEAD"] if route.method == "GET" else [route.method]
            allowed.setdefault(route.path, []).extend(methods)
            app.add_routes([route])
    for path, methods in allowed.items():
        app.router.add_route("*", path, _not_allowed(methods))
    if _ANY_PATH not in allowed:
        app.router.add_route("*", _ANY_PATH, _not_found)
    return app


def xml(root: Element, *, status: int = 200, content_type: str = "application/xml") -> web.Response:
    """Return a response with an XML document."""
    return web.Response(body=document(root), content_type=content_type, charset="UTF-8", status=status, reason="")


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a response without a body."""
    return web.Response(status=status, reason="", headers=headers)


def challenge(realm: str) -> web.Response:
    """Return 401 with the realm of Basic authorization."""
    return empty(401, {"WWW-Authenticate": f'Basic realm="{realm}"'})


def _not_allowed(methods: Iterable[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    allow = ", ".join(dict.fromkeys(methods))

    async def answer(_request: web.Request) -> web.StreamResponse:
        return empty(405, {"Allow": allow})

    return answer


async def _not_found(_request: web.Request) -> web.Response:
    return empty(404)
