"""tshark (Wireshark) as an independent reader of captures; tests are skipped if it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="Debian's package tshark is not installed")
WRONG = " || ".join(
    (
        "_ws.malformed",
        "tcp.analysis.flags",
        "ip.checksum.status == 0",
        "tcp.checksum.status == 0",
        "_ws.expert.severity >= 0x800000",  # errors
    )
)
"""Malformed packets, wrong checksums, lost, repeated or unordered segments, and errors of any protocol."""


def tshark(capture: Path, display_filter: str, *fields: str) -> list[list[str]]:
    """Return fields of the packets that a display filter finds; checksums are verified."""
    command = ["tshark", "-n", "-r", str(capture), "-Y", display_filter, "-T", "fields"]
    command += [part for field in fields or ("frame.number", "_ws.col.Info") for part in ("-e", field)]
    # A random port may be assigned to another protocol: the content decides first.
    command += ["-o", "tcp.try_heuristic_first:TRUE"]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]
