"""Every remedy of a finding is applied to the lab, or reported with the reason why a lab cannot apply it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from mralab import Lab, fault
from mralab.diagnose.findings import Finding
from mralab.diagnose.remedies import REMEDIES, Remedy
from mralab.lab import demo, remedies
from mralab.lab.remedies import ACTIONS, NOT_APPLICABLE
from mralab.lab.scenario import scenario_named
from mralab.lab.scenario_model import Expected
from mralab.mocks.pki import Pki, mint, read_recipes
from mralab.mocks.recipes import expired, reissued

HOST, IP = "cucm.steven.lab", "10.48.36.215"
CODES = sorted({remedy.code for remedy in REMEDIES.values()})


def test_every_remedy_is_applicable_or_says_why_not() -> None:
    assert ACTIONS.keys() & NOT_APPLICABLE.keys() == set()
    assert sorted(ACTIONS.keys() | NOT_APPLICABLE.keys()) == CODES
    assert all(NOT_APPLICABLE.values())


@pytest.fixture
async def lab(pki: Pki) -> AsyncIterator[Lab]:
    async with Lab("X14.2", pki=pki) as running:
        await running.trust(running.cucm.certificate("tomcat-ECDSA"))
        yield running


async def results(lab: Lab, code: str, *expected: tuple[str, int]) -> list[str]:
    """Apply the remedy ``code`` to the findings of a login, which must have these codes and ports."""
    assert not (await lab.login()).ok
    assert sorted((each.code, each.port) for each in lab.findings) == sorted(expected)
    return [str(each) for each in remedies.apply(lab, lab.findings, code)]


async def apply(lab: Lab, code: str, *expected: tuple[str, int]) -> None:
    """Apply the remedy ``code`` to each finding of a login, and check that the next login works."""
    applied = [f"{code} for {finding} at {HOST}:{port}: applied" for finding, port in expected]
    assert sorted(await results(lab, code, *expected)) == sorted(applied)
    login = await lab.login()
    assert [step for step in login.steps if not step.ok] == []


def intermediate(pki: Pki) -> Pki:
    """Return the lab's certificates with a tomcat certificate below an intermediate CA."""
    recipes = read_recipes()
    for name, issuer in (("root", "root"), ("intermediate", "root")):
        recipes[name] = {**recipes["steven-DC-CA"], "subject": [f"CN={name}"], "issuer": issuer}
    recipes["tomcat"]["issuer"] = "intermediate"
    return mint(recipes)


async def test_first_is_the_findings_own_first_remedy(lab: Lab) -> None:
    await lab.distrust(lab.cucm.certificate("tomcat-ECDSA"))
    assert await results(lab, "first", ("self-signed", 6972)) == [
        f"trust-certificate for self-signed at {HOST}:6972: applied"
    ]
    assert (await lab.login()).ok


async def test_missing_cas_are_trusted(lab: Lab, pki: Pki) -> None:
    await lab.distrust(pki["steven-DC-CA"])
    await apply(lab, "trust-certificate", ("unknown-ca", 8443))


@pytest.mark.parametrize("code", ["trust-certificate", "send-chain", "reissue"])
async def test_an_intermediate_that_is_not_sent(lab: Lab, pki: Pki, code: str) -> None:
    chain = intermediate(pki)
    await lab.trust(chain["root"])
    lab.cucm.install("tomcat", chain["tomcat"])
    assert (await lab.login()).ok
    lab.cucm.inject(fault.DropIntermediates())
    await apply(lab, code, ("issuer-missing", 8443))


async def test_a_server_that_has_lost_its_chain_gets_it_back(lab: Lab, pki: Pki) -> None:
    chain = intermediate(pki)
    await lab.trust(chain["root"])
    lab.cucm.install("tomcat", replace(chain["tomcat"], chain=()))
    assert await results(lab, "send-chain", ("issuer-missing", 8443)) == [
        f"send-chain for issuer-missing at {HOST}:8443: not applied: the lab does not have the CA 'CN=intermediate'"
    ]
    lab.cucm.install("CallManager", replace(pki["CallManager"], chain=()))
    lab.cucm.install("tomcat", replace(pki["tomcat"], chain=()))
    await lab.distrust(pki["steven-DC-CA"])
    assert not (await lab.login()).ok
    (finding,) = lab.findings
    assert remedies.apply(lab, [replace(finding, remedies=(_remedy("send-chain"),))], "send-chain")[0].reason == ""
    assert lab.cucm.certificate("tomcat").chain == pki["tomcat"].chain


