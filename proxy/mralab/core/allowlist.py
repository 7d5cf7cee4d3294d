"""The HTTP server allow list: rules, their CSV form, the decision, and what came nearest.

Source: Expressway administrator guides X12.6 and X14.0.2 (editable rules, CSV columns, defaults, deployments). Query
strings, case and encodings are not documented there: here the host is compared without case, the path with it, the
query counts only in an exact rule that has one. The rules that discovery makes are not published but for one line of
the article; ``automatic_rules`` is emulated around that line.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .target import BadHost, Target, canonical_host, readings

DEFAULT_METHODS: Final = frozenset(("GET", "POST", "PUT"))
AUTOMATIC_TYPE: Final = "Automatically generated rule for CUCM server"
USER_TYPE: Final = "User-defined rule"  # emulated: Cisco publishes no line with a rule of an administrator
_COLUMNS: Final = ("Url", "Deployment", "HttpMethods", "MatchType", "Description")
_STANDARD: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"))
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(\[[^\]/?#]*\]|[^:/?#\[\]]*)(?::([^/?#]*))?([/?#].*)?")
_DEFAULT_NAMES: Final = ("", "1", "default deployment")


class RulesError(ValueError):
    """A rules file that cannot be used: ``problems`` has each, with file and line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Rule(NamedTuple):
    """One rule. ``deployment`` is lower-case, empty for the default one; ``url`` is what the log shows."""

    scheme: str
    host: str
    port: int
    path: str
    methods: frozenset[str]
    match: str
    deployment: str
    type: str
    description: str
    url: str


class Allowed(NamedTuple):
    """Let through by ``rule``, in the deployment of this number."""

    rule: Rule
    deployment_number: str


class Denied(NamedTuple):
    """Let through by no rule; ``nearest`` says which came closest."""

    deployment_number: str
    nearest: str


def make_rule(
    url: str,
    methods: frozenset[str] = DEFAULT_METHODS,
    match: str = "prefix",
    deployment: str = "",
    description: str = "",
    kind: str = USER_TYPE,
) -> Rule:
    """A rule for a URL ``protocol://host[:port][/path]``. Raises ``ValueError`` that says what is wrong with it."""
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError(f"{url!r} is not protocol://host[:port][/path]")
    scheme, host, port, path = parts[1].lower(), parts[2], parts[3], parts[4] or ""
    if scheme not in ("http", "https"):
        raise ValueError(f"protocol {parts[1]!r} is neither http nor https")
    if "@" in host or "*" in host:
        raise ValueError(f"host {host!r}: neither user names nor wildcards are possible")
    if "#" in path:
        raise ValueError("a fragment never reaches a server")
    try:
        host = canonical_host(host)
    except BadHost as error:
        raise ValueError(str(error)) from None
    number = (443 if scheme == "https" else 80) if port is None else _port(port)
    if path.startswith("?"):
        path = f"/{path}"
    if match == "exact" and not path:
        path = "/"
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(f"path {path!r} has characters that a URL has not")
    name = "" if deployment.lower() in _DEFAULT_NAMES else deployment.lower()
    shown = Target("", scheme, host, number).url_for(path)
    return Rule(scheme, host, number, path, methods, match, name, kind, description, shown)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"port {text!r} is no number from 1 to 65535")
    return int(text)


