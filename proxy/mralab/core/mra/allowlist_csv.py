"""The CSV files of the HTTP allow list: a row of rules, and a row of tests.

Sources: Expressway administrator guide X12.6, X14.0.2 and X15.0 (headers, defaults, match types, methods, the limit of
the description).

Cisco does not document that a query in a prefix rule's Url is dropped. A host without a domain is used unchanged;
Expressway appends its System DNS domain, a setting that mralab does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

from mralab.core.mra.allowlist_lines import (
    BLANKS,
    HEADER,
    MATCHES,
    TESTS_HEADER,
    Checked,
    did_you_mean,
    parse,
    shown,
)
from mralab.core.mra.allowlist_rules import ADMINISTRATOR, METHODS, Rule, make_rule
from mralab.core.mra.readings import readings
from mralab.core.mra.target import BadHost, Target, canonical_host, canonical_port

LONGEST_DESCRIPTION: Final = 128
MOST_METHODS: Final = 32

_RESULTS: Final[dict[str, Literal["allow", "block"]]] = {"allow": "allow", "block": "block"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"([^:/?#]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:]*))?")
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 section 5.6.2
_NOT_IN_URLS: Final = re.compile(r"[^\x21-\x7e]")


class RuleTest(NamedTuple):
    """A row of a tests file. ``path`` has its query; ``target.domain`` is empty; ``line`` counts from 1."""

    line: int
    target: Target
    path: str
    method: str
    expected: Literal["allow", "block"]
    deployment: str
    description: str

    @property
    def url(self) -> str:
        """The request's URL, always with its port."""
        return self.target.url_for(self.path)


def parse_rules_csv(text: str, source: str) -> tuple[Rule, ...]:
    """Return the rules of a CSV file with header ``Url,Deployment,HttpMethods,MatchType,Description``, in its order.

    Trailing columns of a row may be missing; blank lines and lines that start with ``#`` are skipped. Each row is one
    line. Raises :class:`RulesError` with all problems; ``source`` names the file in them.
    """
    return tuple(rule for _, rule in parse(text, source, HEADER, _rule))


def parse_tests_csv(text: str, source: str) -> tuple[RuleTest, ...]:
    """Return the tests of a CSV file with header ``Url,ExpectedResult,Deployment,Description,HttpMethod``.

    The format is otherwise that of ``parse_rules_csv``.
    """
    return tuple(test._replace(line=line) for line, test in parse(text, source, TESTS_HEADER, _test))


def _rule(row: list[str]) -> Checked[Rule]:
    """Return the rule of a row, or None and every problem in it."""
    url, deployment, methods_text, match_text, description = row + [""] * (len(HEADER) - len(row))
    if methods_text.upper() in METHODS and match_text.upper() in METHODS:
        return None, ['several methods need quotes: "GET,PUT"']
    problems: list[str] = []
    match = MATCHES.get(match_text.lower(), "")
    if not match:
        near = did_you_mean(match_text.lower(), MATCHES)
        problems.append(f"MatchType {shown(match_text)} is neither exact nor prefix{near}")
    methods = _methods(methods_text, problems)
    _check_description(description, problems)
    parts = _url_parts(url, problems)
    if parts is None or problems:
        return None, problems
    scheme, host, port, path, query = parts
    if not readings(path) <= {path, unquote(path, "latin-1")}:
        return None, [f"Url has path {shown(path)}, which servers could read differently, so that it could never match"]
    if match == "exact":
        path += query
    rule = make_rule(
        scheme,
        host,
        port,
        path,
        methods,
        match=match,
        deployment=deployment,
        type=ADMINISTRATOR,
        description=description,
    )
    return rule, []


def _test(row: list[str]) -> Checked[RuleTest]:
    """Return the test of a row, with ``line`` 0, or None and every problem in it."""
    url, result, deployment, description, method_text = row + [""] * (len(TESTS_HEADER) - len(row))
    problems: list[str] = []
    expected = _RESULTS.get(result.lower())
    if expected is None:
        wrong = f"{shown(result)} is neither allow nor block{did_you_mean(result, _RESULTS)}"
        problems.append(f"ExpectedResult {wrong if result else 'is missing: allow or block'}")
    method = "GET"
    if "," in method_text:
        problems.append(f"HttpMethod {shown(method_text)} is not a single method; write a row for each")
    elif method_text:
        method = _method(method_text, "HttpMethod", problems)
    _check_description(description, problems)
    parts = _url_parts(url, problems)
    if parts is None or expected is None or problems:
        return None, problems
    scheme, host, port, path, query = parts
    target = Target("", scheme, host, port)
    return RuleTest(0, target, path + query, method, expected, deployment, description), []


