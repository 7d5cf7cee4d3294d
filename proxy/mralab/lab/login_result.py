"""The outcome of a login: each request, what the user would see in the end, and which nodes answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from ..control.login_report import LoginReport, StepReport
from ..core.log.escape import escape
from ..core.outcome import Seen

EDGE: Final = "get_edge_config"
UDS: Final = "UDS"
TFTP: Final = "TFTP"
PRESENCE: Final = "IM and Presence"
VOICEMAIL: Final = "Unity Connection"
_NEEDED: Final = frozenset(("get_edge_config", "clusterUser", "user"))
"""Steps without which no one signs in."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a login and its outcome."""

    name: str
    method: str
    url: str
    """URL on the server: ``https://cucm.steven.lab:8443/cucm-uds/version``."""
    server: str
    """Host and port of ``url``: ``cucm.steven.lab:8443``."""
    service: str = ""
    """``get_edge_config``, ``UDS``, ``TFTP``, ``IM and Presence`` or ``Unity Connection``."""
    status: int | None = None
    """Status of the response; None without a response."""
    reason: str = ""
    seconds: float = 0.0
    ok: bool = False
    meaning: str = ""
    """The consequence for the user, in one sentence."""
    screen: str = ""
    """Text that Jabber shows for this failure, where Cisco publishes one; else empty."""
    request_url: str = ""
    """URL requested from ``via``; empty if the step was skipped."""
    tracking_id: str = ""
    """TrackingID of the request, which is in the proxy's log lines."""
    skipped: bool = False
    """Whether no request was sent, because an earlier step failed."""
    replaced: bool = False
    """Whether the step failed and the client tried the next server. Only IM and Presence has one for a client."""


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """A whole login."""

    user: str
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        """Return what pytest shows where ``assert login.ok`` fails: the user, the result, and the step that failed."""
        failed = next((step for step in self._failed if not step.skipped), None)
        if failed is None:
            return escape(f"<Login of {self.user}: {self.seen}>")
        answer = f"{failed.status} {failed.reason}".rstrip() if failed.status is not None else "no response"
        return escape(f"<Login of {self.user}: {self.seen}; {failed.name}: {answer}>")

    @property
    def ok(self) -> bool:
        """Whether every step succeeded, if need be at the next server."""
        return all(step.ok or step.replaced for step in self.steps)

    @property
    def seen(self) -> Seen:
        """What the user would see."""
        failed = self._failed
        services = {step.service for step in failed}
        if any(step.name in _NEEDED for step in failed):
            return "cannot sign in"
        if TFTP in services or any(step.name.startswith("devices") for step in failed):
            return "configuration missing"
        if PRESENCE in services:
            return "signed in without presence and voicemail" if VOICEMAIL in services else "signed in without presence"
        return "signed in without voicemail" if VOICEMAIL in services else "signed in"

    @property
    def screen(self) -> str:
        """Text that Jabber shows, where Cisco publishes one (document 221845, on-premises logins); else empty."""
        return next((step.screen for step in self._failed if step.screen), "")

    @property
    def nodes(self) -> dict[str, tuple[str, ...]]:
        """Service -> the servers (host and port) that answered as the login needs them, in order of use."""
        found: dict[str, dict[str, None]] = {}
        for step in self.steps:
            if step.ok and not step.skipped and step.service:
                found.setdefault(step.service, {})[step.server] = None
        return {service: tuple(servers) for service, servers in found.items()}

    @property
    def _failed(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if not (step.ok or step.replaced))


def login_report(login: Login, findings: Iterable[Mapping[str, Any]] = ()) -> LoginReport:
    """Return the document of a login. ``findings`` are those of the proxy during it, as ``finding_json`` has them."""
    return LoginReport.model_validate(
        {
            "user": login.user,
            "ok": login.ok,
            "seen": login.seen,
            "screen": login.screen,
            "nodes": login.nodes,
            "steps": tuple(StepReport(**asdict(step)) for step in login.steps),
            "findings": tuple(findings),
        }
    )
