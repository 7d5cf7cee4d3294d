"""The switches of ``mralab set``: each live key of the configuration by a short name, its values as people type them.

A lab has more (``LAB_SWITCHES``), which are settings of its CUCM and no keys of the configuration.

Names, allowed values and descriptions come from the configuration's model. A value is text of the command line; the
model judges it, so that ``set`` accepts what a configuration file does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..config import KEYS, Config, DeclaredKey, from_mapping, live_tables
from ..core.log.escape import visible
from ..core.nearest import did_you_mean
from ..core.release import NEWEST, OLDEST
from ..errors import ConfigError, InputError

_DEFAULT: Final = "default"
_MOST_WORDS: Final = 10  # of an enumeration that is listed; there are more releases
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_FIXED: Final = {
    "reload": "change it in the configuration file and send SIGHUP",
    "start": "change it in the configuration file and start again",
}


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch. ``name`` is the key without its table, ``schema`` the key's JSON schema."""

    declared: DeclaredKey
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The key without its table: ``prefer``."""
        return self.declared.name

    @property
    def path(self) -> str:
        """The key with its table: ``upstream.prefer``."""
        return self.declared.path

    @property
    def does(self) -> str:
        """What the switch does, in plain text."""
        return _LINK.sub(r"\1", self.declared.key.description).replace("`", "")

    @property
    def allowed(self) -> str:
        """The allowed values."""
        if self.declared.names_file:
            return 'a file, or "" for none'
        kinds = self.schema.get("anyOf", [self.schema])
        texts = [_allowed(kind) for kind in kinds if kind["type"] != "null"]
        if len(kinds) > 1 or self.declared.default == "":
            texts.append(_DEFAULT)
        return ", ".join(texts)

    def value(self, text: str) -> Any:
        """Return the value of a text for the configuration. Raises ``ConfigError`` or ``ValueError``."""
        kind = self.schema.get("anyOf", [self.schema])[0]
        value: Any = text
        if text.lower() == _DEFAULT and ("anyOf" in self.schema or self.declared.default == ""):
            value = self.declared.default
        elif self.declared.names_file:
            value = str(Path(text).expanduser().absolute()) if text else ""  # the proxy has another current folder
        elif kind["type"] == "array":
            value = [part for part in re.split(r"[,\s]+", text) if part]
        elif kind["type"] in ("integer", "number"):
            value = _number(text, self.allowed)
        elif text.lower() in kind.get("enum", ()):
            value = text.lower()
        from_mapping(self.change(value))
        return value

    def change(self, value: Any) -> dict[str, Any]:
        """Return a change of the configuration, as ``PATCH /api/config`` accepts it."""
        return {self.declared.table: {self.name: value}} if self.declared.table else {self.name: value}

    def present(self, answer: Mapping[str, Any]) -> str:
        """Return the value in an answer of ``GET /api/config`` as people type it."""
        table = answer[self.declared.table] if self.declared.table else answer
        value = table[self.name]
        return shown(value)


def shown(value: object) -> str:
    """Return a value of ``GET /api/config`` as people type it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if value is None:
        return "-"  # the order of ciphers decides
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def _allowed(schema: Mapping[str, Any]) -> str:
    if schema["type"] == "array":
        return f"{_allowed(schema['items'])}, or several with commas"
    if words := schema.get("enum"):
        return ", ".join(words) if len(words) <= _MOST_WORDS else f"{OLDEST} to {NEWEST}"
    if schema["type"] == "integer":
        return f"{schema['minimum']} to {schema['maximum']}"
    if schema["type"] == "number":
        return f"a number above {schema['exclusiveMinimum']}, up to {schema['maximum']}"
    return "an OpenSSL cipher string"


def _number(text: str, allowed: str) -> float:
    try:
        return int(text) if re.fullmatch("[0-9]{1,18}", text) else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number; allowed: {allowed}") from None


def _switches() -> dict[str, Switch]:
    schema = Config.model_json_schema()
    found = {}
    for keys in live_tables().values():
        for declared in keys:
            table = Config.model_fields[declared.table].annotation if declared.table else None
            properties = schema["$defs"][table.__name__]["properties"] if table else schema["properties"]
            found[declared.name] = Switch(declared, properties[declared.name])
    return found


