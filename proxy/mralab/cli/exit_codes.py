"""How a command line ends: its exit code, and input or output that fails on the way.

Exit codes: 0 and 1 are a command's result, 2 is wrong usage, unusable input or output that cannot be written, 130 is
Ctrl-C, and 141 a pipe whose reader has gone: as a shell counts SIGINT (128 + 2) and SIGPIPE (128 + 13).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

INTERRUPTED: Final = 130
READER_GONE: Final = 141
_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def exit_code(call: Callable[[], Any]) -> int:
    """Run a command line to its end and return its exit code."""
    _open_closed_streams()
    if sys.stdout is None:
        click.echo("standard output is closed: the result cannot be printed", err=True)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a character that the locale lacks is no reason to fail
    try:
        with reported_os_errors():
            code = _code_of(call)
            sys.stdout.flush()
    except SystemExit as end:
        return _number(end.code)
    return code


@contextlib.contextmanager
def reported_os_errors() -> Iterator[None]:
    """Print an ``OSError`` that no command has handled, and end the program: raises ``SystemExit``."""
    try:
        yield
    except BrokenPipeError:
        _discard_output()
        raise SystemExit(READER_GONE) from None
    except OSError as error:
        with contextlib.suppress(OSError):
            click.echo(_sentence(error), err=True)
        _discard_output()
        raise SystemExit(2) from None


def _code_of(call: Callable[[], Any]) -> int:
    try:
        return _number(call())
    except SystemExit as end:
        return _number(end.code)
    except (click.Abort, KeyboardInterrupt):  # click turns KeyboardInterrupt into Abort
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code


def _number(code: object) -> int:
    return code if isinstance(code, int) else 0


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error.filename, str | bytes):
        return f"{os.fsdecode(error.filename)}: {reason}"
    return f"the output cannot be written: {reason}" if error.errno in _UNWRITABLE else reason


def _discard_output() -> None:
    """Redirect what is left in the buffers to /dev/null: the interpreter flushes them when it ends, and would fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


def _open_closed_streams() -> None:
    """Open closed standard streams: the next socket would get such a number, and error messages would go into it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace")
