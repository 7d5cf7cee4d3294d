"""``mralab set`` lists and changes the switches of a running proxy."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mralab.config import KEYS, live_tables
from mralab.errors import InputError
from mralab.lab.lab import Lab
from mralab.web.switches import SWITCHES, parse_changes
from tests.net.conftest import Server
from tests.serving import Serving, control, get
from tests.web.labs import administered

from .command import mralab


def test_a_switch_is_live_and_its_consequences_are_shown(running: Serving, server: Server) -> None:
    before = mralab("set", "release", "14.0.7", admin=running.admin)
    assert (before.returncode, before.stdout.splitlines()) == (
        0,
        ["release: X14.0.7 (was X14.2)", "origin: off (was on)", "prefer: rsa (was ecdsa)"],
    )
    assert get(running, server) == 200
    assert mralab("set", "release=X14.2", admin=running.admin).stdout.startswith("release: X14.2 (was X14.0.7)\n")
    assert get(running, server) == 502
    same = mralab("set", "release", "X14.2", admin=running.admin)
    assert (same.returncode, same.stdout) == (0, "Nothing changed: these values were in force.\n")


def test_several_at_once_with_values_of_every_kind(running: Serving) -> None:
    words = "upstream.prefer RSA connections: keep-alive attempts=3 tls 1.2,1.3 connect-timeout 7.5"
    shown = mralab("set", *words.split(), "--json", admin=running.admin)
    changed = {one["key"]: one["after"] for one in json.loads(shown.stdout)["changed"]}
    assert changed == {
        "connections": "keep-alive", "attempts": "3", "prefer": "rsa", "tls": "1.2,1.3", "connect_timeout": "7.5",
    }  # fmt: skip
    upstream = control(running.admin, "GET", "/api/config")[1]["upstream"]
    assert (upstream["attempts"], upstream["tls"], upstream["connect_timeout"]) == (3, ["1.2", "1.3"], 7.5)
    mralab("set", "prefer", "default", "tls", "default", admin=running.admin)
    upstream = control(running.admin, "GET", "/api/config")[1]["upstream"]
    assert (upstream["prefer"], upstream["tls"]) == ("ecdsa", ["1.2"])
    control(running.admin, "POST", "/api/reset")


def test_the_list_has_every_live_key_with_values_and_description(running: Serving) -> None:
    listed = json.loads(mralab("set", "--json", admin=running.admin).stdout)
    assert listed["changed"] == []
    live = [declared for keys in live_tables().values() for declared in keys]
    assert [one["path"] for one in listed["switches"]] == [declared.path for declared in live]
    assert len(SWITCHES) == len(live)  # no two tables have a live key of the same name
    table = mralab("set", admin=running.admin).stdout
    for one in listed["switches"]:
        assert one["key"] in table
        assert one["allowed"]
        assert "`" not in one["does"]


def test_every_problem_is_named_at_once_and_nothing_is_changed(running: Serving) -> None:
    words = "attempts abc prefr rsa listen 1 prefer rs prefer rsa tls 1.9 origin of ciphers @SECLEVEL=0 connections"
    ended = mralab("set", *words.split(), admin=running.admin)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "upstream.attempts: 'abc' is not a number; allowed: 1 to 16",
        "prefr: no such key; did you mean 'prefer'?",
        "listen: a running proxy does not change it; change it in the configuration file and start again",
        "upstream.prefer: must be rsa or ecdsa; did you mean 'rsa'? (is 'rs')",
        "prefer: is given twice",
        "upstream.tls.0: must be 1.0, 1.1, 1.2 or 1.3; did you mean '1.3'? (is '1.9')",
        "verify.origin: must be on, off or audit (also ENFORCED, DISABLED, PERMISSIVE); did you mean 'off'? (is 'of')",
        "upstream.ciphers: sets @SECLEVEL, which has no effect: keys and digests are judged as OpenSSL 1.1.1's level 1"
        " (is '@SECLEVEL=0')",
        "connections: no value; allowed: per-request, keep-alive",
        "  hint: mralab set lists the keys and their values",
    ]


def test_values_that_only_the_proxy_can_check_are_its_errors(running: Serving) -> None:
    ended = mralab("set", "ciphers", "NO-SUCH-CIPHER", admin=running.admin)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "ciphers" in ended.stderr


@pytest.mark.parametrize("words", [("proxy.admin_token=0123456789-secret",), ("admin_token", "0123456789-secret")])
def test_a_key_that_only_a_start_changes_is_named_without_its_value(words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        parse_changes(words)
    (problem,) = caught.value.problems
    assert "a running proxy does not change it" in problem
    assert "secret" not in problem


def test_a_file_is_relative_to_the_current_folder() -> None:
    assert parse_changes(["certificate", "own.pem"]).config == {
        "upstream": {"certificate": str(Path.cwd() / "own.pem")}
    }
    for words in (["certificate", ""], ["certificate="]):
        assert parse_changes(words).config == {"upstream": {"certificate": ""}}


@pytest.mark.parametrize("words", [["="], [""], ["=x"], ["release"], ["release="], ["attempts", "1e999"],
                                   ["a\x1b", "b"], ["attempts", "9" * 5000], ["x" * 100_000, "y"]])  # fmt: skip
def test_odd_words_are_problems(words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        parse_changes(words)
    assert all(problem.isprintable() for problem in raised.value.problems)


@pytest.mark.parametrize("declared", [one for one in KEYS if one.key.applies == "live"], ids=lambda one: str(one.path))
def test_the_example_of_every_live_key_is_a_value(declared: Any) -> None:
    example = declared.key.example
    text = ",".join(example) if isinstance(example, list) else str(example)
    change = parse_changes([declared.path, text]).config
    value = (change[declared.table] if declared.table else change)[declared.name]
    assert value == (str(Path.cwd() / text) if declared.names_file else example)


async def test_a_lab_advertises_addresses() -> None:
    async with administered(Lab(scenario="healthy")) as lab:
        shown = await asyncio.to_thread(mralab, "set", "advertise=ip", admin=lab.address)
        assert (shown.returncode, shown.stdout) == (0, "advertise: ip (was fqdn)\n")
        listed = json.loads((await asyncio.to_thread(mralab, "set", "--json", admin=lab.address)).stdout)
        assert [one["value"] for one in listed["switches"] if one["key"] == "advertise"] == ["ip"]


async def test_a_lab_presents_ecdsa_on_8443_once_https_ciphers_allows_ec() -> None:
    async with administered(Lab(scenario="healthy")) as lab:
        shown = await asyncio.to_thread(mralab, "set", "https-ciphers", "ALL", admin=lab.address)
        assert (shown.returncode, shown.stdout) == (0, "https_ciphers: all (was rsa)\n")
        again = await asyncio.to_thread(mralab, "set", "https_ciphers", "all", admin=lab.address)
        assert again.stdout == "Nothing changed: these values were in force.\n"


def test_a_proxy_alone_has_nothing_to_advertise_and_is_not_changed(running: Serving) -> None:
    ended = mralab("set", "advertise", "ip", "prefer", "rsa", admin=running.admin)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "lab" in ended.stderr
    assert control(running.admin, "GET", "/api/config")[1]["upstream"]["prefer"] == "ecdsa"
    assert "advertise: must be fqdn or ip; did you mean 'ip'? (is 'ips')" in mralab("set", "advertise", "ips").stderr