def _check_description(description: str, problems: list[str]) -> None:
    if len(description) > LONGEST_DESCRIPTION:
        problems.append(f"Description has more than {LONGEST_DESCRIPTION} characters")


def _methods(text: str, problems: list[str]) -> frozenset[str] | None:
    if not text:
        return None
    parts = re.findall(r"[A-Za-z]+", text) if "," not in text else []
    if len(parts) > 1 and all(part.upper() in METHODS for part in parts):
        problems.append(f"HttpMethods {shown(text)}: methods are separated by commas")
        return None
    words = dict.fromkeys(word.strip(BLANKS) for word in text.split(","))
    if len(words) > MOST_METHODS:
        problems.append(f"HttpMethods has more than {MOST_METHODS} methods; they are {', '.join(METHODS)}")
        return None
    return frozenset([_method(word, "HttpMethods", problems) for word in words])


def _method(word: str, column: str, problems: list[str]) -> str:
    """Return a method, in capitals if Cisco's guide has it. A similar word is reported as a spelling mistake.

    Other methods are accepted, because clients may send them; :func:`unknown_methods` finds them.
    """
    upper = word.upper()
    if upper in METHODS:
        return upper
    known = f"not one of {', '.join(METHODS)}"
    if not word:
        problems.append(f"{column} has an empty method")
    elif not _METHOD.fullmatch(word):
        problems.append(f"{column} has {shown(word)}, which is not a method{did_you_mean(upper, METHODS)}")
    elif upper in ("*", "ALL", "ANY"):
        problems.append(f"{column} has {shown(word)}, {known}; list the methods")
    elif near := did_you_mean(upper, METHODS):
        problems.append(f"{column} has {shown(word)}, {known}{near}")
    return upper if upper in ("TRACE", "CONNECT", "PATCH") else word


def unknown_methods(rules: Iterable[Rule]) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """Yield each rule with methods that Expressway's allow list does not have, and these methods."""
    for rule in rules:
        if unknown := rule.allowed_methods.difference(METHODS):
            yield rule, tuple(sorted(unknown))


def _url_parts(url: str, problems: list[str]) -> tuple[str, str, int, str, str] | None:
    """Return scheme, host, port, path and query (with its ``?``) of a Url; None after adding to ``problems``."""
    before = len(problems)
    parts = _URL.fullmatch(url)
    if parts is None:
        problems.append(f"Url {shown(url)} is not protocol://host[:port][/path]" if url else "Url is missing")
        return None
    scheme, authority, path, query, fragment = (part or "" for part in parts.groups())
    host, port = "", 0
    if scheme.lower() not in _DEFAULT_PORTS:
        hint = did_you_mean(scheme.lower(), ("http", "https"))
        problems.append(f"Url has protocol {shown(scheme)}, not http or https{hint}")
    if "*" in authority + path:
        problems.append(
            "Url has a wildcard, which rules do not support (MatchType prefix covers all that starts with the Url)"
        )
    elif "@" in authority:
        problems.append("Url has user information before the host")
    else:
        host, port = _host_and_port(authority, _DEFAULT_PORTS.get(scheme.lower(), 0), problems)
    if fragment:
        problems.append(f"Url has a fragment, {shown(fragment)}, which is never sent")
    path = path or "/"
    if (odd := _NOT_IN_URLS.search(path + query)) is not None:
        problems.append(f"Url has {odd.group()!a}, which must be percent-encoded")
    if len(problems) > before:
        return None
    return scheme.lower(), host, port, path, query.removeprefix("?") and query


def _host_and_port(authority: str, default_port: int, problems: list[str]) -> tuple[str, int]:
    parts = _AUTHORITY.fullmatch(authority)
    name, port = parts.groups() if parts is not None else (authority, None)  # canonical_host raises the error
    host, number = "", default_port
    try:
        host = canonical_host(name)
    except BadHost as error:
        problems.append(f"Url: {error}")
    try:
        number = default_port if port is None else canonical_port(port)
    except ValueError as error:
        problems.append(f"Url: {error}")
    return host, number
