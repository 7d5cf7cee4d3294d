"""The commands that act on a running proxy, by its control API. Thin, as ``cli`` is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .cli_group import Group
from .errors import InputError, MralabError

if TYPE_CHECKING:
    from .web.client import Admin

_FINGERPRINT = re.compile(r"([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}")

admin_option = click.option(
    "--admin",
    envvar="MRALAB_ADMIN",
    metavar="HOST:PORT",
    help="The running proxy's control API, the 'admin' of the line it prints [default: $MRALAB_ADMIN].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _connect(admin: str | None) -> Admin:
    from .web.client import Admin

    if not admin:
        raise MralabError(
            "which running proxy? Neither --admin nor MRALAB_ADMIN says it",
            "serve and lab print it: --admin 127.0.0.1:PORT",
        )
    return Admin(admin)


@click.group(cls=Group)
def trust() -> None:
    """The trusted CA certificates of a running proxy.

    \b
    Example:
      mralab trust add steven-DC-CA.pem --admin 127.0.0.1:41235
    """


@trust.command("list")
@admin_option
@json_option
def trust_list(admin: str | None, as_json: bool) -> None:
    """The certificates in the trust store.

    \b
    Example:
      mralab trust list --admin 127.0.0.1:41235
    """
    _show_store(_connect(admin).ask("GET", "/api/trust"), "", as_json)


@trust.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE...")
@admin_option
@json_option
def trust_add(files: tuple[Path, ...], admin: str | None, as_json: bool) -> None:
    """Trust the certificates in files (PEM or DER) from the next request on.

    \b
    Example:
      mralab trust add root.pem intermediate.pem
    """
    remote = _connect(admin)
    pem = "".join(_pem(certificate) for certificate in _read(files))
    answer = remote.ask("POST", "/api/trust", {"pem": pem})
    _show_store(answer, f"{answer['added']} added", as_json)


@trust.command("remove")
@click.argument("what", nargs=-1, required=True, metavar="FINGERPRINT|FILE...")
@admin_option
@json_option
def trust_remove(what: tuple[str, ...], admin: str | None, as_json: bool) -> None:
    """Trust certificates no more, named by SHA-256 fingerprint or by a file that holds them.

    \b
    Example:
      mralab trust remove root.pem
    """
    from .web.control import fingerprint

    remote = _connect(admin)
    prints = [word for word in what if _FINGERPRINT.fullmatch(word)]
    prints += [fingerprint(certificate) for certificate in _read([Path(word) for word in what if word not in prints])]
    answer = remote.ask("DELETE", "/api/trust", {"fingerprints": prints})
    _show_store(answer, f"{answer['removed']} removed", as_json)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="EdgeConfigServer VerifyOriginServer: On|Off")
@admin_option
@json_option
def xconfiguration(words: tuple[str, ...], admin: str | None, as_json: bool) -> None:
    """The Expressway's command line: switch verification of servers off or on, or read it back.

    \b
    Example:
      mralab xconfiguration EdgeConfigServer VerifyOriginServer: Off
      mralab xconfiguration EdgeConfigServer VerifyOriginServer
    """
    from .web.xconfiguration import parse, read_back

    value = parse(words)
    remote = _connect(admin)
    if value is None:
        answer = remote.ask("GET", "/api/config")
    else:
        answer = remote.ask("PATCH", "/api/config", {"verify": {"origin": value.lower()}})
    mode = answer["verify"]["origin"]
    click.echo(json.dumps({"verify": {"origin": mode}}) if as_json else read_back(mode))


@click.group("diagnostic-logging", cls=Group)
def diagnostic_logging() -> None:
    """Maintenance > Diagnostics: collect the log of a while into an archive.

    \b
    Example:
      mralab diagnostic-logging start
      mralab login emusk --via http://127.0.0.1:8443
      mralab diagnostic-logging stop --out login.tar.gz
    """


@diagnostic_logging.command("start")
@admin_option
@json_option
def diagnostic_logging_start(admin: str | None, as_json: bool) -> None:
    """Begin a new log; one that is being written is dropped.

    \b
    Example:
      mralab diagnostic-logging start --admin 127.0.0.1:41235
    """
    answer = _connect(admin).ask("POST", "/api/diagnostic-logging/start")
    click.echo(json.dumps(answer) if as_json else f"started {answer['started']}")


@diagnostic_logging.command("stop")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the archive goes [default: here, by its own name].",
)
@admin_option
@json_option
def diagnostic_logging_stop(out: Path | None, admin: str | None, as_json: bool) -> None:
    """End the log and save its archive.

    \b
    Example:
      mralab diagnostic-logging stop --out login.tar.gz
    """
    archive = _connect(admin).ask("POST", "/api/diagnostic-logging/stop")
    file = out or Path(archive.name)
    try:
        file.write_bytes(archive.data)
    except OSError as error:
        raise MralabError(f"{file}: cannot be written: {error.strerror}") from error
    click.echo(json.dumps({"archive": str(file), "bytes": len(archive.data)}) if as_json else str(file))


def _read(files: Any) -> list[Any]:
    """The certificates of all files. Raises ``InputError`` with every problem in them."""
    from .net.trust import parse_pem

    certificates: list[Any] = []
    problems: list[str] = []
    for file in files:
        try:
            certificates += parse_pem(file.read_bytes(), str(file))
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror}")
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return certificates


def _pem(certificate: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return str(certificate.public_bytes(Encoding.PEM).decode("ascii"))


def _show_store(answer: Any, done: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    certificates = answer["certificates"]
    count = f"{len(certificates)} in the trust store"
    click.echo(f"{done}; {count}" if done else count)
    for one in certificates:
        click.echo(f"{one['fingerprint']}  {one['subject']}  until {one['not_after'][:10]}")
