"""``mralab login``: the MRA login sequence."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import InputError
from .control_api import admin_option, connect
from .document import answers, print_document
from .event_loop import run_with_progress
from .group import json_option
from .journal import finding_rows
from .root import main

if TYPE_CHECKING:
    from ..control.login_report import LoginReport
    from ..lab.login import Login

_CLOCKS: Final = 0.1  # seconds: stamps of a log are rounded to milliseconds, and workers have clocks of their own


@main.command()
@click.argument("user")
@click.option("--via", required=True, metavar="URL", help="The edge to log in through, or a proxy without one.")
@click.option(
    "--password",
    envvar="MRALAB_PASSWORD",
    default="cisco123",
    show_default=True,
    help="The user's password; it is safer in $MRALAB_PASSWORD.",
)
@click.option("--domain", default="steven.lab", show_default=True, help="The users' domain.")
@click.option("--server", default=None, help="CUCM's name if nothing answers get_edge_config [default: cucm.DOMAIN].")
@click.option("--unity", multiple=True, metavar="HOST", help="Unity Connection server of the user's service profile.")
@admin_option
@json_option
def login(
    user: str,
    via: str,
    password: str,
    domain: str,
    server: str | None,
    unity: tuple[str, ...],
    admin: str | None,
    as_json: bool,
) -> None:
    """Log in through a running edge or proxy.

    Shows each step of the MRA login sequence, what the user would see, and which servers answered. With --admin, the
    output of a failed login ends with what the proxy found during it, with causes and remedies; occurrences are counted
    since the journal was cleared. Exit 1: the login fails.

    The edge is 'edge' in the line that lab prints: it answers get_edge_config and passes the rest to the proxy. A proxy
    alone (serve) does not answer get_edge_config; the login then begins at --server.

    \b
    Example:
      mralab lab &
      {"listening": ..., "admin": ..., "pid": ..., "edge": "127.0.0.1:41236", "log": ...}
      mralab login emusk --via http://127.0.0.1:41236 --admin 127.0.0.1:41235
    """
    from ..lab.login import login as log_in
    from ..show import screen, sheet, terminal

    if admin and _address(via) == _address(admin):
        raise InputError(
            [f"--via {via}: is the control API's address (--admin, or $MRALAB_ADMIN), which passes no login on"],
            "--via takes 'edge' of the line that lab prints, or 'listening' of serve's",
        )
    remote = connect(admin) if admin else None
    began = time.time()
    result = run_with_progress(
        f"logging in as {user} through {via}",
        lambda _: log_in(user, via, password=password, domain=domain, server=server, unity=unity),
    )
    found = []
    if remote is not None and not result.ok:
        answer = remote.request("GET", "/api/findings")
        found = [finding for finding in answer["findings"] if finding["last"] >= began - _CLOCKS]
    if as_json:
        print_document(_document(result, found))
    else:
        click.echo("Login works." if result.ok else "Login fails.")
        console = screen.console()
        sheet.show(terminal.login_sheet(result), console)
        console.print(terminal.login_outcome(result), soft_wrap=True)
        for row in finding_rows(found):
            click.echo(row)
    sys.exit(0 if result.ok else 1)


def _address(text: str) -> str:
    return text.removeprefix("http://").partition("/")[0]


def _document(result: Login, found: list[dict[str, Any]]) -> LoginReport:
    from ..lab.login_result import login_report

    with answers():  # the findings are the proxy's
        return login_report(result, found)
