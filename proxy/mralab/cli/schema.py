"""``mralab schema``: the JSON schema of a command's ``--json`` document."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Final

import click

from ..core.nearest import did_you_mean
from ..errors import MralabError
from .root import main

if TYPE_CHECKING:
    from pydantic import BaseModel

DOCUMENTS: Final = {
    "allowlist-check": "cli.allowlist_report:AllowListReport",
    "demo": "control.run_report:DemoReport",
    "diagnose": "diagnose.report:Report",
    "diagnostic-logging-start": "web.documents:DiagnosticLoggingStart",
    "diagnostic-logging-stop": "web.documents:DiagnosticLoggingStop",
    "findings": "web.documents:FindingsDocument",
    "log": "web.documents:LogDocument",
    "login": "control.login_report:LoginReport",
    "preflight": "diagnose.preflight_report:PreflightReport",
    "run": "control.run_report:RunReport",
    "scenarios": "control.run_report:ScenarioList",
    "set": "web.documents:SetDocument",
    "transactions": "web.documents:TransactionsDocument",
    "trust": "web.documents:TrustDocument",
    "watch": "web.documents:WatchDocument",
    "xconfiguration": "web.documents:XConfigurationDocument",
}
"""The pydantic model of each document, as module (below ``mralab``) and class."""


@main.command()
@click.argument("name", metavar="NAME")
def schema(name: str) -> None:
    """Print the JSON schema of a command's --json document.

    \b
    NAME is the document's "schema" without "mralab/":
      allowlist-check, demo, diagnose, diagnostic-logging-start,
      diagnostic-logging-stop, findings, log, login, preflight, run,
      scenarios, set, transactions, trust, watch, xconfiguration

    \b
    Example:
      mralab schema preflight
    """
    click.echo(json.dumps(document_schema(name), indent=2))


def document_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a document. Raises ``MralabError`` for an unknown name."""
    from ..web.json_schema import uniform

    document: dict[str, Any] = uniform(document_model(name).model_json_schema(mode="serialization"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def document_model(name: str) -> type[BaseModel]:
    """Return the model of a document. Raises ``MralabError`` for an unknown name."""
    if name not in DOCUMENTS:
        near = did_you_mean(name, DOCUMENTS)
        raise MralabError(f"{name!r} is not a document with a schema{near}", f"documents: {', '.join(DOCUMENTS)}")
    module, _, model = DOCUMENTS[name].partition(":")
    found: type[BaseModel] = getattr(importlib.import_module(f"mralab.{module}"), model)
    return found
