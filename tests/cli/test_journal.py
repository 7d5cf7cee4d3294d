"""``mralab findings``, ``log`` and ``transactions`` show the journal of a running proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.cli.journal import finding_rows
from tests.net.conftest import Server
from tests.serving import Serving, config_for, get, serving

from .command import mralab


@pytest.fixture
def failing(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Serving]:
    """Another proxy, which has refused one server."""
    folder = tmp_path_factory.mktemp("journal")
    with serving(folder, config_for(server, trustme.CA(), folder)) as one:
        get(one, server)
        yield one


def test_findings_have_cause_and_remedies_until_the_journal_is_cleared(failing: Serving) -> None:
    shown = mralab("findings", admin=failing.admin)
    assert shown.returncode == 1
    assert shown.stdout.startswith("1. issuer-missing: ")
    assert "   - " in shown.stdout
    assert shown.stdout.splitlines()[-3:] == [
        "Remedies to try with this proxy:",
        "  mralab trust add FILE",
        "  mralab xconfiguration EdgeConfigServer VerifyOriginServer: Off",
    ]
    document = json.loads(mralab("findings", "--json", admin=failing.admin).stdout)
    assert (document["schema"], document["version"]) == ("mralab/findings", 1)
    assert [finding["code"] for finding in document["findings"]] == ["issuer-missing"]
    assert mralab("findings", "--clear", admin=failing.admin).returncode == 1
    cleared = mralab("findings", admin=failing.admin)
    assert (cleared.returncode, cleared.stdout) == (0, "Nothing is wrong so far.\n")


def test_a_finding_shows_the_certificate_and_whether_the_server_has_answered_since(
    tmp_path: Path, server: Server, ca: trustme.CA
) -> None:
    with serving(tmp_path, config_for(server, trustme.CA(), tmp_path)) as one:
        get(one, server)
        before = " ".join(mralab("findings", admin=one.admin).stdout.split())
        (tmp_path / "right.pem").write_bytes(ca.cert_pem.bytes())
        assert mralab("trust", "add", str(tmp_path / "right.pem"), admin=one.admin).returncode == 0
        assert get(one, server) == 200
        after = mralab("findings", admin=one.admin)
        (finding,) = json.loads(mralab("findings", "--json", admin=one.admin).stdout)["findings"]
    leaf = finding["presented"][0]
    shown = (
        f"presented: {leaf['subject']}, issued by {leaf['issuer']}; {leaf['key']}; names: {', '.join(leaf['names'])}; "
    )
    assert shown in before
    assert f"valid from {leaf['not_before'][:10]} until {leaf['not_after'][:10]}" in before
    assert "answered since" not in before
    assert "; the server has answered since)" in " ".join(after.stdout.split())
    assert after.returncode == 1  # it has happened, and stays until the journal is cleared
    assert finding["answered"] > finding["last"]


def test_a_finding_that_a_later_one_proves_repaired_says_so() -> None:
    place = {"server": "cucm.lab", "port": 8443, "action": "Terminate", "cause": "X.", "count": 1, "dial": ""}
    first: dict[str, Any] = {**place, "code": "issuer-missing", "first": 1.0, "last": 2.0, "remedies": []}
    then: dict[str, Any] = {**place, "code": "expired", "first": 3.0, "last": 3.0, "remedies": []}
    repaired = "(once, at 00:00:02 UTC; repaired, since then it is expired)"
    assert [row.endswith(repaired) for row in finding_rows([first, then])] == [True, False]
    for change in (
        {"port": 6972},
        {"server": "imp.lab"},
        {"first": 2.0},
        {"action": "Continue"},
        {"code": "unknown-ca"},
    ):
        assert not any("repaired" in row for row in finding_rows([first, then | change]))


def test_findings_of_a_proxy_that_has_not_the_newer_fields_are_shown() -> None:
    """A proxy goes on running while the command is upgraded."""
    finding = {"code": "self-signed", "cause": "X.", "count": 1, "last": 0.0, "dial": "", "remedies": []}
    assert list(finding_rows([finding])) == ["1. self-signed: X. (once, at 00:00:00 UTC)"]


def test_log_has_the_latest_lines(failing: Serving) -> None:
    lines = mralab("log", admin=failing.admin).stdout.splitlines()
    assert lines[-1].endswith('Msg="HTTP/1.1 502 connect failed"')
    assert mralab("log", "-n", "1", admin=failing.admin).stdout.splitlines() == lines[-1:]
    assert json.loads(mralab("log", "--json", admin=failing.admin).stdout)["lines"][-1] == lines[-1]


def test_transactions_have_their_outcome(failing: Serving) -> None:
    (row,) = mralab("transactions", admin=failing.admin).stdout.splitlines()
    assert "  refused  GET https://" in row
    assert "502 connect failed" in row
    assert "  (unable to get local issuer certificate; error:1416F086:" in row
    assert row.count("certificate verify failed") == 1
    (transaction,) = json.loads(mralab("transactions", "--json", admin=failing.admin).stdout)["transactions"]
    assert transaction["verdict"] == "refused"


@pytest.mark.parametrize("command", ["findings", "log", "transactions"])
def test_no_proxy_given(command: str) -> None:
    ended = mralab(command)
    assert ended.returncode == 2
    assert "--admin" in ended.stderr


@pytest.mark.parametrize("number", ["abc", "0", "1.5", "-3", "100001", ""])
def test_a_wrong_number_is_answered_with_the_possible_ones(number: str) -> None:
    ended = mralab("log", "-n", number, admin="127.0.0.1:1")
    assert ended.returncode == 2
    assert f"Invalid value for '-n' / '--most': {number!r} is not a whole number from 1 to 100000" in ended.stderr
