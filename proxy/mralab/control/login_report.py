"""The JSON document of a login: ``mralab login --json``, whose schema ``mralab schema login`` prints.

``version`` changes when a field is renamed, removed or changes its meaning; new fields do not change it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.outcome import Seen
from ..diagnose.document import SCHEMA_TEXT, DocumentModel, FirstVersion
from ..diagnose.finding_report import Finding


class StepReport(DocumentModel):
    """One request of a login and its outcome."""

    name: str = Field(description="What it is for, in words.")
    method: str = Field(description="Method of the request.")
    url: str = Field(description="URL on the server, such as https://cucm.steven.lab:8443/cucm-uds/version.")
    server: str = Field(description="HOST:PORT of the URL.")
    service: str = Field(description="get_edge_config, UDS, TFTP, IM and Presence or Unity Connection.")
    status: int | None = Field(description="Status of the response; null without one.")
    reason: str = Field(description="Reason phrase of the response; without a response, why it failed.")
    seconds: float = Field(description="Time that it took.")
    ok: bool = Field(description="Whether it succeeded.")
    meaning: str = Field(description="The consequence for the user, in one sentence.")
    screen: str = Field(description="Text that Jabber shows for this failure, where Cisco publishes one; else empty.")
    request_url: str = Field(
        description="URL that the client requested from the edge or the proxy; empty for a skipped step."
    )
    tracking_id: str = Field(description="TrackingID of the request in the proxy's log lines.")
    skipped: bool = Field(description="No request was sent, because an earlier step failed.")
    replaced: bool = Field(description="The step failed, and the client went on to the next server.")


class LoginReport(DocumentModel):
    """The result of a login."""

    schema_: Literal["mralab/login"] = Field(default="mralab/login", alias="schema", description=SCHEMA_TEXT)
    version: FirstVersion = 1
    user: str = Field(description="Who logged in.")
    ok: bool = Field(description="Whether every step succeeded, at the next server if necessary.")
    seen: Seen = Field(description="What the user sees.")
    screen: str = Field(description="Text that Jabber shows, where Cisco publishes one; else empty.")
    nodes: dict[str, tuple[str, ...]] = Field(description="Service -> HOST:PORT of the servers that answered.")
    steps: tuple[StepReport, ...] = Field(description="The requests, in their order.")
    findings: tuple[Finding, ...] = Field(description="What the proxy found during a failed login.")
