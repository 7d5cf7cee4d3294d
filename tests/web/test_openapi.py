"""The OpenAPI description, checked against the server by schemathesis."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

import mralab
from mralab.web.guard import PEM
from mralab.web.openapi import BODY_ERRORS, COMMON_ERRORS, ERRORS, describe
from mralab.web.operations import OPERATIONS, group_of
from mralab.web.schemas import ErrorCode
from mralab.web.schemas_events import EVENTS
from tests.serving import complaints, serving

# find_spec does not import it, which takes a second.
pytestmark = pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")

CONFIG = '[proxy]\nlisten = "127.0.0.1:0"\nworkers = {}\n[trust]\nstore = ""\n[allow]\nrules = ""\n'


def checked(admin: str, phase: str, folder: Path) -> str:
    """Run schemathesis on a control API and return its output; fails if it finds something."""
    result = subprocess.run(
        [
            Path(sys.executable).with_name("st"),
            "run",
            f"http://{admin}/api/openapi.json",
            "--exclude-path=/api/events",  # endless: tests/web/test_api.py
            f"--phases={phase}",
            "--max-examples=10",
            "--workers=1",  # in several threads, ast.parse of CPython 3.11 may fail (gh-106905)
            "--no-color",
            "--warnings=off",  # hosts and runs with random names do not exist
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize(("workers", "phase"), [(1, "coverage"), (2, "fuzzing")])
def test_schemathesis_finds_nothing(tmp_path: Path, workers: int, phase: str) -> None:
    with serving(tmp_path, CONFIG.format(workers)) as (process, _, admin):
        assert "No issues found" in checked(admin, phase, tmp_path)
        process.terminate()
        assert process.wait(15) == 0
        assert process.stderr is not None
        assert complaints(process.stderr.read()) == ""


def test_schemathesis_finds_nothing_in_a_lab(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mralab", "lab", "--admin", "127.0.0.1:0", "--log", str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "No issues found" in checked(json.loads(process.stdout.readline())["admin"], "coverage", tmp_path)
        finally:
            process.terminate()
        assert process.wait(30) == 0
        assert complaints(process.stderr.read()) == ""


def test_every_route_is_described_with_its_errors() -> None:
    described = describe("1")
    assert described["openapi"] == "3.1.0"
    for operation in OPERATIONS:
        route = described["paths"][operation.path][operation.method.lower()]
        assert {str(operation.status), "403"} <= set(route["responses"])
        assert ("requestBody" in route) == (operation.body is not None)


def test_everything_is_described() -> None:
    described = describe("1")
    names = described["components"]["schemas"]
    for operation in OPERATIONS:
        assert operation.summary
        for parameter in operation.parameters:
            assert (bool(parameter.description), parameter.example is None) == (True, False)
        route = described["paths"][operation.path][operation.method.lower()]
        bodies = route.get("requestBody", {}).get("content", {})
        assert set(bodies) == ({"application/json", PEM} if operation.takes_pem else set(bodies) & {"application/json"})
    events = described["paths"]["/api/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert set(events["x-events"]) == set(EVENTS)
    for reference in events["x-events"].values():
        assert names[reference["$ref"].rpartition("/")[2]]["description"]
    assert all("description" in schema for name, schema in names.items() if schema.get("type") == "object"), names


def test_every_field_is_described() -> None:
    names = describe("1")["components"]["schemas"]
    for name, schema in names.items():
        for key, field in schema.get("properties", {}).items():
            described = names[field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
            assert field.get("description") or described.get("description"), f"{name}.{key}"


def test_every_body_has_an_example_that_is_valid() -> None:
    paths = describe("1")["paths"]
    for operation in OPERATIONS:
        if operation.body is not None:
            route = paths[operation.path][operation.method.lower()]
            example = route["requestBody"]["content"]["application/json"]["example"]
            assert example, operation.name
            operation.body.model_validate_json(json.dumps(example))


def test_every_error_code_has_a_status_and_every_status_of_an_operation_a_text() -> None:
    codes = [code for error in ERRORS.values() for code in error.codes]
    assert sorted(codes) == sorted(get_args(ErrorCode))
    assert {*COMMON_ERRORS, *BODY_ERRORS, *(status for each in OPERATIONS for status in each.errors)} <= set(ERRORS)


def test_every_operation_is_in_a_group() -> None:
    described = describe("1")
    tags = [tag["name"] for tag in described["tags"]]
    used = [route["tags"] for path in described["paths"].values() for route in path.values()]
    assert {tag for (tag,) in used} == set(tags)
    with pytest.raises(LookupError, match=r"GET /api/new/x: no group in operations.GROUPS has /api/new"):
        group_of(OPERATIONS[0]._replace(path="/api/new/x"))


def test_every_event_that_is_published_is_described() -> None:
    package = Path(mralab.__file__).parent
    published = {
        kind
        for file in [*package.glob("control/*.py"), *package.glob("lab/*.py")]
        for kind in re.findall(r'(?:(?<!_)publish|_notify)\(\s*"(\w+)"', file.read_text())
    }
    assert published - {"report"} | {"worker"} == set(EVENTS)  # a report of counters is internal to the control process


def test_an_error_of_the_event_stream_is_described_as_json() -> None:
    responses = describe("1")["paths"]["/api/events"]["get"]["responses"]
    assert list(responses["200"]["content"]) == ["text/event-stream"]
    assert responses["503"]["content"] == responses["403"]["content"]


def test_a_missing_key_of_a_change_has_no_default() -> None:
    names = describe("1")["components"]["schemas"]
    for name in ("ConfigChange", "VerifyTableChange", "UpstreamTableChange"):
        assert [key for key, schema in names[name]["properties"].items() if "default" in schema] == []
        assert "required" not in names[name]


def test_every_field_of_an_answer_is_required() -> None:
    names = describe("1")["components"]["schemas"]
    is_optional = {model.__name__ for model in EVENTS.values()}
    is_optional |= {name for name in names if name.endswith(("Body", "Change"))}
    for name, schema in names.items():
        if schema.get("type") == "object" and name not in is_optional:
            assert set(schema.get("required", ())) == set(schema.get("properties", {})), name


def test_answers_without_a_model_are_described_as_what_they_are() -> None:
    paths = describe("1")["paths"]
    archive = paths["/api/diagnostic-logging/stop"]["post"]["responses"]["200"]["content"]["application/gzip"]
    description = paths["/api/openapi.json"]["get"]["responses"]["200"]["content"]["application/json"]
    assert archive["schema"] == {}  # bytes
    assert description["schema"] == {"type": "object", "additionalProperties": True}
    assert paths["/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["schema"] == {"type": "string"}
