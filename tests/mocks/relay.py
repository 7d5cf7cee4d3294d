"""Shared parts of the mocks' tests: credentials, tokens, and a minimal proxy between a client and a mock."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from xml.etree.ElementTree import Element

import aiohttp
from aiohttp import web
from yarl import URL

from mralab.mocks.listener import TlsListener

USERS = {"emusk": "secret", "a<b>&": 'p"w', "ünal": "grün"}


def basic(user: str, password: str | None = None) -> dict[str, str]:
    pair = f"{user}:{USERS[user] if password is None else password}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def at(root: Element, path: str) -> Element:
    """Return the element at ``path``, which must exist."""
    found = root.find(path)
    assert found is not None, path
    return found


def token(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


@asynccontextmanager
async def relay(
    ports: Mapping[tuple[str, int], int], refused: Mapping[int, int] | None = None
) -> AsyncIterator[TlsListener]:
    """Run a proxy that decodes tokens, relays requests and verifies nothing.

    ``ports``: requested name and port -> port on 127.0.0.1; ``refused``: requested port -> status of its response.
    """
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE

    async def answer(request: web.Request) -> web.Response:
        encoded, _, rest = request.raw_path.split("8443/", 1)[-1].lstrip("/").partition("/")
        try:
            _, _, host, port = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode().split("/")
        except ValueError:
            return web.Response(status=404)
        if refused and int(port) in refused:
            return web.Response(status=refused[int(port)], reason="connect failed")
        url = URL(f"https://127.0.0.1:{ports[host, int(port)]}/{rest}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=anything, headers=request.headers) as response,
        ):
            headers = {"Content-Type": response.headers.get("Content-Type", "text/plain")}
            return web.Response(status=response.status, body=await response.read(), headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TlsListener(app, None) as listener:
        yield listener
