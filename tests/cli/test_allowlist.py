"""``mralab allowlist check``: rules and tests in Expressway's CSV, decided as the proxy decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mralab.cli import main
from mralab.core.mra.allowlist import Allowed, AllowList, parse_rules_csv
from mralab.core.mra.target import Target

from .command import mralab

RULES = """Url,Deployment,HttpMethods,MatchType,Description\x20
https://node1.example.test:8443/one,,GET,,"First Rule"\x20
http://node2.example.test:8000/two,sales.lab,"GET,PUT",exact,\x20
"""
TESTS = "Url,ExpectedResult,Deployment,Description,HttpMethod\n"


def check(folder: Path, rules: str, tests: str | None = None, *options: str) -> Result:
    (folder / "rules.csv").write_text(rules)
    arguments = ["allowlist", "check", str(folder / "rules.csv"), *options]
    if tests is not None:
        (folder / "tests.csv").write_text(TESTS + tests)
        arguments += ["--tests", str(folder / "tests.csv")]
    return CliRunner().invoke(main, arguments)


def test_valid_rules_are_counted(tmp_path: Path) -> None:
    result = check(tmp_path, RULES)
    assert (result.exit_code, result.output) == (0, f"{tmp_path}/rules.csv: 2 valid rules.\n")


def test_tests_that_all_pass(tmp_path: Path) -> None:
    tests = "https://node1.example.test:8443/one/x?q,allow\nhttp://node2.example.test:8000/two,Allow,Sales.lab,,PUT\n"
    result = check(tmp_path, RULES, tests + "http://node2.example.test:8000/two,block\n")
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "3 tests passed.")


def test_a_failing_test_has_the_nearest_rule_or_the_rule_that_allowed_it(tmp_path: Path) -> None:
    tests = (
        "https://node1.example.test:8443/on,allow,,too short,\n"
        "https://node1.example.test:8443/one,block,,,\n"
        "https://node1.example.test:8443/one,allow,,,POST\n"
        "https://node1.example.test:8443/one,allow,nowhere.lab,,\n"
        "https://node1.example.test:8443/one,allow,,passes,\n"
        "https://node1.example.test:8443/one/..;/axl,allow,,,\n"
    )
    result = check(tmp_path, RULES, tests)
    assert result.exit_code == 1
    file = f"{tmp_path}/tests.csv"
    assert result.output.splitlines() == [
        "5 of 6 tests failed.",
        f"{tmp_path}/rules.csv: 2 valid rules.",
        f"{file}:2: GET https://node1.example.test:8443/on (too short)",
        "  expected allow, got block: no rule for node1.example.test:8443 covers path /on; closest is rule 1"
        " https://node1.example.test:8443/one (prefix)",
        f"{file}:3: GET https://node1.example.test:8443/one",
        "  expected block, got allow: rule 1 https://node1.example.test:8443/one"
        " (prefix; GET; Administrator defined rule) lets it through",
        f"{file}:4: POST https://node1.example.test:8443/one",
        "  expected allow, got block: rule 1 https://node1.example.test:8443/one allows GET, not POST",
        f"{file}:5: GET https://node1.example.test:8443/one",
        "  expected allow, got block: no rule is in deployment nowhere.lab",
        f"{file}:7: GET https://node1.example.test:8443/one/..;/axl",
        "  expected allow, got block: rule https://node1.example.test:8443/one matches the path as written, but it can"
        " also be read as '/axl', which no rule allows",
    ]


def test_automatic_rules_are_added_for_the_given_nodes(tmp_path: Path) -> None:
    tests = "https://cucm:6971/x,allow\nhttps://imp:8443/EPASSoap/service/v80,allow,,,POST\nhttps://cuc/vmrest/mailbox,allow\n"
    assert check(tmp_path, RULES, tests).exit_code == 1
    result = check(tmp_path, RULES, tests, "--node", "cucm", "--imp-node", "imp", "--unity-node", "cuc")
    assert (result.exit_code, result.output.splitlines()[1]) == (
        0,
        f"{tmp_path}/rules.csv: 2 valid rules, and 14 automatic.",
    )


def test_json_has_each_test(tmp_path: Path) -> None:
    tests = "https://node1.example.test:8443/one,block,,d,\nhttps://node3.example.test/,block\n"
    result = check(tmp_path, RULES, tests, "--json")
    document: dict[str, Any] = json.loads(result.output)
    assert result.exit_code == 1
    assert (document["schema"], document["version"], document["ok"]) == ("mralab/allowlist-check", 1, False)
    assert (document["rules"], document["passed"], document["failed"]) == (2, 1, 1)
    failed, passed = document["tests"]
    assert (failed["line"], failed["expected"], failed["got"], failed["ok"]) == (2, "block", "allow", False)
    assert (failed["rule"]["number"], failed["rule"]["description"], failed["miss"]) == (1, "First Rule", None)
    assert (passed["ok"], passed["rule"], passed["miss"]["kind"]) == (True, None, "host")
    assert passed["miss"]["text"] == ("no rule names host node3.example.test; did you mean node2.example.test?")


def test_all_problems_are_printed_at_once(tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_text(RULES.replace(",", ";"))
    (tmp_path / "tests.csv").write_text(TESTS + "https://h/,alow\n")
    files = ("rules.csv", "--tests", "tests.csv")
    result = mralab("allowlist", "check", *files, "--node", "a..b", "--unity-node", "", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "rules.csv:1: columns are separated by semicolons, not by commas; save it with commas",
        "tests.csv:2: ExpectedResult 'alow' is neither allow nor block (did you mean allow?)",
        "--node a..b: host 'a..b' has an empty label",
        "--unity-node : the host is empty",
    ]
    missing = mralab("allowlist", "check", "none.csv", "--tests", "gone.csv", cwd=tmp_path)
    assert (missing.returncode, missing.stderr.count("cannot be read: No such file or directory")) == (2, 2)


def test_methods_that_expressway_does_not_have_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_text(RULES.replace(",GET,", ",TRACE,"))
    result = mralab("allowlist", "check", str(tmp_path / "rules.csv"))
    assert (result.returncode, result.stderr) == (
        0,
        "warning: https://node1.example.test:8443/one allows TRACE, unknown to Expressway\n",
    )


segments = st.sampled_from(["one", "two", "One", "..", "%2e%2e", "x"])


@given(st.lists(st.tuples(st.lists(segments, max_size=3), st.sampled_from(["GET", "PUT", "POST"])), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_the_command_decides_as_the_proxy_does(tmp_path: Path, asked: list[tuple[list[str], str]]) -> None:
    tests = "".join(f"https://node1.example.test:8443/{'/'.join(path)},allow,,,{method}\n" for path, method in asked)
    document = json.loads(check(tmp_path, RULES, tests, "--json").output)
    allow = AllowList(parse_rules_csv(RULES, "r"))
    target = Target("example.test", "https", "node1.example.test", 8443)
    expected = [isinstance(allow.decide("example.test", m, target, f"/{'/'.join(p)}"), Allowed) for p, m in asked]
    assert [test["got"] == "allow" for test in document["tests"]] == expected
