"""Faults and fault points, as the control API answers them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..diagnose.document import DocumentModel
from ..diagnose.report import Certificate


class FaultReport(DocumentModel):
    """A fault in force."""

    id: int = Field(description="Its number, for DELETE /api/faults.")
    at: str = Field(description="NODE:PORT of the lab, or HOST:PORT of a fault point.")
    fault: str = Field(description="Name of the fault.")
    parameters: dict[str, Any] = Field(description="The fault's own parameters; a certificate by its name or subject.")
    times: int | None = Field(description="Number of connections that it affects; null: all.")
    met: int = Field(description="Number of connections that it has affected.")


class FaultParameter(DocumentModel):
    """A parameter of a fault."""

    name: str = Field(description="Its name.")
    type: str = Field(description="Its type in Python's notation.")
    required: bool = Field(description="Whether it must be given.")
    default: Any = Field(default=None, description="The value if it is not given.")


class FaultKind(DocumentModel):
    """A fault that can be injected."""

    name: str = Field(description="Its name.")
    description: str = Field(description="What the server does.")
    parameters: tuple[FaultParameter, ...] = Field(description="Its own parameters.")


class FaultsReport(DocumentModel):
    """The faults in force, and those that can be injected."""

    faults: tuple[FaultReport, ...] = Field(description="The faults in force.")
    known: tuple[FaultKind, ...] = Field(description="The faults that can be injected.")


class ConnectionReport(DocumentModel):
    """A connection to a fault point."""

    sni: str = Field(description="The server name that the client sent; empty without one.")
    handshake: bool = Field(description="Whether the TLS handshake was completed.")
    alert: str = Field(description="OpenSSL's reason for the end of TLS; empty if nothing failed.")
    faults: tuple[str, ...] = Field(description="Names of the faults that affected it.")


class FaultPointReport(DocumentModel):
    """A fault point: it terminates TLS in front of a mock and relays the decrypted bytes."""

    id: int = Field(description="Its number, for DELETE /api/fault-points/ID.")
    address: str = Field(description="HOST:PORT that it listens on, for `at` of POST /api/faults.")
    host: str = Field(description="The same host, for `dial` of PUT /api/hosts/NAME.")
    port: int = Field(description="The same port, for `port` of PUT /api/hosts/NAME.")
    dial: str = Field(description="HOST:PORT of the mock.")
    tls: bool = Field(description="Whether it connects to the mock over TLS.")
    versions: tuple[str, ...] = Field(description="TLS versions offered to clients.")
    certificate: Certificate | None = Field(description="What it presents without faults; null if it cannot be shown.")
    can_expire: bool = Field(description="Whether the key of its issuer is known, which the fault Expire needs.")
    seen: tuple[ConnectionReport, ...] = Field(description="The latest 20 connections, oldest first.")
    faults: tuple[FaultReport, ...] = Field(description="The faults in force.")
    hint: str = Field(description="How to make the proxy connect to it.")
