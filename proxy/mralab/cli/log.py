"""``mralab log``: the traffic_server log of a running proxy."""

from __future__ import annotations

from ..core.log.escape import visible
from .control_api import admin_option, connect
from .group import json_option
from .journal import most_option, print_answer
from .root import main


@main.command()
@admin_option
@most_option
@json_option
def log(admin: str | None, most: int, as_json: bool) -> None:
    """Show the latest log lines of a running proxy.

    For a log in a file, use diagnose.

    \b
    Example:
      mralab log -n 200 --admin 127.0.0.1:41235
    """
    answer = connect(admin).request("GET", f"/api/log?most={most}")
    print_answer(answer, "log", as_json, lambda given: (visible(line) for line in given["lines"]))
