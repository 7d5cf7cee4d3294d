"""Types of the control API's requests and answers about faults and fault points."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ..control.fault_report import FaultPointReport, FaultReport, FaultsReport
from .schemas import LARGEST_NUMBER, TEXT_PATTERN, Answer, Body, Port, Text
from .strictjson import LONGEST_KEY, LONGEST_TEXT

__all__ = [
    "FaultBody",
    "FaultPointBody",
    "FaultPointReport",
    "FaultPointsAnswer",
    "FaultReport",
    "FaultsReport",
    "LiftBody",
    "LiftedAnswer",
]


_TEXT: Final = {"type": "string", "pattern": TEXT_PATTERN}
_PARAMETERS: Final[dict[str, Any]] = {
    "properties": {"certificate": _TEXT},
    "patternProperties": {
        rf"^(?!certificate$)[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]{{0,{LONGEST_KEY}}}$": {
            "anyOf": [
                {**_TEXT, "maxLength": LONGEST_TEXT},
                {"type": "integer", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
                {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
                {"type": "boolean"},
            ]
        }
    },
    "additionalProperties": False,
}
"""The schema of a fault's parameters: the certificate, in PEM, is the only text that may be long."""


class FaultBody(Body):
    """A fault to inject."""

    at: Text = Field(
        min_length=1,
        max_length=300,
        description="NODE:PORT of the lab, or the address of a fault point",
        examples=["cucm:8443"],
    )
    fault: Text = Field(
        min_length=1, max_length=100, description="Name of the fault, as GET /api/faults lists it", examples=["Expire"]
    )
    parameters: dict[Text, Text | int | float | bool] = Field(
        default={},
        max_length=20,
        description="The fault's own parameters; the certificate of Present is a recipe of the lab, or PEM with key",
        examples=[{"days": 3}],
        json_schema_extra=_PARAMETERS,
    )
    times: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Number of connections that it affects; null: all until it is lifted",
    )


class LiftBody(Body):
    """The faults to lift: by id, or at one port; without both, every fault."""

    ids: list[Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]] | None = Field(
        default=None,
        max_length=1000,
        description="Their `id`, as GET /api/faults lists it; one that has ended already is no error",
        examples=[[1, 2]],
    )
    at: Text | None = Field(default=None, max_length=300, description="As for POST", examples=["cucm:8443"])


class LiftedAnswer(Answer):
    """How many faults were lifted, and those that are still in force."""

    lifted: int = Field(description="Number of faults that were lifted")
    faults: tuple[FaultReport, ...] = Field(description="The faults that are still in force")


_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nMII...\n-----END CERTIFICATE-----\n"
_KEY: Final = "-----BEGIN PRIVATE KEY-----\nMII...\n-----END PRIVATE KEY-----\n"


class FaultPointBody(Body):
    """A fault point to open in front of a mock. It listens on a free port of 127.0.0.1."""

    dial: Text = Field(default="127.0.0.1", max_length=64, description="IP address of the mock", examples=["127.0.0.1"])
    port: Port = Field(description="Port of the mock", examples=[9443])
    certificate: Text = Field(
        description="What it presents, in PEM: the server's own certificate first, then its issuers",
        examples=[_CERTIFICATE],
    )
    key: Text = Field(description="The certificate's private key in PEM, RSA or EC, not encrypted", examples=[_KEY])
    issuer: Text | None = Field(
        default=None,
        description="Certificate and key in PEM of the CA that signed the certificate, for the fault Expire",
        examples=[_CERTIFICATE + _KEY],
    )
    tls: bool = Field(default=True, description="Connect to the mock over TLS and accept any certificate")
    versions: list[Literal["1.0", "1.1", "1.2", "1.3"]] = Field(
        default=["1.2"], min_length=1, max_length=4, description="TLS versions offered to clients", examples=[["1.2"]]
    )


class FaultPointsAnswer(Answer):
    """The open fault points."""

    fault_points: list[FaultPointReport] = Field(description="In the order in which they were opened")
