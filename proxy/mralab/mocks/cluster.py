"""The database of a CUCM cluster: users, devices, nodes. Every node of the cluster answers from the same one.

The publisher replicates it to its subscribers and to the IM and Presence nodes, so one object is shared by their mocks.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from .tokens import Tokens

RELEASE: Final = "14.0.1"
"""Release of CUCM that the mocks report."""
ADMINISTRATOR: Final = "administrator"
STANDARD_AXL: Final = "Standard AXL API Access"
"""Role that AXL requires (Cisco, MRA Deployment Guide)."""

Role = Literal["CUCM Voice/Video", "CUCM IM and Presence"]
"""Values of AXL's ``processNodeRole``."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a user. The defaults are those of Jabber on a computer."""

    name: str
    description: str = ""
    model: str = "Cisco Unified Client Services Framework"
    type: str = "Client Services Framework"
    protocol: str = "SIP"


@dataclass(frozen=True, slots=True)
class Person:
    """The settings of an end user."""

    first_name: str = ""
    last_name: str = ""
    mail: str = ""
    telephone: str = ""
    department: str = ""
    devices: tuple[Device, ...] | None = None
    """None: one Jabber, ``CSF`` and the user's name."""
    im_and_presence: bool = True
    """Whether the user is enabled for IM and Presence."""


class Member(Protocol):
    """A node as the database describes it."""

    @property
    def fqdn(self) -> str:
        """Name in DNS."""

    @property
    def address(self) -> str:
        """Entry of System > Server: the name or address that clients are sent to."""


@dataclass(frozen=True, slots=True)
class ProcessNode:
    """A row of System > Server."""

    node: Member
    role: Role

    @property
    def name(self) -> str:
        """Name or address."""
        return self.node.address


@dataclass(frozen=True, slots=True)
class ExpresswayC:
    """An Expressway-C that has written its names (AXL ``ExpresswayCConfiguration``)."""

    host: str
    description: str = ""
    names: str = ""
    """``X509SubjectNameorSubjectAlternateName``."""


class Cluster:
    """What the nodes of one cluster share. Its attributes can be changed at any time.

    ``users`` maps end users to their passwords, ``people`` to their settings if they are not the defaults.
    ``application_users`` maps application users to their passwords, and ``roles`` any user to the roles that the
    user's groups have; the default is one user, ``administrator``, with the role that AXL requires. ``domain`` is the
    presence domain.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        people: Mapping[str, Person] | None = None,
        application_users: Mapping[str, str] | None = None,
        roles: Mapping[str, Iterable[str]] | None = None,
        domain: str = "steven.lab",
    ) -> None:
        self.users = users
        self.people = people or {}
        default_user = {ADMINISTRATOR: "cisco123"}  # the lab's public password
        self.application_users = default_user if application_users is None else application_users
        self.roles = {ADMINISTRATOR: (STANDARD_AXL,)} if roles is None else roles
        self.domain = domain
        self.tokens = Tokens()
        self.nodes: list[ProcessNode] = []
        self.expressways: dict[str, ExpresswayC] = {}

    def join(self, node: Member, role: Role) -> None:
        """Add a node. The first one with a role is the publisher of its kind."""
        self.nodes.append(ProcessNode(node, role))

    @property
    def everyone(self) -> dict[str, str]:
        """End users and application users with their passwords."""
        return {**self.application_users, **self.users}

    def has_role(self, user: str, role: str) -> bool:
        """Return whether a group of ``user`` has ``role``."""
        return role in self.roles.get(user, ())

    def with_role(self, role: Role) -> tuple[ProcessNode, ...]:
        """Return the nodes with a role, the publisher first."""
        return tuple(each for each in self.nodes if each.role == role)

    def person(self, user: str) -> Person:
        """Return the settings of an end user; those of a user without any are derived from the name."""
        return self.people.get(user) or Person(last_name=user)

    def devices(self, user: str) -> tuple[Device, ...]:
        """Return the devices of an end user."""
        devices = self.person(user).devices
        return (Device(f"CSF{user}", f"Jabber of {user}"),) if devices is None else devices

    def owner(self, device: str) -> str | None:
        """Return the end user of the device with this name; None if there is no such device."""
        return next((user for user in self.users if any(each.name == device for each in self.devices(user))), None)


def key(kind: str, name: str) -> str:
    """Return the UUID of an object, as the database would have it: the same for the same object in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}"))
