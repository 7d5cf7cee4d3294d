"""``mralab lab``: the proxy with mocks of the servers behind it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from ..core.release import NEWEST, OLDEST
from .control_api import load_api
from .event_loop import run
from .group import FILE, config_option
from .root import main


@main.command()
@config_option("The proxy's TOML configuration, as for serve; default: the article's lab.")
@click.option(
    "--release",
    default=None,
    metavar="RELEASE",
    help=f"The Expressway's release, {OLDEST} to {NEWEST}; X14.0.8 and later verify [default: the configuration's].",
)
@click.option(
    "--advertise",
    type=click.Choice(["fqdn", "ip"]),
    default="fqdn",
    show_default=True,
    help="The server names in CUCM's System > Server: host names or addresses.",
)
@click.option(
    "--https-ciphers",
    default="rsa",
    show_default=True,
    metavar="rsa|all",
    help="CUCM's HTTPS Ciphers: 8443 has its RSA certificate only (RSA Ciphers Only), or the ECDSA one as well.",
)
@click.option(
    "--log",
    type=FILE,
    help="The log file [default: the configuration's, else a new temporary file, which is kept].",
)
def lab(
    file: Path | None, release: str | None, advertise: Literal["fqdn", "ip"], https_ciphers: str, log: Path | None
) -> None:
    """Run proxy and mocks until Ctrl-C.

    Prints one JSON line with the addresses of proxy, control API and edge, and the log's path.

    Every key of -c FILE applies. The lab adds its servers to [hosts], and to the trust store the CA that signed their
    RSA certificates; store = "" trusts nothing. Refused: proxy.workers above 1, and the lab's own servers in [hosts].

    \b
    Example:
      mralab lab &
      {"listening": ..., "admin": ..., "pid": ..., "edge": "127.0.0.1:41236", "log": ...}
      mralab login emusk --via http://127.0.0.1:41236
    """
    from ..lab.serve import run as run_lab

    sys.exit(run(lambda: run_lab(file, release, advertise, https_ciphers, log, load_api)))
