"""Operations of the control API on a lab: one method for each, with its name in ``operations.OPERATIONS``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiohttp import web

from ..control.control import UnusableError
from ..control.lab_interface import LabInterface, NoLabError
from ..control.runs import NotKeptError
from ..core.nearest import did_you_mean
from ..errors import InputError
from .answers import answer
from .guard import PEM
from .requests import BadRequestError, body_of
from .schemas_lab import (
    CertificatesAnswer,
    DiscoverBody,
    LabChange,
    LoginBody,
    RunAnswer,
    RunBody,
    RunsAnswer,
)

if TYPE_CHECKING:
    from ..control.control import Control
    from ..control.lab_report import LabCertificate
    from ..control.runs import Run


class LabApi:
    """Logins and runs of scenarios. A proxy without a lab answers 409."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def _lab(self) -> LabInterface:
        if self._control.lab is None:
            raise NoLabError(
                "this proxy runs without a lab: it has no servers, users and scenarios of its own",
                "start mralab lab, which has them, and use its 'admin'; to log in through this proxy: mralab login",
            )
        return self._control.lab

    async def lab(self, _: web.Request) -> web.Response:
        """Return the state of the lab."""
        return answer(self._lab.state())

    async def change_lab(self, request: web.Request) -> web.Response:
        """Change settings of CUCM."""
        lab, body = self._lab, await body_of(request, LabChange)
        if not body.model_fields_set:
            raise BadRequestError(["advertise, https_ciphers: one of them is required"])
        await lab.change(body.advertise, body.https_ciphers)
        return answer(lab.state())

    async def discover(self, request: web.Request) -> web.Response:
        """Discover the nodes of a publisher."""
        lab, body = self._lab, await body_of(request, DiscoverBody)
        try:
            return answer(await lab.discover(body.address, body.kind, body.tls_verify))
        except InputError as error:
            raise UnusableError(error.problems, error.hint) from None

    async def refresh_lab(self, _: web.Request) -> web.Response:
        """Repeat every discovery."""
        lab = self._lab
        await lab.refresh()
        return answer(lab.state())

    async def certificates(self, _: web.Request) -> web.Response:
        """Return the certificates of the lab."""
        return answer(CertificatesAnswer(certificates=await self._control.aside(_certificates, self._lab)))

    async def certificate(self, _: web.Request, *, name: str, node: str) -> web.Response:
        """Return one certificate in PEM."""
        found = await self._control.aside(_certificates, self._lab)
        one = next((each for each in found if each.name == name and each.node in (node, "")), None)
        if one is None:
            names = [each.name for each in found if each.node in (node, "")]
            raise NotKeptError(
                f"{name}: the lab's {node} has no such certificate{did_you_mean(name, names)}",
                "GET /api/certificates lists them; ?node=NAME chooses the node",
            )
        return web.Response(text=one.pem, content_type=PEM)

    async def login(self, request: web.Request) -> web.Response:
        """Log in as Jabber does."""
        lab, body = self._lab, await body_of(request, LoginBody)
        try:
            return answer(await lab.login(body.user, body.password, clear=body.clear))
        except InputError as error:  # a user or password that Basic authorization cannot carry
            raise UnusableError(error.problems, error.hint) from None

    async def scenarios(self, _: web.Request) -> web.Response:
        """List the scenarios."""
        return answer(self._lab.scenarios())

    async def runs(self, _: web.Request) -> web.Response:
        """List the runs that are kept."""
        return answer(RunsAnswer(runs=[_run_answer(run) for run in self._lab.runs.kept]))

    async def begin_run(self, request: web.Request) -> web.Response:
        """Begin a run."""
        lab, body = self._lab, await body_of(request, RunBody)
        try:
            return answer(_run_answer(lab.begin_run(body.scenario)), 202)
        except InputError as error:
            raise UnusableError(error.problems, error.hint) from None

    async def run(self, _: web.Request, *, run: int) -> web.Response:
        """Return one run."""
        return answer(_run_answer(self._lab.runs.get(run)))


def _certificates(lab: LabInterface) -> tuple[LabCertificate, ...]:
    return lab.certificates()


def _run_answer(run: Run) -> RunAnswer:
    return RunAnswer(**{field.name: getattr(run, field.name) for field in dataclasses.fields(run)})
