"""The JSON document of ``mralab allowlist check --json``, whose schema ``mralab schema allowlist-check`` prints.

``version`` changes when a field is renamed, removed or changes its meaning; new fields do not change it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.mra.allowlist import Miss
from ..diagnose.document import SCHEMA_TEXT, DocumentModel, FirstVersion


class RuleReport(DocumentModel):
    """The rule that allows a request."""

    number: int = Field(description="Counted from 1; automatic rules follow those of the file.")
    url: str
    match: str = Field(description="exact or prefix.")
    methods: tuple[str, ...]
    type: str = Field(description="Where the rule comes from.")
    description: str


class MissReport(DocumentModel):
    """Why no rule allows a request."""

    kind: Miss = Field(description="The difference to the nearest rule.")
    text: str


class TestReport(DocumentModel):
    """One test and the decision."""

    line: int = Field(description="Line of the tests file.")
    method: str
    url: str
    deployment: str
    description: str
    expected: Literal["allow", "block"]
    got: Literal["allow", "block"]
    ok: bool
    rule: RuleReport | None = Field(description="Null for a request that is blocked.")
    miss: MissReport | None = Field(description="Null for a request that is allowed.")


class AllowListReport(DocumentModel):
    """The answer of ``mralab allowlist check``."""

    schema_: Literal["mralab/allowlist-check"] = Field(
        default="mralab/allowlist-check", alias="schema", description=SCHEMA_TEXT
    )
    version: FirstVersion = 1
    ok: bool = Field(description="Whether every test passed.")
    rules: int = Field(description="Number of rules in the file.")
    automatic_rules: int
    passed: int
    failed: int
    warnings: tuple[str, ...]
    tests: tuple[TestReport, ...]
