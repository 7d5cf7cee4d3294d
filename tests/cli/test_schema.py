"""``mralab schema``: each document of ``--json`` has a schema, and follows it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema_rs
import pytest
import trustme

from mralab.cli import main
from mralab.cli.document import print_answer_document
from mralab.cli.schema import DOCUMENTS
from mralab.errors import MralabError
from tests.diagnose.minted import mint, server_context
from tests.diagnose.minted import serving as minted_server
from tests.net.conftest import Server
from tests.serving import Serving, config_for, get, serving

from .command import mralab

RULES = "Url,Deployment,HttpMethods,MatchType,Description\nhttps://cucm.example.test:8443/x,,GET,prefix,d\n"
TESTS = (
    "Url,ExpectedResult,Deployment,Description,HttpMethod\n"
    "https://cucm.example.test:8443/x,allow\nhttps://cucm.example.test:8443/y,block\n"
)


def schema_of(name: str) -> Any:
    result = mralab("schema", name)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_valid_and_describes_its_version(name: str) -> None:
    schema = schema_of(name)
    jsonschema_rs.validator_for(schema)
    assert schema["properties"]["schema"]["const"] == f"mralab/{name}"
    assert {"schema", "version"} <= set(schema["required"])


def commands_with_json(group: click.Group, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_with_json(command, f"{path}{name} ")
        elif any("--json" in option.opts for option in command.params):
            yield path + name


def test_every_command_with_json_has_a_document() -> None:
    one_for_several = {"trust list": "trust", "trust add": "trust", "trust remove": "trust"}
    found = {one_for_several.get(name, name.replace(" ", "-")) for name in commands_with_json(main)}
    assert found == set(DOCUMENTS)


def test_the_help_names_every_document() -> None:
    words = mralab("schema", "--help").stdout.replace(",", " ").split()
    assert set(DOCUMENTS) <= set(words)


def follows(result: subprocess.CompletedProcess[str], name: str) -> Any:
    """Return the document that a command printed, which must be ASCII and follow its schema."""
    assert result.stdout.isascii(), result.stdout
    document = json.loads(result.stdout)
    assert list(document)[:2] == ["schema", "version"]
    jsonschema_rs.validator_for(schema_of(name)).validate(document)
    return document


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Serving]:
    """Run a proxy that has refused one server and denied one request."""
    folder = tmp_path_factory.mktemp("refusing")
    with serving(folder, config_for(server, trustme.CA(), folder)) as one:
        get(one, server)
        get(one, Server(None, port=1))
        yield one


@pytest.mark.parametrize(
    ("command", "name", "code"),
    [
        ("findings", "findings", 1),
        ("log -n 3", "log", 0),
        ("transactions", "transactions", 0),
        ("trust list", "trust", 0),
        ("trust add ca.pem", "trust", 0),
        ("trust remove ca.pem", "trust", 0),
        ("set", "set", 0),
        ("set prefer rsa", "set", 0),
        ("xconfiguration EdgeConfigServer VerifyOriginServer", "xconfiguration", 0),
        ("xconfiguration EdgeConfigServer VerifyOriginServer: audit", "xconfiguration", 0),
        ("login emusk --via http://127.0.0.1:{port} --server cucm.example.com", "login", 1),
        ("diagnostic-logging start", "diagnostic-logging-start", 0),
        ("diagnostic-logging stop --out a.tar.gz", "diagnostic-logging-stop", 0),
    ],
)
def test_documents_about_a_running_proxy_follow_their_schemas(
    refusing: Serving, ca: trustme.CA, tmp_path: Path, command: str, name: str, code: int
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if command.startswith("trust remove"):
        mralab("trust", "add", "ca.pem", admin=refusing.admin, cwd=tmp_path)
    if name == "diagnostic-logging-stop":
        mralab("diagnostic-logging", "start", admin=refusing.admin)
    words = command.format(port=refusing.port).split()
    result = mralab(*words, "--json", admin=refusing.admin, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    document = follows(result, name)
    if name == "login":
        assert (document["user"], document["ok"], document["seen"]) == ("emusk", False, "cannot sign in")


def test_the_other_documents_follow_their_schemas(tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_text(RULES)
    (tmp_path / "tests.csv").write_text(TESTS)
    (tmp_path / "log").write_text("")
    checked = mralab("allowlist", "check", "rules.csv", "--tests", "tests.csv", "--json", cwd=tmp_path)
    assert (checked.returncode, follows(checked, "allowlist-check")["passed"]) == (0, 2)
    assert follows(mralab("scenarios", "--json"), "scenarios")["scenarios"]
    assert follows(mralab("diagnose", "log", "--json", cwd=tmp_path), "diagnose")["findings"] == []
    ran = mralab("run", "expired", "--json", "--out", "logs-é", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert follows(ran, "run")["scenarios"][0]["logs"][0].startswith("logs-é/")
    demo = mralab("demo", "--json", "--out", "demo-é", cwd=tmp_path)
    assert demo.returncode == 0, demo.stderr
    document = follows(demo, "demo")
    logins = [(each["before"], each["after"], each["fixed"]) for each in document["scenarios"]]
    assert logins == [(True, False, True)] * 3


def test_an_answer_that_does_not_follow_the_schema_is_an_error_with_the_reason() -> None:
    with pytest.raises(MralabError) as raised:
        print_answer_document("log", {"lines": [], "total": 0, "silent": [], "lost": [], "colour": "red"})
    assert raised.value.message.startswith("the proxy's answer does not follow the schema of --json: colour: extra")
    assert "mralab that runs the proxy" in raised.value.hint


def test_the_documents_of_preflight_follow_their_schema(tmp_path: Path) -> None:
    validator = jsonschema_rs.validator_for(schema_of("preflight"))
    root = mint("Root", ca=True)
    soon = mint("soon", root, sans=["127.0.0.1"], days=(-5, 5))
    bad = mint("bad", mint("Other", ca=True), sans=["elsewhere"], days=(-5, -1))
    (tmp_path / "root.pem").write_text(root.pem)
    (tmp_path / "bad.pem").write_text(bad.pem)
    trust = ("--trust", str(tmp_path / "root.pem"))
    file = ("--certificate", str(tmp_path / "bad.pem"), "--name", "cucm", "--save", str(tmp_path / "saved"))
    with minted_server(server_context(tmp_path, soon)) as one, minted_server(server_context(tmp_path, bad)) as two:
        good = mralab("preflight", f"127.0.0.1:{one}", *trust, "--json")
        mixed = mralab(
            "preflight", f"127.0.0.1:{one}", f"127.0.0.1:{two}", "x.invalid:1", *file, *trust, "--json", "--timeout=5"
        )
        unknown = mralab("preflight", f"127.0.0.1:{one}", "x.invalid:1", *trust, "--json")
    assert [result.returncode for result in (good, mixed, unknown)] == [0, 1, 3]
    documents = [json.loads(result.stdout) for result in (good, mixed, unknown)]
    for document in documents:
        validator.validate(document)
    assert [document["trust_store"] for document in documents] == [1, 1, 1]
    assert documents[0]["summary"] == "X14.2 would accept everything."
    assert documents[1]["counts"] == {"servers": 4, "accepted": 1, "refused": 2, "failed": 0, "not_checked": 1}
    assert documents[2]["counts"] == {"servers": 2, "accepted": 1, "refused": 0, "failed": 0, "not_checked": 1}
    assert (
        documents[2]["summary"] == "X14.2 would refuse nothing that was checked; 1 of 2 servers could not be checked."
    )


def test_the_error_for_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    result = mralab("schema", "preflihgt")
    assert (result.returncode, result.stdout) == (2, "")
    assert "did you mean 'preflight'?" in result.stderr
    assert f"documents: {', '.join(DOCUMENTS)}" in result.stderr
