"""The HTTP allow list: its decision, and the nearest rule for a request that it denies.

``Rule`` and the automatic rules are in ``allowlist_rules``, the CSV files in ``allowlist_csv``; this module re-exports
their names for other folders.

Sources: Expressway administrator guide X12.6 and X14.0.2, "HTTP allow list", and the only public log line. Cisco does
not document the following: hosts are compared without regard to case, paths with regard to case; prefix rules ignore
the query of a request; an exact rule with a query matches only that query, one without matches any. A path with
several readings is allowed only if every reading is (``core.mra.readings``): otherwise a rule for ``/cucm-uds/`` would
let ``/cucm-uds/..%2faxl`` through to a server that decodes it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote

from mralab.core.mra.allowlist_csv import RuleTest, parse_rules_csv, parse_tests_csv, unknown_methods
from mralab.core.mra.allowlist_lines import HEADER, RulesError, decode_csv, listed
from mralab.core.mra.allowlist_rules import (
    ADMINISTRATOR,
    AUTOMATIC_CUCM,
    DEFAULT_METHODS,
    METHODS,
    Kind,
    Rule,
    automatic_rules,
    make_rule,
)
from mralab.core.mra.readings import readings
from mralab.core.mra.target import Target
from mralab.core.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ADMINISTRATOR",
    "AUTOMATIC_CUCM",
    "DEFAULT_METHODS",
    "HEADER",
    "METHODS",
    "AllowList",
    "Allowed",
    "Denied",
    "Kind",
    "Miss",
    "OpenAllowList",
    "Rule",
    "RuleTest",
    "RulesError",
    "automatic_rules",
    "decode_csv",
    "parse_rules_csv",
    "parse_tests_csv",
    "unknown_methods",
]

_DEFAULT_DEPLOYMENTS = ("", "1", "default deployment")

Miss = Literal["host", "deployment", "port", "path", "case", "method", "reading"]
"""The difference between a denied request and the nearest rule. ``port``: the port, or http instead of https."""


class Allowed(NamedTuple):
    """``rule`` allows the request. ``deployment_number`` is ``Deployment=`` in the log."""

    rule: Rule
    deployment_number: str


class Denied(NamedTuple):
    """No rule allows the request.

    ``nearest`` is a sentence about the nearest rule, ``kind`` the difference to it.
    """

    deployment_number: str
    nearest: str
    kind: Miss


class AllowList:
    """An immutable list of rules. A decision costs the same for ten rules and for 100 000.

    A request is allowed if a rule matches its URL, method and deployment. If several do, the decision names an exact
    rule before a prefix rule (one with the query first), a longer prefix before a shorter one, an earlier row before a
    later one.

    A deployment named D has the domain D (without regard to case), and no other deployment has that domain. All other
    domains are in the default deployment, number ``1``. Other numbers count from ``2`` in order of appearance.
    """

    __slots__ = ("_deployments", "_hosts", "_numbers", "_origins", "_sorted_hosts", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        """``rules`` in the order of the file, which decides between several matching rules and numbers deployments."""
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
        """Decide whether a client of ``domain`` may send ``method`` for ``path`` (with its query) to ``target``."""
        number = self._numbers.get(domain.lower(), "1")
        origin = self._origins.get((number, target.scheme, target.host, target.port))
        if origin is None:
            return Denied(number, *self._nearest_origin(number, target))
        bare, _, query = path.partition("?")
        allowed = origin.find(bare, query, method)
        if allowed is None:
            return Denied(number, *origin.nearest(bare, query, method, target))
        paths = readings(bare)
        if len(paths) > 1:
            for reading in sorted(paths):
                if origin.find(reading, query, method) is None:
                    return Denied(number, _uncovered_reading(allowed.rule, reading), "reading")
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

    def domain_of(self, deployment: str) -> str | None:
        """Return a domain of the deployment with this name, None if no rule is in such a deployment.

        The default deployment always exists and has every domain that no other has, also the empty one.
        """
        name = deployment.lower()
        if name in _DEFAULT_DEPLOYMENTS:
            return ""
        return name if name in self._numbers else None

    def _nearest_origin(self, number: str, target: Target) -> tuple[str, Miss]:
        known = self._hosts.get(target.host)
        if known is None:
            return f"no rule names host {target.host}{_similar(target.host, self._sorted_hosts)}", "host"
        places = [(scheme, port) for deployment, scheme, port in known if deployment == number]
        if not places:
            others = listed(dict.fromkeys(self._deployments[deployment] for deployment, _, _ in known))
            return (
                f"rules for {target.host} are in {others}, not in {self._deployments[number]}",
                "deployment",
            )
        ports = [str(port) for scheme, port in places if scheme == target.scheme]
        if any(port == target.port for _, port in places) or not ports:
            urls = listed(Target("", scheme, target.host, port).url_for("") for scheme, port in places)
            return f"rules for {target.host} name {urls}, not {target.url_for('')}", "port"
        word = "port" if len(ports) == 1 else "ports"
        return f"rules for {target.host} name {word} {listed(ports)}, not {target.port}", "port"


class OpenAllowList(AllowList):
    """An allow list that also allows every request to ``hosts``, for tests that are not about the allow list."""

    __slots__ = ("_open",)

    def __init__(self, rules: Iterable[Rule], hosts: Iterable[str]) -> None:
        """``hosts`` as in :class:`~mralab.core.mra.target.Target`."""
        super().__init__(rules)
        self._open = frozenset(hosts)

    def decide(self, domain: str, method: str, target: Target, path: str) -> Allowed | Denied:
        """Decide whether a client of ``domain`` may send ``method`` for ``path`` (with its query) to ``target``."""
        decision = super().decide(domain, method, target, path)
        if isinstance(decision, Allowed):
            return decision
        if target.host not in self._open:
            if decision.kind != "host":
                return decision
            near = _similar(target.host, sorted(self._open))
            return decision._replace(nearest=f"host {target.host} is not in [hosts], and no rule names it{near}")
        methods = frozenset((method,))
        rule = make_rule(target.scheme, target.host, target.port, "/", methods, type=AUTOMATIC_CUCM)
        return Allowed(rule, decision.deployment_number)


class _Origin:
    """The rules of one deployment for one scheme, host and port. Call ``finish`` after the last ``add``."""

    __slots__ = ("_exact", "_folded", "_lengths", "_paths", "_prefixes")

    def __init__(self) -> None:
        # path (and query) -> method -> row and decision of the first such rule; rows count from 1
        self._exact: dict[tuple[str, str], dict[str, tuple[int, Allowed]]] = {}
        self._prefixes: dict[str, dict[str, tuple[int, Allowed]]] = {}
        self._lengths: tuple[int, ...] = ()
        self._folded: dict[str, tuple[int, Allowed]] = {}
        self._paths: list[tuple[str, int, Allowed]] = []

    def add(self, row: int, allowed: Allowed) -> None:
        """Add a rule under its path as written and as decoded, which covers all its readings."""
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
        """Prepare look-ups, after all rules were added."""
        self._lengths = tuple(sorted({len(prefix) for prefix in self._prefixes}, reverse=True))
        self._paths.sort(key=lambda entry: entry[:2])

    def find(self, bare: str, query: str, method: str) -> Allowed | None:
        """Return the decision of the first rule that allows ``method``, None if no rule does; ``bare`` has no query."""
        if self._exact:
            for key in ((bare, query), (bare, "")):
                if (methods := self._exact.get(key)) is not None and method in methods:
                    return methods[method][1]
        for length in self._lengths:
            if length <= len(bare) and (methods := self._prefixes.get(bare[:length])) and method in methods:
                return methods[method][1]
        return None

    def nearest(self, bare: str, query: str, method: str, target: Target) -> tuple[str, Miss]:
        """Return why :meth:`find` returned None: a sentence about the nearest rule, and the difference to it."""
        other_methods = self._exact.get((bare, query)) or self._exact.get((bare, ""))
        for length in self._lengths:
            if other_methods is None and length <= len(bare):
                other_methods = self._prefixes.get(bare[:length])
        if other_methods:
            row, allowed = min(other_methods.values(), key=lambda entry: entry[0])
            allows = listed(sorted(allowed.rule.allowed_methods))
            case = "; methods are in capitals" if method.upper() in allowed.rule.allowed_methods else ""
            return f"rule {row} {allowed.rule.url} allows {allows}, not {method[:40]}{case}", "method"
        folded = bare.lower()
        for length in dict.fromkeys((len(bare), *self._lengths)):
            found = self._folded.get(folded[:length]) if length <= len(bare) else None
            if found is not None and self._matches_except_case(found[1].rule, bare, query):
                row, allowed = found
                methods = allowed.rule.allowed_methods
                more = "" if method in methods else f", and allows {listed(sorted(methods))}, not {method[:40]}"
                return f"rule {row} {allowed.rule.url} differs in upper and lower case of the path{more}", "case"
        at = bisect_left(self._paths, bare, key=lambda entry: entry[0])
        neighbours = self._paths[max(0, at - 1) : at + 2]
        _, row, allowed = max(neighbours, key=lambda entry: _common_prefix_length(entry[0], bare))
        closest = f"rule {row} {allowed.rule.url} ({allowed.rule.match})"
        shown = bare if len(bare) <= 120 else f"{bare[:120]}..."
        return f"no rule for {target.authority} covers path {shown}; closest is {closest}", "path"

    @staticmethod
    def _matches_except_case(rule: Rule, bare: str, query: str) -> bool:
        path, _, rule_query = rule.path.partition("?")
        if bare.startswith(path):
            return False
        return rule.match == "prefix" or (len(path) == len(bare) and rule_query in ("", query))


def _uncovered_reading(rule: Rule, reading: str) -> str:
    shown = "in too many ways" if not reading else "as " + ascii(reading[:120])
    return f"rule {rule.url} matches the path as written, but it can also be read {shown}, which no rule allows"


def _similar(host: str, hosts: list[str]) -> str:
    """Return ``; did you mean X?`` with a similar name near ``host`` in sorted ``hosts``, or nothing."""
    at = bisect_left(hosts, host)
    near = nearest(host, hosts[max(0, at - 8) : at + 8])
    return f"; did you mean {near}?" if near else ""


def _common_prefix_length(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))
