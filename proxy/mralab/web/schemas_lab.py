"""Types of the control API's requests and answers that need a lab: logins, scenarios and their runs."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from ..control.lab_report import Advertise, DiscoveryReport, LabCertificate, LabReport
from ..control.login_report import LoginReport
from ..control.run_report import RunReport, ScenarioList
from ..core.mra.allowlist import Kind
from .schemas import Answer, Body, Text

__all__ = [
    "CertificatesAnswer",
    "DiscoverBody",
    "DiscoveryReport",
    "LabChange",
    "LabReport",
    "LoginBody",
    "LoginReport",
    "RunAnswer",
    "RunBody",
    "RunReport",
    "RunsAnswer",
    "ScenarioList",
]


class LoginBody(Body):
    """Who logs in. The lab's user is ``emusk``."""

    user: Text = Field(min_length=1, max_length=256, description="User ID", examples=["emusk"])
    password: Text | None = Field(default=None, max_length=256, description="Default: the lab's public password")
    clear: bool = Field(default=True, description="Clear the journal first, so that its records are this login's")


class LabChange(Body):
    """Settings of CUCM to change; the others stay as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    advertise: Advertise | None = Field(
        default=None, description="System > Server: host names or addresses", examples=["ip"]
    )
    https_ciphers: Literal["rsa", "all"] | None = Field(
        default=None, description="Enterprise parameter HTTPS Ciphers: RSA only, or EC and RSA", examples=["all"]
    )


class DiscoverBody(Body):
    """The publisher to discover, as on the pages Unified CM servers, IM and Presence Service nodes and Unity."""

    address: Text = Field(
        min_length=1,
        max_length=256,
        description="Its name or address, as entered on the page",
        examples=["cucm.steven.lab"],
    )
    kind: Kind = Field(default="cucm", description="Unified CM, IM and Presence, or Unity Connection")
    tls_verify: Literal["On", "Off"] = Field(default="On", description="TLS verify mode")


class CertificatesAnswer(Answer):
    """The certificates of the lab."""

    certificates: tuple[LabCertificate, ...] = Field(description="Those that the nodes present, then the CAs")


class RunBody(Body):
    """The scenario to run."""

    scenario: Text = Field(
        min_length=1, max_length=256, description="A name of GET /api/scenarios", examples=["self-signed-tomcat"]
    )


class RunAnswer(Answer):
    """One run. It logs in with the release before, with X14.2, and after the remedies."""

    id: int = Field(description="Number of the run, for GET /api/runs/ID")
    scenario: str = Field(description="Name of the scenario")
    state: Literal["running", "done", "failed"] = Field(
        description="`failed`: it could not be completed. `done`: `report.ok` says whether the result is as expected"
    )
    stage: Literal["", "before", "after", "fixed"] = Field(description="The latest stage that has begun")
    started: float = Field(description="Seconds since the epoch")
    ended: float | None = Field(description="Seconds since the epoch; null until it ends")
    report: RunReport | None = Field(description="The result, as `mralab run --json`; null until it is done")
    error: str = Field(description="Why it failed, else empty")
    hint: str = Field(description="What to do about it, else empty")


class RunsAnswer(Answer):
    """The latest runs."""

    runs: list[RunAnswer] = Field(description="The runs that are kept, oldest first")
