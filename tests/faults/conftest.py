"""Fixtures for faults at two sizes: small in ``make test``, and as in docs/faults.md with ``MRALAB_FAULTS=full``.

Each test reports its measurements. ``MRALAB_FIGURES=FOLDER`` keeps them, and ``python -m tests.faults.table`` makes
docs/faults.md from them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme

from tests.net.conftest import HOST
from tests.serving import toml

from . import process
from .client import Steady
from .origin import Origin
from .process import Serve

T = TypeVar("T")
Start = Callable[..., Awaitable[Serve]]
Size = Callable[[Any, Any], Any]
Figure = Callable[[str, str, str], None]

FULL = os.environ.get("MRALAB_FAULTS") == "full"


def size(bounded: T, full: T) -> T:
    """Return the number for the size of this run."""
    return full if FULL else bounded


PATIENCE = 20.0
"""Seconds after which something that should have happened counts as a hang, however slow the machine is."""
BUSY = 0.05
"""Seconds that an answer may take under load at full size, however quick the idle ones were."""


def in_time(seconds: Iterable[float], limit: float) -> None:
    """Check waits for a time limit: none ended early or hung; at full size, each ended within a tenth of the limit."""
    seconds = sorted(seconds)
    assert seconds[0] >= limit * 0.9
    assert seconds[-1] <= (limit * 1.1 if FULL else limit + PATIENCE)


def undisturbed(busy: Steady, idle: Steady) -> None:
    """Check a client that kept asking during a fault: each request got its response, and the client never stalled.

    At full size its latency is compared with that of ``idle``, measured before the fault.
    """
    assert {answer.status for answer in busy.answers} == {200}
    assert len(busy.answers) >= 10
    if FULL:
        assert busy.percentile() < max(2 * idle.percentile(), BUSY)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Return ``figure(row, got, measured)``, which keeps the measurements of a test for a row of the table."""

    def keep(row: str, got: str, measured: str) -> None:
        folder = os.environ.get("MRALAB_FIGURES")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            file = Path(folder) / f"{os.environ.get('PYTEST_XDIST_WORKER', 'one')}.jsonl"
            test = request.node.nodeid.partition("::")
            line = {
                "row": row,
                "file": test[0],
                "test": test[2],
                "full": FULL,
                "got": got,
                "measured": measured,
            }
            with file.open("a") as out:
                out.write(json.dumps(line) + "\n")

    return keep


@pytest.fixture
async def start(tmp_path: Path, ca: trustme.CA) -> AsyncIterator[Start]:
    """Return ``await start(origin, ..., proxy={...})``: ``mralab serve`` that trusts ``ca`` and allows these."""
    async with contextlib.AsyncExitStack() as stack:

        async def one(
            *origins: Origin,
            command: tuple[str, ...] = (),
            environment: Mapping[str, str] | None = None,
            **changes: Any,
        ) -> Serve:
            ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            (tmp_path / "rules.csv").write_text(process.rules(origins, (HOST, "other.steven.lab")))
            (tmp_path / "mralab.toml").write_text(toml(process.tables(**changes)))
            return await stack.enter_async_context(process.serve(tmp_path, command=command, environment=environment))

        yield one
