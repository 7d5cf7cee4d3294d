"""``mralab serve``: the proxy alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .control_api import load_api
from .group import FILE
from .root import main


@main.command()
@click.option("-c", "--config", "file", required=True, type=FILE, help="The TOML configuration.")
def serve(file: Path) -> None:
    """Run the proxy alone until SIGTERM or SIGINT, which let it finish its requests; SIGHUP reloads.

    Prints one JSON line with the addresses of the proxy and of its control API.

    \b
    Example:
      mralab serve -c mralab.toml
    """
    from ..control.serve import serve as serve_file

    sys.exit(serve_file(file, load_api))
