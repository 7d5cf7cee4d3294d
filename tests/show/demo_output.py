"""The demo's output at several widths, piped and on a terminal.

``python -m tests.show.demo_output`` writes the golden files.

The output does not vary from run to run: it has no random port, no time and no fingerprint. The line ends of a terminal
(CR LF) are changed to LF. The files contain the colours; ``cat`` shows them.

The scenarios run once, and the command prints their results at each width; ``process`` runs the whole command.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, Self
from unittest.mock import patch

import mralab
from mralab.cli import main
from mralab.cli.exit_codes import exit_code
from mralab.lab import demo
from mralab.lab.run import ScenarioResult

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "demo"
WIDTHS: Final = (60, 80, 120, 200)
_END: Final = b"\0"
_ODD: Final = ("COLUMNS", "LINES", "NO_COLOR", "COLORTERM", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


class Shown(NamedTuple):
    """Exit code, standard output and standard error of one run."""

    code: int
    out: str
    err: str


def process(arguments: Sequence[str], folder: Path, width: int, *, terminal: bool, **environment: str) -> Shown:
    """Run ``mralab`` as a process in ``folder``: in pipes with COLUMNS, or on terminals of this width."""
    with _Outputs(width, terminal=terminal) as outputs:
        with subprocess.Popen(
            [sys.executable, "-m", "mralab", *arguments],
            cwd=folder,
            env={**_environment(width, terminal=terminal), **environment},
            stdin=subprocess.DEVNULL,
            stdout=outputs.out,
            stderr=outputs.err,
        ) as command:
            code = command.wait(60)
        return outputs.shown(code)


def call(arguments: Sequence[str], width: int, *, terminal: bool) -> Shown:
    """Run ``mralab`` in this process."""
    with (
        _Outputs(width, terminal=terminal) as outputs,
        patch.dict(os.environ, _environment(width, terminal=terminal), clear=True),
    ):
        with (
            os.fdopen(os.dup(outputs.out), "w") as out,
            os.fdopen(os.dup(outputs.err), "w") as err,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = exit_code(lambda: main.main(list(arguments), standalone_mode=False))
        return outputs.shown(code)


def _environment(width: int, *, terminal: bool) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in _ODD}
    path = str(Path(mralab.__file__).parents[1])
    return {**plain, "TERM": "xterm-256color", "PYTHONPATH": path} | ({} if terminal else {"COLUMNS": str(width)})


class _Outputs:
    """The ends of two pipes or terminals to write to, ``out`` and ``err``; what is written is read meanwhile."""

    def __init__(self, width: int, *, terminal: bool) -> None:
        (read_out, self.out), (read_err, self.err) = (_terminal(width) if terminal else os.pipe() for _ in range(2))
        self._pool = ThreadPoolExecutor(2)
        self._texts = [self._pool.submit(_text, end) for end in (read_out, read_err)]
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._pool.shutdown()
        os.close(self.out)
        os.close(self.err)

    def shown(self, code: int) -> Shown:
        """Return what was written."""
        self._end()
        return Shown(code, *(text.result() for text in self._texts))

    def _end(self) -> None:
        """Write the end mark. Closing a terminal instead may discard what Linux has not yet passed to the reader."""
        if self._open:
            self._open = False
            os.write(self.out, _END)
            os.write(self.err, _END)


def _terminal(width: int) -> tuple[int, int]:
    ends = pty.openpty()
    fcntl.ioctl(ends[1], termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    return ends


def _text(descriptor: int) -> str:
    try:
        data = b""
        while not data.endswith(_END):
            data += os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
    return data.removesuffix(_END).decode().replace("\r\n", "\n")


def demos() -> dict[str, Shown]:
    """Show one demo at every width, in pipes and on terminals; return the name of its golden file -> what is shown."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        out = Path("demo-out")
        out.mkdir()
        results = asyncio.run(demo.run(out))

        async def run(_: Path, progress: Callable[[str], object], **options: object) -> tuple[ScenarioResult, ...]:
            for result in results:
                progress(result.scenario.title)
            return results

        with patch.object(demo, "run", run):
            return {
                f"{width}-{kind}.txt": call(["demo"], width, terminal=kind == "terminal")
                for width in WIDTHS
                for kind in ("piped", "terminal")
            }


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, shown in demos().items():
        (GOLDEN / name).write_text(shown.out, "utf-8")
