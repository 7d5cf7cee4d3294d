"""The watchdog of the soak detects an event loop that computes, and ignores waits, also those on a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .mixture import HELD, WATCHDOG, watchdog_noted

LOOP = """
import asyncio, time
from mralab.net.stats import Stats

def hold():
    began = time.{clock}()
    while time.{clock}() - began < 0.3:
        {wait}

async def main():
    Stats().watch(asyncio.get_running_loop())
    await asyncio.sleep(0.05)
    hold()
    await asyncio.sleep(0.05)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("clock", "wait", "held"), [("thread_time", "pass", True), ("monotonic", "time.sleep(0.05)", False)]
)
def test_a_computation_is_recorded_and_a_wait_is_not(tmp_path: Path, clock: str, wait: str, held: bool) -> None:
    file = tmp_path / "held.txt"
    environment = {**os.environ, "PYTHONPATH": str(WATCHDOG), "MRALAB_WATCHDOG": str(file)}
    program = LOOP.format(clock=clock, wait=wait)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert (watchdog_noted(file) > HELD) is held
