"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

import mralab.harness.proxy
import mralab.lab.lab
from mralab.config import load

from . import modes

# No deadline: how long an example takes depends on what else the machine does, and a test must not.
settings.register_profile("mralab", deadline=None)
settings.load_profile("mralab")


@pytest.fixture(scope="session", autouse=True)
def _facade() -> Iterator[None]:
    """``mralab.Proxy`` and ``mralab.Lab`` keep connections, or do not, as this run does where a test does not say."""
    with pytest.MonkeyPatch.context() as patch:
        upstream = {"connections": modes.CONNECTIONS}
        patch.setitem(mralab.harness.proxy._ALONE, "upstream", upstream)
        patch.setattr(mralab.lab.lab, "load", lambda path: load(path).changed(upstream=upstream))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in which mode the run was, and what was not."""
    for line in modes.summary():
        terminalreporter.write_line(line)
