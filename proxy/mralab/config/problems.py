"""The messages of an invalid configuration, made from pydantic's errors in TOML's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from ..core.nearest import did_you_mean
from .keys import SECRET

_LONGEST_SHOWN: Final = 200  # characters of a value in a message

_MUST_BE: Final = {
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list, in brackets",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
}
"""Pydantic's error type for a value of the wrong type -> the message in TOML's terms."""


def describe(detail: Mapping[str, Any], source: str, model: type[BaseModel], entry: type[BaseModel]) -> str:
    """Return the message of one pydantic error of ``model``, a configuration read from ``source``.

    ``entry`` is the model of one host in ``[hosts]``.
    """
    location = tuple(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return describe_unknown(location, source, model, entry, detail.get("input"))
    message = _MUST_BE.get(detail["type"], str(detail["msg"]).removeprefix("Value error, "))
    if len(location) == 2 and location[0] == "hosts" and detail["type"] == "model_type":
        message += ' such as { dial = "127.0.0.1", port = 8443 }'
    if detail["type"] == "literal_error":
        expected = str(detail["ctx"]["expected"]).replace("'", "")
        words = expected.replace(" or ", ", ").split(", ")
        message = f"must be {expected}{did_you_mean(str(detail['input']), words)}"
    shown = "" if _is_secret(location, model) else _shown_value(detail.get("input"))
    return f"{source}: {_shown_key(location)}: {message[:1].lower()}{message[1:]}{shown}"


def _is_secret(location: tuple[str, ...], model: type[BaseModel]) -> bool:
    """Return whether the value at ``location`` must not be in a message."""
    table = _tables(model).get(location[0]) if len(location) > 1 else None
    field = table.model_fields.get(location[1]) if table is not None else None
    return field is not None and SECRET in field.metadata


def describe_unknown(
    location: tuple[str, ...], source: str, model: type[BaseModel], entry: type[BaseModel], value: object = None
) -> str:
    """Return the message of an unknown key, with the nearest key of its table, or the table that has this key."""
    kind = "table or key" if len(location) == 1 else "key"
    where = f"{source}: {_shown_key(location)}: unknown {kind}"
    name = location[-1]
    if location[0] == "hosts" and len(location) == 3 and isinstance(value, dict):
        is_split = "." not in location[1] and not did_you_mean(name, entry.model_fields)
        if is_split:  # [hosts] cucm.example.com = {..}
            return f'{where}; a name with dots needs quotes: "{location[1]}.{name}..."'
    if len(location) == 1 and not isinstance(value, dict):
        tables = [table for table, keys in _tables(model).items() if name in keys.model_fields]
        if tables:
            return f"{where}; it belongs to {' or '.join(f'[{table}]' for table in tables)}"
    table = _table_at(location[:-1], model, entry)
    return f"{where}{did_you_mean(name, [key for key, field in table.model_fields.items() if not field.exclude])}"


def _table_at(path: tuple[str, ...], model: type[BaseModel], entry: type[BaseModel]) -> type[BaseModel]:
    """Return the model of the table at ``path``."""
    if path[:1] == ("hosts",):
        return entry
    for part in path:
        model = _tables(model).get(part, model)
    return model


def _tables(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _shown_value(value: object) -> str:
    """Return `` (is VALUE)`` for a message; empty for tables, lists and PEM text, which may be a private key."""
    if isinstance(value, str):
        if "-----BEGIN" in value:
            return ""
        if len(value) > _LONGEST_SHOWN:
            value = f"{value[: _LONGEST_SHOWN - 3]}..."
    if isinstance(value, bool):
        return f" (is {str(value).lower()})"
    return f" (is {value!r})" if isinstance(value, (str, int, float)) else ""


def _shown_key(location: tuple[str, ...]) -> str:
    """Return a key with its tables, in one line and without control characters, which a terminal would execute."""
    key = ".".join(location)
    return key if key.isprintable() else ascii(key)[1:-1]
