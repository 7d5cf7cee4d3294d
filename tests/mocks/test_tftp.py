"""The files of the TFTP service: those of devices, and the four that have fixed names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mralab.mocks.cluster import Cluster, Device, Person
from mralab.mocks.cucm import Cucm
from mralab.mocks.pki import Pki
from mralab.mocks.tftp import JABBER_PROFILE

from .client import Client, client

USERS = {"emusk": "secret", "jdoe": "x"}


@pytest.fixture
async def tftp(pki: Pki) -> AsyncIterator[Client]:
    cluster = Cluster(USERS, people={"jdoe": Person(devices=(Device("SEP001122334455", protocol="SCCP"),))})
    async with (
        Cucm(pki, {}, cluster=cluster) as cucm,
        Cucm(pki, {}, cluster=cluster, fqdn="cucm-sub.steven.lab", ip="10.48.36.216"),
        client(cucm, 6970) as running,
    ):
        yield running


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("/CSFemusk.cnf.xml", "device"),
        ("/SEP001122334455.cnf.xml", "device"),
        ("/SPDefault.cnf.xml", "serviceProfile"),
        ("/jabber-config.xml", "config"),
        ("/global-settings.xml", "globalSettings"),
        (JABBER_PROFILE, "config"),
    ],
)
async def test_files(tftp: Client, name: str, tag: str) -> None:
    answer = await tftp.send(name)
    assert (answer.status, answer.reason, answer.xml.tag) == (200, "", tag)


async def test_a_phone_registers_with_every_call_manager(tftp: Client) -> None:
    answer = await tftp.send("/SEP001122334455.cnf.xml")
    assert answer.texts("processNodeName") == ["cucm.steven.lab", "cucm-sub.steven.lab"]
    assert answer.texts("deviceProtocol") == ["SCCP"]


@pytest.mark.parametrize(
    "name",
    [
        "/CSFjdoe.cnf.xml",
        "/CSFemusk.cnf.xml.sgn",
        "/CSFemusk.cnf.xml.enc.sgn",
        "/group-jabber-config.xml",
        "/a/CSFemusk.cnf.xml",
        "/",
    ],
)
async def test_other_files_are_not_there(tftp: Client, name: str) -> None:
    answer = await tftp.send(name)
    assert (answer.status, answer.reason, answer.body) == (404, "", b"")


async def test_files_are_read_only(tftp: Client) -> None:
    assert (await tftp.send("/jabber-config.xml", "PUT", body=b"<config/>")).status == 405
