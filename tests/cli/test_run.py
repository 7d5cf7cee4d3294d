"""``mralab run`` and ``mralab scenarios``: a line for each scenario, documents with a schema, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mralab.cli.schema import document_schema
from mralab.lab.scenario import shipped_scenarios

from .command import mralab

WRONG = 'title = "Expected to be well"\n[expect]\n'


def follows(name: str, text: str) -> Any:
    document = json.loads(text)
    jsonschema_rs.validator_for(document_schema(name)).validate(document)
    return document


def test_each_scenario_gets_one_line_in_the_order_of_the_names(tmp_path: Path) -> None:
    result = mralab("run", "two-faults", "healthy", "--jobs", "2", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    first, second, last = result.stdout.splitlines()
    assert first.split(" | ") == [
        "OK     two-faults                        X14.0.7 signed in",
        "X14.2 cannot sign in (self-signed at cucm.steven.lab:8443)",
        "trust-certificate: cannot sign in (name-not-in-certificate at cucm.steven.lab:8443)",
    ]
    assert second.split(" | ") == ["OK     healthy                           X14.0.7 signed in", "X14.2 signed in"]
    assert last.startswith("2 scenarios in ")
    assert last.endswith(" s: every expectation met.")
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_of_the_users_own_that_differs_is_explained(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WRONG)
    result = mralab("run", "./mine.toml", "--out", "logs", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    line, *differences, last = result.stdout.splitlines()
    assert line.startswith("FAILED mine ")
    assert "X14.2 configuration missing (self-signed at cucm.steven.lab:6972)" in line
    assert [text.strip().partition(": ")[0] for text in differences] == ["X14.2"]
    assert "the login was expected to work: CSFemusk.cnf.xml: 502 connect failed" in differences[0]
    assert last.endswith("not as expected: mine.")
    assert sorted(file.name for file in (tmp_path / "logs").iterdir()) == ["mine-X14.0.7.log", "mine-X14.2.log"]


def test_the_document_of_a_run_follows_its_schema(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WRONG)
    result = mralab("run", "peer-without-ca", "mine.toml", "--json", "--out", "logs", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    document = follows("run", result.stdout)
    assert (document["schema"], document["version"], document["ok"]) == ("mralab/run", 1, False)
    peer, mine = document["scenarios"]
    assert (peer["ok"], mine["ok"]) == (True, False)
    assert peer["after"] == {
        "release": "X14.2",
        "login": ["signed in", "cannot sign in"],
        "servers": {"cucm.steven.lab:8443": ["unknown-ca"]},
        "discovery": "",
    }
    assert peer["logged"] == peer["after"]["servers"]
    assert [Path(log).name for log in peer["logs"]] == [
        "peer-without-ca-X14.0.7.log",
        "peer-without-ca-X14.2.log",
        "peer-without-ca-X14.2-vcsc2.log",
    ]
    assert peer["remedies"] == [
        {
            "code": "trust-certificate",
            "finding": "unknown-ca",
            "server": "cucm.steven.lab:8443",
            "not_applied": "",
        }
    ]
    assert peer["fixed"]["login"] == ["signed in", "signed in"]


def test_the_list_has_every_scenario() -> None:
    scenarios = shipped_scenarios()
    document = follows("scenarios", mralab("scenarios", "--json").stdout)
    assert [one["name"] for one in document["scenarios"]] == [scenario.name for scenario in scenarios]
    by_name = {one["name"]: one for one in document["scenarios"]}
    assert by_name["healthy"]["login"] == ["signed in"]
    assert by_name["expired"]["servers"] == {"cucm.steven.lab:8443": ["expired"]}
    table = mralab("scenarios").stdout
    assert all(scenario.name in table for scenario in scenarios)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "no scenario given: NAME, FILE or --all\n  hint: mralab scenarios lists the names"),
        (["run", "--all", "ip"], "--all runs every scenario: leave out the names"),
        (["run", "expird", "helthy"], "'expird' is not a scenario; did you mean 'expired'?\n'helthy' is not a "),
        (["run", "none.toml"], "none.toml: cannot be read: No such file or directory"),
        (["run", "ip", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["run", "ip", "--out", "/dev/null"], "--out /dev/null: not a folder"),
        (["run", "ip", "--out", "/proc/self"], "--out /proc/self: cannot be written to: "),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], message: str) -> None:
    result = mralab(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
