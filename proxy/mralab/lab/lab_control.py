"""A running lab as the control API operates it: logins, and runs of scenarios in labs of their own."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ..control.lab_interface import BusyError
from ..control.lab_report import DiscoveryReport, LabCertificate, LabReport, NodeReport
from ..control.runs import Runs
from ..diagnose.finding_json import finding_json
from ..mocks.cucm import Cucm
from ..mocks.pki import mint
from .lab import PASSWORD
from .lab_faults import LabFaults
from .login_result import login_report
from .run import run_scenario
from .run_report import run_report, scenario_list
from .scenario import scenario_named, shipped_scenarios

if TYPE_CHECKING:
    from ..control.control import Control
    from ..control.fault_servers import FaultServers
    from ..control.lab_report import Advertise
    from ..control.login_report import LoginReport
    from ..control.run_report import RunReport, ScenarioList
    from ..control.runs import Progress, Run
    from ..core.mra.allowlist import Kind
    from ..mocks.pki import Certified
    from .discovery_result import TlsVerify
    from .lab import Lab


_NODE_FIELDS: Final = ("kind", "fqdn", "ip", "address", "ports")


class LabControl:
    """Implements ``control.lab_interface.LabInterface`` for a running ``lab``. ``control`` operates its proxy.

    Use it in an ``async with`` statement, which ends a run that is still in progress.
    """

    def __init__(self, lab: Lab, control: Control) -> None:
        self._lab = lab
        self._control = control
        self._logging_in = False
        self.runs = Runs(_run, self._changed)

    async def __aenter__(self) -> LabControl:
        self._control.lab = self
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runs.close()

    async def login(self, user: str, password: str | None, *, clear: bool) -> LoginReport:
        """Log in; with ``clear``, clear the journal first. Raises ``BusyError`` and ``InputError``."""
        if self._logging_in:
            raise BusyError("a login is in progress, and one runs at a time", "repeat the request when it has ended")
        self._logging_in = True
        try:
            if clear:
                await self._control.clear_journal()
            began = time.time()
            login = await self._lab.login(user, PASSWORD if password is None else password, clear=clear)
            found = () if login.ok else await asyncio.to_thread(lambda: self._lab.findings)
            return login_report(login, [finding_json(each) for each in found if each.last >= began])
        finally:
            self._logging_in = False

    def state(self) -> LabReport:
        """Return the state of the lab."""
        lab = self._lab
        return LabReport(
            scenario=lab.scenario.name,
            via=lab.via,
            peers=tuple(lab.peers),
            users=tuple(lab.cucm.users),
            advertise=lab.cucm.advertise,
            https_ciphers=lab.cucm.https_ciphers,
            nodes=tuple(
                NodeReport(
                    name=name, kind=node.kind, fqdn=node.fqdn, ip=node.ip, address=node.address, ports=node.ports
                )
                for name, node in lab.nodes.items()
            ),
            discovered=tuple(DiscoveryReport(**each.record()) for each in lab.discovered),
        )

    async def change(self, advertise: Advertise | None, https_ciphers: str | None) -> None:
        """Change settings of every CUCM; None: unchanged. Raises ``InputError``."""
        cluster = [node for node in self._lab.nodes.values() if isinstance(node, Cucm)]
        if https_ciphers is not None:
            for node in cluster:
                node.https_ciphers = https_ciphers
        if advertise is not None:
            for node in cluster:
                node.advertise = advertise
        given = {"advertise": advertise, "https_ciphers": https_ciphers and self._lab.cucm.https_ciphers}
        self._publish("setting", "; ".join(f"{key} = {value}" for key, value in given.items() if value is not None))

    async def discover(self, address: str, kind: Kind, tls_verify: TlsVerify) -> DiscoveryReport:
        """Discover the nodes of a publisher. Raises ``InputError`` for an address that cannot be used."""
        found = await self._lab.discover(address, kind=kind, tls_verify=tls_verify)
        self._publish("discovery", str(found))
        return DiscoveryReport(**found.record())

    async def refresh(self) -> None:
        """Repeat every discovery ("Refresh servers")."""
        found = await self._lab.refresh()
        self._publish("discovery", "; ".join(map(str, found)) or "no publisher to refresh")

    def _publish(self, what: Literal["setting", "discovery"], text: str) -> None:
        self._control.stream.publish("lab", {"what": what, "text": text})

    def certificates(self) -> tuple[LabCertificate, ...]:
        """Return the certificates that the nodes present, and the CAs of the lab."""
        lab = self._lab
        found = [
            _certificate(name, purpose, node.certificate(purpose), ports)
            for name, node in lab.nodes.items()
            for purpose, ports in node.presented_on.items()
        ]
        return (*found, *(_certificate("", name, lab.pki[name], ()) for name in lab.pki.authorities))

    @property
    def fault_servers(self) -> FaultServers:
        """The lab's nodes as places of faults."""
        return LabFaults(self._lab)

    def scenarios(self) -> ScenarioList:
        """Return the scenarios that come with mralab."""
        return scenario_list(shipped_scenarios())

    def begin_run(self, scenario: str) -> Run:
        """Begin a run in the background. Raises ``ConfigError`` for an unknown name, ``BusyError`` while one runs."""
        return self.runs.begin(scenario_named(scenario).name)

    def _changed(self, run: Run) -> None:
        data = {"id": run.id, "scenario": run.scenario, "state": run.state, "stage": run.stage}
        self._control.stream.publish("run", data)


def _certificate(node: str, name: str, certified: Certified, ports: tuple[int, ...]) -> LabCertificate:
    certificate = certified.cert
    return LabCertificate(
        node=node,
        name=name,
        ports=ports,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        key=certified.kind,
        fingerprint=certified.fingerprint,
        pem=certified.pem,
    )


async def _run(name: str, stage: Progress) -> RunReport:
    """Run a shipped scenario in a lab of its own; its logs are removed at the end."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mralab-") as folder:
        result = await run_scenario(scenario_named(name), Path(folder), mint(), stage=stage)
        return run_report([result], time.monotonic() - start, kept=False)
