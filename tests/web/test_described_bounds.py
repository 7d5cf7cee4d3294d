"""What the OpenAPI description allows in a body is not refused as invalid (400), and what it bounds is bounded."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mralab import Lab
from mralab.mocks.pki import Pki, mint
from mralab.web.openapi import describe
from mralab.web.operations import OPERATIONS, Operation

from .labs import AdministeredLab, administered

WITH_BODY: Final = [operation for operation in OPERATIONS if operation.body is not None]
LONG_TEXTS: Final = {"pem", "certificate", "key", "issuer", "parameters.certificate"}
"""Certificates and keys: only the size of the body bounds them (413)."""
LONGER: Final = 5000  # characters: more than strictjson allows in another text
LARGEST: Final = 2**53 - 1
DESCRIPTION: Final = describe("1")
Schema = dict[str, Any]


@pytest.fixture(scope="module")
def pki() -> Pki:
    return mint()


@pytest.fixture
async def lab(pki: Pki) -> AsyncIterator[AdministeredLab]:
    async with administered(Lab("X14.2", pki=pki)) as running:
        yield running


def resolved(schema: Any) -> Any:
    """Return a schema with the types that it refers to in their place."""
    if isinstance(schema, list):
        return [resolved(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: resolved(value) for key, value in schema.items() if key != "$ref"}
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**resolved(DESCRIPTION["components"]["schemas"][name]), **found} if name else found


def body_of(operation: Operation) -> Schema:
    route = DESCRIPTION["paths"][operation.path][operation.method.lower()]
    schema: Schema = resolved(route["requestBody"]["content"]["application/json"]["schema"])
    return schema


def leaves(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield the schema of every value inside a body, with its path; ``*`` is any name, or any place in a list."""
    if "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from leaves(each, path)
        return
    yield path, schema
    inner = [*schema.get("properties", {}).items()]
    inner += [("*", each) for each in schema.get("patternProperties", {}).values()]
    inner += [("*", schema["items"])] if "items" in schema else []
    for name, each in inner:
        yield from leaves(each, f"{path}.{name}".lstrip("."))


def unbounded(path: str, schema: Schema) -> str:
    """Return why a schema allows values that the parser refuses; empty if it does not."""
    kind = schema.get("type")
    if kind == "string" and "enum" not in schema and path not in LONG_TEXTS and schema.get("maxLength", LONGER) > 4096:
        return "a text without maxLength"
    low, high = (schema.get(f"exclusive{name.title()}", schema.get(name)) for name in ("minimum", "maximum"))
    if kind in ("integer", "number") and (low is None or high is None or max(-low, high) > LARGEST):
        return "a number without bounds"
    if kind == "array" and schema.get("maxItems", LONGER) > 1000:
        return "a list without maxItems"
    if kind == "object" and "patternProperties" in schema and schema.get("maxProperties", LONGER) > 256:
        return "an object without maxProperties"
    if kind == "object" and schema.get("additionalProperties") is not False:
        return "an object with any names"
    return ""


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda each: each.name)
def test_every_value_of_a_body_is_bounded(operation: Operation) -> None:
    problems = [(path, unbounded(path, schema)) for path, schema in leaves(body_of(operation))]
    assert [(path, problem) for path, problem in problems if problem] == []


