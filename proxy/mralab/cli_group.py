"""How a group of commands fails: with what is wrong, the nearest right word, and the error's own exit code."""

from __future__ import annotations

from typing import Any

import click

from .errors import MralabError, did_you_mean


class Group(click.Group):
    """Shows mralab's errors as they are meant: the message, the hint, the exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error ends it with its message and its exit code."""
        try:
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
