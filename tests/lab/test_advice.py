"""What a lab's findings advise to write in a test is executed: then the finding is gone."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from mralab import Lab, fault
from mralab.diagnose.findings import Finding
from mralab.diagnose.remedies import REMEDIES
from mralab.harness.advice import CODE
from mralab.lab.advice import advised, road
from mralab.lab.scenario import shipped_scenarios
from mralab.mocks.pki import Pki

WITHOUT_ADVICE = {"own-certificate-refused": ("rejected-by-server", "cucm.steven.lab", 6972)}
"""Scenario -> the finding that no method of a lab helps against: Expressway-C's own certificate is a file."""


def key(finding: Finding) -> tuple[str, str, int | None]:
    return finding.code, finding.server, finding.port


async def execute(code: str, **variables: Any) -> None:
    """Execute a line as a test's author has it: with ``await`` in a coroutine."""
    names = ", ".join(variables)
    source = f"async def written({names}):\n" + textwrap.indent(code, "    ")
    scope: dict[str, Any] = {}
    exec(source, scope)  # noqa: S102 - our own advice
    await scope["written"](**variables)


async def follow(lab: Lab) -> tuple[list[str], list[Finding]]:
    """Log in and follow the advice, until there is none; return what was executed, and the findings at the end."""
    written: list[str] = []
    for _ in range(8):
        await lab.logins()
        found = [(finding, road(lab, finding, "mra_lab")) for finding in lab.findings]
        new = list(dict.fromkeys(one.code for _, one in found if one is not None and "address, port" not in one.code))
        if not new:
            break
        assert not set(new) & set(written), f"{new} did not help"
        for code in new:
            await execute(code, mra_lab=lab)
        written += new
    return written, list(lab.findings)


@pytest.mark.parametrize("name", sorted(one.name for one in shipped_scenarios()))
async def test_the_advice_for_every_scenario_helps(name: str, pki: Pki) -> None:
    async with Lab("X14.2", scenario=name, pki=pki) as lab:
        await lab.logins()
        failed = [key(each) for each in lab.findings]
        written, left = await follow(lab)
    assert not any("verify_origin_server" in code for code in written), "a lab can repair the cause"
    expected = [WITHOUT_ADVICE[name]] if name in WITHOUT_ADVICE else []
    assert [key(each) for each in left] == expected
    assert bool(written) == (failed != expected)


def test_the_advice_for_a_synchronous_test_helps(pki: Pki) -> None:
    with Lab("X14.2", pki=pki) as mra_lab:
        assert not mra_lab.login().ok
        (finding,) = mra_lab.findings
        advice = road(mra_lab, finding, "mra_lab")
        assert advice is not None
        assert advice.code == 'mra_lab.trust(mra_lab.cucm.certificate("tomcat-ECDSA"))'
        exec(advice.code, {"mra_lab": mra_lab})  # noqa: S102 - our own advice
        assert mra_lab.login().ok


async def test_it_is_the_first_remedy_with_the_name_of_the_lab(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        await lab.login()
        (finding,) = lab.findings
        first, *others = advised(lab, finding, "own").remedies
        assert (first.code, first.where, others) == (CODE, "this test", list(finding.remedies))
        assert first.text == (
            'In this test: await own.trust(own.cucm.certificate("tomcat-ECDSA")), which adds to the trust store of '
            "every peer."
        )


async def requested(lab: Lab, url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(lab.proxy.url(url)) as answer:
        return answer.status


async def test_a_server_that_is_not_the_labs_is_added(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        url = "http://other.steven.lab:6970/SPDefault.cnf.xml"
        assert await requested(lab, url) == 403
        (finding,) = lab.findings
        advice = road(lab, finding, "mra_lab")
        assert advice is not None
        assert advice.code == 'await mra_lab.change(hosts={"other.steven.lab": {"dial": address, "port": port}})'
        await execute(advice.code, mra_lab=lab, address="127.0.0.1", port=lab.cucm.ports[6970])
        await lab.clear()
        assert await requested(lab, url) != 403
        assert not [each for each in lab.findings if each.code == "not-allowed"]


async def test_a_server_that_was_not_discovered_is_refreshed(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        await lab.discover(tls_verify="Off")
        entry = lab.proxy.config.hosts[lab.cucm.fqdn].model_dump(exclude_unset=True)
        await lab.change(hosts={lab.cucm.fqdn: {**entry, "node": "none"}})
        url = "https://cucm.steven.lab:8443/cucm-uds/version"
        assert await requested(lab, url) == 403
        (finding,) = lab.findings
        advice = road(lab, finding, "mra_lab")
        assert advice is not None
        assert advice.code == "await mra_lab.refresh()"
        await execute(advice.code, mra_lab=lab)
        assert await requested(lab, url) == 200


async def test_rsa_is_preferred_again(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki, upstream={"prefer": "ecdsa"}) as lab:
        lab.cucm.https_ciphers = "all"
        assert not (await lab.login()).ok
        finding = next(each for each in lab.findings if each.port == 8443)
        only = replace(finding, remedies=(REMEDIES["prefer-rsa"],))
        advice = road(lab, only, "mra_lab")
        assert advice is not None
        await execute(advice.code, mra_lab=lab)
        await lab.login()
        assert key(finding) not in [key(each) for each in lab.findings]
        assert road(lab, only, "mra_lab") is None


async def test_an_injected_fault_is_lifted_at_its_port_only(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki) as lab:
        await lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        lab.cucm.inject(fault.Expire())
        lab.cucm.inject(fault.Slow(), port=443)
        assert not (await lab.login()).ok
        written, left = await follow(lab)
        assert (written, left) == (["mra_lab.cucm.lift_faults(8443)"], [])
        assert lab.cucm.faults(443)


async def test_a_ca_of_the_same_name_is_replaced(pki: Pki) -> None:
    async with Lab("X14.2", scenario="same-named-ca", pki=pki) as lab:
        written, left = await follow(lab)
        assert left == []
        trust = 'await mra_lab.trust(mra_lab.cucm.certificate("steven-DC-CA"))'
        assert written == [f'await mra_lab.distrust(mra_lab.cucm.certificate("steven-DC-CA-of-the-branch")); {trust}']
        assert lab.pki["steven-DC-CA"].cert in lab.proxy.trusted.certificates


async def test_a_name_that_the_ca_may_not_certify_is_left_out(pki: Pki) -> None:
    async with Lab("X14.2", scenario="expired", pki=pki) as lab:
        await lab.logins()
        (finding,) = lab.findings
        advice = road(lab, replace(finding, code="name-constraints"), "mra_lab")
        assert advice is not None
        assert advice.code == 'await mra_lab.reissue("cucm.steven.lab", 8443, names=["cucm.steven.lab"])'


async def test_nothing_is_reissued_while_no_ca_is_trusted(pki: Pki) -> None:
    async with Lab("X14.2", scenario="expired", pki=pki) as lab:
        await lab.logins()
        (finding,) = lab.findings
        await lab.distrust(lab.pki["steven-DC-CA"])
        advice = road(lab, finding, "mra_lab")
        assert advice is not None
        assert advice.code == 'await mra_lab.verify_origin_server("Off")'
