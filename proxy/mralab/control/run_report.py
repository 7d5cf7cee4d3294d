"""The JSON documents of ``mralab run --json``, ``demo --json`` and ``scenarios --json``, and of the API's runs.

``version`` changes when a field is renamed, removed or changes its meaning; new fields do not change it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.outcome import Seen
from ..diagnose.document import SCHEMA_TEXT, DocumentModel, FirstVersion
from ..diagnose.finding_report import Finding


class StageRun(DocumentModel):
    """What the logins of one stage showed."""

    release: str = Field(description="The Expressway release that was emulated.")
    login: tuple[Seen, ...] = Field(description="What the user sees, for each login.")
    servers: dict[str, tuple[str, ...]] = Field(description="SERVER:PORT -> codes of its findings.")
    discovery: str = Field(
        default="", description="State of discovery before the logins; empty if the scenario has no `tls_verify`."
    )


class RemedyRun(DocumentModel):
    """A remedy for one finding."""

    code: str = Field(description="Code of the remedy, empty if the finding does not offer the one that was chosen.")
    finding: str = Field(description="Code of the finding.")
    server: str = Field(description="SERVER:PORT of the finding.")
    not_applied: str = Field(description="Why the lab could not apply it; empty if it did.")


class ScenarioRun(DocumentModel):
    """One scenario's run."""

    name: str = Field(description="Name of the scenario.")
    title: str = Field(description="Its defect in words.")
    ok: bool = Field(description="Whether every expectation was met.")
    differences: tuple[str, ...] = Field(description="A sentence for each expectation that was not met.")
    before: StageRun = Field(description="With the release before the upgrade.")
    after: StageRun = Field(description="With X14.2.")
    logged: dict[str, tuple[str, ...]] = Field(description="What the log of `after` alone shows, as in `servers`.")
    diagnosis: tuple[str, ...] = Field(description="Codes of all findings of the diagnosis of that log.")
    log_shows: str = Field(description="What the log does not show about this defect; empty if the log identifies it.")
    remedies: tuple[RemedyRun, ...] = Field(description="What was done about each finding.")
    fixed: StageRun | None = Field(description="After the remedies; null if there was nothing to repair.")
    logs: tuple[str, ...] = Field(description="Files that were kept (--out).")


class RunReport(DocumentModel):
    """The answer of ``mralab run``."""

    schema_: Literal["mralab/run"] = Field(default="mralab/run", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    summary: str = Field(description="The answer in one line.")
    ok: bool = Field(description="Whether every expectation was met.")
    seconds: float = Field(description="Time that it took.")
    scenarios: tuple[ScenarioRun, ...] = Field(description="The scenarios that were run.")


class DemoScenario(DocumentModel):
    """One scenario of the article."""

    scenario: str = Field(description="Its name.")
    title: str = Field(description="Its defect in words.")
    before: bool = Field(description="Whether the login works before the upgrade.")
    after: bool = Field(description="Whether it works with X14.2.")
    findings: tuple[Finding, ...] = Field(description="What was found with X14.2.")
    applied: tuple[str, ...] = Field(description="Codes of the remedies that were applied.")
    fixed: bool = Field(description="Whether the login works after them.")
    logs: tuple[str, ...] = Field(description="The log files, before and after.")
    differences: tuple[str, ...] = Field(description="A sentence for each expectation that was not met.")


class DemoReport(DocumentModel):
    """The answer of ``mralab demo``."""

    schema_: Literal["mralab/demo"] = Field(default="mralab/demo", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    ok: bool = Field(description="Whether every result is as in the article.")
    scenarios: tuple[DemoScenario, ...] = Field(description="The scenarios, in the article's order.")


class ScenarioEntry(DocumentModel):
    """One scenario in the list."""

    name: str = Field(description="Name of the scenario, for POST /api/runs and `mralab run`.")
    title: str = Field(description="Its defect in words.")
    login: tuple[Seen, ...] | None = Field(description="What the user is expected to see; null: any failure.")
    servers: dict[str, tuple[str, ...]] = Field(description="SERVER:PORT -> codes expected with X14.2.")
    log_shows: str = Field(description="What the log does not show about this defect; empty if the log identifies it.")


class ScenarioList(DocumentModel):
    """The answer of ``mralab scenarios``."""

    schema_: Literal["mralab/scenarios"] = Field(default="mralab/scenarios", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    scenarios: tuple[ScenarioEntry, ...] = Field(description="The scenarios that come with mralab.")
