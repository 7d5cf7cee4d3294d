"""A proxy with its control API in the test's own loop, before servers that do as they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from mralab.config import from_mapping
from mralab.core.target import Target, encode
from mralab.diagnose.recent import Recent
from mralab.net.proxy import Proxy
from mralab.net.trust import TrustStore
from mralab.web.api import serve_admin
from mralab.web.reach import LocalControl
from tests.net.conftest import HOST, Server, server_context


@dataclass
class Administered:
    """A proxy that trusts nothing and allows everything, its control API, and a client of that."""

    proxy: Proxy
    control: LocalControl
    address: str
    session: aiohttp.ClientSession
    server: Server

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Status and JSON."""
        async with self.session.request(method, f"http://{self.address}{path}", json=body, **options) as response:
            return response.status, await response.json()

    async def status(self) -> int:
        """What a client of the proxy gets for a request to the server."""
        token = encode(Target("steven.lab", "https", HOST, self.server.port))
        url = f"http://{self.proxy.host}:{self.proxy.port}/{token}/cucm-uds/user/emusk/devices"
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


Administer = Callable[..., Awaitable[Administered]]


@pytest.fixture
async def admin(tmp_path: Path, server: Server) -> AsyncIterator[Administered]:
    (tmp_path / "rules.csv").write_text(
        f"Url,Deployment,HttpMethods,MatchType,Description\nhttps://{HOST}:{server.port},,GET,prefix,\n"
    )
    config = from_mapping(
        {
            "proxy": {"listen": "127.0.0.1:0"},
            "hosts": {HOST: {"ip": "10.48.36.215", "dial": "127.0.0.1"}},
            "allow": {"rules": "rules.csv", "automatic": False},
        },
        tmp_path,
    )
    recent = Recent("vcsc", 18242)
    async with Proxy(config, store=TrustStore(), listener=recent.take) as proxy:
        control = LocalControl(lambda: proxy, lambda: recent)
        async with serve_admin(control) as address, aiohttp.ClientSession() as session:
            yield Administered(proxy, control, address, session, server)
