"""The commands, thin: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from ..errors import MralabError
from .admin import diagnostic_logging, trust, xconfiguration
from .allowlist import allowlist
from .group import Group

if TYPE_CHECKING:
    from ..control.serve import ServeApi

T = TypeVar("T")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mralab", message="%(version)s")
def main() -> None:
    """A lab Expressway-C traffic server: verifies, refuses and logs like X14.2.

    \b
    Example:
      mralab demo
    """


for command in (trust, xconfiguration, diagnostic_logging, allowlist):
    main.add_command(command)


def _api() -> ServeApi:
    from ..web.api import serve_admin

    return serve_admin


def _run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on uvloop."""
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(make())


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="The folder of the logs; logs of an earlier demo in it are replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def demo(out: Path, as_json: bool) -> None:
    """The article's login before and after X14.2, then the remedies.

    Exit 0: everything went as the article says. Exit 1: it did not, and what differed is printed.

    \b
    Example:
      mralab demo --out /tmp/article
    """
    from ..lab import demo as demonstration
    from ..show import terminal

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "not a folder" if out.exists() else f"cannot be created: {error.strerror}"
        raise MralabError(f"--out {out}: {reason}", "choose another folder") from error
    progress = terminal.console(stderr=True)
    if progress.is_terminal:
        with progress.status("putting the lab together") as status:
            outcomes = _run(lambda: demonstration.run(out, status.update))
    else:
        outcomes = _run(lambda: demonstration.run(out))
    differences = [f"{o.scenario.name}: {text}" for o in outcomes for text in o.differences]
    if as_json:
        click.echo(json.dumps([_outcome_json(outcome) for outcome in outcomes], indent=2))
    else:
        terminal.console().print(terminal.demo_table(outcomes))
        click.echo("Logs, before and after: " + ", ".join(str(log) for o in outcomes for log in o.logs))
        if not differences:
            click.echo("Everything went as the article says.")
    if differences:
        click.echo("Not as expected:\n" + "\n".join(f"  {text}" for text in differences), err=True)
        sys.exit(1)


def _outcome_json(outcome: Any) -> dict[str, Any]:
    return {
        "scenario": outcome.scenario.name,
        "title": outcome.scenario.title,
        "before": outcome.before.ok,
        "after": outcome.after.ok,
        "findings": [
            {
                "code": f.code,
                "server": f.server,
                "port": f.port,
                "cause": f.cause,
                "evidence": list(f.evidence),
            }
            for f in outcome.findings
        ],
        "applied": [remedy.code for remedy in outcome.applied],
        "fixed": bool(outcome.fixed and outcome.fixed.ok),
        "logs": [str(log) for log in outcome.logs],
        "differences": outcome.differences,
    }


@main.command()
@click.option(
    "-c",
    "--config",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The TOML configuration.",
)
def serve(file: Path) -> None:
    """The proxy alone, until SIGTERM (drains) or SIGINT; SIGHUP reloads.

    Prints one JSON line with the addresses of the proxy and of its control API.

    \b
    Example:
      mralab serve -c mralab.toml
    """
    from ..control.serve import serve as serve_file

    sys.exit(serve_file(file, _api))


@main.command()
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The proxy's TOML configuration, as for serve; default: the article's lab.",
)
@click.option(
    "--release",
    default=None,
    metavar="RELEASE",
    help="The Expressway's release, X12.5 to X15.5; X14.0.8 and later verify [default: the configuration's].",
)
@click.option(
    "--advertise",
    type=click.Choice(["fqdn", "ip"]),
    default="fqdn",
    show_default=True,
    help="What CUCM's System > Server says.",
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
    type=click.Path(dir_okay=False, path_type=Path),
    help="The log file [default: the configuration's, else a new temporary file, which stays].",
)
def lab(
    file: Path | None, release: str | None, advertise: Literal["fqdn", "ip"], https_ciphers: str, log: Path | None
) -> None:
    """Proxy and mocks, until Ctrl-C. Prints one JSON line with where they are: proxy, control API, edge and log.

    Every key of -c FILE holds. The lab adds its CUCM to [hosts], and to the trust store the CA that signed CUCM's RSA
    certificates; store = "" trusts nothing. Refused: proxy.workers above 1, and the lab's own CUCM in [hosts].

    \b
    Example:
      mralab lab &
      {"listening": ..., "admin": ..., "pid": ..., "edge": "127.0.0.1:41236", "log": ...}
      mralab login emusk --via http://127.0.0.1:41236
    """
    from ..lab.serve import run as run_lab

    sys.exit(_run(lambda: run_lab(file, release, advertise, https_ciphers, log, _api)))


