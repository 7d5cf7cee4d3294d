"""Discovery through a lab, with real TLS to a publisher and the automatic rules in force afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from mralab.errors import InputError
from mralab.lab import remedies
from mralab.lab.discovery import FQDN_NEEDED, NOT_PRESENCE, UNKNOWN_ADDRESS
from mralab.lab.discovery_result import NOT_RESOLVABLE, RESOLVABLE
from mralab.lab.lab import Lab
from mralab.lab.nodes import NODES, NodeRow
from mralab.lab.scenario import scenario_named
from mralab.lab.serve import control_of
from mralab.mocks.faults.not_tls import NotTls
from mralab.mocks.pki import Pki

from . import publisher
from .publisher import PRESENCE, VOICE, Publisher

CUCM, IP = "cucm.steven.lab", "10.48.36.215"
TRUST_ALL = ("steven-DC-CA", "tomcat-ECDSA")


@pytest.fixture
async def lab(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.setitem(NODES, "publisher", NodeRow(publisher.FQDN, publisher.IP, publisher.make))
    async with Lab("X14.2", pki=pki) as lab:
        lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        yield lab


def asked(lab: Lab) -> Publisher:
    node = lab.nodes["publisher"]
    assert isinstance(node, Publisher)
    return node


async def status(lab: Lab, url: str) -> int:
    async with ClientSession() as session, session.get(lab.proxy.url(url)) as response:
        return response.status


async def test_the_nodes_are_discovered_and_only_they_have_rules(lab: Lab) -> None:
    asked(lab).processnodes = {CUCM: VOICE, "sub.steven.lab": VOICE, "imp.steven.lab": PRESENCE}
    assert not lab.discovered
    assert await status(lab, f"https://{IP}:6972/jabber-config.xml") == 502  # allowed, and the name is wrong
    found = await lab.discover(publisher.FQDN)
    assert found.ok, found
    assert lab.discovered == (found,)
    assert [(node.address, node.kind, node.status) for node in found.nodes] == [
        (CUCM, "cucm", RESOLVABLE),
        ("sub.steven.lab", "cucm", NOT_RESOLVABLE),
    ]
    assert [node.ok for node in found.nodes] == [True, False]
    assert (found.tls_verify, found.kind) == ("On", "cucm")
    assert await status(lab, f"https://{CUCM}:6972/jabber-config.xml") == 200
    assert await status(lab, f"https://{IP}:6972/jabber-config.xml") == 403
    assert await status(lab, f"https://{publisher.FQDN}:8443/cucm-uds/version") == 403
    assert (await lab.login()).ok


async def test_on_and_green_yet_logins_fail(lab: Lab) -> None:
    lab.cucm.advertise = "ip"
    asked(lab).processnodes = {IP: VOICE}
    found = await lab.discover(publisher.FQDN, tls_verify="On")
    assert found.ok
    assert all(node.ok for node in found.nodes)
    assert not (await lab.login()).ok
    assert lab.refused(IP, because="name-not-in-certificate", port=8443)


async def test_off_and_green_whatever_the_certificate_yet_logins_are_verified(lab: Lab) -> None:
    lab.distrust(*lab.proxy.trusted.certificates)
    failed = await lab.discover(publisher.FQDN)
    assert "the certificate is not verified (self signed certificate in certificate chain)" in failed.error
    assert asked(lab).operations == []
    assert not lab.discovered
    found = await lab.discover(publisher.FQDN, tls_verify="Off")
    assert found.ok
    assert found.tls_verify == "Off"
    assert (await lab.discover(publisher.IP, tls_verify="off")).ok
    await lab.login()
    assert lab.refused(CUCM, because="unknown-ca")


async def test_the_name_of_the_publisher_is_verified(lab: Lab, pki: Pki) -> None:
    node = asked(lab)
    node.install("tomcat", Publisher(pki, "other.steven.lab").certificate("tomcat"))
    failed = await lab.discover(publisher.FQDN)
    assert f"it does not contain the name {publisher.FQDN}" in failed.error
    assert not failed.ok
    assert str(failed).startswith(f"{publisher.FQDN}, TLS verify mode On: failed: the password was not sent")


@pytest.mark.parametrize("address", [publisher.IP, "pub", "2001:db8::1"])
async def test_verification_needs_an_fqdn(lab: Lab, address: str) -> None:
    assert (await lab.discover(address)).error == FQDN_NEEDED


async def test_the_list_is_static_until_refresh(lab: Lab) -> None:
    await lab.discover(publisher.FQDN)
    lab.cucm.advertise = "ip"
    asked(lab).processnodes = {IP: VOICE}
    await lab.login()
    assert lab.refused(IP, because="not-allowed")
    result = remedies.apply(lab, [each for each in lab.findings if each.code == "not-allowed"], "allow-rule")
    assert (
        result[0].reason == f"{IP} was not among the servers discovered: refresh() finds it if CUCM advertises it now"
    )
    (found,) = await lab.refresh()
    assert [node.address for node in found.nodes] == [IP]
    await lab.login()
    assert lab.refused(IP, because="name-not-in-certificate")
    assert await status(lab, f"https://{CUCM}:6972/jabber-config.xml") == 403


async def test_a_refresh_that_fails_keeps_the_nodes(lab: Lab) -> None:
    before = await lab.discover(publisher.FQDN)
    lab.distrust(lab.nodes["publisher"].certificate("tomcat").chain[-1])
    (after,) = await lab.refresh()
    assert "not verified" in after.error
    assert after.nodes == before.nodes
    assert lab.discovered == (after,)


async def test_the_rules_survive_an_upgrade(lab: Lab) -> None:
    await lab.discover(publisher.FQDN)
    await lab.upgrade("X15.0")
    assert await status(lab, f"https://{CUCM}:6972/jabber-config.xml") == 200
    assert await status(lab, f"https://{IP}:6972/jabber-config.xml") == 403


async def test_expressways_names_are_written_once_and_then_updated(lab: Lab) -> None:
    await lab.discover(publisher.FQDN)
    assert asked(lab).expressways == {"vcsc.steven.lab": "vcsc.steven.lab"}
    asked(lab).expressways["vcsc.steven.lab"] = "old"
    await lab.refresh()
    assert asked(lab).expressways == {"vcsc.steven.lab": "vcsc.steven.lab"}
    asked(lab).expressways.clear()
    asked(lab).is_writable = False
    (found,) = await lab.refresh()
    assert found.ok
    assert (
        found.note == "Expressway-C's names were not written: CUCM reports a fault (status 500): User is not authorized"
    )


async def test_presence_nodes_come_from_a_presence_server_only(lab: Lab) -> None:
    asked(lab).processnodes = {CUCM: VOICE, publisher.FQDN: PRESENCE}
    found = await lab.discover(publisher.FQDN, kind="imp")
    assert [(node.address, node.kind) for node in found.nodes] == [(publisher.FQDN, "imp")]
    assert await status(lab, f"https://{publisher.FQDN}:8443/EPASSoap/service/v80") == 404  # allowed
    assert await status(lab, f"https://{CUCM}:6972/jabber-config.xml") == 200  # Unified CM's rules stay
    asked(lab).processnodes = {publisher.IP: PRESENCE}
    assert (await lab.discover(publisher.FQDN, kind="imp")).ok
    asked(lab).processnodes = {CUCM: VOICE}
    assert (await lab.discover(publisher.FQDN, kind="imp")).error == NOT_PRESENCE


async def test_a_unity_server(lab: Lab) -> None:
    found = await lab.discover(publisher.FQDN, kind="unity")
    assert [(node.address, node.kind) for node in found.nodes] == [(publisher.FQDN, "unity")]
    assert await status(lab, f"https://{publisher.FQDN}:8443/vmrest/mailbox") == 404  # allowed
    wrong = await lab.discover(publisher.FQDN, kind="unity", password="x")
    assert wrong.error == "user name or password is wrong (401)"
    assert (await lab.discover(CUCM, kind="unity")).error == "is not a Unity Connection server: status 404"


async def test_each_error_names_its_reason(lab: Lab) -> None:
    assert (await lab.discover("none.steven.lab")).error == f"{NOT_RESOLVABLE}: none.steven.lab"
    wrong = await lab.discover(publisher.FQDN, password="x")
    assert wrong.error == "user name or password is wrong, or the user is locked (401)"
    asked(lab).processnodes = {}
    assert (await lab.discover(publisher.FQDN)).error == "the response has no node with the role CUCM Voice/Video"
    await lab.nodes["publisher"].listener(8443).__aexit__(None, None, None)
    assert (await lab.discover(publisher.FQDN)).error == "Connection refused"


async def test_wrong_arguments_are_named_all_at_once(lab: Lab) -> None:
    with pytest.raises(InputError) as caught:
        await lab.discover("a b", kind="x", user="a:b", tls_verify="maybe")  # type: ignore[arg-type]
    named = [problem.split()[0] for problem in caught.value.problems]
    assert named == ["address", "kind", "tls_verify", "user"]


def test_in_a_thread(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NODES, "publisher", NodeRow(publisher.FQDN, publisher.IP, publisher.make))
    with Lab(pki=pki) as lab:
        assert lab.discover(publisher.FQDN).ok
        assert lab.refresh() == lab.discovered


async def test_the_labs_own_servers(pki: Pki) -> None:
    async with Lab(scenario="healthy", pki=pki) as lab:
        found = await lab.discover()
        presence = await lab.discover("imp.steven.lab", kind="imp")
        voicemail = await lab.discover("unity.steven.lab", kind="unity", user="emusk")
        assert [node.address for node in found.nodes] == [CUCM, "cucm-sub.steven.lab"]
        assert [node.address for node in presence.nodes] == ["imp.steven.lab"]
        assert [node.address for node in voicemail.nodes] == ["unity.steven.lab"]
        assert found.note == ""
        assert await lab.refresh() == (found, presence, voicemail)
        assert (await lab.login()).ok


async def test_the_state_of_each_node_as_json(lab: Lab) -> None:
    asked(lab).processnodes = {publisher.FQDN: VOICE, CUCM: VOICE, "sub.steven.lab": VOICE}
    found = await lab.discover(publisher.FQDN)
    record = json.loads(json.dumps([each.record() for each in lab.discovered]))
    assert record == [
        {
            "address": publisher.FQDN,
            "kind": "cucm",
            "tls_verify": "On",
            "error": "",
            "note": "",
            "ok": True,
            "nodes": [
                node(publisher.FQDN, is_publisher=True, is_verified=True),
                node(CUCM),
                node("sub.steven.lab", status=NOT_RESOLVABLE, error=UNKNOWN_ADDRESS, ok=False),
            ],
        }
    ]
    off = await lab.discover(publisher.FQDN, tls_verify="Off")
    assert (off.record()["tls_verify"], off.nodes[0].is_verified) == ("Off", False)
    asked(lab).processnodes = {}
    (after,) = await lab.refresh()
    assert after.nodes[0].error == after.error == "the response has no node with the role CUCM Voice/Video"
    assert after.nodes[1:] == found.nodes[1:]


def node(address: str, **fields: object) -> dict[str, object]:
    """Return the record of a node without errors, with ``fields`` changed."""
    usual = {"status": RESOLVABLE, "error": "", "is_publisher": False, "is_verified": False, "ok": True}
    return {"address": address, "kind": "cucm", **usual, **fields}


async def test_a_reset_keeps_the_discovered_nodes_and_their_rules(lab: Lab) -> None:
    found = await lab.discover(publisher.FQDN)
    lab.proxy.change(release="X14.0.7", allow={"everything": True})
    lab.proxy.reset()
    assert lab.proxy.release == "X14.2"
    assert lab.discovered == (found,)
    assert await status(lab, f"https://{CUCM}:6972/jabber-config.xml") == 502  # allowed, and no longer trusted
    assert await status(lab, f"https://{IP}:6972/jabber-config.xml") == 403


async def test_a_reset_by_the_control_api_keeps_them_too(lab: Lab) -> None:
    await lab.discover(publisher.FQDN)
    asked(lab).inject(NotTls())
    await control_of(lab).reset()
    assert asked(lab).faults(8443) == ()
    assert await status(lab, f"https://{IP}:6972/jabber-config.xml") == 403


async def test_the_rules_survive_a_port_that_is_plugged_in(pki: Pki) -> None:
    scenario = scenario_named("healthy").model_copy(update={"down": ("cucm-sub:6972",)})
    async with Lab(scenario=scenario, pki=pki) as lab:
        assert (await lab.discover()).ok
        lab.plug_in(lab.nodes["cucm-sub"], 6972)
        assert await status(lab, f"https://{CUCM}:6972/jabber-config.xml") == 200
        assert await status(lab, f"https://{IP}:6972/jabber-config.xml") == 403
