"""Ports whose content is not public: which certificate they present, and that every path is a 404."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mralab.mocks.cucm import Cucm
from mralab.mocks.node import Node
from mralab.mocks.node_certificates import NodeCertificates
from mralab.mocks.pki import Pki
from mralab.mocks.tomcat import EC_AND_RSA, RSA_ONLY
from mralab.mocks.unity import Unity

from .client import asking_first, client, handshake


@pytest.fixture
async def nodes(pki: Pki) -> AsyncIterator[dict[str, Node]]:
    async with Cucm(pki, {}) as cucm, Unity(NodeCertificates(pki, "unity"), {}, https_ciphers=RSA_ONLY) as unity:
        yield {"cucm": cucm, "unity": unity}


@pytest.mark.parametrize(("name", "port"), [("cucm", 9443), ("cucm", 9444), ("unity", 7443), ("unity", 7080)])
async def test_every_path_is_404(nodes: dict[str, Node], name: str, port: int) -> None:
    async with client(nodes[name], port) as requests:
        for method in ("GET", "POST"):
            answer = await requests.send("/anything", method)
            assert (answer.status, answer.reason, answer.body) == (404, "", b"")


async def shown(node: Node, port: int, kind: str) -> str:
    printed = await asyncio.to_thread(handshake, node.ports[port], asking_first(kind))
    assert "Cipher is ECDHE-" in printed
    return "ECDSA" if "Cipher is ECDHE-ECDSA" in printed else "RSA"


@pytest.mark.parametrize("port", [9443, 9444])
async def test_cucm_presents_what_6972_does(nodes: dict[str, Node], port: int) -> None:
    assert [await shown(nodes["cucm"], port, kind) for kind in ("RSA", "ECDSA")] == ["RSA", "ECDSA"]
    assert nodes["cucm"].presented_purpose(port).startswith("tomcat")


async def test_message_waiting_follows_https_ciphers(nodes: dict[str, Node]) -> None:
    unity = nodes["unity"]
    assert isinstance(unity, Unity)
    assert await shown(unity, 7443, "ECDSA") == "RSA"
    unity.https_ciphers = EC_AND_RSA
    assert [await shown(unity, port, "ECDSA") for port in (7443, 8443, 443)] == ["ECDSA"] * 3
