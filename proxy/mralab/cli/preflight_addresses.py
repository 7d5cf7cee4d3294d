"""The servers that ``mralab preflight`` checks: from the command line, a list, logs or AXL."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from ..errors import InputError, MralabError
from .event_loop import run_with_progress

if TYPE_CHECKING:
    from ..config import Config
    from ..diagnose.handshake import Address
    from ..tls.trust_store import TrustStore

_VARIABLE: Final = "MRALAB_AXL_PASSWORD"
_AXL_PORT: Final = 8443


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


class AxlOptions(NamedTuple):
    """The options of ``--axl``. ``fingerprint`` is in its printed form, empty if none was given."""

    server: Address
    user: str
    fingerprint: str

    @classmethod
    def check(cls, server: str | None, user: str | None, fingerprint: str | None) -> AxlOptions | None:
        """Return the options, None without ``--axl``. Raises ``InputError`` with every problem in them."""
        from ..core.tls.fingerprint import canonical_fingerprint
        from ..diagnose.certificate_files import parse_names
        from ..diagnose.handshake import Address

        if server is None and user is None and fingerprint is None:
            return None
        problems: list[str] = []
        if server is None:
            problems.append("--axl-user and --axl-fingerprint need --axl: the CUCM publisher")
        if server is not None and not user:
            problems.append("--axl needs --axl-user: a user with the role Standard AXL API Access")
        if user and ":" in user:
            problems.append(f"--axl-user {user!r}: a user name with a colon cannot be sent (RFC 7617)")
        printed, address = "", Address("", 0)
        try:
            printed = canonical_fingerprint(fingerprint or "")
            if fingerprint is not None and len(printed) != len("00:") * 32 - 1:
                raise ValueError("too short or too long")
        except ValueError:
            problems.append(f"--axl-fingerprint {fingerprint!r} is not a SHA-256 fingerprint: 64 hexadecimal digits")
        try:
            for name in parse_names([server] if server is not None else []):
                address = Address(name.host, name.port or _AXL_PORT)
        except InputError as error:
            problems += [f"--axl {problem}" for problem in error.problems]
        if problems:
            raise InputError(problems, "such as --axl cucm-pub.steven.lab --axl-user reader")
        return cls(address, user or "", printed)

    def addresses(self, config: Config, store: TrustStore, seconds: float) -> tuple[Address, ...]:
        """Return the addresses of the cluster's nodes. Raises ``AxlError``."""
        from ..diagnose.axl_client import Login
        from ..diagnose.preflight import nodes_by_axl

        login = Login(self.user, _password(self.user), self.fingerprint)
        return run_with_progress(
            f"connecting to AXL at {self.server}",
            lambda _: nodes_by_axl(self.server, login, config, store, seconds=seconds),
        )


def _password(user: str) -> str:
    """Return the password from the environment, or from a prompt on a terminal."""
    if _VARIABLE in os.environ:
        return os.environ[_VARIABLE]
    if not sys.stdin.isatty():
        raise MralabError(f"no password for the AXL user {user!r}", f"set ${_VARIABLE}, or run on a terminal")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True))
