"""Check what a scenario names: nodes and their ports, recipes, faults, keys of a configuration, codes, remedies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..config import load
from ..core.counting import counted
from ..core.mra.allowlist import RulesError, parse_rules_csv
from ..core.nearest import did_you_mean
from ..data import data_path
from ..diagnose.comparisons import COMPARED_CODES
from ..diagnose.remedies import REMEDIES
from ..diagnose.rules import CODES
from ..errors import ConfigError
from ..mocks.faults.made import problems_of_fault
from ..mocks.pki import Pki, mint, read_recipes
from .nodes import NODES
from .scenario_model import Scenario, Stage

RULES_HEADER: Final = "Url,Deployment,HttpMethods,MatchType,Description"

_PURPOSES: Final = ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA")
"""What CUCM, IM and Presence and Unity Connection present to clients of the ports that the lab has."""

_DECIDED: Final = {
    "release": "the run decides it",
    "log.file": "the run decides it",
    "trust.store": "set trust to the names of recipes",
    "upstream.prefer": "set prefer outside of expressway",
    "upstream.certificate": "set own_certificate to the name of a recipe",
    "proxy.workers": "a lab runs in one process",
}
"""Keys of a configuration that a scenario does not set in ``expressway``, with what to do instead."""


def problems_of(scenario: Scenario) -> list[str]:
    """Return every problem of a scenario whose keys have values of the right types."""
    recipes = {**read_recipes(), **scenario.recipes}
    return [
        *_recipes(scenario),
        *_used_recipes(scenario, recipes),
        *_nodes(scenario),
        *_faults(scenario, recipes),
        *_rules(scenario),
        *_expressway(scenario),
        *_expectations(scenario),
    ]


def scenario_recipes(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """Return the scenario's recipes with the keys of those that they are ``like``."""
    known: dict[str, dict[str, Any]] = {**scenario.recipes, **read_recipes()}
    return {name: _resolved(name, known) for name in scenario.recipes}


def with_recipes(pki: Pki, scenario: Scenario) -> Pki:
    """Return the certificates of a scenario: those of ``pki``, and its own. Raises ``ConfigError``."""
    return pki.extended(scenario_recipes(scenario), "recipes") if scenario.recipes else pki


