"""A proxy and its control API in the test's own event loop, and a server behind them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from mralab.config import from_mapping
from mralab.control.local import LocalControl
from mralab.core.mra.target import Target, encode
from mralab.diagnose.event_buffer import Recent
from mralab.net.traffic_server import TrafficServer
from mralab.tls.trust_store import TrustStore
from mralab.web.api import serve_admin
from tests.net.conftest import HOST, Server, server_context


@dataclass
class Administered:
    """A proxy without trusted CAs that allows every URL, its control API, and a client of the API."""

    address: str
    session: aiohttp.ClientSession
    server: Server
    proxy: TrafficServer
    control: LocalControl

    @property
    def listening(self) -> str:
        """Where the proxy listens, as HOST:PORT."""
        return f"{self.proxy.host}:{self.proxy.port}"

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Return status and JSON of an answer of the control API."""
        async with self.session.request(method, f"http://{self.address}{path}", json=body, **options) as response:
            return response.status, await response.json()

    async def status(self) -> int:
        """Return the status of a request to the server through the proxy."""
        token = encode(Target("steven.lab", "https", HOST, self.server.port))
        url = f"http://{self.listening}/{token}/cucm-uds/user/emusk/devices"
        async with self.session.get(url) as response:
            return response.status


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pem(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode()


@pytest.fixture
def server(ca: trustme.CA) -> Iterator[Server]:
    yield from Server(server_context(ca.issue_cert(HOST))).run()


@pytest.fixture
async def admin(tmp_path: Path, server: Server) -> AsyncIterator[Administered]:
    (tmp_path / "rules.csv").write_text(
        f"Url,Deployment,HttpMethods,MatchType,Description\nhttps://{HOST}:{server.port},,GET,prefix,\n"
    )
    tables = {
        "proxy": {"listen": "127.0.0.1:0"},
        "trust": {"store": ""},
        "hosts": {HOST: {"ip": "10.48.36.215", "dial": "127.0.0.1"}},
        "allow": {"rules": "rules.csv", "automatic": False},
    }
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        recent = Recent("vcsc", 18242)
        config = from_mapping(tables, tmp_path)
        proxy = await stack.enter_async_context(TrafficServer(config, store=TrustStore(), listener=recent.take))
        control = LocalControl(lambda: proxy, lambda: recent)
        address = await stack.enter_async_context(serve_admin(control))
        yield Administered(address, session, server, proxy, control)
