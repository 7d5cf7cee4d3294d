"""The demo: its outcomes, its log lines compared with the article's, and what the servers received."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from mralab.cli import main
from mralab.core.release import Preference
from mralab.lab import demo
from mralab.lab.lab import Lab
from mralab.lab.scenario import Scenario, scenario_named
from mralab.lab.scenario_model import Expected
from mralab.mocks.pki import Pki, mint
from mralab.mocks.tomcat import HttpsCiphers

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint()


def _scenario(name: str) -> Scenario:
    return scenario_named(name)


async def test_every_expectation_of_the_article_holds(tmp_path: Path) -> None:
    outcomes = await demo.run(tmp_path)
    assert [outcome.scenario.name for outcome in outcomes] == ["fqdn", "ip", "ecdsa-first"]
    for outcome in outcomes:
        assert outcome.differences == []
        assert outcome.before.ok
        assert not outcome.after.ok
        assert outcome.fixed is not None
        assert outcome.fixed.ok
        assert all(log.stat().st_size for log in outcome.logs)
    assert {remedy.code for outcome in outcomes for remedy in outcome.applied} == {
        "trust-certificate",
        "change-server-name",
        "verify-origin-off",
    }


async def test_an_unmet_expectation_is_reported(tmp_path: Path, pki: Pki) -> None:
    wrong = _scenario("fqdn").model_copy(
        update={
            "expect": Expected.model_validate({"cucm.steven.lab:8443": "self-signed"}),
            "remedy": "no-such-remedy",
        }
    )
    outcome = await demo.run_scenario(wrong, tmp_path, pki)
    assert outcome.differences == [
        "X14.2: cucm.steven.lab:8443: expected self-signed, found nothing",
        "X14.2: cucm.steven.lab:6972: expected nothing, found self-signed",
        "no remedy for self-signed at cucm.steven.lab:6972: not applied: 'no-such-remedy' is not among its remedies "
        "(trust-certificate, reissue, verify-origin-off)",
        outcome.differences[3],
    ]
    assert "after the remedies the login was expected to work" in outcome.differences[3]


def test_the_command_prints_the_table_and_the_same_as_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["schema"], document["version"], document["ok"]) == ("mralab/demo", 1, True)
    scenarios = document["scenarios"]
    assert [(each["before"], each["after"], each["fixed"]) for each in scenarios] == [(True, False, True)] * 3
    assert scenarios[1]["findings"][0]["code"] == "name-not-in-certificate"


async def test_only_the_refused_port_gets_alerts_and_no_request_reaches_it(tmp_path: Path, pki: Pki) -> None:
    async with Lab(scenario=_scenario("fqdn"), pki=pki, log_file=tmp_path / "log") as lab:
        login = await lab.login()
        assert [step.status for step in login.steps if step.url.endswith("CSFemusk.cnf.xml")] == [502]
        assert [seen.alert for seen in list(lab.cucm.tftp.seen)[:2]] == ["TLSV1_ALERT_UNKNOWN_CA"] * 2
        assert all(not seen.requests and not seen.http_bytes for seen in lab.cucm.tftp.seen)
        assert all(not seen.alert and seen.certificate == "rsa" for seen in lab.cucm.uds.seen)
        await lab.verify_origin_server("Off")
        assert (await lab.login()).ok
        assert any(seen.requests for seen in lab.cucm.tftp.seen)


async def test_the_python_api_reads_as_the_contract_says() -> None:
    async with Lab(release="X14.2") as lab:
        login = await lab.login("emusk")
        assert not login.ok
        assert lab.findings[0].code == "self-signed"
        await lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        assert (await lab.login("emusk")).ok


@pytest.mark.parametrize(
    ("prefer", "https_ciphers", "refused"),
    [
        ("ecdsa", "RSA Ciphers Only", [6972]),
        ("ecdsa", "All Supported EC and RSA Ciphers", [6972, 8443]),
        ("rsa", "RSA Ciphers Only", []),
        ("rsa", "All Supported EC and RSA Ciphers", []),
    ],
)
async def test_order_of_the_client_and_switch_of_the_server_decide_what_x14_2_refuses(
    pki: Pki, prefer: Preference, https_ciphers: HttpsCiphers, refused: list[int]
) -> None:
    scenario = _scenario("fqdn").model_copy(update={"prefer": prefer, "https_ciphers": https_ciphers})
    async with Lab("X14.2", scenario=scenario, pki=pki) as lab:
        assert (await lab.login()).ok == (not refused)
        assert sorted(finding.port or 0 for finding in lab.findings) == refused
        if refused:  # one certificate on both ports: trusting it once is enough
            await lab.trust(lab.cucm.certificate("CallManager-ECDSA"))
            assert not (await lab.login()).ok
            # Presence also needs the certificate of IM and Presence, which is another one.
            await lab.trust(lab.cucm.certificate("tomcat-ECDSA"), lab.nodes["imp"].certificate("tomcat-ECDSA"))
            assert (await lab.login()).ok


async def test_6971_has_certificates_of_its_own_and_6970_none(pki: Pki) -> None:
    async with Lab("X14.2", pki=pki, allow={"everything": True}) as lab, aiohttp.ClientSession() as session:

        async def status(url: str) -> int:
            async with session.get(lab.proxy.url(f"{url}/SPDefault.cnf.xml")) as response:
                return response.status

        assert await status("http://cucm.steven.lab:6970") == 200
        await lab.trust(lab.cucm.certificate("tomcat-ECDSA"))
        assert await status("https://cucm.steven.lab:6971") == 502
        assert lab.refused("cucm.steven.lab", because="self-signed", port=6971)
        await lab.trust(lab.cucm.presented(6971))
        assert await status("https://cucm.steven.lab:6971") == 200


# -- the article's lines, token by token

_VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d"), "STAMP"),
    (re.compile(r'UTCTime="[^"]*"'), 'UTCTime="T"'),
    (re.compile(r"traffic_server\[\d+\]"), "traffic_server[PID]"),
    (re.compile(r"\[ET_NET \d+\]"), "[ET_NET N]"),
    (re.compile(r'Txn-id="\d+"'), 'Txn-id="N"'),
    (re.compile(r'TrackingID="[0-9a-f-]{36}"'), 'TrackingID="UUID"'),
    (re.compile(r'(Dst-ip="127\.0\.0\.1" Dst|Src-ip="127\.0\.0\.1" Src)-port="\d+"'), r'\1-port="P"'),
]


def _tokens(line: str) -> list[str]:
    for pattern, replacement in _VARYING:
        line = pattern.sub(replacement, line)
    return line.split(" ")


def _golden(name: str) -> list[list[str]]:
    """Return the article's lines, with the misprints that article.md lists corrected."""
    lines: list[list[str]] = []
    for line in (GOLDEN / name).read_text().splitlines():
        text = line.replace('TrackingID=" Src-ip', 'TrackingID="" Src-ip').replace("xMC400C4", "xMC40OC4")
        if 'Detail="Sending Response"' in text and "Src-ip" in text:
            continue
        tokens = _tokens(text)
        if not (lines and tokens == lines[-1] and "Response" in text):
            lines.append(tokens)
    return lines


