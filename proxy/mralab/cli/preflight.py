"""``mralab preflight``: what X14.2 would refuse."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.release import DEFAULT
from ..errors import InputError, MralabError
from .document import print_document
from .event_loop import run_with_progress
from .group import FILE_OR_FOLDER, FOLDER, config_option, json_option
from .html_file import html_file, html_option
from .output_folder import create_folder
from .preflight_addresses import AxlOptions, given_addresses
from .root import main

if TYPE_CHECKING:
    from ..config import Config
    from ..diagnose.preflight import Address, ServerCheck
    from ..show.report_model import ReportPage
    from ..tls.trust_store import TrustStore


@main.command()
@click.argument("servers", nargs=-1, metavar="[HOST:PORT]...")
@config_option("A TOML configuration: its [trust] is used, and its [hosts] are checked if no server or file is given.")
@click.option("--trust", "trusted", type=FILE_OR_FOLDER, help="PEM file or folder of the trusted CAs.")
@click.option(
    "--from-file",
    "lists",
    type=FILE_OR_FOLDER,
    multiple=True,
    metavar="FILE",
    help="Check the servers in a file: one HOST:PORT per line, # begins a comment.",
)
@click.option(
    "--from-log",
    "logs",
    type=FILE_OR_FOLDER,
    multiple=True,
    metavar="FILE",
    help="Check the HTTPS servers that clients requested, from a log, archive or folder as for diagnose.",
)
@click.option(
    "--axl",
    "axl_server",
    metavar="HOST[:PORT]",
    help="Check the nodes of the cluster that AXL of this CUCM publisher lists, each on CUCM's ports [port: 8443].",
)
@click.option(
    "--axl-user",
    metavar="NAME",
    help="The user for --axl. The password is in $MRALAB_AXL_PASSWORD, or you are prompted for it.",
)
@click.option(
    "--axl-fingerprint",
    metavar="SHA256",
    help="The fingerprint of the AXL server's certificate, if --trust does not verify it.",
)
@click.option(
    "--certificate",
    "certificates",
    type=FILE_OR_FOLDER,
    multiple=True,
    metavar="FILE",
    help="Check the certificate in a file (PEM, DER or PKCS#7), with or without its chain, instead of a server.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST[:PORT]",
    help="The name that clients use for the server of --certificate.",
)
@click.option(
    "--save",
    "folder",
    type=FOLDER,
    metavar="DIR",
    help="Save what servers presented, and each certificate that has to be uploaded, as PEM files.",
)
@click.option(
    "--timeout",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.1, 300),
    help="Time limit for a handshake, in seconds.",
)
@html_option
@json_option
def preflight(
    servers: tuple[str, ...],
    file: Path | None,
    trusted: Path | None,
    lists: tuple[Path, ...],
    logs: tuple[Path, ...],
    axl_server: str | None,
    axl_user: str | None,
    axl_fingerprint: str | None,
    certificates: tuple[Path, ...],
    names: tuple[str, ...],
    folder: Path | None,
    timeout: float,
    html: str | None,
    as_json: bool,
) -> None:
    """Show which servers X14.2 would refuse.

    Servers are checked live, certificate files without a connection. Each live server gets two handshakes: one prefers
    ECDSA, one prefers RSA. X14.2 prefers ECDSA, unless its cipher string begins with ECDHE-RSA-AES256-GCM-SHA384. No
    request is sent, except one to AXL for its list of nodes. The password for AXL is sent only if --trust or
    --axl-fingerprint verifies the server's certificate. With -c FILE, the release in it replaces X14.2, unless that
    release verifies no server.

    Exit 0: X14.2 would accept all servers. Exit 1: it would refuse one, or TLS fails; the reason is printed. Exit 3: it
    would refuse none, but a server could not be checked.

    \b
    Example:
      mralab preflight cucm.steven.lab:8443 cucm.steven.lab:6972 --trust trust/
      mralab preflight --from-log loggingsnapshot.txt --trust trust/ --save saved/
      mralab preflight --axl cucm-pub.steven.lab --axl-user reader --trust trust/
      mralab preflight --certificate tomcat.pem --name cucm.steven.lab:8443 --trust trust/
      mralab preflight -c mralab.toml
    """
    from ..config import from_mapping, load
    from ..diagnose import preflight as preflights
    from ..diagnose import saving
    from ..diagnose.preflight_report import report
    from ..net.settings import load_settings
    from ..show import screen, terminal
    from ..tls.trust_store import load_store

    page = html_file(html)
    config = load(file) if file is not None else from_mapping({"trust": {"store": ""}, "allow": {"rules": ""}})
    if config.release_facts.verify == "off":
        click.echo(f"{config.release} verifies no server: checking as {DEFAULT} would", err=True)
        config = config.changed(release=DEFAULT)
    settings = load_settings(config, store=load_store(trusted) if trusted is not None else None)
    store, identity = settings.store, settings.identity
    checks = _check_files(certificates, names, config, store)
    addresses = given_addresses(servers, lists, logs)
    axl = AxlOptions.check(axl_server, axl_user, axl_fingerprint)
    if not addresses and not certificates and axl is None:
        addresses = preflights.configured_addresses(config)
    if not addresses and not certificates and axl is None:
        raise MralabError(
            "no servers given: pass HOST:PORT, --from-file, --from-log, --axl, or a configuration with [hosts]",
            "see --help",
        )
    if folder is not None:
        create_folder(folder, "--save")
    if axl is not None:
        addresses = tuple(dict.fromkeys((*addresses, *axl.addresses(config, store, timeout))))
    if addresses:
        checks += run_with_progress(
            "connecting",
            lambda show: preflights.check(
                addresses,
                config,
                store,
                seconds=timeout,
                identity=identity,
                on_start=_numbered(show, len(addresses)),
            ),
        )
    unwritten: tuple[str, ...] = ()
    if folder is not None:
        checks, unwritten = saving.save(checks, folder)
    page.write(lambda: _page(checks, config, store))
    if as_json:
        print_document(report(checks, len(store.certificates)))
    elif not page.is_stdout:
        click.echo("\n".join(preflights.summary(checks)))
        if not store.certificates:
            click.echo("The trust store is empty, so every certificate is refused: pass the trusted CAs with --trust.")
        console = screen.console()
        console.print(terminal.preflight_report(checks, console.width), soft_wrap=True)
    if unwritten:
        raise InputError(unwritten, "save to an empty folder, or remove what is not needed there")
    states = {check.state for check in checks}
    sys.exit(1 if states & {"refused", "failed"} else 3 if "not-asked" in states else 0)


def _numbered(show: Callable[[str], object], number: int) -> Callable[[Address], object]:
    """Return a function that shows the address whose check begins, with its number."""
    numbers = itertools.count(1)
    return lambda address: show(
        f"connecting to {address} ({next(numbers)} of {number})" if number > 1 else f"connecting to {address}"
    )


def _page(checks: tuple[ServerCheck, ...], config: Config, store: TrustStore) -> ReportPage:
    from ..show.report_preflight import preflight_page

    ip_san = config.verify.ip_san == "accept"
    return preflight_page(checks, len(store.certificates), datetime.now(UTC), ip_san=ip_san)


def _check_files(
    files: tuple[Path, ...], names: tuple[str, ...], config: Config, store: TrustStore
) -> tuple[ServerCheck, ...]:
    """Check the certificates of ``files`` for ``names``. Raises ``InputError`` with every problem in both."""
    from ..diagnose import certificate_files

    if not files and not names:
        return ()
    problems: list[str] = []
    hints: list[str] = []
    if not names:
        problems.append("--certificate needs --name: the name that clients use for the server")
        hints.append("--certificate tomcat.pem --name cucm.steven.lab:8443; the port may be left out")
    if not files:
        problems.append("--name needs --certificate: the file with the server's certificate")
    try:
        parsed = certificate_files.parse_names(names)
    except InputError as error:
        problems += error.problems
        hints.append(error.hint)
    try:
        chains = certificate_files.read_chains(files)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems, hints[0] if hints else "")
    return certificate_files.check_files(chains, parsed, config, store)