async def test_a_namesake_of_the_ca_is_replaced_or_removed(lab: Lab, pki: Pki) -> None:
    namesake = mint({"other": read_recipes()["steven-DC-CA"]}, fresh=True)["other"]
    await lab.distrust(pki["steven-DC-CA"])
    await lab.trust(namesake)
    await apply(lab, "trust-certificate", ("unknown-ca", 8443))
    assert namesake.cert not in lab.proxy.trusted.certificates
    await lab.trust(namesake)
    (result,) = remedies.apply(lab, [_finding("remove-certificate")])
    assert result.reason == ""
    assert namesake.cert not in lab.proxy.trusted.certificates
    assert pki["steven-DC-CA"].cert in lab.proxy.trusted.certificates
    (result,) = remedies.apply(lab, [_finding("remove-certificate")])
    assert result.reason == "the trust store has no other certificate of that name"


async def test_an_expired_ca_is_not_trusted(lab: Lab, pki: Pki) -> None:
    recipes = read_recipes()
    recipes["old"] = {**recipes["steven-DC-CA"], "subject": ["CN=old"], "days": [-20, -10]}
    recipes["tomcat"]["issuer"] = "old"
    lab.cucm.install("tomcat", mint(recipes)["tomcat"])
    (result,) = remedies.apply(lab, [_finding("trust-certificate")])
    assert result.reason == "'CN=old' has expired, and the lab has no renewed one"


async def test_a_certificate_is_reissued_with_the_name_that_clients_use(lab: Lab, pki: Pki) -> None:
    lab.cucm.install("tomcat", reissued(pki["tomcat"], pki["steven-DC-CA"], [x509.DNSName("other.steven.lab")]))
    await apply(lab, "reissue", ("name-not-in-certificate", 8443))
    new = lab.cucm.certificate("tomcat").cert
    names = new.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["other.steven.lab", HOST]
    assert new.subject == pki["tomcat"].cert.subject


async def test_one_certificate_is_reissued_for_every_finding_of_an_address(pki: Pki) -> None:
    async with Lab("X14.2", scenario="ip", pki=pki) as lab:
        assert not (await lab.login()).ok
        assert [each.reason for each in remedies.apply(lab, lab.findings, "reissue")] == ["", ""]
        assert (await lab.login()).ok


@pytest.mark.parametrize("by_fault", [False, True])
async def test_an_expired_certificate_is_renewed(lab: Lab, pki: Pki, by_fault: bool) -> None:
    if by_fault:
        lab.cucm.inject(fault.Expire())
    else:
        lab.cucm.install("tomcat", expired(pki["tomcat"]))
    await apply(lab, "reissue", ("expired", 8443))


async def test_a_self_signed_certificate_is_replaced_by_one_of_the_ca(lab: Lab) -> None:
    await lab.distrust(lab.cucm.certificate("tomcat-ECDSA"))
    await apply(lab, "reissue", ("self-signed", 6972))
    assert lab.cucm.certificate("tomcat-ECDSA").kind == "ec"


async def test_a_ca_that_is_not_trusted_cannot_reissue(lab: Lab, pki: Pki) -> None:
    await lab.distrust(pki["steven-DC-CA"])
    assert await results(lab, "reissue", ("unknown-ca", 8443)) == [
        f"reissue for unknown-ca at {HOST}:8443: not applied: no CA of the lab is in the trust store"
    ]


async def test_the_entry_of_system_server_is_changed_once_for_both_ports(pki: Pki) -> None:
    async with Lab("X14.2", scenario="ip", pki=pki) as lab:
        assert not (await lab.login()).ok
        assert [each.reason for each in remedies.apply(lab, lab.findings, "change-server-name")] == ["", ""]
        assert lab.cucm.advertise == "fqdn"
        (result,) = remedies.apply(lab, [_finding("change-server-name")])
        assert result.reason.startswith("System > Server has the FQDN already")


