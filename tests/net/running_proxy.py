"""A proxy in the test's own process, and what it did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from mralab.config import from_mapping
from mralab.core.log.events import ClientGone, Event
from mralab.core.log.reader import read
from mralab.core.mra.target import Target, encode
from mralab.net.traffic_server import TrafficServer
from mralab.tls.trust_store import TrustStore, parse_pem
from mralab.web.metrics import exposition

HOST: Final = "cucm.steven.lab"


class RunningProxy:
    """A traffic server that listens on ``host`` and ``port``, the events it emits, and a client of it."""

    def __init__(self, server: TrafficServer, events: list[Event]) -> None:
        self.server, self.host, self.port = server, server.host, server.port
        self.log = server.config.path(server.config.log.file)
        self._events = events

    async def events(self) -> list[Event]:
        """Return all events so far, oldest first; each is in the log file as well by now."""
        await self.server.flush_log()
        return self._events

    async def event_names(self) -> list[str]:
        """Return the class names of all events so far."""
        return [type(event).__name__ for event in await self.events()]

    async def change(self, **tables: Any) -> None:
        """Change keys of the configuration, from the next request on."""
        self.server.apply(self.server.config.changed(**tables))

    async def trust(self, pem: bytes) -> None:
        """Trust certificates, from the next request on."""
        self.server.trust(parse_pem(pem, "test"))

    async def distrust(self, pem: bytes) -> None:
        """Stop trusting certificates, from the next request on."""
        self.server.distrust(parse_pem(pem, "test"))

    async def metrics(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the samples of a metric by label values, without those that are 0."""
        families = text_string_to_metric_families(exposition(self.server.stats.snapshot(), 1, 1).decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return {tuple(sample.labels.values()): sample.value for sample in samples if sample.value}

    def token(self, port: int, *, host: str = HOST, scheme: str = "https") -> str:
        """Return the token that leads to a port of a server."""
        return encode(Target("steven.lab", scheme, host, port))

    async def raw(self, data: bytes, *, eof: bool = False, limit: float = 20) -> bytes:
        """Send bytes on a connection of its own and return what arrives until its end; ``RESET`` for a reset."""
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(self.host, self.port)
            writer.write(data)
            if eof:
                writer.write_eof()
            try:
                return await reader.read()
            except ConnectionError:
                return b"RESET"
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def get(
        self,
        port: int,
        path: str = "/cucm-uds/version",
        *,
        host: str = HOST,
        scheme: str = "https",
        method: str = "GET",
        headers: str = "",
        body: bytes = b"",
    ) -> bytes:
        """Send one request for a port of a server on a connection of its own; return the whole response."""
        token = self.token(port, host=host, scheme=scheme)
        head = f"{method} /{token}{path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n{headers}\r\n"
        return await self.raw(head.encode() + body)


def merged(tables: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a configuration with some keys changed."""
    whole = dict(tables)
    for table, values in changes.items():
        whole[table] = {**whole.get(table, {}), **values} if isinstance(values, dict) else values
    return whole


@contextlib.asynccontextmanager
async def running_proxy(folder: Path, tables: Mapping[str, Any], trusted: bytes) -> AsyncIterator[RunningProxy]:
    """Run a proxy with this configuration, whose trust store holds only the certificates in ``trusted`` (PEM).

    At the end its log is read back: it must hold the events that the proxy emitted, in their order.
    """
    events: list[Event] = []
    store = TrustStore(parse_pem(trusted, "test") if trusted else ())
    async with TrafficServer(from_mapping(tables, folder), store=store, listener=events.append) as server:
        proxy = RunningProxy(server, events)
        yield proxy
    with proxy.log.open(encoding="latin-1", newline="") as log:
        logged = [type(event) for event in events if not isinstance(event, ClientGone)]  # has no line in the log
        assert [type(record.event) for record in read(log)] == logged
