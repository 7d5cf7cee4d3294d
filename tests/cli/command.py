"""Run ``mralab``: in this process, or in one of its own where the test is about processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner

from mralab.cli import main


def mralab(
    *arguments: str, admin: str = "", cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, with streams of its own.

    Exit codes and output are those of a process, which would use more CPU time for its imports than for the command.
    """
    variables = {"MRALAB_ADMIN": admin, **(environment or {})}
    with contextlib.chdir(cwd or Path.cwd()), CliRunner().isolation(env=variables) as (stdout, stderr, _):
        try:
            main(list(arguments), prog_name="mralab")
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
        assert isinstance(code, int)
        output = [stream.getvalue().decode() for stream in (stdout, stderr)]
    return subprocess.CompletedProcess(arguments, code, *output)


def mralab_process(*arguments: str, admin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "mralab", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=cwd,
        env={**os.environ, "MRALAB_ADMIN": admin},
    )
