"""The operations of AXL on a cluster's database: nodes, version, users, phones, and Expressway-C's names.

An operation takes the cluster and the element of the request, and returns the ``return`` element of the response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from . import soap
from .cluster import RELEASE, Cluster, Device, ExpresswayC, key
from .xmlbody import element

Operation = Callable[[Cluster, Element], Element]

_NOT_FOUND: Final = 5007
_DUPLICATE: Final = -239
_MOST_ROWS: Final = 1000
"""Rows of one list without ``first``."""
_LIMITS: Final = {"HostNameOrIP": 255, "description": 50, "X509SubjectNameorSubjectAlternateName": 4096}
"""Lengths of the fields of ``ExpresswayCConfiguration`` in the AXL schema."""


class AxlError(Exception):
    """An operation failed. ``code`` is ``axlcode``; -1 is CUCM's code for anything without its own."""

    def __init__(self, text: str, code: int = -1) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def _not_found(kind: str) -> AxlError:
    return AxlError(f"Item not valid: The specified {kind} was not found", _NOT_FOUND)


class _Row:
    """An object of the database: its field values by tag, in the schema's order."""

    def __init__(self, kind: str, name: str, fields: Mapping[str, str | Element]) -> None:
        self.uuid = f"{{{key(kind, name).upper()}}}"
        self.fields = fields

    def element(self, tag: str, wanted: Iterable[str]) -> Element:
        """Return the object with the wanted fields; no wanted fields means all."""
        names = frozenset(wanted) or self.fields.keys()
        row = element(tag, uuid=self.uuid)
        for name, value in self.fields.items():
            if name in names:
                row.append(element(name, value) if isinstance(value, str) else value)
        return row

    def text(self, name: str) -> str:
        """Return the value of a field that is a text; empty without one."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""


def _list(tag: str, rows: Callable[[Cluster], list[_Row]], criteria: tuple[str, ...]) -> Operation:
    """Return the operation that lists the rows which match ``searchCriteria``, in pages of ``skip`` and ``first``."""

    def operation(cluster: Cluster, request: Element) -> Element:
        search = soap.child(request, "searchCriteria")
        wanted = {} if search is None else {soap.local_name(each): (each.text or "").strip() for each in search}
        unknown = sorted(wanted.keys() - set(criteria))
        if unknown or not wanted:
            problem = f"has no {', '.join(unknown)}" if unknown else "is missing or empty"
            raise AxlError(f"searchCriteria {problem}; possible are {', '.join(criteria)}")
        found = [row for row in rows(cluster) if all(_like(row.text(name), text) for name, text in wanted.items())]
        skip, first = _number(request, "skip", 0), _number(request, "first", _MOST_ROWS)
        tags = _returned_tags(request)
        return element("return", *(row.element(tag, tags) for row in found[skip : skip + first]))

    return operation


def _get(tag: str, kind: str, rows: Callable[[Cluster], list[_Row]], name_field: str) -> Operation:
    """Return the operation that returns one row, found by its name or UUID."""

    def operation(cluster: Cluster, request: Element) -> Element:
        row = _find(rows(cluster), request, name_field, kind)
        return element("return", row.element(tag, _returned_tags(request)))

    return operation


def _find(rows: list[_Row], request: Element, name_field: str, kind: str) -> _Row:
    name, uuid = soap.text(request, name_field), soap.text(request, "uuid")
    if not name and not uuid:
        raise AxlError(f"{soap.local_name(request)} needs {name_field} or uuid")
    for row in rows:
        if (name and row.text(name_field) == name) or (uuid and row.uuid == f"{{{uuid.strip('{}').upper()}}}"):
            return row
    raise _not_found(kind)


def _returned_tags(request: Element) -> list[str]:
    tags = soap.child(request, "returnedTags")
    return [] if tags is None else [soap.local_name(each) for each in tags]


def _number(request: Element, name: str, default: int) -> int:
    digits = soap.text(request, name)
    if digits and not (digits.isascii() and digits.isdigit()):
        raise AxlError(f"{name} is not a number")
    return int(digits[:9]) if digits else default


def _like(value: str, pattern: str) -> bool:
    """Return whether a value matches a pattern with ``%``, in any case, as the database's LIKE does.

    Finds the parts one after the other, because backtracking over many ``%`` takes exponential time.
    """
    value, (first, *others) = value.casefold(), pattern.casefold().split("%")
    if not others:
        return value == first
    *middle, last = others
    if not value.startswith(first):
        return False
    position = len(first)
    for part in middle:
        found = value.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return value.endswith(last) and len(value) - len(last) >= position


# -- objects


def _process_nodes(cluster: Cluster) -> list[_Row]:
    # Every CUCM has this row, for the settings of the whole cluster.
    rows = [_process_node("EnterpriseWideData", "CUCM Voice/Video", "Publisher")]
    publishers: set[str] = set()
    for each in cluster.nodes:
        usage = "Subscriber" if each.role in publishers else "Publisher"
        publishers.add(each.role)
        rows.append(_process_node(each.name, each.role, usage))
    return rows


def _process_node(name: str, role: str, usage: str) -> _Row:
    return _Row("processNode", name, {"name": name, "description": "", "nodeUsage": usage, "processNodeRole": role})


def _users(cluster: Cluster) -> list[_Row]:
    rows = []
    for user in sorted(cluster.users):
        person = cluster.person(user)
        devices = element("associatedDevices", *(element("device", each.name) for each in cluster.devices(user)))
        fields: dict[str, str | Element] = {
            "firstName": person.first_name,
            "lastName": person.last_name,
            "userid": user,
            "mailid": person.mail,
            "department": person.department,
            "telephoneNumber": person.telephone,
            "associatedDevices": devices,
        }
        rows.append(_Row("user", user, fields))
    return rows


def _phones(cluster: Cluster) -> list[_Row]:
    return [_phone(device, user) for user in sorted(cluster.users) for device in cluster.devices(user)]


def _phone(device: Device, user: str) -> _Row:
    return _Row(
        "phone",
        device.name,
        {
            "name": device.name,
            "description": device.description,
            "product": device.model,
            "model": device.model,
            "class": "Phone",
            "protocol": device.protocol,
            "protocolSide": "User",
            "ownerUserName": user,
        },
    )


def _expressways(cluster: Cluster) -> list[_Row]:
    return [
        _Row(
            "ExpresswayCConfiguration",
            each.host,
            {
                "HostNameOrIP": each.host,
                "description": each.description,
                "X509SubjectNameorSubjectAlternateName": each.names,
            },
        )
        for each in cluster.expressways.values()
    ]


def _ccm_version(_cluster: Cluster, _request: Element) -> Element:
    return element("return", element("componentVersion", element("version", f"{RELEASE}.10000-20")))


# -- Expressway-C's names


def _add_expressway(cluster: Cluster, request: Element) -> Element:
    given = soap.child(request, "expresswayCConfiguration")
    if given is None:
        raise AxlError("addExpresswayCConfiguration needs expresswayCConfiguration")
    _check_lengths(given)
    host = soap.text(given, "HostNameOrIP")
    if not host:
        raise AxlError("expresswayCConfiguration needs HostNameOrIP")
    if host in cluster.expressways:
        raise AxlError("Could not insert new row - duplicate value in a UNIQUE INDEX column.", _DUPLICATE)
    names = soap.text(given, "X509SubjectNameorSubjectAlternateName")
    cluster.expressways[host] = ExpresswayC(host, soap.text(given, "description"), names)
    return element("return", _uuid_of(host))


def _update_expressway(cluster: Cluster, request: Element) -> Element:
    _check_lengths(request)
    old = _expressway(cluster, request)
    host = soap.text(request, "newHostNameOrIP") or old.host
    if host != old.host and host in cluster.expressways:
        raise AxlError("Could not update row - duplicate value in a UNIQUE INDEX column.", _DUPLICATE)
    new = replace(old, host=host)
    if soap.child(request, "description") is not None:
        new = replace(new, description=soap.text(request, "description"))
    if soap.child(request, "X509SubjectNameorSubjectAlternateName") is not None:
        new = replace(new, names=soap.text(request, "X509SubjectNameorSubjectAlternateName"))
    del cluster.expressways[old.host]
    cluster.expressways[host] = new
    return element("return", _uuid_of(host))


def _remove_expressway(cluster: Cluster, request: Element) -> Element:
    host = _expressway(cluster, request).host
    del cluster.expressways[host]
    return element("return", _uuid_of(host))


def _expressway(cluster: Cluster, request: Element) -> ExpresswayC:
    row = _find(_expressways(cluster), request, "HostNameOrIP", "ExpresswayCConfiguration")
    return cluster.expressways[row.text("HostNameOrIP")]


def _uuid_of(host: str) -> str:
    return _Row("ExpresswayCConfiguration", host, {}).uuid


def _check_lengths(given: Element) -> None:
    for name, most in _LIMITS.items():
        if len(soap.text(given, name)) > most:
            raise AxlError(f"{name} is longer than {most} characters")


OPERATIONS: Final[Mapping[str, Operation]] = {
    "getCCMVersion": _ccm_version,
    "listProcessNode": _list("processNode", _process_nodes, ("name", "description", "processNodeRole")),
    "getProcessNode": _get("processNode", "ProcessNode", _process_nodes, "name"),
    "listUser": _list("user", _users, ("userid", "firstName", "lastName", "department")),
    "getUser": _get("user", "User", _users, "userid"),
    "listPhone": _list("phone", _phones, ("name", "description", "protocol")),
    "getPhone": _get("phone", "Phone", _phones, "name"),
    "listExpresswayCConfiguration": _list(
        "expresswayCConfiguration",
        _expressways,
        ("HostNameOrIP", "description", "X509SubjectNameorSubjectAlternateName"),
    ),
    "getExpresswayCConfiguration": _get(
        "expresswayCConfiguration", "ExpresswayCConfiguration", _expressways, "HostNameOrIP"
    ),
    "addExpresswayCConfiguration": _add_expressway,
    "updateExpresswayCConfiguration": _update_expressway,
    "removeExpresswayCConfiguration": _remove_expressway,
}
"""Operation -> its function."""
