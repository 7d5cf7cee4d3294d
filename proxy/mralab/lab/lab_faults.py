"""Faults of a running lab's nodes, by name and number, as the control API injects and lifts them."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from ..control.lab_report import FaultKind, FaultParameter, FaultReport
from ..core.nearest import did_you_mean
from ..errors import InputError, MralabError
from ..mocks.faults import REGISTRY
from ..mocks.faults.armed import Armed
from ..mocks.node import Node
from .lab import Lab
from .scenario_checks import make_fault, problems_of_fault
from .scenario_model import FaultTable

MOST: Final = 100
"""Faults in force at the same time: each connection goes through all of its port."""
_OWN_KEYS: Final = ("at", "fault", "times")


class LabFaults:
    """The faults in force, those of a scenario or a test included. Each has a number for as long as it is in force."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._counter = itertools.count(1)
        self._numbers: WeakKeyDictionary[Armed, int] = WeakKeyDictionary()

    def in_force(self) -> tuple[FaultReport, ...]:
        """Return the faults that the next connections meet, by node and port."""
        return tuple(self._report(at, armed) for at, armed in self._armed())

    def inject(self, at: str, fault: str, parameters: Mapping[str, Any], times: int | None) -> FaultReport:
        """Inject a fault by its name in ``mralab.fault`` at ``NODE:PORT``; NODE may be a host name or an address.

        Raises ``InputError`` with every problem, or for a fault that is not possible there.
        """
        problems = [f"parameters.{name}: is not a parameter" for name in _OWN_KEYS if name in parameters]
        own = {name: value for name, value in parameters.items() if name not in _OWN_KEYS}
        entry = FaultTable(at=at, fault=fault, times=times, **own)
        problems += problems_of_fault(entry, self._lab.pki)
        name, _, port = at.rpartition(":")
        node = self._node(name)
        if node is None or not port.isascii() or not port.isdecimal():
            near = did_you_mean(name, self._lab.nodes)
            problems.append(f"at: {at!r} is not NODE:PORT of the lab{near}; nodes: {', '.join(self._lab.nodes)}")
        elif len(self.in_force()) >= MOST:
            problems.append(f"{MOST} faults are in force, the most; lift some with DELETE /api/faults")
        if problems or node is None:
            raise InputError(problems)
        try:
            armed = node.inject(make_fault(entry, self._lab.pki), int(port), times)
        except MralabError as error:
            raise InputError([error.message], error.hint) from error
        return self._report(f"{self._name(node)}:{port}", armed)

    def lift(self, numbers: tuple[int, ...] | None, at: str | None) -> int:
        """Lift the faults with these numbers, or those at ``NODE:PORT``, or every one; return how many.

        NODE may be a host name or an address, as for ``inject``.
        """
        if at is not None:
            name, _, port = at.rpartition(":")
            node = self._node(name)
            at = at if node is None else f"{self._name(node)}:{port}"
        count = 0
        for place, armed in tuple(self._armed()):
            if (numbers is None or self._number(armed) in numbers) and at in (None, place):
                armed.lift()
                count += 1
        return count

    def kinds(self) -> tuple[FaultKind, ...]:
        """Return every fault that can be injected, with its parameters."""
        return tuple(_kind(name) for name in sorted(REGISTRY))

    def _armed(self) -> list[tuple[str, Armed]]:
        return [
            (f"{name}:{port}", armed)
            for name, node in self._lab.nodes.items()
            for port in node.tls_ports
            for armed in node.listener(port).armed
        ]

    def _node(self, name: str) -> Node | None:
        """Return the node with this name in the lab, host name or address; None if there is no such node."""
        return self._lab.nodes.get(name) or self._lab.node_for(name)

    def _name(self, node: Node) -> str:
        return next(name for name, each in self._lab.nodes.items() if each is node)

    def _number(self, armed: Armed) -> int:
        if armed not in self._numbers:
            self._numbers[armed] = next(self._counter)
        return self._numbers[armed]

    def _report(self, at: str, armed: Armed) -> FaultReport:
        fault: Any = armed.fault
        return FaultReport(
            id=self._number(armed),
            at=at,
            fault=fault.name,
            parameters={each.name: _as_json(getattr(fault, each.name)) for each in dataclasses.fields(fault)},
            times=armed.times,
            met=armed.met,
        )


def _kind(name: str) -> FaultKind:
    kind: Any = REGISTRY[name]
    parameters = tuple(
        FaultParameter(
            name=each.name,
            type=str(each.type),
            required=each.default is each.default_factory is dataclasses.MISSING,
            default=None if each.default is dataclasses.MISSING else _as_json(each.default),
        )
        for each in dataclasses.fields(kind)
    )
    description = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
    return FaultKind(name=name, description=description, parameters=parameters)


def _as_json(value: Any) -> Any:
    """Return a parameter as JSON: bytes as text, a certificate by its name."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if value is None or isinstance(value, str | int | float | bool) else getattr(value, "name", str(value))
