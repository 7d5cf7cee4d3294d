"""JSON schemas in one form, whichever release of pydantic 2 wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NAMED: Final = frozenset(("$defs", "patternProperties", "properties"))
"""Keywords whose value has a schema under each name."""
_LISTED: Final = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_NESTED: Final = frozenset(("additionalProperties", "items", "propertyNames"))
_BOUNDS: Final = frozenset(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"))


def uniform(schema: Any) -> Any:
    """Return a schema as pydantic 2.14 writes it.

    pydantic 2.8 puts a reference beside other keywords into an ``allOf`` of its own, adds an ``enum`` to a ``const``,
    leaves out ``additionalProperties`` if it is true, and writes the bounds of a float as floats.
    """
    if not isinstance(schema, Mapping):  # true or false
        return schema
    found = {keyword: _uniform_value(keyword, value) for keyword, value in schema.items()}
    if len(alone := found.get("allOf", ())) == 1 and isinstance(alone[0], Mapping) and "$ref" in alone[0]:
        del found["allOf"]
        found = {**alone[0], **found}
    if "const" in found:
        found.pop("enum", None)
    if found.get("type") == "object" and not found.keys() & {"additionalProperties", "patternProperties", "properties"}:
        found["additionalProperties"] = True
    return found


def _uniform_value(keyword: str, value: Any) -> Any:
    if keyword in _NAMED:
        return {name: uniform(each) for name, each in value.items()}
    if keyword in _LISTED:
        return [uniform(each) for each in value]
    if keyword in _NESTED:
        return uniform(value)
    if keyword in _BOUNDS and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
