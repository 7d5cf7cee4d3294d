"""Scenario files: every key has its documented effect, and all errors are reported at once with file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mralab.errors import ConfigError, MralabError
from mralab.lab.lab import PASSWORD, Lab
from mralab.lab.login import login
from mralab.lab.run import ScenarioResult, run_all, run_scenario
from mralab.lab.scenario import find_scenarios, load_scenario, shipped_scenarios
from mralab.lab.scenario_model import TABLES, Scenario
from mralab.mocks.pki import Pki
from tests import scenario_reference


def test_the_reference_is_up_to_date() -> None:
    assert scenario_reference.FILE.read_text() == scenario_reference.document(), "python -m tests.scenario_reference"


@pytest.mark.parametrize("model", [Scenario, *TABLES.values()])
def test_every_key_is_described_with_an_example(model: Any) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.examples, name


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(file)
    for problem in caught.value.problems:
        assert problem.startswith(f"{file}: ")
    return [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]


def test_every_key_of_the_wrong_type_is_reported_at_once(tmp_path: Path) -> None:
    text = """
        titel = "x"
        order = -1
        advertise = "fqnd"
        trust = "steven-DC-CA"
        home = [1]
        logins = "two"
        faults = [{ at = "cucm:8443" }]
        recipes = 3

        [peers.vcsc2]
        trsut = []

        [expect]
        login = "signed on"
        befroe = {}

        [expect.after]
        code = "x"
        "cucm.steven.lab:8443" = 3
    """
    assert problems(tmp_path, text) == [
        "title: is missing",
        "order: input should be greater than or equal to 0 (is -1)",
        "advertise: must be fqdn or ip; did you mean 'fqdn'? (is 'fqnd')",
        "trust: must be a list, in brackets (is 'steven-DC-CA')",
        "home[1]: must be text in quotes (is 1)",
        "logins: must be a whole number, without quotes (is 'two')",
        "recipes: must be a table (is 3)",
        "faults[1].fault: is missing",
        "peers.vcsc2.trsut: unknown key; did you mean 'trust'?",
        "expect.login[1]: must be signed in, signed in without voicemail, signed in without presence, "
        "signed in without presence and voicemail, configuration missing or cannot sign in; did you mean 'signed in'? "
        "(is 'signed on')",
        "expect.after.cucm.steven.lab:8443: must be a list, in brackets (is 3)",
        "expect.after.code: unknown key",
        "expect.befroe: unknown key; did you mean 'before'?",
        "titel: unknown key; did you mean 'title'?",
    ]


def test_all_references_to_unknown_names_are_reported_at_once(tmp_path: Path) -> None:
    text = """
        title = "x"
        trust = ["steven-DC-AC"]
        home = ["cucm", "cucm-sbu"]
        down = ["cucm", "cucm-sbu", "cucm:x"]
        logins = 3
        rules = ["ftp://cucm.steven.lab"]
        own_certificate = "vcsc"
        remedy = "frist"

        [recipes.tomcat]
        like = "tomcat"
        [recipes.own]
        like = "tomact"
        [recipes.late]
        like = "tomcat"
        day = [1, 2]

        [certificates.cucm]
        tomcat = "tomcat2"
        tomcat-EDCSA = "tomcat"
        [certificates.unitiy]
        tomcat = "tomcat"

        [[faults]]
        at = "cucm"
        fault = "NotTsl"
        [[faults]]
        at = "cucm:8443"
        fault = "Stall"
        secnds = 3
        [[faults]]
        at = "cucm:8443"
        fault = "Stall"
        seconds = "long"
        [[faults]]
        at = "cucm:8443"
        fault = "Present"
        certificate = "tomcta"
        [[faults]]
        at = "cucm:8443"
        fault = "Present"

        [expressway]
        release = "X14.2"
        verify.origni = "off"

        [expect]
        login = ["signed in", "signed in"]
        "cucm.steven.lab:8443" = "expird"
        diagnosis = "redundancy"
        peers = "vcsc2"
    """
    assert problems(tmp_path, text) == [
        "recipes.tomcat: is a recipe of certs/pki.toml: choose another name",
        "recipes.own.like: 'tomact' is not a recipe; did you mean 'tomcat'?",
        'recipes: [own] subject: missing: a list such as ["O=Cisco", "CN=cucm.steven.lab"]',
        "recipes: [late] day: unknown key; did you mean 'days'?",
        "certificates.cucm.tomcat-EDCSA: is not a purpose; did you mean 'tomcat-ECDSA'?",
        "trust: 'steven-DC-AC' is not a recipe; did you mean 'steven-DC-CA'?",
        "certificates.cucm.tomcat: 'tomcat2' is not a recipe; did you mean 'tomcat'?",
        "own_certificate: 'vcsc' is not a recipe",
        "home: 'cucm-sbu' is not a CUCM node; did you mean 'cucm-sub'?",
        "down: 'cucm-sbu' is not a node; did you mean 'cucm-sub'?",
        "down: 'cucm:x' is not NODE:PORT, such as cucm:8443",
        "certificates: 'unitiy' is not a node; did you mean 'unity'?",
        "faults[1].at: 'cucm' is not NODE:PORT, such as cucm:8443",
        "faults[1].fault: 'NotTsl' is not a fault; did you mean 'NotTls'?",
        "faults[2].secnds: is not a parameter of Stall; did you mean 'seconds'?",
        "faults[3].seconds: must be a number (is 'long')",
        "faults[4].certificate: 'tomcta' is not a recipe; did you mean 'tomcat'?",
        "faults[5].certificate: is missing",
        "rules[1]: Url has protocol 'ftp', not http or https",
        "expressway.release: the run decides it",
        "expressway.verify.origni: unknown key; did you mean 'origin'?",
        "expect.login: has 2 results for 3 logins",
        "expect.'cucm.steven.lab:8443': 'expird' is not the code of a finding; did you mean 'expired'?",
        "expect.diagnosis: 'redundancy' is not the code of a finding; did you mean 'redundancy-lost'?",
        "expect.peers: 'vcsc2' is not a peer of this scenario; did you mean 'vcsc'?",
        "remedy: 'frist' is not the code of a remedy; did you mean 'first'?",
    ]


def test_names_and_files_that_are_wrong_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("title = 1\n[expect]\n")
    with pytest.raises(ConfigError) as caught:
        find_scenarios(["expird", str(tmp_path / "mine.toml"), str(tmp_path / "none.toml")])
    assert [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [
        "'expird' is not a scenario; did you mean 'expired'?",
        "mine.toml: title: must be text in quotes (is 1)",
        "none.toml: cannot be read: No such file or directory",
    ]
    with pytest.raises(ConfigError, match="expired: is named twice"):
        find_scenarios(["expired", "ip", "expired"])


async def ran(folder: Path, pki: Pki, text: str) -> ScenarioResult:
    file = folder / "mine.toml"
    file.write_text(text)
    return await run_scenario(load_scenario(file), folder, pki)


async def test_files_of_expressway_are_beside_the_scenario(tmp_path: Path, pki: Pki) -> None:
    (tmp_path / "rules.csv").write_text("Url,Deployment,HttpMethods,MatchType,Description\n")
    result = await ran(
        tmp_path,
        pki,
        """
        title = "An empty allow list"
        prefer = "rsa"
        expressway.allow = { rules = "rules.csv", automatic = false }
        [expect]
        "cucm.steven.lab:8443" = "not-allowed"
        "cucm.steven.lab:6972" = "not-allowed"
        [expect.before]
        "cucm.steven.lab:8443" = "not-allowed"
        "cucm.steven.lab:6972" = "not-allowed"
        """,
    )
    assert result.differences == []


async def test_a_fault_may_meet_a_number_of_connections_and_present_a_recipe(tmp_path: Path, pki: Pki) -> None:
    result = await ran(
        tmp_path,
        pki,
        """
        title = "8443 presents another certificate at first"
        prefer = "rsa"
        [[faults]]
        at = "cucm:8443"
        fault = "Present"
        certificate = "CallManager-ECDSA"
        times = 10
        [expect]
        login = "cannot sign in"
        "cucm.steven.lab:8443" = "self-signed"
        """,
    )
    assert result.differences == []


async def test_an_expectation_that_does_not_hold_is_a_difference(tmp_path: Path, pki: Pki) -> None:
    result = await ran(
        tmp_path,
        pki,
        """
        title = "Expected to be well"
        [expect]
        login = "signed in"
        diagnosis = "redundancy-lost"
        peers = "vcsc2"
        [peers.vcsc2]
        [expect.before]
        login = "cannot sign in"
        "cucm.steven.lab:8443" = "not-tls"
        """,
    )
    assert result.differences == [
        "X14.0.7: the login: expected cannot sign in, the user sees signed in",
        "X14.0.7: cucm.steven.lab:8443: expected not-tls, found nothing",
        "X14.2: the login: expected signed in, the user sees configuration missing",
        "X14.2: the diagnosis was expected to have redundancy-lost",
        "X14.2: the diagnosis was expected to name vcsc2, not vcsc",
    ]


@pytest.mark.parametrize(
    ("mode", "expected", "differences"),
    [
        ("On", "failed", []),
        ("Off", "green", []),
        (
            "On",
            "green",
            ["X14.0.7: discovery was expected to be green: ", "X14.2: discovery was expected to be green: "],
        ),
    ],
)
async def test_discovery_is_run_and_compared(
    tmp_path: Path, pki: Pki, mode: str, expected: str, differences: list[str]
) -> None:
    result = await ran(
        tmp_path,
        pki,
        f"""
        title = "The publisher's certificate is not trusted"
        tls_verify = "{mode}"
        trust = ["tomcat-ECDSA"]
        [expect]
        discovery = "{expected}"
        "cucm.steven.lab:8443" = "unknown-ca"
        [expect.before]
        discovery = "{expected}"
        [expect.after]
        discovery = "green"
        """,
    )
    assert [text[: len(start)] for text, start in zip(result.differences, differences, strict=True)] == differences
    assert result.fixed is not None
    assert result.fixed.discovery is not None
    assert result.fixed.discovery.ok  # the remedy adds the CA that discovery needed, too
    assert len(result.fixed.discovery.nodes) == 2


def test_the_articles_scenarios_come_first() -> None:
    assert [scenario.name for scenario in shipped_scenarios()][:4] == ["fqdn", "ip", "ecdsa-first", "healthy"]


async def test_a_lab_runs_a_scenario_by_its_name_with_its_peers_and_nodes(pki: Pki) -> None:
    async with Lab(scenario="peer-without-ca", pki=pki) as lab:
        assert list(lab.peers) == ["vcsc", "vcsc2"]
        assert [len(peer.trusted) for peer in lab.peers.values()] == [2, 1]
        assert [login.seen for login in await lab.logins()] == ["signed in", "cannot sign in"]
        await lab.trust(pki["steven-DC-CA"])
        assert [login.ok for login in await lab.logins()] == [True, True]
        assert lab.findings == ()
    with Lab(scenario="peer-without-ca", pki=pki, log={"file": "-"}) as with_one_log:
        assert [peer.config.log.file for peer in with_one_log.peers.values()] == ["-", "-"]
    with Lab(scenario="subscriber-down", pki=pki) as sync_lab:
        assert list(sync_lab.nodes) == ["cucm", "cucm-sub", "imp", "unity"]
        assert [login.ok for login in sync_lab.logins()] == [True, True]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('down = ["cucm:444"]', "mine: down: cucm:444: it has 443, 6970, 6971, 6972, 8443"),
        ('faults = [{ at = "cucm:6970", fault = "NotTls" }]', "mine: cucm.steven.lab: has no TLS port 6970; it has "),
        (
            'faults = [{ at = "cucm:8443", fault = "SendAlert", alert = "x" }]',
            "mine: SendAlert: 'x' is not a TLS alert",
        ),
    ],
)
async def test_what_a_running_lab_cannot_do_names_the_scenario(
    tmp_path: Path, pki: Pki, text: str, problem: str
) -> None:
    (tmp_path / "mine.toml").write_text(f'title = "x"\n{text}\n[expect]\n')
    with pytest.raises(MralabError) as caught:
        await run_all([load_scenario(tmp_path / "mine.toml")], tmp_path, pki)
    assert caught.value.message.startswith(problem)


async def test_an_output_that_is_closed_ends_the_run(tmp_path: Path, pki: Pki) -> None:
    def done(result: ScenarioResult) -> None:
        raise BrokenPipeError(result.scenario.name)

    with pytest.raises(BrokenPipeError, match="healthy"):
        await run_all(find_scenarios(["healthy", "expired"]), tmp_path, pki, jobs=1, done=done)


async def test_each_client_of_a_running_lab_gets_the_next_peer(pki: Pki) -> None:
    async with Lab(scenario="peer-without-ca", pki=pki) as lab:
        clients = [await login("emusk", lab.via, password=PASSWORD) for _ in range(4)]
        assert [client.ok for client in clients] == [True, False, True, False]