@pytest.mark.parametrize(
    ("injected", "finding", "code"),
    [
        (fault.NotTls(), "not-tls", "check-port"),
        (fault.SendAlert(), "tls-mismatch", "check-ciphers"),
        (fault.ResetAfterCertificate(), "unreachable", "check-network"),
        (fault.Truncate(), "bad-response", "check-server"),
    ],
)
async def test_a_server_that_fails_is_repaired(lab: Lab, injected: fault.Fault, finding: str, code: str) -> None:
    lab.cucm.inject(injected)
    await apply(lab, code, (finding, 8443))
    (result,) = remedies.apply(lab, [_finding(code)])
    assert result.reason == f"no fault is injected at {HOST}:8443"


async def test_the_servers_are_refreshed_when_no_rule_allows_them(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki, allow={"automatic": False}) as lab:
        await lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        await apply(lab, "allow-rule", ("not-allowed", 6972), ("not-allowed", 8443))
        (result,) = remedies.apply(lab, [_finding("allow-rule")])
        assert result.reason == "the automatic rules are in force already and do not allow it"


@pytest.mark.parametrize("whole_chain", [True, False])
async def test_cucm_is_made_to_trust_expressways_own_certificate(pki: Pki, tmp_path: Path, whole_chain: bool) -> None:
    ca = trustme.CA()
    own = ca.issue_cert("vcsc.steven.lab")
    pem = own.private_key_and_cert_chain_pem.bytes() + (ca.cert_pem.bytes() if whole_chain else b"")
    (tmp_path / "own.pem").write_bytes(pem)
    async with Lab("X14.2", pki=pki, upstream={"certificate": str(tmp_path / "own.pem")}) as lab:
        await lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        await apply(lab, "trust-us", ("rejected-by-server", 6972))


async def test_without_a_certificate_of_its_own_there_is_none_to_trust(lab: Lab) -> None:
    (result,) = remedies.apply(lab, [_finding("trust-us")])
    assert result.reason == "Expressway-C has no certificate of its own: set [upstream] certificate"


@pytest.mark.parametrize("code", sorted(NOT_APPLICABLE))
async def test_what_a_lab_cannot_do_is_named_with_the_reason(lab: Lab, code: str) -> None:
    (result,) = remedies.apply(lab, [_finding(code)])
    assert str(result) == f"{code} for made-up at {HOST}:8443: not applied: {NOT_APPLICABLE[code]}"


@pytest.mark.parametrize(("server", "port"), [("other.steven.lab", 8443), (HOST, 444), (HOST, None)])
@pytest.mark.parametrize("code", sorted(ACTIONS.keys() - {"verify-origin-off"}))
async def test_a_server_that_is_not_the_labs_is_named(lab: Lab, code: str, server: str, port: int | None) -> None:
    (result,) = remedies.apply(lab, [replace(_finding(code), server=server, port=port)])
    place = server if port is None else f"{server}:{port}"
    assert result.reason == f"{place} is not a server of the lab"


@pytest.mark.parametrize("code", ["trust-certificate", "remove-certificate", "send-chain", "reissue"])
async def test_a_port_without_tls_has_no_certificate_to_change(lab: Lab, code: str) -> None:
    (result,) = remedies.apply(lab, [replace(_finding(code), port=6970)])
    assert result.reason.startswith(f"{HOST}: has no TLS port 6970")


async def test_the_demo_names_a_remedy_that_the_lab_cannot_apply(tmp_path: Path, pki: Pki) -> None:
    changed = {"advertise": "fqdn", "trust": (), "remedy": "reissue", "expect": Expected()}
    wrong = scenario_named("ip").model_copy(update=changed)
    outcome = await demo.run_scenario(wrong, tmp_path, pki)
    assert outcome.applied == ()
    assert [text for text in outcome.differences if text.startswith("reissue for ")] == [
        f"reissue for {code} at {HOST}:{port}: not applied: no CA of the lab is in the trust store"
        for code, port in (("unknown-ca", 8443), ("self-signed", 6972))
    ]


def _remedy(code: str) -> Remedy:
    return next(remedy for remedy in REMEDIES.values() if remedy.code == code)


def _finding(code: str) -> Finding:
    """Return a finding at CUCM's port 8443 that offers this remedy only."""
    return Finding(
        code="made-up",
        server=HOST,
        ip=IP,
        port=8443,
        error="",
        depth=None,
        action="",
        count=1,
        first=0.0,
        last=0.0,
        evidence=(),
        cause="",
        remedies=(_remedy(code),),
        reference="",
    )
