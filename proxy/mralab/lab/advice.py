"""Remedies in a test of a lab: the code that changes the lab, before what to do about a finding on an Expressway.

``lab/remedies`` applies the same remedies; this says what the test's author can write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from cryptography import x509

from ..core.log.escape import escape
from ..diagnose.findings import Finding, Remedy
from ..harness.advice import CODE
from ..mocks.cucm import Cucm
from ..mocks.node import Node
from .lab import Lab
from .reissuing import trusted_authority
from .remedies import (
    NotApplicableError,
    has_other_certificate,
    is_self_issued,
    issuers_of,
    names_of_reissued,
    namesakes_of,
)
from .running_lab import RunningLab


@dataclass(frozen=True, slots=True)
class Road:
    """The code that makes a finding go away, and what it does."""

    code: str
    does: str

    def __str__(self) -> str:
        return f"In this test: {self.code}, which {self.does}."


def advised(lab: RunningLab, finding: Finding, name: str) -> Finding:
    """Return ``finding`` with the remedy for a test, if there is one, first. ``name`` is the lab's in the test."""
    found = road(lab, finding, name)
    if found is None:
        return finding
    return replace(finding, remedies=(Remedy(CODE, str(found), "this test"), *finding.remedies))


def road(lab: RunningLab, finding: Finding, name: str) -> Road | None:
    """Return what to write in the test: for the first remedy of the finding that the lab's API has; None: it has none.

    A ``Lab`` is that of an asyncio test, so its calls are awaited; a ``SyncLab`` waits itself.
    """
    place = _Place(lab, finding, name, f"await {name}" if isinstance(lab, Lab) else name)
    node = lab.node_for(finding.server)
    for remedy in finding.remedies:
        if node is None or finding.port not in node.ports:
            found = _OF_THE_LAB[remedy.code](place) if remedy.code in _OF_THE_LAB else None
        else:
            at = _NodePlace(place, node, finding.port)
            found = _OF_A_NODE[remedy.code](at) if remedy.code in _OF_A_NODE else None
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """A finding in a lab. ``awaited`` is the lab's name before a method that may have to be awaited."""

    lab: RunningLab
    finding: Finding
    name: str
    awaited: str


@dataclass(frozen=True, slots=True)
class _NodePlace:
    """A finding at a port of a node of the lab."""

    at: _Place
    node: Node
    port: int

    @property
    def expression(self) -> str:
        """The node in the test: ``mra_lab.cucm``, ``mra_lab.nodes["imp"]``."""
        if self.node is self.at.lab.cucm:
            return f"{self.at.name}.cucm"
        return f"{self.at.name}.nodes[{json.dumps(self.at.lab.name_of(self.node))}]"


def _trust(place: _NodePlace) -> Road | None:
    """Trust the certificate itself if it is self-signed, else the CAs above it, which the lab has by name.

    Trusted certificates of the same name would hide them, so these are removed. But if two servers present self-signed
    certificates of one name, only a reissued one helps both.
    """
    lab, node, port = place.at.lab, place.node, place.port
    if port not in node.tls_ports or has_other_certificate(node, port):
        return _lift_faults(place)
    presented = node.presented(port)
    if is_self_issued(presented.cert):
        needed: tuple[x509.Certificate, ...] = (presented.cert,)
        names = [node.presented_purpose(port)]
    else:
        try:
            needed = issuers_of(lab, presented)
        except NotApplicableError:
            return None
        names = [name for cert in needed if (name := node.name_of_certificate(cert))]
    namesakes = namesakes_of(lab, needed)
    unwanted = [name for cert in namesakes if (name := node.name_of_certificate(cert))]
    if len(names) < len(needed) or len(unwanted) < len(namesakes):
        return None
    trust = f"{place.at.awaited}.trust({_certificates(place, names)})"
    if not namesakes:
        return Road(trust, "adds to the trust store of every peer")
    if is_self_issued(presented.cert) and _reissue(place) is not None:
        return None
    return Road(
        f"{place.at.awaited}.distrust({_certificates(place, unwanted)}); {trust}",
        "replaces what has the same name in the trust store of every peer",
    )


def _certificates(place: _NodePlace, names: list[str]) -> str:
    return ", ".join(f"{place.expression}.certificate({json.dumps(name)})" for name in names)


def _reissue(place: _NodePlace) -> Road | None:
    """Reissue the certificate, unless it is a fault that presents another one."""
    lab, node, port, finding = place.at.lab, place.node, place.port, place.at.finding
    if port not in node.tls_ports or has_other_certificate(node, port):
        return _lift_faults(place)
    if trusted_authority(lab.nodes.values(), lab.peers.values()) is None:
        return None
    names = names_of_reissued(finding)
    arguments = f"{json.dumps(finding.server)}, {port}{'' if names is None else f', names={json.dumps(names)}'}"
    return Road(f"{place.at.awaited}.reissue({arguments})", "replaces its certificate with one of a trusted CA")


def _lift_faults(place: _NodePlace) -> Road | None:
    if not place.node.faults(place.port):
        return None
    return Road(f"{place.expression}.lift_faults({place.port})", "lifts the faults that were injected there")


def _repair(place: _NodePlace) -> Road | None:
    if place.at.lab.is_unplugged(place.node, place.port):
        return Road(
            f"{place.at.awaited}.plug_in({place.expression}, {place.port})", "starts what the scenario has down"
        )
    return _lift_faults(place)


def _change_server_name(place: _NodePlace) -> Road | None:
    if not isinstance(place.node, Cucm) or place.at.finding.server == place.node.fqdn:
        return None
    return Road(f'{place.expression}.advertise = "fqdn"', "changes the entry of System > Server")


def _verify_off(place: _NodePlace) -> Road:
    return Road(f'{place.at.awaited}.verify_origin_server("Off")', "switches verification off for every server")


def _prefer_rsa(place: _NodePlace) -> Road | None:
    if place.at.lab.proxy.config.preference == "rsa":
        return None
    return Road(f'{place.at.awaited}.change(upstream={{"prefer": "rsa"}})', "requests the RSA certificate first")


def _allow(place: _NodePlace) -> Road | None:
    config, server = place.at.lab.proxy.config, place.at.finding.server
    if config.allow.automatic:
        if config.hosts[server].node != "none":
            return None
        return Road(f"{place.at.awaited}.refresh()", f"learns {escape(server)} if a publisher lists it now")
    return Road(f'{place.at.awaited}.change(allow={{"automatic": True}})', "allows the lab's servers")


def _add_host(place: _Place) -> Road | None:
    if not place.finding.server:
        return None
    host = json.dumps(escape(place.finding.server))
    return Road(
        f'{place.awaited}.change(hosts={{{host}: {{"dial": address, "port": port}}}})', "adds a server of your own"
    )


_OF_A_NODE: Final[Mapping[str, Callable[[_NodePlace], Road | None]]] = {
    "trust-certificate": _trust,
    "send-chain": _lift_faults,
    "reissue": _reissue,
    "change-server-name": _change_server_name,
    "check-port": _repair,
    "check-ciphers": _repair,
    "check-network": _repair,
    "check-server": _repair,
    "prefer-rsa": _prefer_rsa,
    "allow-rule": _allow,
    "verify-origin-off": _verify_off,
}
"""Code of a remedy -> what to write about a finding at a server of the lab."""
_OF_THE_LAB: Final[Mapping[str, Callable[[_Place], Road | None]]] = {"add-host": _add_host, "check-dns": _add_host}
"""Code of a remedy -> what to write about a finding at another server."""
