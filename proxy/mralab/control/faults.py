"""Faults in force at the nodes of a lab and at fault points, by name and number, as the control API injects them."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from ..core.counting import counted
from ..core.nearest import did_you_mean
from ..core.tls.private_keys import without_keys
from ..errors import InputError, MralabError
from ..mocks.faults import REGISTRY
from ..mocks.faults.made import OWN_KEYS, make_fault, problems_of_fault
from .fault_points import FaultPoints
from .fault_report import FaultKind, FaultParameter, FaultReport, FaultsReport

if TYPE_CHECKING:
    from ..mocks.faults.armed import Armed
    from ..mocks.listener import Listener
    from ..mocks.pki import Certified
    from .control import Control
    from .fault_servers import FaultServers

MOST: Final = 100
"""Faults in force at the same time: each connection goes through all of its port."""
_TYPES_IN_JSON: Final = {"Presentable": "str", "bytes": "str"}
"""Types of parameters that are text in a request -> that type."""


class InjectedFaults:
    """The faults in force, those of a scenario or a test included. Each has a number for as long as it is in force.

    ``points`` are the open fault points. A reset of ``control`` closes them, and so does ``close``.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._counter = itertools.count(1)
        self._numbers: WeakKeyDictionary[Armed, int] = WeakKeyDictionary()
        self.points = FaultPoints(self._changed)
        control.on_reset.append(self.points.close_all)

    async def close(self) -> None:
        """Close the fault points: the control API ends."""
        self._control.on_reset.remove(self.points.close_all)
        await self.points.close_all()

    def _changed(self, text: str) -> None:
        self._control.stream.publish("faults", {"text": text})

    def _servers(self) -> tuple[FaultServers, ...]:
        lab = self._control.lab
        return (self.points,) if lab is None else (lab.fault_servers, self.points)

    def report(self) -> FaultsReport:
        """Return the faults in force, and those that can be injected with their parameters."""
        return FaultsReport(faults=self.in_force(), known=tuple(_kind(name) for name in sorted(REGISTRY)))

    def in_force(self) -> tuple[FaultReport, ...]:
        """Return the faults that the next connections meet, by server and port."""
        return tuple(self._report(at, armed) for at, armed in self._armed())

    def inject(self, at: str, fault: str, parameters: Mapping[str, Any], times: int | None) -> FaultReport:
        """Inject a fault by its name in ``mralab.fault`` at a port of a server.

        Raises ``InputError`` with every problem, or for a fault that is not possible there.
        """
        none: Mapping[str, Certified] = {}
        certificates = next((each.certificates for each in self._servers() if each.certificates), none)
        own = {name: value for name, value in parameters.items() if name not in OWN_KEYS}
        problems = [f"parameters.{name}: is not a parameter" for name in OWN_KEYS if name in parameters]
        problems += problems_of_fault(fault, own, certificates)
        place, listener = self._find(at, problems)
        if len(self.in_force()) >= MOST:
            problems.append(f"{MOST} faults are in force, which is the limit; lift some with DELETE /api/faults")
        if problems or listener is None:
            raise InputError(problems)
        try:
            armed = listener.inject(make_fault(fault, own, certificates), times)
        except MralabError as error:
            raise InputError([error.message], error.hint) from error
        limit = "" if times is None else f", {counted(times, 'time')}"
        self._changed(f"{fault} injected at {place}{limit}")
        return self._report(place, armed)

    def lift(self, numbers: tuple[int, ...] | None, at: str | None) -> int:
        """Lift the faults with these numbers, or those at a port of a server, or every one; return how many.

        ``at`` is as for ``inject``. Raises ``InputError`` if no server has such a port. A number that no fault has is
        no error: the fault may have ended by itself.
        """
        problems: list[str] = []
        place = at if at is None else self._find(at, problems)[0]
        if problems:
            raise InputError(problems)
        count = 0
        for each, armed in tuple(self._armed()):
            if (numbers is None or self._number(armed) in numbers) and place in (None, each):
                armed.lift()
                count += 1
        self._changed(f"{counted(count, 'fault')} lifted")
        return count

    def _listeners(self) -> dict[str, Listener]:
        return {at: listener for each in self._servers() for at, listener in each.listeners().items()}

    def _find(self, at: str, problems: list[str]) -> tuple[str, Listener | None]:
        """Return the ``at`` that a server has for this one, and the listener. Add what is wrong to ``problems``."""
        servers, listeners = self._servers(), self._listeners()
        try:
            found = next((place for each in servers if (place := each.find(at)) is not None), None)
        except MralabError as error:
            problems.append(error.message)
            return at, None
        if found is not None:
            return found, listeners[found]
        known = f"known: {', '.join(listeners)}" if listeners else "there is none: POST /api/fault-points opens one"
        forms = " or ".join(each.form for each in servers)
        problems.append(f"at: {at!r} is not {forms}{did_you_mean(at, listeners)}; {known}")
        return at, None

    def _armed(self) -> list[tuple[str, Armed]]:
        return [(at, armed) for at, listener in self._listeners().items() for armed in listener.armed]

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
            type=_TYPES_IN_JSON.get(str(each.type), str(each.type)),
            required=each.default is each.default_factory is dataclasses.MISSING,
            default=None if each.default is dataclasses.MISSING else _as_json(each.default),
        )
        for each in dataclasses.fields(kind)
    )
    description = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")
    return FaultKind(name=name, description=description, parameters=parameters)


def _as_json(value: Any) -> Any:
    """Return a parameter as JSON: bytes as text, a certificate by its name, and never its key."""
    if isinstance(value, str | bytes):
        return without_keys(value if isinstance(value, str) else value.decode("latin-1"))
    return value if value is None or isinstance(value, int | float) else getattr(value, "name", str(value))