def _resolved(name: str, known: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    table = dict(known[name])
    like = table.pop("like", None)
    if not isinstance(like, str) or like not in known or like in (*seen, name):
        return table
    base = _resolved(like, known, (*seen, name))
    # A self-signed certificate is its own issuer; so is one that is like it.
    return {**base, **table}


def _recipes(scenario: Scenario) -> Iterator[str]:
    shipped = read_recipes()
    known = {**shipped, **scenario.recipes}
    for name, table in scenario.recipes.items():
        like = table.get("like")
        if name in shipped:
            yield f"recipes.{name}: is a recipe of certs/pki.toml: choose another name"
        if like is not None and like not in known:
            yield f"recipes.{name}.like: {like!r} is not a recipe{did_you_mean(str(like), known)}"
    try:
        mint({**scenario_recipes(scenario), **shipped}, source="recipes")
    except ConfigError as error:
        yield from error.problems


def _used_recipes(scenario: Scenario, recipes: Mapping[str, Any]) -> Iterator[str]:
    used = [("trust", name) for name in scenario.trust]
    used += [(f"peers.{peer}.trust", name) for peer, table in scenario.peers.items() for name in table.trust]
    used += [
        (f"certificates.{node}.{purpose}", name)
        for node, purposes in scenario.certificates.items()
        for purpose, name in purposes.items()
    ]
    if scenario.own_certificate:
        used.append(("own_certificate", scenario.own_certificate))
    for node, purposes in scenario.certificates.items():
        for purpose in purposes:
            if purpose not in _PURPOSES:
                yield f"certificates.{node}.{purpose}: is not a purpose{did_you_mean(purpose, _PURPOSES)}"
    for key, name in used:
        if name not in recipes:
            yield f"{key}: {name!r} is not a recipe{did_you_mean(name, recipes)}"


def _nodes(scenario: Scenario) -> Iterator[str]:
    if not scenario.home:
        yield "home: names no node"
    for name in scenario.home:
        if name not in NODES or not NODES[name].is_cucm:
            near = did_you_mean(name, [each for each, row in NODES.items() if row.is_cucm])
            yield f"home: {name!r} is not a CUCM node{near}"
    for key, text in (
        *(("down", text) for text in scenario.down),
        *(("certificates", text) for text in scenario.certificates),
        *((f"faults[{number}].at", entry.at) for number, entry in enumerate(scenario.faults, 1)),
    ):
        name, colon, port = text.partition(":")
        if name not in NODES:
            yield f"{key}: {name!r} is not a node{did_you_mean(name, NODES)}"
        elif (colon and not port.isdecimal()) or (key.endswith(".at") and not colon):
            yield f"{key}: {text!r} is not NODE:PORT, such as {name}:8443"


def _faults(scenario: Scenario, recipes: Mapping[str, Any]) -> Iterator[str]:
    for number, entry in enumerate(scenario.faults, 1):
        problems = problems_of_fault(entry.fault, entry.arguments, recipes)
        yield from (f"faults[{number}].{problem}" for problem in problems)


def _rules(scenario: Scenario) -> Iterator[str]:
    for number, rule in enumerate(scenario.rules or (), 1):
        try:
            parse_rules_csv(f"{RULES_HEADER}\n{rule}", "rules")
        except RulesError as error:
            yield from (f"rules[{number}]: {problem.partition(': ')[2]}" for problem in error.problems)


def _expressway(scenario: Scenario) -> Iterator[str]:
    tables = scenario.expressway
    for path, instead in _DECIDED.items():
        table, _, name = path.rpartition(".")
        if (not table and name in tables) or (isinstance(keys := tables.get(table), Mapping) and name in keys):
            yield f"expressway.{path}: {instead}"
    if scenario.rules is not None and isinstance(allow := tables.get("allow"), Mapping) and "rules" in allow:
        yield "expressway.allow.rules: rules has the rules already"
    try:
        load(data_path("config/lab.toml")).changed(**tables)
    except ConfigError as error:
        for problem in error.problems:
            yield f"expressway.{problem.removeprefix('configuration: ')}"
    except TypeError as error:  # a table named as a parameter of ``changed``
        yield f"expressway: {error}"


def _expectations(scenario: Scenario) -> Iterator[str]:
    expect = scenario.expect
    for key, stage in (("expect", expect), ("expect.before", expect.before), ("expect.after", expect.after)):
        yield from _stage(key, stage, scenario.logins)
    yield from _unknown_codes("expect.diagnosis", expect.diagnosis, COMPARED_CODES)
    known = ("vcsc", *scenario.peers)
    for peer in expect.peers:
        if peer not in known:
            yield f"expect.peers: {peer!r} is not a peer of this scenario{did_you_mean(peer, known)}"
    codes = {remedy.code for remedy in REMEDIES.values()} | {"first"}
    if scenario.remedy not in codes:
        yield f"remedy: {scenario.remedy!r} is not the code of a remedy{did_you_mean(scenario.remedy, codes)}"


def _stage(key: str, stage: Stage, logins: int) -> Iterator[str]:
    if stage.login is not None and len(stage.login) not in (1, logins):
        yield f"{key}.login: has {counted(len(stage.login), 'result')} for {counted(logins, 'login')}"
    for server, codes in stage.servers.items():
        if not server.rpartition(":")[2].isdecimal():
            yield f"{key}.{server!r}: is not SERVER:PORT"
        yield from _unknown_codes(f"{key}.{server!r}", codes, CODES)


def _unknown_codes(key: str, codes: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    known = tuple(known)
    for code in codes:
        if code not in known:
            yield f"{key}: {code!r} is not the code of a finding{did_you_mean(code, known)}"
