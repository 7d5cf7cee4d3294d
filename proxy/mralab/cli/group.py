"""The class of mralab's command groups, and the types of options that several commands have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ..core.nearest import did_you_mean
from ..errors import MralabError
from .exit_codes import exit_code, reported_os_errors

F = TypeVar("F", bound=Callable[..., Any])

FILE: Final = click.Path(dir_okay=False, path_type=Path)
FOLDER: Final = click.Path(file_okay=False, path_type=Path)
FILE_OR_FOLDER: Final = click.Path(path_type=Path)


class WholeNumber(click.IntRange):
    """A whole number in a range. Its error says which numbers are possible, whatever was given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number. Raises ``click.BadParameter``."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a whole number from {self.min} to {self.max}", param, ctx)


_SYNONYMS: Final = {
    "explain": "diagnose", "analyze": "diagnose", "analyse": "diagnose", "parse": "diagnose", "read": "diagnose",
    "check": "preflight", "verify": "preflight", "probe": "preflight", "scan": "preflight", "start": "serve",
    "proxy": "serve", "run-lab": "lab", "capture": "diagnostic-logging",
}  # fmt: skip
"""Words that people type for a command whose name is not like them."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def config_option(text: str, *, required: bool = False) -> Callable[[F], F]:
    """Return the option ``-c FILE``, the argument ``file``, with ``text`` as its help."""
    return click.option("-c", "--config", "file", type=FILE, required=required, help=text)


class Group(click.Group):
    """A group that prints mralab's errors with their hint and ends with their exit code."""

    group_class = type
    """Groups inside a group are of its class."""

    def __call__(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit with its code."""
        sys.exit(exit_code(lambda: self.main(*args, **{**extra, "standalone_mode": False})))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments. ``--help`` prints during parsing."""
        with reported_os_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. An error ends it with the error's message and exit code."""
        try:
            with reported_os_errors():
                return super().invoke(ctx)
        except MralabError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_code)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name in any case: the Expressway spells ``xConfiguration``."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.lower())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. The error for an unknown one suggests the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            meant = _SYNONYMS.get(args[0].lower(), "")
            commands = self.list_commands(ctx)
            near = f"; did you mean {meant!r}?" if meant in commands else did_you_mean(args[0], commands)
            raise click.UsageError(f"{error.message.removesuffix('.')}{near}", ctx) from None
