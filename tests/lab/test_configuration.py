"""A lab that starts from a configuration file: it applies every key, or refuses it with the reason."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest
import trustme

from mralab.config import KEYS, Config, from_mapping, load
from mralab.errors import ConfigError
from mralab.harness.proxy import Proxy
from mralab.lab.lab import Lab
from mralab.lab.scenario import load_scenario
from mralab.mocks.pki import Pki
from tests.net.conftest import Server, server_context

OTHER = "other.example.test"
RULES = "Url,Deployment,HttpMethods,MatchType,Description\n"

SAMPLES = {
    declared.path: declared.key.example
    for declared in KEYS
    if not declared.key.refused_by_lab and declared.path != "hosts"  # tested below
}
"""Each key that a lab applies, with a value that is not its default."""
REFUSED = {declared.path: declared for declared in KEYS if declared.key.refused_by_lab}
WITH = {"upstream.key": {"certificate": "own.crt"}}
"""Other keys of the table without which the sample of a key is invalid."""


def nested(key: str, value: Any) -> dict[str, Any]:
    table, _, name = key.rpartition(".")
    return {table: {**WITH.get(key, {}), name: value}} if table else {name: value}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own = trustme.CA().issue_cert("vcsc.steven.lab")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "own.crt"))
    (tmp_path / "rules.csv").write_text(RULES)
    return tmp_path


def config(folder: Path, **tables: Any) -> Config:
    start = {"proxy": {"listen": "127.0.0.1:0"}, "allow": {"rules": ""}}
    return from_mapping(start, folder).changed(**tables)


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_a_lab_cannot_apply_is_refused_with_its_reason(key: str, folder: Path, pki: Pki) -> None:
    declared = REFUSED[key].key
    with pytest.raises(ConfigError) as caught:
        Lab(config=config(folder, **nested(key, declared.example)), pki=pki)
    assert caught.value.problems == (f"{key}: {declared.refused_by_lab} (is {declared.example!r})",)


@pytest.mark.parametrize("key", SAMPLES)
async def test_a_key_that_the_file_sets_is_in_force(key: str, folder: Path, pki: Pki) -> None:
    value = SAMPLES[key]
    async with Lab(config=config(folder, **nested(key, value)), pki=pki) as lab:
        shown = lab.proxy.config.model_dump()
        for part in key.split("."):
            shown = shown[part]
        assert shown == value
        assert lab.proxy.server.config is lab.proxy.config


async def test_the_store_of_the_file_is_trusted_beside_the_labs_own_ca(folder: Path, pki: Pki) -> None:
    async with Lab(config=config(folder, trust={"store": "ca.pem"}), pki=pki) as lab:
        assert {certificate.subject.rfc4514_string() for certificate in lab.proxy.trusted.certificates} == {
            pki["steven-DC-CA"].cert.subject.rfc4514_string(),
            *(
                certificate.subject.rfc4514_string()
                for certificate in Proxy(trust=folder / "ca.pem").trusted.certificates
            ),
        }
        await lab.upgrade("X14.2")
        assert len(lab.proxy.trusted) == 2
        lab.distrust(pki["steven-DC-CA"])
        lab.proxy.reset()
        assert len(lab.proxy.trusted) == 2


async def test_an_empty_store_trusts_nothing(folder: Path, pki: Pki) -> None:
    async with Lab(config=config(folder, trust={"store": ""}), pki=pki) as lab:
        assert len(lab.proxy.trusted) == 0
        assert not (await lab.login()).ok
        assert lab.refused("cucm.steven.lab", port=8443)


async def test_hosts_and_rules_of_the_file_apply_beside_the_labs_own(folder: Path, pki: Pki) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    for server in Server(server_context(ca.issue_cert(OTHER))).run():
        (folder / "rules.csv").write_text(f"{RULES}https://{OTHER}:8443/allowed,,GET,prefix,\n")
        (folder / "lab.toml").write_text(
            f"""
            proxy.listen = "127.0.0.1:0"
            trust.store = "ca.pem"
            allow = {{ rules = "rules.csv", automatic = false }}
            hosts."{OTHER}" = {{ dial = "127.0.0.1", ports = {{ 8443 = {server.port} }} }}
            """
        )
        with Lab(config=load(folder / "lab.toml"), pki=pki) as lab:
            assert [get(lab.proxy, path) for path in ("/allowed", "/other")] == [200, 403]
            assert get(lab.proxy, "/x", "cucm.steven.lab") == 403  # automatic = false
            lab.proxy.change(allow={"everything": True})
            assert lab.login().ok is False
            assert lab.refused("cucm.steven.lab", because="self-signed", port=6972)
            assert lab.allowed("cucm.steven.lab", port=8443)


def get(proxy: Proxy, path: str, host: str = OTHER) -> int:
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=10)
    connection.request("GET", proxy.url(f"https://{host}:8443{path}").removeprefix(proxy.base_url))
    status = connection.getresponse().status
    connection.close()
    return status


async def test_the_edge_requests_the_control_host_of_the_file(folder: Path, pki: Pki) -> None:
    changed = config(folder, proxy={"control_host": "vcs_control.example.test:8443"})
    async with Lab(config=changed, pki=pki) as lab:
        await lab.login()
        received = [line for line in lab.log if 'Detail="Receive Request"' in line]
    assert received
    assert all("http://vcs_control.example.test:8443/" in line for line in received)


async def test_the_release_of_the_file_applies_unless_an_argument_names_one(folder: Path, pki: Pki) -> None:
    old = config(folder, release="X14.0.7")
    async with Lab(config=old, pki=pki) as lab:
        assert (await lab.login()).ok
    async with Lab("X14.2", config=old, pki=pki) as lab:
        assert not (await lab.login()).ok


async def test_the_log_of_the_file_is_appended_to_and_kept(folder: Path, pki: Pki) -> None:
    (folder / "own.log").write_text("an earlier line\n")
    async with Lab(config=config(folder, log={"file": "own.log"}), pki=pki) as lab:
        await lab.login()
    lines = (folder / "own.log").read_text().splitlines()
    assert lines[0] == "an earlier line"
    assert any("502 connect failed" in line for line in lines)


async def test_a_temporary_log_is_removed_unless_keep_log_is_set(pki: Pki) -> None:
    logs = {}
    for keep in (False, True):
        async with Lab(pki=pki, keep_log=keep) as lab:
            logs[keep] = Path(lab.proxy.config.log.file)
            assert logs[keep].exists()
    assert not logs[False].parent.exists()
    assert logs[True].exists()
    logs[True].unlink()
    logs[True].parent.rmdir()


def test_everything_that_a_lab_cannot_do_is_reported_at_once(folder: Path) -> None:
    hosts = {name: {"dial": "127.0.0.1"} for name in ("cucm.steven.lab", "10.48.36.215", OTHER)}
    changed = config(
        folder,
        hosts=hosts,
        proxy={"workers": 2},
        trust={"store": "none.pem"},
        allow={"rules": "none.csv"},
        upstream={"ciphers": "NOTHING"},
    )
    with pytest.raises(ConfigError) as caught:
        Lab(config=changed)
    problems = caught.value.problems
    assert [problem.partition(": ")[0] for problem in problems] == [
        "hosts.'cucm.steven.lab'",
        "hosts.'10.48.36.215'",
        "proxy.workers",
        "trust.store",
        "allow.rules",
        "upstream.ciphers",
    ]
    for problem, name in ((problems[3], "none.pem"), (problems[4], "none.csv")):
        assert f": {folder / name}: cannot be read" in problem
    assert "mralab serve" in caught.value.hint


def test_arguments_may_still_replace_the_labs_hosts(pki: Pki) -> None:
    with Lab(pki=pki, hosts={"cucm.steven.lab": {"ip": "", "dial": "127.0.0.1", "ports": {8443: 1, 6972: 1}}}) as lab:
        assert not lab.login().ok
        assert lab.refused("cucm.steven.lab", because="unreachable")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'title = "x"\nhttps_ciphers = "ECDSA Only"\n[expect]\n', "https_ciphers: "),
        (b'title = "x"\nhttps_ciphers = 1\n[expect]\n', "https_ciphers: "),
        (b'title = "x"\nprefer = "ec"\n[expect]\n', "prefer: "),
        (b"\xff", "is not UTF-8 text (byte 0)"),
        ('title = "x"'.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"title", "is not TOML"),
    ],
)
def test_the_error_of_an_invalid_scenario_names_file_and_key(tmp_path: Path, text: bytes, problem: str) -> None:
    (tmp_path / "own.toml").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(tmp_path / "own.toml")
    assert caught.value.problems[0].startswith(f"{tmp_path / 'own.toml'}: ")
    assert problem in caught.value.problems[0]


def test_a_scenario_accepts_the_short_words_of_https_ciphers(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('title = "x"\nhttps_ciphers = "all"\n[expect]\n')
    assert load_scenario(tmp_path / "own.toml").https_ciphers == "All Supported EC and RSA Ciphers"
    (tmp_path / "own.toml").write_text('title = "x"\n[expect]\n')
    assert load_scenario(tmp_path / "own.toml").https_ciphers == "RSA Ciphers Only"
