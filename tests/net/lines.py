"""A running proxy and what it told: one in the test's own process, or ``mralab serve`` and its workers."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from mralab.config import from_mapping
from mralab.core.log.events import Event
from mralab.core.log.reader import Record, read
from mralab.core.mra.target import Target, encode
from mralab.net.traffic_server import TrafficServer
from mralab.tls.trust_store import TrustStore, parse_pem
from mralab.web.metrics import exposition
from tests.modes import KEPT, complaints
from tests.serving import control, running, toml, until

HOST: Final = "cucm.steven.lab"


class Lines(ABC):
    """A running proxy; ``host`` and ``port`` are where."""

    host: str
    port: int
    log: Path

    @abstractmethod
    async def told(self) -> list[Event]:
        """All that it told, request after request. That of other processes is over by then: it ends their service."""

    @abstractmethod
    async def answered(self, count: int) -> list[Event]:
        """All that it has told once ``count`` answers are among it. It serves on."""

    @abstractmethod
    async def change(self, **tables: Any) -> None:
        """Change keys of its configuration, from the next request on."""

    async def let_go(self) -> None:
        """Have kept connections to servers closed, as any change does."""
        if KEPT:
            await self.change()

    @abstractmethod
    async def trust(self, pem: bytes) -> None:
        """Trust certificates, from the next request on."""

    @abstractmethod
    async def distrust(self, pem: bytes) -> None:
        """Trust certificates no more, from the next request on."""

    @abstractmethod
    async def _metrics(self) -> str: ...

    async def metrics(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a metric by their labels, those that are not 0."""
        families = text_string_to_metric_families(await self._metrics())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return {tuple(sample.labels.values()): sample.value for sample in samples if sample.value}

    async def kinds(self) -> list[str]:
        """The names of all that it told."""
        return [type(event).__name__ for event in await self.told()]

    def token(self, port: int, *, host: str = HOST, scheme: str = "https") -> str:
        """The token of a server's port."""
        return encode(Target("steven.lab", scheme, host, port))

    async def raw(self, data: bytes, *, eof: bool = False, limit: float = 20) -> bytes:
        """Send bytes to the proxy, read until it closes."""
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
        """The answer to a request for a server's port, on a connection of its own."""
        token = self.token(port, host=host, scheme=scheme)
        head = f"{method} /{token}{path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n{headers}\r\n"
        return await self.raw(head.encode() + body)


class Inside(Lines):
    """A proxy in this process."""

    def __init__(self, proxy: TrafficServer, events: list[Event]) -> None:
        self.proxy, self.host, self.port = proxy, proxy.host, proxy.port
        self.log = proxy.config.path(proxy.config.log.file)
        self._events = events

    async def told(self) -> list[Event]:
        """Its events."""
        await self.proxy.flush_log()
        return self._events

    async def answered(self, count: int) -> list[Event]:
        """Its events."""
        return self._events

    async def change(self, **tables: Any) -> None:
        """By ``apply``."""
        self.proxy.apply(self.proxy.config.changed(**tables))

    async def trust(self, pem: bytes) -> None:
        """By its method."""
        self.proxy.trust(parse_pem(pem, "test"))

    async def distrust(self, pem: bytes) -> None:
        """By its method."""
        self.proxy.distrust(parse_pem(pem, "test"))

    async def _metrics(self) -> str:
        return exposition(self.proxy.stats.snapshot(), 1, 1).decode()


class Outside(Lines):
    """``mralab serve``, and what its log file says."""

    def __init__(
        self, process: subprocess.Popen[str], start: Mapping[str, Any], folder: Path, tables: dict[str, Any]
    ) -> None:
        self.host, _, port = start["listening"].rpartition(":")
        self.port = int(port)
        self.log = folder / tables["log"]["file"]
        self._process, self._admin, self._folder, self._tables = process, start["admin"], folder, tables

    async def told(self) -> list[Event]:
        """Its log, read back: whole once the service is over."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            await until(lambda: self._process.poll() is not None, 15, "the end of mralab serve")
            assert self._process.returncode == 0
        return self._read()

    async def answered(self, count: int) -> list[Event]:
        """Its log so far, read back."""
        await until(lambda: self.log.read_bytes().count(b'Detail="Sending Response"') >= count)
        return self._read()

    def _read(self) -> list[Event]:
        with self.log.open(encoding="latin-1", newline="") as file:
            events = [record.event for record in in_order(read(file))]
        assert None not in events
        return [event for event in events if isinstance(event, Event)]

    async def change(self, **tables: Any) -> None:
        """By a reload, which also takes back what ``trust`` and ``distrust`` did."""
        self._tables = merged(self._tables, tables)
        (self._folder / "mralab.toml").write_text(toml(self._tables))
        self._process.send_signal(signal.SIGHUP)
        if not tables:
            return  # nothing by which it would be seen
        expected = from_mapping(self._tables, self._folder).model_dump(mode="json")
        async with asyncio.timeout(10):
            while (shown := (await self._ask("GET", "/api/config"))[1]) and any(
                shown[table] != expected[table] for table in tables
            ):
                pass
        await self._ask("GET", "/api/findings")  # answered by each worker after what it was told before

    async def trust(self, pem: bytes) -> None:
        """By its control API."""
        assert (await self._ask("POST", "/api/trust", {"pem": pem.decode()}))[0] == 200

    async def distrust(self, pem: bytes) -> None:
        """By its control API."""
        assert (await self._ask("DELETE", "/api/trust", {"pem": pem.decode()}))[0] == 200

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await asyncio.to_thread(control, self._admin, method, path, body)

    async def _metrics(self) -> str:
        def ask() -> str:
            with urlopen(f"http://{self._admin}/metrics", timeout=20) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(ask)


def in_order(records: Iterable[Record]) -> list[Record]:
    """Records of several processes by their time, each one's own in the order in which it wrote them."""
    by_process: dict[int, list[Record]] = {}
    for record in records:
        by_process.setdefault(record.pid, []).append(record)
    return list(heapq.merge(*by_process.values(), key=lambda record: record.at))


def merged(tables: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of a configuration with keys changed."""
    whole = dict(tables)
    for table, values in changes.items():
        whole[table] = {**whole.get(table, {}), **values} if isinstance(values, dict) else values
    return whole


@contextlib.asynccontextmanager
async def inside(folder: Path, tables: dict[str, Any], trusted: bytes) -> AsyncIterator[Inside]:
    """A proxy in this process that trusts these certificates alone."""
    events: list[Event] = []
    store = TrustStore(parse_pem(trusted, "test") if trusted else ())
    async with TrafficServer(from_mapping(tables, folder), store=store, listener=events.append) as proxy:
        yield Inside(proxy, events)


@contextlib.asynccontextmanager
async def outside(folder: Path, tables: dict[str, Any], trusted: bytes) -> AsyncIterator[Outside]:
    """``mralab serve`` with these tables, trusting these certificates alone."""
    (folder / "trusted.pem").write_bytes(trusted)
    tables = merged(tables, {"trust": {"store": "trusted.pem" if trusted else ""}})
    (folder / "mralab.toml").write_text(toml(tables))
    async with running(folder) as (process, start):
        yield Outside(process, start, folder, tables)
        assert complaints((folder / "stderr.txt").read_text()) == ""
