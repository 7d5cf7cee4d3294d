"""``mralab lab``: the proxy with mocks of the servers behind it."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..collection import as_usual
from ..core.release import NEWEST, OLDEST
from .control_api import load_api
from .event_loop import run
from .group import FILE, FILE_OR_FOLDER, FOLDER, config_option
from .root import main


@main.command()
@config_option("The proxy's TOML configuration, as for serve; default: the article's lab.")
@click.option(
    "--release",
    default=None,
    metavar="RELEASE",
    help=f"The Expressway's release, {OLDEST} to {NEWEST}; X14.0.8 and later verify [default: the configuration's].",
)
@click.option("--scenario", default=None, metavar="NAME|FILE", help="A shipped scenario, or a TOML file with one.")
@click.option(
    "--like",
    type=FOLDER,
    metavar="DIR",
    help="Present look-alikes of the certificates in DIR: files as preflight --save names them, HOST_PORT.pem.",
)
@click.option(
    "--like-trust",
    type=FILE_OR_FOLDER,
    help="With --like: trust the look-alikes of these certificates [default: DIR/trust].",
)
@click.option(
    "--advertise",
    type=click.Choice(["fqdn", "ip"]),
    default=None,
    help="The server names in CUCM's System > Server: host names or addresses [default: fqdn, or the scenario's].",
)
@click.option(
    "--https-ciphers",
    default=None,
    metavar="rsa|all",
    help="CUCM's HTTPS Ciphers: 8443 presents its RSA certificate only (RSA Ciphers Only), or the ECDSA one as well "
    "[default: rsa, or the scenario's].",
)
@click.option("--listen", default=None, metavar="HOST:PORT", help="The proxy's address [default: the configuration's].")
@click.option(
    "--admin", default=None, metavar="HOST:PORT", help="The control API's address [default: the configuration's]."
)
@click.option(
    "--log",
    type=FILE,
    help="The log file; - is standard output [default: the configuration's, else a new temporary file, which is kept].",
)
def lab(**options: Any) -> None:
    """Run proxy and mocks until Ctrl-C.

    On a terminal it prints the addresses and commands to paste, then follows the log. Otherwise it prints one JSON line
    with the addresses of the proxy, the control API and the edge, and the path of the log.

    Every key of -c FILE applies. The lab adds its servers to [hosts], and the CA that signed their RSA certificates to
    the trust store; store = "" trusts nothing. It refuses proxy.workers above 1, and its own servers in [hosts].

    With --like, servers and trust store have copies of the certificates in DIR, with new keys, so that a customer's
    failure is reproduced. No private key is needed. What could not be copied is printed.

    \b
    Example:
      mralab lab &
      {"listening": ..., "admin": ..., "pid": ..., "edge": "127.0.0.1:41236", "log": ...}
      mralab login emusk --via http://127.0.0.1:41236
      mralab lab --like saved/ --like-trust trusted-cas.pem
    """
    from ..lab.serve import LabOptions
    from ..lab.serve import run as run_lab

    as_usual()
    sys.exit(run(lambda: run_lab(LabOptions(**options), load_api)))
