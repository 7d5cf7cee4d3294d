"""The HTTP allow list: rules, their CSV form, the decision, and what came closest where it says no.

Sources: Expressway administrator guide X12.6 and X14.0.2, "HTTP allow list" (editable rules, CSV header,
default ports, deployments), and the one public log line, which shows the prefix rule
``https://HOST:8443/cucm-uds/user/`` and its type. The table of automatic rules is not published:
:func:`automatic_rules` is emulated, not observed.

Where Cisco is silent: hosts are compared without regard to case and paths with it; a query in the request is
ignored by prefix rules (and one in a prefix rule's Url is dropped); an exact rule with a query matches that
query only, one without matches any. A path that can be read in several ways is allowed only if every reading
is (:func:`mralab.core.readings.readings`): otherwise ``/cucm-uds/..%2faxl`` would cross a rule on its way to a
server that decodes it.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_left
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mralab.core.readings import readings
from mralab.core.target import BadHost, Target, canonical_host, canonical_port

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER = ("Url", "Deployment", "HttpMethods", "MatchType", "Description")
DEFAULT_METHODS = frozenset(("GET", "POST", "PUT"))
"""Of rules that choose none ("Use defaults")."""

AUTOMATIC_CUCM = "Automatically generated rule for CUCM server"
"""The only ``Type=`` that a public log line shows."""

ADMINISTRATOR = "Administrator defined rule"
"""``Type=`` of a rule from the CSV file. Emulated, not observed."""

_STANDARD_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_DEFAULT_DEPLOYMENTS = ("", "1", "default deployment")
_URL = re.compile(r"([^:/?#]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:]*))?")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 section 5.6.2
_NOT_IN_URLS = re.compile(r"[^\x21-\x7e]")
_LINE_END = re.compile(r"\r\n|\r|\n")


class Rule(NamedTuple):
    """One rule. ``path`` starts with a slash, may end within a segment, and has a query only if exact.

    ``host`` is as in :class:`~mralab.core.target.Target`; ``methods`` None means the defaults; ``match`` is
    ``exact`` or ``prefix``; ``url`` is what ``Rule=`` of the log shows, its port always written.
    """

    scheme: str
    host: str
    port: int
    path: str
    methods: frozenset[str] | None
    match: str
    deployment: str
    type: str
    description: str
    url: str

    @property
    def allowed_methods(self) -> frozenset[str]:
        """``methods`` with the defaults filled in."""
        return DEFAULT_METHODS if self.methods is None else self.methods


class RulesError(ValueError):
    """Rules that cannot be used. ``problems``: every one of them, as ``source:LINE: what is wrong``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """``problems`` in the order of the file."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Allowed(NamedTuple):
    """The request may go out, by this rule. ``deployment_number`` is the log's ``Deployment=``."""

    rule: Rule
    deployment_number: str


class Denied(NamedTuple):
    """No rule lets the request out. ``nearest``: one sentence on what came closest."""

    deployment_number: str
    nearest: str


def parse_rules_csv(text: str, source: str) -> tuple[Rule, ...]:
    """Rules of a CSV file with header ``Url,Deployment,HttpMethods,MatchType,Description``, in its order.

    Trailing columns of a row may be missing; blank lines and lines that start with ``#`` are skipped. One row
    is one line. Raises :class:`RulesError` with all problems at once; ``source`` names the file in them.
    """
    problems: list[str] = []
    rules: list[Rule] = []
    header_seen = False
    line = 0
    for line, row_text in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1):
        if not row_text.strip() or row_text.startswith("#"):
            continue
        try:
            row = [value.strip() for value in next(csv.reader([row_text], strict=True))]
        except csv.Error as error:
            problems.append(f"{source}:{line}: not CSV: {error}")
            continue
        if not header_seen:
            header_seen = True
            problems += [f"{source}:{line}: {problem}" for problem in _header_problems(row)]
            continue
        rule, wrong = _rule(row)
        problems += [f"{source}:{line}: {problem}" for problem in wrong]
        if rule is not None:
            rules.append(rule)
    if not header_seen and not problems:
        problems.append(f"{source}:{max(line, 1)}: no header line; it must be {','.join(HEADER)}")
    if problems:
        raise RulesError(tuple(problems))
    return tuple(rules)


