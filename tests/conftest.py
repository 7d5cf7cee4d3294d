"""Settings for all tests."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import settings

# pytest-xdist sets it in its processes: commands that tests run would print for a narrow terminal.
os.environ.pop("COLUMNS", None)

# A shell without job control ignores SIGINT in background processes, which their children inherit: the tests of Ctrl-C
# would wait for an end that does not come.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the time of an example depends on other load, and a test must not fail because of that.
settings.register_profile("mralab", deadline=None)
settings.load_profile("mralab")

LONG = (
    "install/test_documents.py",
    "oracle/test_oracle.py",
    "cli/test_exit_codes.py",
    "web/test_openapi.py",
    "lab/test_scenarios.py",
    "cli/test_lab_command.py",
    "log/test_stream.py",
    "harness/test_proxy.py",
    "browser/test_lab_page.py",
    "fuzz/test_growth.py",
    "install/test_image.py",
    "faults/test_servers.py",
    "faults/test_life.py",
    "control/test_workers.py",
    "browser/test_proxy_page.py",
    "log/test_lines.py",
    "lab/test_remedies.py",
    "faults/test_clients.py",
    "tests/test_smoke_modes.py",
    "control/test_serve.py",
    "net/test_capture.py",
    "tests/test_examples.py",
    "install/test_wheel.py",
    "faults/test_log.py",
    "show/test_demo_output.py",
    "lab/test_like.py",
    "fuzz/test_targets.py",
    "harness/test_pytest_plugin.py",
    "mocks/test_listener.py",
    "install/test_make.py",
    "soak/test_soak.py",
)
"""Files whose tests take longest. ``--dist loadscope`` gives a file to one process: a long one must not start last.

The first makes what tests/install shares, so that the others there need not wait for it.
"""


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
