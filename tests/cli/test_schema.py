"""``mralab schema``: each document of ``--json`` has a schema, and follows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mralab.cli.schema import DOCUMENTS
from tests.diagnose.minted import mint, server_context, serving

from .command import mralab


def schema_of(name: str) -> Any:
    result = mralab("schema", name)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_valid_and_describes_its_version(name: str) -> None:
    schema = schema_of(name)
    jsonschema_rs.validator_for(schema)
    assert schema["properties"]["schema"]["const"] == f"mralab/{name}"
    assert {"schema", "version"} <= set(schema["required"])


def test_the_documents_of_preflight_follow_their_schema(tmp_path: Path) -> None:
    validator = jsonschema_rs.validator_for(schema_of("preflight"))
    root = mint("Root", ca=True)
    soon = mint("soon", root, sans=["127.0.0.1"], days=(-5, 5))
    bad = mint("bad", mint("Other", ca=True), sans=["elsewhere"], days=(-5, -1))
    (tmp_path / "root.pem").write_text(root.pem)
    (tmp_path / "bad.pem").write_text(bad.pem)
    trust = ("--trust", str(tmp_path / "root.pem"))
    file = ("--certificate", str(tmp_path / "bad.pem"), "--name", "cucm", "--save", str(tmp_path / "saved"))
    with serving(server_context(tmp_path, soon)) as one, serving(server_context(tmp_path, bad)) as two:
        good = mralab("preflight", f"127.0.0.1:{one}", *trust, "--json")
        mixed = mralab(
            "preflight", f"127.0.0.1:{one}", f"127.0.0.1:{two}", "x.invalid:1", *file, *trust, "--json", "--timeout=5"
        )
        unknown = mralab("preflight", f"127.0.0.1:{one}", "x.invalid:1", *trust, "--json")
    assert [result.returncode for result in (good, mixed, unknown)] == [0, 1, 3]
    documents = [json.loads(result.stdout) for result in (good, mixed, unknown)]
    for document in documents:
        validator.validate(document)
    assert [document["trust_store"] for document in documents] == [1, 1, 1]
    assert documents[0]["summary"] == "X14.2 would accept everything."
    assert documents[1]["counts"] == {"servers": 4, "accepted": 1, "refused": 2, "failed": 0, "not_checked": 1}
    assert documents[2]["counts"] == {"servers": 2, "accepted": 1, "refused": 0, "failed": 0, "not_checked": 1}
    assert documents[2]["summary"] == "X14.2 would refuse nothing that was checked; 1 of 2 could not be checked."


def test_the_error_for_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    result = mralab("schema", "preflihgt")
    assert (result.returncode, result.stdout) == (2, "")
    assert "did you mean 'preflight'?" in result.stderr
    assert "documents: diagnose, preflight" in result.stderr
