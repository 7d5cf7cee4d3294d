"""docs/configuration.md, generated from ``mralab.config``: ``python -m tests.config_reference`` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from mralab.config import KEYS, Config, DeclaredKey, HostEntry, declared_keys

FILE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
_HEAD: Final = """# Configuration

Every key of a configuration file (TOML) has a default, so an empty file is valid. An unknown key is an error. Relative
paths are relative to the file. Written by `python -m tests.config_reference` from `tables.py` and `model.py` in
`proxy/mralab/config/`; edit those.

| applies | a changed value is in force |
|---|---|
| live | from the next request after `PATCH /api/config`, or after a reload |
| reload | from the next request after a reload (SIGHUP) |
| start | at the next start; a reload names the changed keys on standard error |

`mralab lab -c FILE` applies every key, unless its description says otherwise. It refuses a `[hosts]` entry for one of
its own nodes, or for a server of `--like`. `--listen`, `--admin`, `--log` and `--release` take precedence over their
keys.
"""


_HOST_KEYS: Final = tuple(declared_keys(HostEntry, "hosts"))
_HOST_EXAMPLE: Final = {host.name: host.key.example for host in _HOST_KEYS if host.name not in ("port", "node")}


def document() -> str:
    """Return the document."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    yield "\n## Outside tables\n" + _rows(Config, [key for key in KEYS if not key.table and key.name != "hosts"])
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            summary = str(field.annotation.__doc__).partition(": ")[2].strip()
            yield f"\n## [{name}]\n{summary[:1].upper()}{summary[1:]}\n"
            yield _rows(field.annotation, [key for key in KEYS if key.table == name])
        elif name == "hosts":
            (hosts,) = (key for key in KEYS if key.path == name)
            yield f"\n## [hosts]\n{hosts.key.description}\n"
            yield f'Each entry is a table, such as `"cucm.example.com" = {_toml(_HOST_EXAMPLE)}`.\n'
            yield _rows(HostEntry, _HOST_KEYS)


def _rows(model: type[BaseModel], keys: Iterable[DeclaredKey]) -> str:
    """Return the table of the keys, which are fields of ``model``."""
    schemas = model.model_json_schema()["properties"]
    rows = [_row(declared, schemas[declared.name]) for declared in keys]
    return "\n| key | values | default | applies | description |\n|---|---|---|---|---|\n" + "".join(rows)


def _row(declared: DeclaredKey, schema: dict[str, Any]) -> str:
    text = declared.key.description
    if declared.key.refused_by_lab:
        text += f" `mralab lab` refuses another value: {declared.key.refused_by_lab}."
    default = "" if declared.default is None else f"`{_toml(declared.default)}`"
    return f"| `{declared.name}` | {_values(schema)} | {default} | {declared.key.applies} | {text} |\n"


def _values(schema: dict[str, Any]) -> str:
    """Return the values that a JSON schema allows, in words."""
    if "anyOf" in schema:
        (schema,) = (option for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        names = schema["enum"]
        return f"`{names[0]}` to `{names[-1]}`" if len(names) > 10 else ", ".join(f"`{_toml(name)}`" for name in names)
    kind = schema["type"]
    if kind == "array":
        return f"list of {_values(schema['items'])}"
    if kind == "integer":
        return f"whole number, {schema['minimum']} to {schema['maximum']}"
    if kind == "number":
        return f"number, above {schema['exclusiveMinimum']:g}, at most {schema['maximum']:g}"
    return {"string": "text", "boolean": "`true`, `false`", "object": "table"}[kind]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


if __name__ == "__main__":
    FILE.write_text(document())
