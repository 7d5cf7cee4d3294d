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
    "cli/test_exit_codes.py",
    "fuzz/test_growth.py",
    "control/test_workers.py",
    "log/test_stream.py",
    "browser/test_lab_page.py",
    "oracle/test_oracle.py",
    "faults/test_servers.py",
    "browser/test_proxy_page.py",
    "lab/test_advice.py",
    "web/test_openapi.py",
    "faults/test_life.py",
    "log/test_lines.py",
    "cli/test_lab_command.py",
    "harness/test_proxy.py",
    "install/test_image.py",
    "lab/test_remedies.py",
    "faults/test_clients.py",
    "fuzz/test_interleavings.py",
    "net/test_scenarios.py",
    "net/test_garbage.py",
    "faults/test_trust.py",
    "lab/test_scenarios.py",
    "fuzz/test_plans.py",
    "show/test_printing.py",
    "net/test_capture.py",
    "tests/test_smoke_modes.py",
    "control/test_serve.py",
    "web/test_typescript.py",
    "tests/test_examples.py",
    "faults/test_log.py",
    "net/test_transaction.py",
    "harness/test_pytest_plugin.py",
    "soak/test_soak.py",
    "lab/test_discovery.py",
    "web/test_fault_points.py",
    "mra/test_readings.py",
    "net/test_http_cases.py",
    "install/test_make.py",
    "lab/test_like.py",
    "show/test_demo_output.py",
    "install/test_wheel.py",
    "fuzz/test_targets.py",
    "mocks/test_listener.py",
)
"""Files whose tests take longest, the longest first.

``--dist loadscope`` gives a file to one process: a long one must not start last.

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
