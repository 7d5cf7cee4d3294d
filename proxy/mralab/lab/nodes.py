"""The nodes of a lab: one row for each mock server that runs beside the proxy.

A new node type is a module in ``mocks/`` and a row here. The lab then starts the node, routes requests for its name and
address to it, checks that its ports answer, and lifts its faults on reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ..mocks.cucm import Cucm
from ..mocks.node import Node
from ..mocks.pki import Pki
from .scenario import Scenario

DOMAIN: Final = "steven.lab"
FQDN: Final = f"cucm.{DOMAIN}"
IP: Final = "10.48.36.215"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What the nodes of one lab are made from."""

    pki: Pki
    """The lab's certificates by recipe name."""
    users: Mapping[str, str]
    """User name -> password."""
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node: its name and address in the lab's network, and the function that makes it, not yet started."""

    fqdn: str
    ip: str
    make: Callable[[LabPlan], Node]


def _cucm(plan: LabPlan) -> Cucm:
    scenario = plan.scenario
    return Cucm(
        plan.pki, plan.users, fqdn=FQDN, ip=IP, advertise=scenario.advertise, https_ciphers=scenario.https_ciphers
    )


NODES: Final[dict[str, NodeRow]] = {"cucm": NodeRow(FQDN, IP, _cucm)}
"""The nodes by name. The name is part of each health check's name: ``cucm 8443``."""
