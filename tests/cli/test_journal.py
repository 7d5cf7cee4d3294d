"""``mralab findings``, ``log`` and ``transactions`` show the journal of a running proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import trustme

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
    document = json.loads(mralab("findings", "--json", admin=failing.admin).stdout)
    assert (document["schema"], document["version"]) == ("mralab/findings", 1)
    assert [finding["code"] for finding in document["findings"]] == ["issuer-missing"]
    assert mralab("findings", "--clear", admin=failing.admin).returncode == 1
    cleared = mralab("findings", admin=failing.admin)
    assert (cleared.returncode, cleared.stdout) == (0, "Nothing is wrong so far.\n")


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