def automatic_rules(host: str) -> tuple[Rule, ...]:
    """Rules made for a discovered Unified CM node: UDS on 8443, TFTP on 6972 (https) and 6970 (http).

    ``host`` is a name, IPv4 text or IPv6 text (in brackets or not), as the node is advertised. Only the first
    rule is known from a real log; the rest lets the MRA login sequence through.
    """
    node = canonical_host(f"[{host}]" if ":" in host and host[0] != "[" else host)
    read = frozenset(("GET", "HEAD"))
    return tuple(
        _make(scheme, node, port, path, methods, "prefix", "", AUTOMATIC_CUCM, "")
        for scheme, port, path, methods in (
            ("https", 8443, "/cucm-uds/user/", read | {"POST", "PUT", "DELETE"}),
            ("https", 8443, "/cucm-uds/", read | {"POST"}),
            ("https", 6972, "/", read),
            ("http", 6970, "/", read),
        )
    )


class AllowList:
    """Decides by rules that never change; a look-up costs the same for ten rules and for 100 000.

    A request is allowed if any rule fits its URL, method and deployment. The rule reported is an exact one
    before a prefix (one that names the query first), a longer prefix before a shorter, an earlier row before
    a later.

    A deployment named D holds the domain D (without regard to case) and that domain belongs to no other; all
    other domains are in the default deployment, number ``1``. Numbers go up from ``2`` in order of
    appearance.
    """

    __slots__ = ("_deployments", "_hosts", "_numbers", "_origins", "_sorted_hosts", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        """``rules`` in order: it decides which of several is reported, and how deployments are numbered."""
        self.rules = tuple(rules)
        self._numbers: dict[str, str] = {}
        self._deployments = {"1": "the default deployment"}
        self._origins: dict[tuple[str, str, str, int], _Origin] = {}
        self._hosts: dict[str, dict[tuple[str, str, int], None]] = {}
        for row, rule in enumerate(self.rules, start=1):
            number = self._number_of(rule.deployment)
            key = (number, rule.scheme, rule.host, rule.port)
            origin = self._origins.get(key)
            if origin is None:
                origin = self._origins[key] = _Origin()
                self._hosts.setdefault(rule.host, {})[number, rule.scheme, rule.port] = None
            origin.add(row, Allowed(rule, number))
        for origin in self._origins.values():
            origin.finish()
        self._sorted_hosts = sorted(self._hosts)

    def decide(self, domain: str, method: str, target: Target, path: str) -> Allowed | Denied:
        """May a client of ``domain`` send ``method`` for ``path`` (with its query) to ``target``?"""
        number = self._numbers.get(domain.lower(), "1")
        origin = self._origins.get((number, target.scheme, target.host, target.port))
        if origin is None:
            return Denied(number, self._nearest_origin(number, target))
        bare, _, query = path.partition("?")
        allowed = origin.find(bare, query, method)
        if allowed is None:
            return Denied(number, origin.nearest(bare, query, method, target))
        read = readings(bare)
        if len(read) > 1:
            for reading in sorted(read):
                if origin.find(reading, query, method) is None:
                    return Denied(number, _crossing(allowed.rule, reading))
        return allowed

    def _number_of(self, deployment: str) -> str:
        name = deployment.lower()
        if name in _DEFAULT_DEPLOYMENTS:
            return "1"
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = str(len(self._numbers) + 2)
            self._deployments[number] = f"deployment {number} ({deployment})"
        return number

    def _nearest_origin(self, number: str, target: Target) -> str:
        known = self._hosts.get(target.host)
        if known is None:
            return f"no rule names host {target.host}{self._similar_host(target.host)}"
        here = [(scheme, port) for deployment, scheme, port in known if deployment == number]
        if not here:
            others = _list(dict.fromkeys(self._deployments[deployment] for deployment, _, _ in known))
            return f"rules for {target.host} hold in {others}, not in {self._deployments[number]}"
        ports = [str(port) for scheme, port in here if scheme == target.scheme]
        if any(port == target.port for _, port in here) or not ports:
            places = _list(Target("", scheme, target.host, port).url_for("") for scheme, port in here)
            return f"rules for {target.host} name {places}, not {target.url_for('')}"
        return f"rules for {target.host} name {_plural(ports)} {_list(ports)}, not {target.port}"

    def _similar_host(self, host: str) -> str:
        """`` ; did you mean X?`` out of the names next to ``host`` in the alphabet, or nothing."""
        at = bisect_left(self._sorted_hosts, host)
        return _did_you_mean(host, self._sorted_hosts[max(0, at - 8) : at + 8], "; did you mean {}?")


class OpenAllowList(AllowList):
    """Allows besides whatever is asked of ``hosts``: for tests that are about something else than the allow list."""

    __slots__ = ("_open",)

    def __init__(self, rules: Iterable[Rule], hosts: Iterable[str]) -> None:
        """``hosts`` as in :class:`~mralab.core.target.Target`."""
        super().__init__(rules)
        self._open = frozenset(hosts)

    def decide(self, domain: str, method: str, target: Target, path: str) -> Allowed | Denied:
        """May a client of ``domain`` send ``method`` for ``path`` (with its query) to ``target``?"""
        decision = super().decide(domain, method, target, path)
        if isinstance(decision, Allowed) or target.host not in self._open:
            return decision
        methods = frozenset((method,))
        rule = _make(target.scheme, target.host, target.port, "/", methods, "prefix", "", AUTOMATIC_CUCM, "")
        return Allowed(rule, decision.deployment_number)


class _Origin:
    """Rules of one deployment for one scheme, host and port."""

    __slots__ = ("_exact", "_folded", "_lengths", "_paths", "_prefixes")

    def __init__(self) -> None:
        # path (and query) -> method -> the first row's answer; the row is the number that a person counts
        self._exact: dict[tuple[str, str], dict[str, tuple[int, Allowed]]] = {}
        self._prefixes: dict[str, dict[str, tuple[int, Allowed]]] = {}
        self._lengths: tuple[int, ...] = ()
        self._folded: dict[str, tuple[int, Allowed]] = {}
        self._paths: list[tuple[str, int, Allowed]] = []

    def add(self, row: int, allowed: Allowed) -> None:
        """Take a rule in, under its path as written and as decoded: all its readings are then covered."""
        rule = allowed.rule
        bare, _, query = rule.path.partition("?")
        entry = (row, allowed)
        for path in dict.fromkeys((bare, unquote(bare, "latin-1"))):
            if rule.match == "exact":
                methods = self._exact.setdefault((path, query), {})
            else:
                methods = self._prefixes.setdefault(path, {})
            for method in rule.allowed_methods:
                methods.setdefault(method, entry)
        self._folded.setdefault(bare.lower(), entry)
        self._paths.append((bare, row, allowed))

    def finish(self) -> None:
        """All rules are in."""
        self._lengths = tuple(sorted({len(prefix) for prefix in self._prefixes}, reverse=True))
        self._paths.sort(key=lambda entry: entry[:2])

    def find(self, bare: str, query: str, method: str) -> Allowed | None:
        """First rule that lets ``method`` through; ``bare`` has no query."""
        if self._exact:
            for key in ((bare, query), (bare, "")):
                if (methods := self._exact.get(key)) is not None and method in methods:
                    return methods[method][1]
        for length in self._lengths:
            if length <= len(bare) and (methods := self._prefixes.get(bare[:length])) and method in methods:
                return methods[method][1]
        return None

    def nearest(self, bare: str, query: str, method: str, target: Target) -> str:
        """What kept :meth:`find` from finding anything."""
        other_methods = self._exact.get((bare, query)) or self._exact.get((bare, ""))
        for length in self._lengths:
            if other_methods is None and length <= len(bare):
                other_methods = self._prefixes.get(bare[:length])
        if other_methods:
            row, allowed = min(other_methods.values(), key=lambda entry: entry[0])
            return f"rule {row} {allowed.rule.url} allows {_list(sorted(other_methods))}, not {method}"
        folded = bare.lower()
        for length in dict.fromkeys((len(bare), *self._lengths)):
            found = self._folded.get(folded[:length]) if length <= len(bare) else None
            if found is not None and not bare.startswith(found[1].rule.path.partition("?")[0]):
                return f"rule {found[0]} {found[1].rule.url} differs in upper and lower case"
        at = bisect_left(self._paths, bare, key=lambda entry: entry[0])
        neighbours = self._paths[max(0, at - 1) : at + 2]
        _, row, allowed = max(neighbours, key=lambda entry: _shared(entry[0], bare))
        closest = f"rule {row} {allowed.rule.url} ({allowed.rule.match})"
        return f"no rule for {target.authority} covers this path; closest is {closest}"


def _crossing(rule: Rule, reading: str) -> str:
    shown = "in too many ways" if not reading else "as " + ascii(reading[:120])
    return f"rule {rule.url} fits the path as written, but it can also be read {shown}, which no rule allows"


def _make(
    scheme: str,
    host: str,
    port: int,
    path: str,
    methods: frozenset[str] | None,
    match: str,
    deployment: str,
    type_: str,
    description: str,
) -> Rule:
    url = Target("", scheme, host, port).url_for(path)
    return Rule(scheme, host, port, path, methods, match, deployment, type_, description, url)


def _header_problems(row: list[str]) -> list[str]:
    if tuple(row) == HEADER:
        return []
    unknown = [name for name in row if name not in HEADER]
    wrong = [f"column {name!r} is unknown" + _did_you_mean(name, HEADER) for name in unknown]
    return [f"{problem}; the header must be {','.join(HEADER)}" for problem in wrong or ["wrong header"]]


def _rule(row: list[str]) -> tuple[Rule | None, list[str]]:
    """The rule of a row, or None and everything that is wrong with it."""
    if len(row) > len(HEADER):
        hint = '(several methods need quotes: "GET,PUT")'
        return None, [f"{len(row)} columns where the header names {len(HEADER)} {hint}"]
    url, deployment, methods_text, match_text, description = row + [""] * (len(HEADER) - len(row))
    problems: list[str] = []
    match = match_text.lower() or "prefix"
    if match not in ("exact", "prefix"):
        hint = _did_you_mean(match, ("exact", "prefix"))
        problems.append(f"MatchType {match_text!r} is neither exact nor prefix{hint}")
    methods = _methods(methods_text, problems)
    place = _place(url, problems)
    if place is None or problems:
        return None, problems
    scheme, host, port, path, query = place
    if match == "exact":
        path += query
    return _make(scheme, host, port, path, methods, match, deployment, ADMINISTRATOR, description), []


def _methods(text: str, problems: list[str]) -> frozenset[str] | None:
    if not text:
        return None
    methods = set()
    for word in (part.strip() for part in text.split(",")):
        if not _METHOD.fullmatch(word):
            problems.append(f"HttpMethods has {word!r}, which is no method" if word else "HttpMethods has a gap")
        methods.add(word.upper() if word.upper() in _STANDARD_METHODS else word)
    return frozenset(methods)


def _place(url: str, problems: list[str]) -> tuple[str, str, int, str, str] | None:
    """Scheme, host, port, path and query of a rule's Url; None after adding to ``problems``."""
    before = len(problems)
    parts = _URL.fullmatch(url)
    if parts is None:
        problems.append(f"Url {url!r} is not protocol://host[:port][/path]" if url else "Url is missing")
        return None
    scheme, authority, path, query, fragment = (part or "" for part in parts.groups())
    if scheme.lower() not in _DEFAULT_PORTS:
        hint = _did_you_mean(scheme.lower(), ("http", "https"))
        problems.append(f"Url has protocol {scheme!r}, not http or https{hint}")
    if "*" in authority + path:
        problems.append("Url has a wildcard; rules know none (MatchType prefix covers what begins with the Url)")
    elif "@" in authority:
        problems.append("Url has user information before the host")
    else:
        host, port = _host_and_port(authority, _DEFAULT_PORTS.get(scheme.lower(), 0), problems)
    if fragment:
        problems.append(f"Url has a fragment, {fragment!r}, which is never sent")
    path = path or "/"
    if (odd := _NOT_IN_URLS.search(path + query)) is not None:
        problems.append(f"Url has {odd.group()!a}, which must be percent-encoded")
    elif not readings(path) <= {path, unquote(path, "latin-1")}:
        problems.append(f"Url has path {path!r}, which servers could read differently, so that it could never match")
    if len(problems) > before:
        return None
    return scheme.lower(), host, port, path, query.removeprefix("?") and query


def _host_and_port(authority: str, default_port: int, problems: list[str]) -> tuple[str, int]:
    parts = _AUTHORITY.fullmatch(authority)
    name, port = parts.groups() if parts is not None else (authority, None)  # canonical_host has the words
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


def _did_you_mean(word: str, choices: Iterable[str], form: str = " (did you mean {}?)") -> str:
    close = get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return form.format(close[0]) if close else ""


def _list(words: Iterable[str]) -> str:
    """Words with commas, the first six of them."""
    every = list(words)
    return ", ".join(every[:6]) + (", ..." if len(every) > 6 else "")


def _plural(ports: list[str]) -> str:
    return "port" if len(ports) == 1 else "ports"


def _shared(one: str, other: str) -> int:
    """Length of the common beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
