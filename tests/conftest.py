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
    "test_oracle.py",
    "test_growth.py",
    "test_wheel.py",
    "test_image.py",
    "test_documents.py",
    "test_pytest_plugin.py",
    "test_examples.py",
    "test_soak.py",
    "test_openapi.py",
    "test_workers.py",
)
"""Files whose tests take longest. ``--dist loadscope`` gives a file to one process: a long one must not start last."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of ``LONG`` first, in their order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_collection_finish() -> None:
    """Exempt what is imported and collected from garbage collection, which would scan it hundreds of times."""
    gc.collect()
    gc.freeze()
