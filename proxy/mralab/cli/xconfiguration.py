"""``mralab xconfiguration``: the Expressway's own command line, for a running proxy."""

from __future__ import annotations

import click

from .control_api import admin_option, connect
from .document import print_answer_document
from .group import json_option
from .root import main


@main.command()
@click.argument("words", nargs=-1, required=True, metavar="EdgeConfigServer VerifyOriginServer: On|Off")
@admin_option
@json_option
def xconfiguration(words: tuple[str, ...], admin: str | None, as_json: bool) -> None:
    """Switch verification of servers on or off.

    The syntax is that of the Expressway's command line; without a value, the setting is printed.

    \b
    Example:
      mralab xconfiguration EdgeConfigServer VerifyOriginServer: Off
      mralab xconfiguration EdgeConfigServer VerifyOriginServer
    """
    from ..web.xconfiguration import parse, read_back

    value = parse(words)
    remote = connect(admin)
    if value is None:
        answer = remote.request("GET", "/api/config")
    else:
        answer = remote.request("PATCH", "/api/config", {"verify": {"origin": value.lower()}})
    mode = answer["verify"]["origin"]
    if as_json:
        print_answer_document("xconfiguration", {"verify": {"origin": mode}})
    else:
        click.echo(read_back(mode))
