"""The servers that ``mralab preflight`` checks: from the command line, a list or logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InputError

if TYPE_CHECKING:
    from ..diagnose.handshake import Address


def given_addresses(servers: Sequence[str], lists: Sequence[Path], logs: Sequence[Path]) -> tuple[Address, ...]:
    """Return the addresses of the command line, of lists and of logs, each once.

    Raises ``InputError`` with every problem in all of them.
    """
    from ..diagnose.address_sources import read_list
    from ..diagnose.preflight import parse_addresses

    found: list[Address] = []
    problems: list[str] = []
    hints: list[str] = []

    def add(read: Callable[[], Sequence[Address]]) -> None:
        try:
            found.extend(read())
        except InputError as error:
            problems.extend(error.problems)
            hints.append(error.hint)

    add(partial(parse_addresses, servers))
    for file in lists:
        add(partial(read_list, file))
    if logs:
        add(partial(_from_logs, logs))
    if problems:
        raise InputError(problems, hints[0])
    return tuple(dict.fromkeys(found))


def _from_logs(files: Sequence[Path]) -> tuple[Address, ...]:
    """Return the servers of logs. Print which are left out, and which logs could not be read to their end."""
    from ..diagnose.address_sources import LogFiles

    logs = LogFiles()
    servers = logs.servers(files)
    for problem in logs.problems:
        click.echo(problem, err=True)
    for address in servers.denied:
        click.echo(f"{address}: not checked, because the allow list denied every request to it", err=True)
    return servers.allowed