def parse_rules_csv(text: str, source: str) -> tuple[Rule, ...]:
    """The rules of a CSV file ``Url,Deployment,HttpMethods,MatchType,Description``.

    Blank lines and lines that begin with ``#`` are left out. Raises ``RulesError`` with every problem in the file.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    header = False
    for line, row in _rows(text, source, problems):
        if not header:
            header = True
            if tuple(cell.strip().lower() for cell in row) != tuple(name.lower() for name in _COLUMNS):
                problems.append(f"{source}:{line}: the first line must be {','.join(_COLUMNS)}")
                if "://" not in row[0]:
                    continue
            else:
                continue
        if len(row) > len(_COLUMNS):
            problems.append(f"{source}:{line}: {len(row)} values, {len(_COLUMNS)} columns (quote values with commas)")
            continue
        row += [""] * (len(_COLUMNS) - len(row))
        rule = _rule_of(row, f"{source}:{line}", problems)
        if rule is not None:
            rules.append(rule)
    if not header:
        problems.append(f"{source}:1: the first line must be {','.join(_COLUMNS)}")
    if problems:
        raise RulesError(problems)
    return tuple(rules)


def _rows(text: str, source: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(f"{source}:{reader.line_num}: is not CSV: {error}")
            return
        start, line = line, reader.line_num + 1
        if row and any(row) and not row[0].lstrip().startswith("#"):
            yield start, row


def _rule_of(row: list[str], where: str, problems: list[str]) -> Rule | None:
    url, deployment, methods_text, match, description = (cell.strip() for cell in row)
    before = len(problems)
    match = match.lower() or "prefix"
    if match not in ("exact", "prefix"):
        near = difflib.get_close_matches(match, ("exact", "prefix"), n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        problems.append(f"{where}: MatchType {row[3].strip()!r} is neither exact nor prefix{hint}")
    methods = frozenset(_methods(methods_text, where, problems)) or DEFAULT_METHODS
    try:
        rule = make_rule(url, methods, match, deployment, description)
    except ValueError as error:
        problems.append(f"{where}: Url: {error}")
        return None
    return rule if len(problems) == before else None


def _methods(text: str, where: str, problems: list[str]) -> Iterator[str]:
    for part in text.split(",") if text else ():
        method = part.strip()
        if not _TOKEN.fullmatch(method):
            problems.append(f"{where}: HttpMethods: {method!r} is no method")
            continue
        yield method.upper() if method.upper() in _STANDARD else method


def automatic_rules(host: str) -> tuple[Rule, ...]:
    """The rules that discovering a Unified CM node makes, for its name or address."""
    shown = f"[{host}]" if ":" in host else host
    read, user = frozenset(("GET", "HEAD")), frozenset(("GET", "HEAD", "POST", "PUT", "DELETE"))
    paths = {
        f"https://{shown}:8443/cucm-uds/user/": user,
        f"https://{shown}:8443/cucm-uds/users": read,
        f"https://{shown}:8443/cucm-uds/clusterUser": read,
        f"https://{shown}:8443/cucm-uds/servers": read,
        f"https://{shown}:8443/cucm-uds/version": read,
        f"https://{shown}:8443/cucm-uds/options": read,
        f"https://{shown}:6972/": read,
        f"http://{shown}:6970/": read,
    }
    return tuple(make_rule(url, methods, kind=AUTOMATIC_TYPE) for url, methods in paths.items())


class _Server:
    """The rules of one scheme, host and port, by path; prefixes by their lengths, longest first."""

    __slots__ = ("exact", "lengths", "prefixes")

    def __init__(self) -> None:
        self.exact: dict[str, list[Rule]] = {}
        self.prefixes: dict[str, list[Rule]] = {}
        self.lengths: list[int] = []

    def matching(self, path: str, query: str) -> Iterator[Rule]:
        """Rules for a path: exact before prefix, longer prefix before shorter, earlier row before later."""
        yield from self.exact.get(path, ())
        if query:
            yield from self.exact.get(path + query, ())
        for length in self.lengths:
            if length <= len(path):
                yield from self.prefixes.get(path[:length], ())


class AllowList:
    """An immutable allow list; a decision costs the same for 10 rules as for 100 000."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._servers: dict[tuple[str, str, int], _Server] = {}
        self._ports: dict[str, set[tuple[str, int]]] = {}
        self._numbers: dict[str, str] = {}
        for rule in rules:
            if rule.deployment and rule.deployment not in self._numbers:
                self._numbers[rule.deployment] = str(len(self._numbers) + 2)
            self._ports.setdefault(rule.host, set()).add((rule.scheme, rule.port))
            server = self._servers.setdefault((rule.scheme, rule.host, rule.port), _Server())
            paths = server.exact if rule.match == "exact" else server.prefixes
            paths.setdefault(rule.path, []).append(rule)
        for server in self._servers.values():
            server.lengths = sorted({len(path) for path in server.prefixes}, reverse=True)

    def decide(self, domain: str, method: str, target: Target, path: str) -> Allowed | Denied:
        """Whether ``method`` on ``target`` and ``path`` (with query) may go on, for a client of ``domain``.

        A path that two readers could read differently must be allowed in every reading: it would otherwise let a
        request pass under one rule and be served as another's.
        """
        deployment = domain.lower() if domain.lower() in self._numbers else ""
        number = self._numbers.get(deployment, "1")
        server = self._servers.get((target.scheme, target.host, target.port))
        if server is None:
            return Denied(number, self._nearest_host(target))
        bare, mark, rest = path.partition("?")
        rule: Rule | None = None
        for reading in readings(bare):
            found = _first(server.matching(reading, mark + rest), method, deployment)
            if found is None:
                return Denied(number, _nearest_rule(server, reading, mark + rest, method, target))
            if reading == bare:
                rule = found
        assert rule is not None  # noqa: S101 - the path is one of its readings
        return Allowed(rule, number)

    def _nearest_host(self, target: Target) -> str:
        ports = self._ports.get(target.host)
        if ports:
            named = ", ".join(f"{scheme} {port}" for scheme, port in sorted(ports))
            return f"rules for {target.host} name {named}, not {target.scheme} {target.port}"
        near = difflib.get_close_matches(target.host, list(self._ports)[:200], n=1)
        return f"no rule names host {target.host}" + (f"; did you mean {near[0]}?" if near else "")


def _first(rules: Iterator[Rule], method: str, deployment: str) -> Rule | None:
    for rule in rules:
        if method in rule.methods and rule.deployment == deployment:
            return rule
    return None


def _nearest_rule(server: _Server, path: str, query: str, method: str, target: Target) -> str:
    near = next(server.matching(path, query), None)
    if near is None:
        return f"no rule for {target.authority} holds the path {path}"
    if method not in near.methods:
        return f"rule {near.url} allows {', '.join(sorted(near.methods))}, not {method}"
    return f"rule {near.url} belongs to deployment {near.deployment or 'Default deployment'}"
