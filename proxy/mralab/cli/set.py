"""``mralab set``: the switches of a running proxy that the Expressway has no command for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .control_api import admin_option, connect
from .document import print_document
from .group import json_option
from .root import main

if TYPE_CHECKING:
    from ..web.documents import SetDocument


@main.command("set")
@click.argument("words", nargs=-1, metavar="[KEY VALUE]...")
@admin_option
@json_option
def set_command(words: tuple[str, ...], admin: str | None, as_json: bool) -> None:
    """List or change the switches of a running proxy.

    Without arguments: each key with its present and allowed values, and what it does. A change takes effect with the
    next request, and lasts until the proxy reloads its configuration or ends. KEY=VALUE and TABLE.KEY are accepted, and
    several at once; default returns to the release's value.

    Exit 2: a key or a value is wrong; nothing was changed.

    \b
    Example:
      mralab set release X14.0.7
      mralab set prefer rsa connections keep-alive
    """
    from ..show import screen, sheet
    from ..web.switches import parse_changes

    changes = parse_changes(words)
    remote = connect(admin)
    before = remote.request("GET", "/api/config")
    after = remote.request("PATCH", "/api/config", changes) if changes else before
    document = _document(before, after)
    if as_json:
        print_document(document)
    elif not changes:
        sheet.show(_listed(document), screen.console())
    else:
        for change in document.changed:
            click.echo(f"{change.key}: {change.after} (was {change.before})")
        if not document.changed:
            click.echo("Nothing changed: these values were in force.")
    sys.exit(0)


def _document(before: dict[str, Any], after: dict[str, Any]) -> SetDocument:
    from ..web.documents import SetDocument, SwitchChange, SwitchState
    from ..web.switches import SWITCHES

    states, changed = [], []
    for switch in SWITCHES.values():
        old, new = switch.present(before), switch.present(after)
        states.append(
            SwitchState(key=switch.name, path=switch.path, value=new, allowed=switch.allowed, does=switch.does)
        )
        if old != new:
            changed.append(SwitchChange(key=switch.name, before=old, after=new))
    return SetDocument(changed=tuple(changed), switches=tuple(states))


def _listed(document: SetDocument) -> Any:
    from ..show.sheet import Column, Sheet, cell

    columns = (Column("Key", "heading"), Column("Now", "heading"), Column("Allowed"), Column("Does"))
    rows = ((cell(one.key), cell(one.value), cell(one.allowed), cell(one.does)) for one in document.switches)
    return Sheet(columns, tuple(rows))