def _in_order(wanted: list[list[str]], lines: list[list[str]]) -> bool:
    rest = iter(lines)
    return all(any(line == each for line in rest) for each in wanted)


async def _lines(scenario: str, pki: Pki, request: str, **changes: Any) -> list[list[str]]:
    """Return the lines of the transaction whose request line contains ``request``."""
    async with Lab("X14.2", scenario=_scenario(scenario), pki=pki, **changes) as lab:
        await lab.login()
        lines = lab.log
    first = next(n for n, line in enumerate(lines) if request in line and "Receive Request" in line)
    last = next(n for n, line in enumerate(lines) if n > first and "Sending Response" in line)
    return [_tokens(line) for line in lines[first : last + 1]]


async def test_a_refused_certificate_is_logged_as_in_the_article(pki: Pki) -> None:
    ours = await _lines("fqdn", pki, "/CSFemusk.cnf.xml")
    golden = _golden("article-6972-untrusted.log")
    assert _in_order(golden, ours)
    extra = [line for line in ours if line not in golden]
    assert len(extra) == 1  # the printed excerpt has no Request Allowed line
    assert extra[0][3] == 'Event="Request'


async def test_a_served_request_is_logged_as_in_the_article(pki: Pki) -> None:
    ours = await _lines("fqdn", pki, "/cucm-uds/user/emusk/devices HTTP/1.1")
    assert ours == _golden("article-8443-success.log")


async def test_a_refused_name_is_logged_as_in_the_article(pki: Pki) -> None:
    ours = await _lines("ip", pki, "/devices?max=100", log={"level": "DEBUG"})
    golden = [line for line in _golden("article-8443-name-mismatch-debug.log") if line[0] == "STAMP"]
    assert len(golden) == 5
    assert _in_order(golden, ours)
