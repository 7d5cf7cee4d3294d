"""The schemas of every release of pydantic 2 get one form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.cli.schema import DOCUMENTS, document_schema
from mralab.web.json_schema import uniform
from mralab.web.openapi import describe


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"allOf": [{"$ref": "#/a"}], "description": "d"}, {"$ref": "#/a", "description": "d"}),
        ({"const": 1, "enum": [1], "type": "integer"}, {"const": 1, "type": "integer"}),
        ({"type": "object"}, {"type": "object", "additionalProperties": True}),
        ({"exclusiveMinimum": 0.0, "maximum": 0.5}, {"exclusiveMinimum": 0, "maximum": 0.5}),
    ],
)
@pytest.mark.parametrize(
    "outer",
    [
        lambda schema: schema,
        lambda schema: {"type": "object", "properties": {"allOf": schema}},
        lambda schema: {"type": "array", "items": schema},
        lambda schema: {"anyOf": [schema, {"type": "null"}]},
        lambda schema: {"$defs": {"const": schema}},
        lambda schema: {"type": "object", "patternProperties": {"^x": schema}, "additionalProperties": schema},
    ],
)
def test_an_old_form_is_replaced_at_any_depth(old: Any, new: Any, outer: Any) -> None:
    assert uniform(outer(old)) == outer(new)
    assert [type(uniform(old)[key]) for key in new] == [type(value) for value in new.values()]


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#/a"}, {"$ref": "#/b"}]},
        {"allOf": [{"type": "string"}], "description": "d"},
        {"enum": [1, 2]},
        {"default": {"type": "object"}, "examples": [{"const": 1, "enum": [1]}]},
        {"type": "object", "additionalProperties": False},
        True,
    ],
)
def test_what_is_no_old_form_stays(schema: Any) -> None:
    assert uniform(schema) == schema


def test_what_is_printed_and_described_has_that_form() -> None:
    for schema in (*map(document_schema, DOCUMENTS), *describe("1")["components"]["schemas"].values()):
        assert uniform(schema) == schema


_SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"const": st.integers(), "enum": st.lists(st.integers()), "minimum": st.floats()}
    ),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"allOf": st.lists(inner), "items": inner, "properties": st.dictionaries(st.text(), inner)}
    ),
)


@given(_SCHEMAS)
def test_it_is_idempotent(schema: Any) -> None:
    assert repr(uniform(uniform(schema))) == repr(uniform(schema))
