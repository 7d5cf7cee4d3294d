"""A lab and its control API in the test's own event loop."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from mralab.control.local import LocalControl
from mralab.lab.lab import Lab
from mralab.lab.lab_control import LabControl
from mralab.web.api import serve_admin


@dataclass
class AdministeredLab:
    """A running lab, its control API, and a client of the API."""

    address: str
    session: aiohttp.ClientSession
    lab: Lab
    control: LocalControl
    lab_control: LabControl

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Return status and JSON of an answer of the control API."""
        async with self.session.request(method, f"http://{self.address}{path}", json=body, **options) as response:
            return response.status, await response.json()

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        """Yield the kind and data of each event from now on."""
        async with self.session.get(f"http://{self.address}/api/events") as response:
            assert await response.content.readline() == b": follows\n"
            yield _messages(response.content)


async def _messages(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, Any]]:
    kind = ""
    async for line in content:
        field, _, value = line.decode().strip().partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            yield kind, json.loads(value)


@contextlib.asynccontextmanager
async def administered(lab: Lab) -> AsyncIterator[AdministeredLab]:
    """Run a lab with its control API, as ``mralab lab`` does."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await stack.enter_async_context(lab)
        control = LocalControl(lambda: lab.proxy.server, lambda: lab.journal)
        lab_control = await stack.enter_async_context(LabControl(lab, control))
        address = await stack.enter_async_context(serve_admin(control))
        yield AdministeredLab(address, session, lab, control, lab_control)
