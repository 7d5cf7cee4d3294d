"""A host of ``[hosts]`` has the automatic rules of its kind of node."""

from __future__ import annotations

import aiohttp
import pytest

from mralab.harness.proxy import Proxy

HOSTS = {
    "cucm.example.test": {"dial": "127.0.0.1", "port": 1},
    "imp.example.test": {"dial": "127.0.0.1", "port": 1, "node": "imp"},
    "unity.example.test": {"dial": "127.0.0.1", "port": 1, "node": "unity"},
}


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://cucm.example.test:8443/cucm-uds/version", 502),
        ("https://cucm.example.test:8443/EPASSoap/service/v80", 403),
        ("https://imp.example.test:8443/EPASSoap/service/v80", 502),
        ("https://imp.example.test:8443/cucm-uds/version", 403),
        ("https://unity.example.test:443/vmrest/mailbox", 502),
        ("https://unity.example.test:8443/EPASSoap/service/v80", 403),
        ("https://imp.example.test:8443/axl/", 403),
    ],
)
async def test_the_kind_of_node_decides(url: str, status: int) -> None:
    rules = {"everything": False, "automatic": True}
    async with (
        Proxy(hosts=HOSTS, allow=rules) as proxy,
        aiohttp.ClientSession() as session,
        session.get(proxy.url(for_=url)) as response,
    ):
        assert response.status == status
