"""The floor: the cost of mralab's platform without mralab. Measured by ``make bench``.

uvloop, OpenSSL as mralab uses it, verified and pooled connections, two reads and two writes for each request. The floor
removes the token from the path and finds the length of the response; it parses, checks, rewrites and logs nothing else.
It is not a proxy: it can serve the requests of the benchmark only.

Usage: floor.py FILE. FILE has a JSON object: port, trust (PEM file), keep_alive,
routes (token -> [scheme, port, name]).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, cast

import uvloop

from mralab.tls.openssl import TlsError
from mralab.tls.trust_store import load_store
from mralab.tls.verification import TlsContext, TlsSettings

_CIPHERS = "ECDHE-RSA-AES256-GCM-SHA384"
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
_LENGTH = b"\r\nContent-Length: "


class Route:
    """A server and its idle connections."""

    def __init__(self, context: TlsContext, scheme: str, port: int, name: str, *, keep_alive: bool) -> None:
        self.context = context if scheme == "https" else None
        self.port = port
        self.name = name
        self.keep_alive = keep_alive
        self.idle: list[Server] = []


class Client(asyncio.Protocol):
    """A client, which sends one request at a time, each in one piece."""

    def __init__(self, routes: dict[bytes, Route]) -> None:
        self._routes = routes
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send the request to its server."""
        end = data.find(b"/", 5)
        route = self._routes[data[5:end]]
        request = b"GET " + data[end:]
        if route.idle:
            route.idle.pop().send(self, request)
        else:
            asyncio.ensure_future(Server(route, self, request).dial())  # noqa: RUF006 - ends with its connection


class Server(asyncio.Protocol):
    """A connection to a server, for one client at a time."""

    def __init__(self, route: Route, client: Client, request: bytes) -> None:
        self._route = route
        self._client = client
        self._request = request
        self._left = -1
        self._tls = route.context.connect(route.name) if route.context is not None else None
        self._transport: asyncio.Transport

    async def dial(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._route.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start TLS."""
        self._transport = cast("asyncio.Transport", transport)
        if self._tls is None:
            self.send(self._client, self._request)
        else:
            self._transport.write(self._tls.start())

    def send(self, client: Client, request: bytes) -> None:
        """Send a request; the response is for ``client``."""
        self._client = client
        self._left = -1
        self._transport.write(request if self._tls is None else self._tls.send(request))

    def data_received(self, data: bytes) -> None:
        """Pass the response on."""
        tls = self._tls
        if tls is not None:
            established = tls.established
            try:
                data = tls.receive(data)
            except TlsError:
                self._transport.write(tls.alert())
                self._transport.close()
                self._client.transport.write(_BAD_GATEWAY)
                return
            if not established:
                self._transport.write(tls.outgoing())
                if tls.established:
                    self.send(self._client, self._request)
        if data:
            self._relay(data)

    def _relay(self, data: bytes) -> None:
        if self._left < 0:
            at = data.find(_LENGTH) + len(_LENGTH)
            length = int(data[at : data.find(b"\r", at)])
            self._left = data.find(b"\r\n\r\n") + 4 + length
        self._left -= len(data)
        self._client.transport.write(data)
        if self._left:
            return
        if self._route.keep_alive:
            self._route.idle.append(self)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self in self._route.idle:
            self._route.idle.remove(self)
        if self._tls is not None:
            self._tls.free()


async def main(settings: dict[str, Any]) -> None:
    """Serve until killed."""
    context = TlsContext(TlsSettings("on", True, _CIPHERS, ("1.2",)), load_store(Path(settings["trust"])))
    routes = {
        token.encode(): Route(context, scheme, port, name, keep_alive=settings["keep_alive"])
        for token, (scheme, port, name) in settings["routes"].items()
    }
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Client(routes), "127.0.0.1", settings["port"], backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
