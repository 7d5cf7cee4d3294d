"""Named failures, read from config/scenarios or from a file of the user's: the lab's setup and the expected findings.

A scenario does not say why it fails or what helps: ``diagnose.findings`` derives that from the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from ..config import KEYS, read_toml
from ..core.nearest import did_you_mean
from ..data import data_path
from ..errors import ConfigError
from .scenario_checks import problems_of
from .scenario_model import TABLES, Scenario

__all__ = ["Scenario", "find_scenarios", "load_scenario", "scenario_named", "shipped_scenarios"]

_MUST_BE: Final = {
    "missing": "is missing",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list, in brackets",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number, without quotes",
}
"""Pydantic's error type -> the message in TOML's terms."""


def load_scenario(file: Path) -> Scenario:
    """Return the scenario of a TOML file. Raises ``ConfigError`` with every problem in it."""
    data = {"name": file.stem, **read_toml(file)}
    try:
        scenario = Scenario(**_with_absolute_paths(data, file.resolve().parent))
    except ValidationError as error:
        raise ConfigError([_described(detail, file) for detail in error.errors(include_url=False)]) from None
    if problems := [f"{file}: {problem}" for problem in problems_of(scenario)]:
        raise ConfigError(problems)
    return scenario


def shipped_scenarios() -> tuple[Scenario, ...]:
    """Return the scenarios that come with mralab, those of the article first."""
    found = [load_scenario(file) for file in sorted(data_path("config/scenarios").glob("*.toml"))]
    return tuple(sorted(found, key=lambda scenario: (scenario.order, scenario.name)))


def scenario_named(name: str) -> Scenario:
    """Return the shipped scenario of this name. Raises ``ConfigError`` with the nearest name if there is none."""
    known = {file.stem: file for file in sorted(data_path("config/scenarios").glob("*.toml"))}
    if name not in known:
        raise ConfigError(
            [f"{name!r} is not a scenario{did_you_mean(name, known)}"], "mralab scenarios lists the names"
        )
    return load_scenario(known[name])


def find_scenarios(words: Iterable[str]) -> tuple[Scenario, ...]:
    """Return the scenarios that ``words`` name: names of shipped ones, or TOML files.

    Raises ``ConfigError`` with every problem in all of them.
    """
    found: list[Scenario] = []
    problems: list[str] = []
    hint = ""
    for word in words:
        try:
            found.append(load_scenario(Path(word)) if _is_file(word) else scenario_named(word))
        except ConfigError as error:
            problems += error.problems
            hint = hint or error.hint
    names = [scenario.name for scenario in found]
    problems += [f"{name}: is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise ConfigError(problems, hint)
    return tuple(found)


def _is_file(word: str) -> bool:
    return word.endswith(".toml") or "/" in word


def _with_absolute_paths(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data with the files that ``expressway`` names relative to the scenario's folder."""
    tables = data.get("expressway")
    if not isinstance(tables, Mapping):
        return data
    tables = {table: dict(keys) if isinstance(keys, Mapping) else keys for table, keys in tables.items()}
    for declared in KEYS:
        keys = tables.get(declared.table)
        if (
            declared.names_file
            and isinstance(keys, dict)
            and isinstance(value := keys.get(declared.name), str)
            and value
        ):
            keys[declared.name] = str(folder / Path(value).expanduser())
    return {**data, "expressway": tables}


def _described(detail: Mapping[str, Any], file: Path) -> str:
    """Return the message of one pydantic error, in TOML's terms."""
    location, kind, value = detail["loc"], str(detail["type"]), detail.get("input")
    where = f"{file}: {_key(location)}"
    if kind == "extra_forbidden":
        return f"{where}: unknown key{did_you_mean(str(location[-1]), _keys(location[:-1]))}"
    message = _MUST_BE.get(kind, str(detail["msg"]).removeprefix("Value error, "))
    if kind == "literal_error":
        expected = str(detail["ctx"]["expected"]).replace("'", "")
        words = expected.replace(" or ", ", ").split(", ")
        message = f"must be {expected}{did_you_mean(str(value), words)}"
    shown = f" (is {value!r})" if isinstance(value, (str, int, float, bool)) and kind != "missing" else ""
    return f"{where}: {message[:1].lower()}{message[1:]}{shown}"


def _key(location: Iterable[str | int]) -> str:
    """Return a key with its tables; the entries of a list count from 1."""
    parts = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location if part != "SERVER:PORT"]
    return "".join(parts).removeprefix(".")


def _keys(table: Iterable[str | int]) -> list[str]:
    """Return the keys of a table of a scenario."""
    names = [str(part) for part in table if not isinstance(part, int)]
    model: type[BaseModel] = TABLES.get(".".join(names)) or TABLES.get(names[0] if names else "", Scenario)
    return list(model.model_fields)
