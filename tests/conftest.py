"""Settings for all tests."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

# pytest-xdist sets it in its processes: commands that tests run would print for a narrow terminal.
os.environ.pop("COLUMNS", None)

# No deadline: how long an example takes depends on the machine's other work, and a test must not fail because of it.
settings.register_profile("mralab", deadline=None)
settings.load_profile("mralab")

LONG = (
    "oracle/test_oracle.py",
    "lab/test_scenarios.py",
    "install/test_wheel.py",
    "install/test_image.py",
    "install/test_documents.py",
    "browser/test_lab_page.py",
    "browser/test_proxy_page.py",
    "log/test_stream.py",
    "fuzz/test_growth.py",
    "cli/test_exit_codes.py",
    "faults/test_servers.py",
    "faults/test_life.py",
    "cli/test_lab_command.py",
    "faults/test_clients.py",
    "harness/test_proxy.py",
    "faults/test_log.py",
    "web/test_openapi.py",
    "harness/test_pytest_plugin.py",
    "tests/test_examples.py",
    "soak/test_soak.py",
    "control/test_workers.py",
)
"""Files whose tests take longest. ``--dist loadscope`` gives a file to one process: a long one must not start last."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of ``LONG`` first, in their order."""
    items.sort(key=lambda item: _place(item.path.as_posix()))


def _place(path: str) -> int:
    return next((place for place, name in enumerate(LONG) if path.endswith(f"/{name}")), len(LONG))


def pytest_collection_finish() -> None:
    """Exempt what is imported and collected from garbage collection, which would scan it hundreds of times."""
    gc.collect()
    gc.freeze()
