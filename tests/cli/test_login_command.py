"""``mralab login`` shows what the user would see, and through which servers."""

from __future__ import annotations

import json

from click.testing import CliRunner

from mralab.cli import main
from mralab.lab.lab import Lab
from mralab.mocks.pki import mint


def test_the_outcome_and_the_servers_are_shown() -> None:
    with Lab(scenario="healthy", pki=mint()) as lab:
        command = ["login", "emusk", "--via", lab.via, "--unity", "unity.steven.lab"]
        shown = CliRunner().invoke(main, command)
        document = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
        wrong = CliRunner().invoke(main, [*command, "--password", "wrong"])
    assert shown.exit_code == 0
    assert "Signed in.\n" in shown.stdout
    assert "UDS: cucm.steven.lab:8443; TFTP: cucm.steven.lab:6972" in shown.stdout
    assert (document["ok"], document["seen"], document["screen"]) == (True, "signed in", "")
    assert document["nodes"]["Unity Connection"] == ["unity.steven.lab:8443"]
    assert wrong.exit_code == 1
    assert "Cannot sign in.\n" in wrong.stdout
    assert 'Jabber shows: "Your username or password is not correct"' in wrong.stdout
    assert wrong.stdout.count("Not requested") == 1
    assert "Not requested, because an earlier step failed: version, clusterUser, " in wrong.stdout


def test_the_address_of_the_control_api_is_not_one_to_log_in_through() -> None:
    command = ["login", "emusk", "--via", "http://127.0.0.1:41235/", "--admin", "127.0.0.1:41235"]
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 2
    assert "is the control API's address" in ended.output
    assert "'edge' of the line that lab prints" in ended.output
