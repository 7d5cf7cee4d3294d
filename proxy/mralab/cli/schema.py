"""``mralab schema``: the JSON schema of a command's ``--json`` document."""

from __future__ import annotations

import importlib
import json
from typing import Any, Final

import click

from ..core.nearest import did_you_mean
from ..errors import MralabError
from .root import main

DOCUMENTS: Final = {
    "diagnose": "diagnose.report:Report",
    "preflight": "diagnose.preflight_report:PreflightReport",
    "run": "lab.run_report:RunReport",
    "scenarios": "lab.run_report:ScenarioList",
}
"""The pydantic model of each document, as module (below ``mralab``) and class."""


@main.command()
@click.argument("name", metavar="|".join(DOCUMENTS))
def schema(name: str) -> None:
    """Print the JSON schema of a command's --json document.

    \b
    Example:
      mralab schema preflight
    """
    click.echo(json.dumps(document_schema(name), indent=2))


def document_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a document. Raises ``MralabError`` for an unknown name."""
    if name not in DOCUMENTS:
        near = did_you_mean(name, DOCUMENTS)
        raise MralabError(f"{name!r} is not a document with a schema{near}", f"documents: {', '.join(DOCUMENTS)}")
    module, _, model = DOCUMENTS[name].partition(":")
    found = getattr(importlib.import_module(f"mralab.{module}"), model)
    document: dict[str, Any] = found.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