def values(schema: Schema, path: str = "") -> st.SearchStrategy[Any]:
    """Return the values that a schema allows, the longest texts included."""
    if "anyOf" in schema:
        return st.one_of([values(each, path) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema["type"]
    if kind == "string":
        return texts(schema, path)
    if kind == "integer":
        return st.integers(schema.get("minimum"), schema.get("maximum"))
    if kind == "number":
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        return st.floats(low, schema.get("maximum"), exclude_min="exclusiveMinimum" in schema, allow_nan=False)
    if kind == "array":
        return st.lists(
            values(schema["items"], f"{path}.*"),
            min_size=schema.get("minItems", 0),
            max_size=min(schema["maxItems"], 4),
        )
    return objects(schema, path) if kind == "object" else {"boolean": st.booleans(), "null": st.none()}[kind]


def texts(schema: Schema, path: str) -> st.SearchStrategy[str]:
    most = LONGER if path in LONG_TEXTS else schema.get("maxLength", LONGER)
    pattern = re.compile(schema.get("pattern", ""))
    some = st.from_regex(pattern, fullmatch=True) if pattern.pattern else st.text()
    some |= st.sampled_from(["x" * most, "é" * most, "~", "10.48.36.215", "cucm:8443", "ALL", "Expire"])
    return some.filter(
        lambda text: schema.get("minLength", 0) <= len(text) <= most and pattern.search(text) is not None
    )


def objects(schema: Schema, path: str) -> st.SearchStrategy[dict[str, Any]]:
    required = schema.get("required", ())
    fields = {name: values(each, f"{path}.{name}".lstrip(".")) for name, each in schema.get("properties", {}).items()}
    own = st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )
    for pattern, each in schema.get("patternProperties", {}).items():
        names = st.from_regex(pattern, fullmatch=True) | st.sampled_from(["x" * 256, "days"])
        names = names.filter(re.compile(pattern).search)
        more = st.dictionaries(names, values(each, f"{path}.*"), max_size=3)
        own = st.builds(lambda one, other: {**other, **one}, own, more)
    return own.filter(jsonschema_rs.validator_for(schema).is_valid)  # minProperties, not


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda each: each.name)
async def test_what_the_description_allows_is_not_answered_400(lab: AdministeredLab, operation: Operation) -> None:
    bodies: list[Any] = []

    @settings(max_examples=40, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    @given(values(body_of(operation)))
    def collect(body: Any) -> None:
        bodies.append(body)

    collect()
    path = operation.path.format(name="cucm2.steven.lab")
    for body in bodies:
        status, answer = await lab.ask(operation.method, path, body)
        assert status != 400, (body, answer["error"]["problems"])


@pytest.mark.parametrize(
    ("parameters", "status", "problem"),
    [
        ({"text": "x" * 4096}, 409, "text: is not a parameter of Expire"),
        ({"text": "x" * 4097}, 400, "parameters.text: is longer than 4096 characters"),
        ({"certificate": "x" * LONGER}, 409, "certificate: is not a parameter of Expire"),
        ({"x" * 256: 1}, 409, "x" * 256 + ": is not a parameter of Expire"),
        ({"x" * 257: 1}, 400, "the name is longer than 256 characters"),
        ({"days": LARGEST}, 409, ""),
        ({"days": 10**40}, 400, "is too large"),
        ({f"p{number}": 1 for number in range(20)}, 409, "p0: is not a parameter of Expire"),
        ({f"p{number}": 1 for number in range(21)}, 400, "parameters: "),
    ],
)
async def test_the_bounds_of_a_faults_parameters_are_those_of_the_description(
    lab: AdministeredLab, parameters: Any, status: int, problem: str
) -> None:
    schema = body_of(next(each for each in OPERATIONS if each.name == "inject_fault"))["properties"]["parameters"]
    assert jsonschema_rs.validator_for(schema).is_valid(parameters) == (status != 400)
    body = {"at": "cucm:8443", "fault": "Expire", "parameters": parameters}
    answered, answer = await lab.ask("POST", "/api/faults", body)
    assert answered == status
    assert any(problem in each for each in answer["error"]["problems"])


@pytest.mark.parametrize(
    ("upstream", "status"),
    [
        ({"ciphers": "AES", "tls": ["1.3"]}, 400),
        ({"ciphers": "", "tls": ["1.3"]}, 200),
        ({"ciphers": "AES", "tls": ["1.2", "1.3"]}, 200),
        ({"ciphers": "AES"}, 200),
    ],
)
async def test_keys_that_exclude_each_other_are_described(
    lab: AdministeredLab, upstream: dict[str, Any], status: int
) -> None:
    body = {"upstream": upstream}
    schema = body_of(next(each for each in WITH_BODY if each.name == "change_config"))
    assert jsonschema_rs.is_valid(schema, body) == (status == 200)
    assert (await lab.ask("PATCH", "/api/config", body))[0] == status


async def test_a_key_that_the_configuration_in_force_excludes_is_well_formed(lab: AdministeredLab) -> None:
    assert (await lab.ask("PATCH", "/api/config", {"upstream": {"tls": ["1.3"]}}))[0] == 200
    ciphers = {"ciphers": "ECDHE-RSA-AES256-GCM-SHA384"}
    status, answer = await lab.ask("PATCH", "/api/config", {"upstream": ciphers})
    assert (status, answer["error"]["code"]) == (409, "unusable")
    assert answer["error"]["problems"][0].startswith("upstream.ciphers: has no effect in TLS 1.3")
    status, answer = await lab.ask("PATCH", "/api/config", {"upstream": {**ciphers, "tls": ["1.3"]}})
    assert (status, answer["error"]["code"]) == (400, "invalid")
    status, answer = await lab.ask("PATCH", "/api/config", {"upstream": {**ciphers, "attempts": 0}})
    assert (status, answer["error"]["code"]) == (400, "invalid")
    assert (await lab.ask("GET", "/api/config"))[1]["upstream"]["ciphers"] == ""
    assert (await lab.ask("PATCH", "/api/config", {"upstream": {**ciphers, "tls": ["1.2", "1.3"]}}))[0] == 200