SWITCHES: Final = _switches()
"""Short name -> switch, in the order of the configuration."""


class LabSwitch(NamedTuple):
    """A switch that a lab alone has. ``words`` are its values; ``shown`` maps the words of ``GET /api/lab`` to them."""

    words: tuple[str, ...]
    does: str
    shown: Mapping[str, str] = {}

    def present(self, value: str) -> str:
        """Return a value of ``GET /api/lab`` as people type it."""
        return self.shown.get(value, value)


LAB_SWITCHES: Final[Mapping[str, LabSwitch]] = {
    "advertise": LabSwitch(
        ("fqdn", "ip"), "System > Server of the lab's CUCM: what clients are sent to, host names or addresses."
    ),
    "https_ciphers": LabSwitch(
        ("rsa", "all"),
        "Enterprise parameter HTTPS Ciphers of the lab's CUCM: RSA only, or EC and RSA.",
        {"RSA Ciphers Only": "rsa", "All Supported EC and RSA Ciphers": "all"},
    ),
}
"""Name -> switch, named as the keys of ``PATCH /api/lab``."""


class Changes(NamedTuple):
    """Changes for ``PATCH /api/config`` and for ``PATCH /api/lab``; empty: nothing to change."""

    config: dict[str, Any]
    lab: dict[str, str]


def parse_changes(words: Sequence[str]) -> Changes:
    """Return the changes for ``KEY VALUE ...``, or ``KEY=VALUE``; ``KEY`` may have its table.

    Raises ``InputError`` with every problem in the words.
    """
    change: dict[str, Any] = {}
    lab: dict[str, str] = {}
    problems: list[str] = []
    seen: set[str] = set()
    for given, text in _pairs(words):
        switch, key = _find(given), visible(given)
        name = _plain(given)
        if name in LAB_SWITCHES:
            words_allowed = LAB_SWITCHES[name].words
            if name in lab:
                problems.append(f"{key}: is given twice")
            elif text is None or text.lower() not in words_allowed:
                near = did_you_mean(text or "", words_allowed)
                problems.append(f"{key}: must be {' or '.join(words_allowed)}{near} (is {visible(text or '')!r})")
            else:
                lab[name] = text.lower()
        elif switch is None:
            problems.append(_unknown(key))
        elif text is None:
            problems.append(f"{key}: no value; allowed: {switch.allowed}")
        elif switch.name in seen:
            problems.append(f"{key}: is given twice")
        else:
            seen.add(switch.name)
            try:
                _merge(change, switch.change(switch.value(text)))
            except ConfigError as error:
                problems += [problem.removeprefix("configuration: ") for problem in error.problems]
            except ValueError as error:
                problems.append(f"{switch.path}: {error}")
    if problems:
        raise InputError(problems, "mralab set lists the keys and their values")
    return Changes(change, lab)


def _pairs(words: Iterable[str]) -> list[tuple[str, str | None]]:
    pairs: list[tuple[str, str | None]] = []
    rest = iter(words)
    for word in rest:
        key, equals, value = word.partition("=")
        if equals and (_find(key) or _fixed(key) or _plain(key) in LAB_SWITCHES or not value):
            pairs.append((key, value))
        else:
            pairs.append((word.removesuffix(":"), next(rest, None)))
    return pairs


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")


def _find(key: str) -> Switch | None:
    name = _plain(key)
    return next((switch for switch in SWITCHES.values() if name in (switch.name, switch.path)), None)


def _fixed(key: str) -> DeclaredKey | None:
    """Return the key of the configuration that a running proxy does not change, if ``key`` is one."""
    return next((each for each in KEYS if key in (each.path, each.name) and each.key.applies in _FIXED), None)


def _unknown(key: str) -> str:
    fixed = _fixed(key)
    if fixed is not None:
        return f"{key}: a running proxy does not change it; {_FIXED[fixed.key.applies]}"
    known = [*SWITCHES, *LAB_SWITCHES, *(switch.path for switch in SWITCHES.values())]
    return f"{key}: no such key{did_you_mean(key, known)}"


def _merge(change: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, Mapping):
            change.setdefault(name, {}).update(value)
        else:
            change[name] = value
