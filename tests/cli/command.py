"""Run ``mralab``: in this process, or in a new one if the test is about processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from click.testing import CliRunner

from mralab.cli import main


def mralab(
    *arguments: str,
    admin: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    output: TextIO | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, with separate streams; ``output`` replaces its standard output.

    Exit codes and output are those of a new process, which would use more CPU time for imports than for the command.
    """
    variables = {"MRALAB_ADMIN": admin, **(environment or {})}
    with (
        contextlib.chdir(cwd or Path.cwd()),
        CliRunner().isolation(env=variables) as (stdout, stderr, _),
        contextlib.redirect_stdout(output or sys.stdout),
    ):
        code = _code(arguments)
        if output is None:
            sys.stdout.flush()
        sys.stderr.flush()
        texts = [stream.getvalue().decode() for stream in (stdout, stderr)]
    return subprocess.CompletedProcess(arguments, code, *texts)


def _code(arguments: Iterable[str]) -> int:
    try:
        main(list(arguments), prog_name="mralab")
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code
    raise AssertionError("a command ends with SystemExit")


def mralab_process(*arguments: str, admin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process."""
    return subprocess.run(
        [sys.executable, "-m", "mralab", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=cwd,
        env={**os.environ, "MRALAB_ADMIN": admin},
    )
