"""``mralab findings``: the findings of a running proxy."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from .control_api import admin_option, connect
from .group import json_option
from .journal import finding_rows, print_answer
from .root import main

_COMMANDS: Final = {
    "trust-certificate": "mralab trust add FILE",
    "prefer-rsa": "mralab set prefer rsa",
    "verify-origin-off": "mralab xconfiguration EdgeConfigServer VerifyOriginServer: Off",
}
"""Codes of remedies -> the command that applies them to the running proxy."""


@main.command()
@admin_option
@click.option("--clear", is_flag=True, help="Clear the journal afterwards: requests, log lines and findings so far.")
@json_option
def findings(admin: str | None, clear: bool, as_json: bool) -> None:
    """Show the findings of a running proxy.

    Each finding has its cause, the certificate that the server presented, and remedies. It stays until the journal is
    cleared, and says if the server has answered since.

    Exit 0: no findings. Exit 1: findings.

    \b
    Example:
      mralab findings --admin 127.0.0.1:41235
    """
    remote = connect(admin)
    answer = remote.request("GET", "/api/findings")
    none = [] if answer["findings"] else ["Nothing is wrong so far."]
    print_answer(
        answer,
        "findings",
        as_json,
        lambda given: [*none, *finding_rows(given["findings"]), *_commands(given["findings"])],
    )
    if clear:
        remote.request("POST", "/api/journal/clear")
    sys.exit(1 if answer["findings"] else 0)


def _commands(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the commands that apply remedies of these findings to the proxy, under a title; nothing without any."""
    codes = {remedy["code"] for finding in found for remedy in finding["remedies"]}
    commands = [command for code, command in _COMMANDS.items() if code in codes]
    if commands:
        yield "Remedies to try with this proxy:"
        yield from (f"  {command}" for command in commands)
