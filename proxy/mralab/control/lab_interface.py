"""What the control API needs from a lab. ``control`` and ``web`` do not import ``lab``: a lab passes this in."""

from __future__ import annotations

from typing import Literal, Protocol

from ..core.mra.allowlist import Kind
from ..errors import MralabError
from .fault_servers import FaultServers
from .lab_report import Advertise, DiscoveryReport, LabCertificate, LabReport
from .login_report import LoginReport
from .run_report import ScenarioList
from .runs import BusyError, Run, Runs


class NoLabError(MralabError):
    """The proxy runs without a lab, so there is nothing to log in to."""


__all__ = ["BusyError", "LabInterface", "NoLabError"]


class LabInterface(Protocol):
    """A running lab, as the control API operates it. Call its methods in the lab's event loop."""

    @property
    def runs(self) -> Runs:
        """Runs of scenarios, each in a lab of its own."""

    async def login(self, user: str, password: str | None, *, clear: bool) -> LoginReport:
        """Log in; with ``clear``, clear the journal first.

        ``password`` None is the lab's. Raises ``BusyError`` while another login is in progress, ``InputError`` for a
        user or password that cannot be sent.
        """

    def state(self) -> LabReport:
        """Return the state of the lab."""

    async def change(self, advertise: Advertise | None, https_ciphers: str | None) -> None:
        """Change settings of every CUCM; None: unchanged. Raises ``InputError``."""

    async def discover(self, address: str, kind: Kind, tls_verify: Literal["On", "Off"]) -> DiscoveryReport:
        """Discover the nodes of a publisher. Raises ``InputError`` for an address that cannot be used."""

    async def refresh(self) -> None:
        """Repeat every discovery ("Refresh servers")."""

    def certificates(self) -> tuple[LabCertificate, ...]:
        """Return the certificates that the nodes present, and the CAs of the lab. May take a second."""

    @property
    def fault_servers(self) -> FaultServers:
        """The lab's nodes as places of faults."""

    def scenarios(self) -> ScenarioList:
        """Return the scenarios that ``begin_run`` accepts."""

    def begin_run(self, scenario: str) -> Run:
        """Begin a run in the background. Raises ``ConfigError`` for an unknown name, ``BusyError`` while one runs."""
