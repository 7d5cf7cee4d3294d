"""The nodes of a lab: one row for each mock server that runs beside the proxy.

A new node type is a module in ``mocks/`` and a row here. The lab then starts the node, routes requests for its name and
address to it, checks that its ports answer, and lifts its faults on reset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..mocks.cluster import Cluster
from ..mocks.cucm import Cucm
from ..mocks.imp import Imp
from ..mocks.node import Node
from ..mocks.node_certificates import NodeCertificates
from ..mocks.pki import Pki
from ..mocks.unity import Unity
from .scenario_model import Scenario

DOMAIN: Final = "steven.lab"
FQDN: Final = f"cucm.{DOMAIN}"
IP: Final = "10.48.36.215"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What the nodes of one lab are made from."""

    pki: Pki
    """The lab's certificates by recipe name."""
    cluster: Cluster
    """The database of the CUCM cluster, with the lab's users."""
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node: its name and address in the lab's network, and the function that makes it, not yet started."""

    fqdn: str
    ip: str
    make: Callable[[LabPlan], Node]
    is_cucm: bool = False
    """Whether it has UDS and TFTP for clients."""


def _publisher(plan: LabPlan) -> Cucm:
    scenario = plan.scenario
    return Cucm(
        plan.pki,
        plan.cluster.users,
        cluster=plan.cluster,
        fqdn=FQDN,
        ip=IP,
        advertise=scenario.advertise,
        https_ciphers=scenario.https_ciphers,
    )


def _subscriber(plan: LabPlan) -> Cucm:
    return Cucm(
        NodeCertificates(plan.pki, "cucm-sub"),
        plan.cluster.users,
        cluster=plan.cluster,
        fqdn=f"cucm-sub.{DOMAIN}",
        ip="10.48.36.216",
        advertise=plan.scenario.advertise,
        https_ciphers=plan.scenario.https_ciphers,
    )


def _imp(plan: LabPlan) -> Imp:
    return Imp(
        NodeCertificates(plan.pki, "imp"),
        plan.cluster,
        fqdn=f"imp.{DOMAIN}",
        ip="10.48.36.217",
        https_ciphers=plan.scenario.https_ciphers,
    )


def _unity(plan: LabPlan) -> Unity:
    certificates = NodeCertificates(plan.pki, "unity")
    return Unity(certificates, plan.cluster.users, fqdn=f"unity.{DOMAIN}", ip="10.48.36.218")


NODES: Final[dict[str, NodeRow]] = {
    "cucm": NodeRow(FQDN, IP, _publisher, is_cucm=True),
    "cucm-sub": NodeRow(f"cucm-sub.{DOMAIN}", "10.48.36.216", _subscriber, is_cucm=True),
    "imp": NodeRow(f"imp.{DOMAIN}", "10.48.36.217", _imp),
    "unity": NodeRow(f"unity.{DOMAIN}", "10.48.36.218", _unity),
}
"""The nodes by name, in the order in which they start: the publisher first.

The name is part of each health check's name: ``cucm 8443``. The article has the publisher only; the names and
addresses of the others are ours.
"""
