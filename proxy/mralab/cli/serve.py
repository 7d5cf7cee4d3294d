"""``mralab serve``: the proxy alone."""

from __future__ import annotations

import sys
from pathlib import Path

from .control_api import load_api
from .group import config_option
from .root import main


@main.command()
@config_option("The TOML configuration.", required=True)
def serve(file: Path) -> None:
    """Run the proxy alone until a signal.

    SIGTERM and SIGINT end it after its current requests; SIGHUP reloads the configuration.

    Prints one JSON line with the addresses of the proxy and of its control API.

    \b
    Example:
      mralab serve -c mralab.toml
    """
    from ..control.serve import serve as serve_file

    sys.exit(serve_file(file, load_api))
