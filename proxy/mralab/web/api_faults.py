"""Operations of the control API on faults and fault points, each under its name in ``operations.OPERATIONS``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from ..control.control import UnusableError
from ..control.fault_points import PointRequest, prepare, problems_in
from ..errors import InputError
from .answers import answer
from .requests import body_of
from .schemas_faults import FaultBody, FaultPointBody, FaultPointsAnswer, LiftBody, LiftedAnswer

if TYPE_CHECKING:
    from ..control.control import Control
    from ..control.faults import InjectedFaults


class FaultsApi:
    """Faults of a lab's nodes and of fault points. A proxy without a lab has the latter only."""

    def __init__(self, control: Control, faults: InjectedFaults) -> None:
        self._control = control
        self._faults = faults

    async def faults(self, _: web.Request) -> web.Response:
        """Return the faults."""
        return answer(self._faults.report())

    async def inject_fault(self, request: web.Request) -> web.Response:
        """Inject a fault."""
        body = await body_of(request, FaultBody)
        try:
            return answer(self._faults.inject(body.at, body.fault, body.parameters, body.times))
        except InputError as error:
            raise UnusableError(error.problems, error.hint) from None

    async def lift_faults(self, request: web.Request) -> web.Response:
        """Lift faults."""
        body = await body_of(request, LiftBody)
        try:
            lifted = self._faults.lift(None if body.ids is None else tuple(body.ids), body.at)
        except InputError as error:
            raise UnusableError(error.problems, error.hint) from None
        return answer(LiftedAnswer(lifted=lifted, faults=self._faults.in_force()))

    async def fault_points(self, _: web.Request) -> web.Response:
        """List the fault points."""
        return self._points_answer()

    async def open_fault_point(self, request: web.Request) -> web.Response:
        """Open a fault point."""
        body = await body_of(request, FaultPointBody, partial(self._control.aside, problems_in))
        wanted = PointRequest(**{**body.model_dump(), "versions": tuple(body.versions)})
        try:
            return answer(await self._faults.points.open(await self._control.aside(prepare, wanted)), 201)
        except InputError as error:
            raise UnusableError(error.problems, error.hint) from None

    async def close_fault_point(self, _: web.Request, *, point: int) -> web.Response:
        """Close a fault point."""
        await self._faults.points.close(point)
        return self._points_answer()

    def _points_answer(self) -> web.Response:
        return answer(FaultPointsAnswer(fault_points=self._faults.points.reports(self._faults.in_force())))
