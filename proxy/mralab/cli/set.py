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

    Without arguments, lists each key with its current value, the allowed ones and what it does. A change takes effect
    with the next request, and lasts until the proxy reloads its configuration or ends. Several keys can be set at once;
    KEY=VALUE and TABLE.KEY are accepted too. The value default restores the release's. A lab also has advertise and
    https_ciphers.

    Exit 2: a key or a value is wrong; nothing was changed.

    \b
    Example:
      mralab set release X14.0.7
      mralab set prefer rsa connections keep-alive
      mralab set advertise ip
    """
    from ..show import screen, sheet
    from ..web.switches import parse_changes

    changes = parse_changes(words)
    remote = connect(admin)
    before = remote.request("GET", "/api/config")
    # Without a lab, the proxy refuses the request, and says what to do.
    lab_before = remote.request("GET", "/api/lab") if before["lab"] or changes.lab else None
    after = remote.request("PATCH", "/api/config", changes.config) if changes.config else before
    lab_after = remote.request("PATCH", "/api/lab", changes.lab) if changes.lab else lab_before
    document = _document((before, lab_before), (after, lab_after))
    if as_json:
        print_document(document)
    elif not words:
        sheet.show(_listed(document), screen.console())
    else:
        for change in document.changed:
            click.echo(f"{change.key}: {change.after} (was {change.before})")
        if not document.changed:
            click.echo("Nothing changed: these values were in force.")
    sys.exit(0)


_Answers = tuple[dict[str, Any], dict[str, Any] | None]
"""The answers of ``GET /api/config`` and ``GET /api/lab``; the latter is None without a lab."""


def _document(before: _Answers, after: _Answers) -> SetDocument:
    from ..web.documents import SetDocument, SwitchChange, SwitchState
    from ..web.switches import LAB_SWITCHES, SWITCHES

    states = [
        SwitchState(key=each.name, path=each.path, value=each.present(after[0]), allowed=each.allowed, does=each.does)
        for each in SWITCHES.values()
    ]
    old = [each.present(before[0]) for each in SWITCHES.values()]
    if before[1] is not None and after[1] is not None:
        for name, one in LAB_SWITCHES.items():
            old.append(one.present(before[1][name]))
            now, allowed = one.present(after[1][name]), ", ".join(one.words)
            states.append(SwitchState(key=name, path="", value=now, allowed=allowed, does=one.does))
    changed = [
        SwitchChange(key=state.key, before=was, after=state.value)
        for state, was in zip(states, old, strict=True)
        if state.value != was
    ]
    return SetDocument(changed=tuple(changed), switches=tuple(states))


def _listed(document: SetDocument) -> Any:
    from ..show.sheet import Column, Sheet, cell

    columns = (Column("Key", "heading"), Column("Now", "heading"), Column("Allowed"), Column("Does"))
    rows = ((cell(one.key), cell(one.value), cell(one.allowed), cell(one.does)) for one in document.switches)
    return Sheet(columns, tuple(rows))