@main.command()
@click.argument("user")
@click.option("--via", required=True, metavar="URL", help="The edge to log in through, or a proxy without one.")
@click.option(
    "--password",
    envvar="MRALAB_PASSWORD",
    default="cisco123",
    show_default=True,
    help="The user's password, better given as $MRALAB_PASSWORD; the lab's by default.",
)
@click.option("--domain", default="steven.lab", show_default=True, help="The users' domain.")
@click.option("--server", default=None, help="CUCM's name where no get_edge_config answers [default: cucm.DOMAIN].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def login(user: str, via: str, password: str, domain: str, server: str | None, as_json: bool) -> None:
    """The MRA login sequence through a running edge or proxy, step by step. Exit 1 if it fails.

    The edge is the 'edge' of the line that lab prints: it answers get_edge_config and passes the rest to the proxy. A
    proxy alone (serve) answers no get_edge_config; the login then begins with --server.

    \b
    Example:
      mralab lab &
      {"listening": ..., "admin": ..., "pid": ..., "edge": "127.0.0.1:41236", "log": ...}
      mralab login emusk --via http://127.0.0.1:41236
    """
    from ..lab.login import login as log_in

    result = _run(lambda: log_in(user, via, password=password, domain=domain, server=server))
    if as_json:
        steps = [
            {
                "name": s.name,
                "method": s.method,
                "url": s.url,
                "server": s.server,
                "status": s.status,
                "reason": s.reason,
                "ok": s.ok,
                "meaning": s.meaning,
            }
            for s in result.steps
        ]
        click.echo(json.dumps({"ok": result.ok, "steps": steps}, indent=2))
    else:
        from ..show import terminal

        click.echo("Login works." if result.ok else "Login fails.")
        terminal.console().print(terminal.login_table(result))
    sys.exit(0 if result.ok else 1)


@main.command()
@click.argument("servers", nargs=-1, metavar="[HOST:PORT]...")
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML configuration: its [hosts] are asked if no server is named, and its [trust] is used.",
)
@click.option("--trust", "trusted", type=click.Path(path_type=Path), help="PEM file or folder of the trusted CAs.")
@click.option("--timeout", default=5.0, show_default=True, type=click.FloatRange(0.1, 300), help="Seconds a handshake.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def preflight(servers: tuple[str, ...], file: Path | None, trusted: Path | None, timeout: float, as_json: bool) -> None:
    """What X14.2 would refuse of live servers: each is asked with ECDSA first and with RSA first.

    X14.2 asks with ECDSA first, unless its cipher string begins with ECDHE-RSA-AES256-GCM-SHA384.

    No request is sent. Exit 0: X14.2 would accept all of them. Exit 1: it would refuse one, or TLS fails, and the
    reason is printed. Exit 3: it would refuse none, but a server could not be asked.

    \b
    Example:
      mralab preflight cucm.steven.lab:8443 cucm.steven.lab:6972 --trust trust/
      mralab preflight -c mralab.toml
    """
    from ..config import from_mapping, load
    from ..diagnose import preflight as preflights
    from ..net.settings import load_settings
    from ..show import terminal
    from ..tls.trust_store import load_store

    config = load(file) if file is not None else from_mapping({"trust": {"store": ""}, "allow": {"rules": ""}})
    settings = load_settings(config, store=load_store(trusted) if trusted is not None else None)
    store, identity = settings.store, settings.identity
    asked = preflights.parse_addresses(servers) if servers else preflights.configured_addresses(config)
    if not asked:
        raise MralabError("which servers? Pass HOST:PORT, or a configuration with [hosts]", "see --help")
    progress = terminal.console(stderr=True)
    if progress.is_terminal:
        with progress.status("asking") as status:
            told = lambda question: status.update(f"asking {question}")  # noqa: E731 - said where it is used
            answers = _run(
                lambda: preflights.check(asked, config, store, seconds=timeout, identity=identity, on_start=told)
            )
    else:
        answers = _run(lambda: preflights.check(asked, config, store, seconds=timeout, identity=identity))
    if as_json:
        click.echo(json.dumps([answer.as_json() for answer in answers], indent=2))
    else:
        click.echo("\n".join(preflights.summary(answers)))
        if not store.certificates:
            click.echo("The trust store is empty, so every certificate is refused: name the trusted CAs with --trust.")
        screen = terminal.console()
        screen.print(terminal.preflight_report(answers, screen.width), soft_wrap=True)
    states = {answer.state for answer in answers}
    sys.exit(1 if states & {"refused", "failed"} else 3 if "not-asked" in states else 0)
