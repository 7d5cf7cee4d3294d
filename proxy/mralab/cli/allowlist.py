"""``mralab allowlist check``: an allow list's CSV files, tested with the proxy's own decision."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from ..core.counting import capitalized, counted, share
from ..errors import InputError
from .document import print_document
from .group import FILE, json_option
from .root import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.mra.allowlist import Allowed, AllowList, Denied, Kind, Rule, RuleTest
    from .allowlist_report import AllowListReport, TestReport


class _TestResult(NamedTuple):
    """What the allow list decided for one test."""

    test: RuleTest
    decision: Allowed | Denied
    row: int
    """Number of the rule that allows the request, counted from 1; 0 for a denied request."""

    @property
    def got(self) -> Literal["allow", "block"]:
        """The decision in the words of a tests file: ``allow`` or ``block``."""
        return "allow" if self.row else "block"

    @property
    def ok(self) -> bool:
        """Whether the decision is the one that the test expects."""
        return self.got == self.test.expected


@main.group()
def allowlist() -> None:
    """Check the allow list in CSV files.

    \b
    Example:
      mralab allowlist check rules.csv --tests tests.csv
    """


@allowlist.command("check")
@click.argument("rules_file", type=FILE, metavar="RULES.csv")
@click.option(
    "--tests",
    "tests_file",
    type=FILE,
    metavar="TESTS.csv",
    help="Tests to run: Url,ExpectedResult,Deployment,Description,HttpMethod.",
)
@click.option("--node", "cucm", multiple=True, metavar="HOST", help="Add the automatic rules of a Unified CM node.")
@click.option("--imp-node", "imp", multiple=True, metavar="HOST", help="Add those of an IM and Presence node.")
@click.option("--unity-node", "unity", multiple=True, metavar="HOST", help="Add those of a Unity Connection node.")
@json_option
def check(
    rules_file: Path,
    tests_file: Path | None,
    cucm: tuple[str, ...],
    imp: tuple[str, ...],
    unity: tuple[str, ...],
    as_json: bool,
) -> None:
    """Validate rules and run tests against them. Nothing is sent.

    Exit 0: the rules are valid and every test passes. Exit 1: a test fails. Exit 2: a file cannot be used; every
    problem in it is printed.

    \b
    Example:
      mralab allowlist check rules.csv
      mralab allowlist check rules.csv --tests tests.csv --node cucm.example.com
    """
    from ..core.mra.allowlist import AllowList, parse_rules_csv, parse_tests_csv, unknown_methods

    problems: list[str] = []
    rules: tuple[Rule, ...] = _read(rules_file, parse_rules_csv, problems)
    tests: tuple[RuleTest, ...] = _read(tests_file, parse_tests_csv, problems) if tests_file is not None else ()
    nodes: tuple[tuple[str, Kind, tuple[str, ...]], ...]
    nodes = (("--node", "cucm", cucm), ("--imp-node", "imp", imp), ("--unity-node", "unity", unity))
    automatic = [rule for option, kind, hosts in nodes for rule in _automatic(option, kind, hosts, problems)]
    if problems:
        raise InputError(problems)
    allow = AllowList([*rules, *automatic])
    rows = {id(rule): row for row, rule in enumerate(allow.rules, start=1)}
    results = [_run(allow, rows, test) for test in tests]
    warnings = [
        f"{rule.url} allows {', '.join(names)}, unknown to Expressway" for rule, names in unknown_methods(rules)
    ]
    if as_json:
        print_document(_document(len(rules), len(automatic), results, warnings))
    else:
        _print(rules_file, tests_file, len(rules), len(automatic), results, warnings)
    sys.exit(0 if all(result.ok for result in results) else 1)


def _read(file: Path, parse: Callable[[str, str], tuple[Any, ...]], problems: list[str]) -> tuple[Any, ...]:
    from ..core.mra.allowlist import RulesError, decode_csv

    try:
        return parse(decode_csv(file.read_bytes(), str(file)), str(file))
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}")
    except RulesError as error:
        problems += error.problems
    return ()


def _automatic(option: str, kind: Kind, hosts: tuple[str, ...], problems: list[str]) -> list[Rule]:
    from ..core.mra.allowlist import automatic_rules
    from ..core.mra.target import BadHost

    rules: list[Rule] = []
    for host in hosts:
        try:
            rules += automatic_rules(host, kind)
        except BadHost as error:
            problems.append(f"{option} {host}: {error}")
    return rules


def _run(allow: AllowList, rows: dict[int, int], test: RuleTest) -> _TestResult:
    from ..core.mra.allowlist import Allowed, Denied

    domain = allow.domain_of(test.deployment)
    if domain is None:
        return _TestResult(test, Denied("", f"no rule is in deployment {test.deployment}", "deployment"), 0)
    decision = allow.decide(domain, test.method, test.target, test.path)
    return _TestResult(test, decision, rows[id(decision.rule)] if isinstance(decision, Allowed) else 0)


def _why(result: _TestResult) -> str:
    """Return which rule allowed the request, or what the nearest rule differs in."""
    from ..core.mra.allowlist import Allowed

    decision = result.decision
    if not isinstance(decision, Allowed):
        return decision.nearest
    rule = decision.rule
    methods = ", ".join(sorted(rule.allowed_methods))
    return f"rule {result.row} {rule.url} ({rule.match}; {methods}; {rule.type}) lets it through"


def _print(
    rules_file: Path,
    tests_file: Path | None,
    rules: int,
    automatic: int,
    results: list[_TestResult],
    warnings: list[str],
) -> None:
    failed = [result for result in results if not result.ok]
    if failed:
        click.echo(f"{capitalized(share(len(failed), len(results), 'test'))} failed.")
    elif tests_file is not None:
        click.echo(f"{counted(len(results), 'test')} passed." if results else f"{tests_file} has no tests.")
    made = f", and {automatic} automatic" if automatic else ""
    click.echo(f"{rules_file}: {counted(rules, 'valid rule')}{made}.")
    for result in failed:
        test = result.test
        description = f" ({test.description})" if test.description else ""
        click.echo(f"{tests_file}:{test.line}: {test.method} {test.url}{description}")
        click.echo(f"  expected {test.expected}, got {result.got}: {_why(result)}")
    for text in warnings:
        click.echo(f"warning: {text}", err=True)


def _document(rules: int, automatic: int, results: list[_TestResult], warnings: list[str]) -> AllowListReport:
    from .allowlist_report import AllowListReport

    failed = sum(not result.ok for result in results)
    return AllowListReport(
        ok=not failed,
        rules=rules,
        automatic_rules=automatic,
        passed=len(results) - failed,
        failed=failed,
        warnings=tuple(warnings),
        tests=tuple(_test_report(result) for result in results),
    )


def _test_report(result: _TestResult) -> TestReport:
    from ..core.mra.allowlist import Allowed
    from .allowlist_report import MissReport, RuleReport, TestReport

    test, decision = result.test, result.decision
    rule: RuleReport | None = None
    miss: MissReport | None = None
    if isinstance(decision, Allowed):
        given = decision.rule
        rule = RuleReport(
            number=result.row,
            url=given.url,
            match=given.match,
            methods=tuple(sorted(given.allowed_methods)),
            type=given.type,
            description=given.description,
        )
    else:
        miss = MissReport(kind=decision.kind, text=decision.nearest)
    return TestReport(
        line=test.line,
        method=test.method,
        url=test.url,
        deployment=test.deployment,
        description=test.description,
        expected=test.expected,
        got=result.got,
        ok=result.ok,
        rule=rule,
        miss=miss,
    )
