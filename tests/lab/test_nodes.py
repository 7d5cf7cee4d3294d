"""A lab runs a node of another type after one row is added to the table of nodes."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from mralab.config import from_mapping
from mralab.errors import ConfigError
from mralab.lab.lab import Lab
from mralab.lab.nodes import NODES, LabPlan, NodeRow
from mralab.mocks.faults.stall import Stall
from mralab.mocks.node import Node, Service
from mralab.mocks.pki import Pki

FQDN, IP = "cms.steven.lab", "10.48.36.220"


def application(node: Node) -> web.Application:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=node.address)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


def make(plan: LabPlan) -> Node:
    return Node(plan.pki, (Service(8443, "https", application, ("tomcat",)),), fqdn=FQDN, ip=IP)


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NODES, "cms", NodeRow(FQDN, IP, make))


async def test_the_proxy_reaches_it_and_judges_its_certificate(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki, allow={"everything": True}) as lab, aiohttp.ClientSession() as session:
        async with session.get(lab.proxy.url(f"https://{FQDN}:8443/")) as response:
            assert response.status == 502
        assert lab.refused(FQDN, because="name-not-in-certificate", port=8443)
        lab.verify_origin_server("Off")
        for host in (FQDN, IP):
            async with session.get(lab.proxy.url(f"https://{host}:8443/")) as response:
                assert (response.status, await response.text()) == (200, FQDN)
        assert lab.node_for(FQDN) is lab.node_for(IP) is lab.nodes["cms"]
        assert lab.node_for("cucm.steven.lab") is lab.cucm
        assert lab.node_for("other.steven.lab") is None


async def test_its_health_is_checked_and_its_faults_are_lifted(pki: Pki) -> None:
    async with Lab(pki=pki) as lab:
        probes = {name: probe for (name, _), probe in lab.probes().items()}
        cucm = ("8443", "443", "6970", "6971", "6972", "9443", "9444")
        imp = ("8443", "443")
        unity = (*imp, "7080", "7443")
        ports = {"cucm": cucm, "cucm-sub": cucm, "imp": imp, "unity": unity, "cms": ("8443",)}
        assert list(probes) == [*(f"{name} {port}" for name, each in ports.items() for port in each), "edge"]
        for probe in probes.values():
            await probe()
        lab.nodes["cms"].inject(Stall())
        lab.lift_faults()
        assert lab.nodes["cms"].faults(8443) == ()


def test_its_hosts_are_the_labs_own() -> None:
    config = from_mapping({"proxy": {"listen": "127.0.0.1:0"}, "hosts": {IP: {"dial": "127.0.0.1"}}})
    with pytest.raises(ConfigError) as caught:
        Lab(config=config)
    assert caught.value.problems == (f"hosts.{IP!r}: is the lab's own CMS",)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://cucm-sub.steven.lab:8443/cucm-uds/version", 200),
        ("https://cucm-sub.steven.lab:443/cucm-uds/servers", 200),
        ("http://cucm-sub.steven.lab:6970/CSFemusk.cnf.xml", 200),
        ("http://cucm.steven.lab:6970/SPDefault.cnf.xml", 200),
        ("https://unity.steven.lab:8443/vmrest/version", 200),
        ("https://unity.steven.lab:8443/cucm-uds/version", 403),
        ("https://unity.steven.lab:7443/anything", 404),
        ("http://unity.steven.lab:7080/anything", 404),
        ("https://10.48.36.218:7443/anything", 502),
        ("https://cucm.steven.lab:9444/anything", 502),
        ("https://cucm.steven.lab:9443/anything", 403),
        ("https://imp.steven.lab:8443/EPASSoap/service/v80", 405),
        ("https://imp.steven.lab:8443/cucm-uds/version", 403),
        ("https://10.48.36.217:8443/EPASSoap/service/v80", 502),
        ("https://cucm-sub.steven.lab:6972/CSFemusk.cnf.xml", 502),
    ],
)
async def test_the_labs_own_nodes_through_the_proxy(pki: Pki, url: str, status: int) -> None:
    async with (
        Lab("X14.2", pki=pki) as lab,
        aiohttp.ClientSession() as session,
        session.get(lab.proxy.url(for_=url)) as response,
    ):
        assert response.status == status, lab.log


async def test_the_nodes_share_a_database_and_their_tokens(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab, aiohttp.ClientSession() as session:
        token = lab.cucm.cluster.tokens.issue("emusk")
        url = lab.proxy.url(for_="https://cucm-sub.steven.lab:8443/cucm-uds/user/emusk")
        async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            text = await response.text()
        assert "<server>imp.steven.lab</server>" in text
