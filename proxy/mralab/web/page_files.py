"""The live page: its files, which are package data in ``page/``, and the headers that keep it to itself.

The page loads nothing from elsewhere and runs no inline code: text from a server or a log can never become code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Final

from aiohttp import web

_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # after an upgrade the page and the API must be of the same release
}


def add_page(app: web.Application) -> None:
    """Serve the page at ``/`` and its other files below ``/page/``."""
    folder = resources.files(__package__) / "page"
    for file in folder.iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            app.router.add_get(path, _served(file.read_bytes(), _TYPES[suffix]))


def _served(data: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=data, headers=_HEADERS, content_type=content_type, charset="utf-8")

    return answer
