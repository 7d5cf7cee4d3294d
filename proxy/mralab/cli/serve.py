"""``mralab serve``: the proxy alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..collection import as_usual
from .control_api import load_api
from .group import config_option
from .root import main


@main.command()
@config_option("The TOML configuration.", required=True)
@click.option("--check", "only_check", is_flag=True, help="Validate the configuration and its files, and exit.")
def serve(file: Path, only_check: bool) -> None:
    """Run the proxy alone until a signal ends it.

    SIGTERM and SIGINT end it after its current requests; SIGHUP reloads the configuration.

    Prints one JSON line with the addresses of the proxy and of its control API. With --check it does not listen.

    Exit 0: ended by a signal, or --check found the configuration valid; suspicious settings are warnings on standard
    error. Exit 2: a problem in the configuration, the rules or the trust store; every problem is printed.

    \b
    Example:
      mralab serve -c mralab.toml
      mralab serve -c mralab.toml --check
    """
    from ..control.serve import check
    from ..control.serve import serve as serve_file

    if only_check:
        click.echo(check(file))
        return
    as_usual()
    sys.exit(serve_file(file, load_api))
