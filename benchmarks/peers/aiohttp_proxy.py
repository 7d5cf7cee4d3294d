"""A plain reverse proxy with aiohttp on uvloop: verifies chain and name, streams bodies, logs nothing.

Usage: aiohttp_proxy.py FILE. FILE has a JSON object: port, trust (PEM file), keep_alive, routes (token -> [URL, name]).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import ClientError, ClientSession, DummyCookieJar, TCPConnector, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "te", "upgrade"}


async def main(settings: dict[str, Any]) -> None:
    """Serve until killed."""
    context = ssl.create_default_context(cafile=settings["trust"])
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    connector = TCPConnector(ssl=context, limit=0, force_close=not settings["keep_alive"])
    session = ClientSession(connector=connector, auto_decompress=False, cookie_jar=DummyCookieJar())

    async def relay(request: web.Request) -> web.StreamResponse:
        base, name = settings["routes"][request.match_info["token"]]
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        try:
            async with session.request(
                request.method, f"{base}/{request.match_info['path']}", headers=headers, server_hostname=name
            ) as answer:
                kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
                response = web.StreamResponse(status=answer.status, headers=kept)
                response.content_length = answer.content_length
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                return response
        except ClientError:
            return web.Response(status=502)

    application = web.Application()
    application.router.add_get("/{token}/{path:.*}", relay)
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=300)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", settings["port"], backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
