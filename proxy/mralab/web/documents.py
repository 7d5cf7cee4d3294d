"""Answers of the control API as documents of ``--json``: with ``schema`` and ``version``.

``version`` changes when a field is renamed, removed or changes its meaning; new fields do not change it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.release import VerifyMode
from ..diagnose.document import SCHEMA_TEXT, DocumentModel, FirstVersion
from ..diagnose.finding_report import Finding
from ..diagnose.ladder_model import LadderStep, Participant
from .schemas import FindingsAnswer, LogAnswer, StartAnswer, TransactionsAnswer, TrustAnswer


class _Document(BaseModel):
    """Base class beside an answer, so that ``schema`` and ``version`` come first."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_serialization_defaults_required=True)

    schema_: str = Field(alias="schema")
    version: int


class FindingsDocument(FindingsAnswer, _Document):
    """The answer of ``mralab findings``: in the order in which the findings first occurred.

    There may be more if workers are ``silent`` or records ``lost``.
    """

    schema_: Literal["mralab/findings"] = Field(default="mralab/findings", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1


class LogDocument(LogAnswer, _Document):
    """The answer of ``mralab log``: the latest lines, oldest first. ``total`` is how many the proxy keeps."""

    schema_: Literal["mralab/log"] = Field(default="mralab/log", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1


class TransactionsDocument(TransactionsAnswer, _Document):
    """The answer of ``mralab transactions``: the latest, oldest first. ``total`` is how many the proxy keeps."""

    schema_: Literal["mralab/transactions"] = Field(
        default="mralab/transactions", alias="schema", description=SCHEMA_TEXT
    )
    version: FirstVersion = 1


class TrustDocument(TrustAnswer, _Document):
    """The answer of ``mralab trust list``, ``add`` and ``remove``: the trust store, and how many were changed."""

    schema_: Literal["mralab/trust"] = Field(default="mralab/trust", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1


class VerifySetting(DocumentModel):
    """The table ``[verify]``, as far as ``mralab xconfiguration`` shows it."""

    origin: VerifyMode = Field(description="on, off, or audit: mralab's own mode, which verifies and refuses nothing.")


class XConfigurationDocument(DocumentModel):
    """The answer of ``mralab xconfiguration``: the setting in force."""

    schema_: Literal["mralab/xconfiguration"] = Field(
        default="mralab/xconfiguration", alias="schema", description=SCHEMA_TEXT
    )
    version: FirstVersion = 1
    verify: VerifySetting


class DiagnosticLoggingStart(StartAnswer, _Document):
    """The answer of ``mralab diagnostic-logging start``."""

    schema_: Literal["mralab/diagnostic-logging-start"] = Field(
        default="mralab/diagnostic-logging-start", alias="schema", description=SCHEMA_TEXT
    )
    version: FirstVersion = 1


class DiagnosticLoggingStop(DocumentModel):
    """The answer of ``mralab diagnostic-logging stop``."""

    schema_: Literal["mralab/diagnostic-logging-stop"] = Field(
        default="mralab/diagnostic-logging-stop", alias="schema", description=SCHEMA_TEXT
    )
    version: FirstVersion = 1
    archive: str = Field(description="File of the archive.")
    bytes: int = Field(description="Size of the archive.")


class SwitchState(DocumentModel):
    """One switch of ``mralab set``."""

    key: str = Field(description="The configuration's key without its table.")
    path: str = Field(description="The key with its table; empty if it is a setting of the lab.")
    value: str = Field(description="The value in force, as it is typed; - if the order of ciphers decides.")
    allowed: str = Field(description="The allowed values.")
    does: str = Field(description="What the switch does.")


class SwitchChange(DocumentModel):
    """A value that has changed, perhaps because the release decides it."""

    key: str
    before: str
    after: str


class SetDocument(DocumentModel):
    """The answer of ``mralab set``: what was changed, and every switch."""

    schema_: Literal["mralab/set"] = Field(default="mralab/set", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    changed: tuple[SwitchChange, ...]
    switches: tuple[SwitchState, ...]


class WatchDocument(DocumentModel):
    """One line of ``mralab watch --json``: a step, a finding, or another event with its ``data``."""

    schema_: Literal["mralab/watch"] = Field(default="mralab/watch", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    event: str = Field(description="step, finding, follows, gone, back, or an event of GET /api/events.")
    step: LadderStep | None = Field(default=None, description="Its number, from and to are valid in this line only.")
    source: Participant | None = Field(default=None, description="The participant that the step comes from.")
    to: Participant | None = Field(default=None, description="The participant that the step goes to.")
    finding: Finding | None = None
    data: dict[str, Any] = Field(default={}, description="The data of another event; empty for steps and findings.")
