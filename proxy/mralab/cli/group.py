"""How commands end: mralab's errors with their message and exit code, and output that cannot be written.

Exit codes: 0 and 1 are a command's answer, 2 is wrong usage, unusable input or output that cannot be written, 130 is
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

from ..core.nearest import did_you_mean
from ..errors import MralabError

INTERRUPTED: Final = 130
READER_GONE: Final = 141
_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class Group(click.Group):
    """Shows mralab's errors as they are meant: the message, the hint, the exit code."""

    def __call__(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit with its code."""
        sys.exit(_exit_code(lambda: self.main(*args, **{**extra, "standalone_mode": False})))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse; ``--help`` writes here already."""
        with _writing():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error ends it with its message and its exit code."""
        try:
            with _writing():
                return super().invoke(ctx)
        except MralabError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_code)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name, in any case: the Expressway spells ``xConfiguration``."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.lower())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong word gets the nearest right one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"{error.message.removesuffix('.')}{near}", ctx) from None


def _exit_code(call: Callable[[], Any]) -> int:
    """Run a command line to its end and return its exit code."""
    _open_closed_streams()
    if sys.stdout is None:
        click.echo("standard output is closed: there is nowhere to report to", err=True)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a character that the locale lacks is no reason to fail
    try:
        with _writing():
            code = _code_of(call)
            sys.stdout.flush()
    except SystemExit as end:
        return _number(end.code)
    return code


def _code_of(call: Callable[[], Any]) -> int:
    try:
        return _number(call())
    except SystemExit as end:
        return _number(end.code)
    except (click.Abort, KeyboardInterrupt):  # Abort is what click makes of KeyboardInterrupt
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code


def _number(code: object) -> int:
    return code if isinstance(code, int) else 0


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """End the program where something cannot be written or read that no command has an answer to. Raises SystemExit."""
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


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error.filename, str | bytes):
        return f"{os.fsdecode(error.filename)}: {reason}"
    return f"the output cannot be written: {reason}" if error.errno in _UNWRITABLE else reason


def _discard_output() -> None:
    """Let what is left in the buffers go nowhere: the interpreter flushes them at its end, and would complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


def _open_closed_streams() -> None:
    """Give closed standard streams a file descriptor: else the next socket gets its number, and errors go into it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace")
