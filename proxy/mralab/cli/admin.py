"""The commands that act on a running proxy, by its control API. Thin, as ``cli`` is."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import click

from ..errors import InputError, MralabError
from .group import Group

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509

    from ..web.client import Admin

_FINGERPRINT = re.compile(r"(?:sha-?256 Fingerprint=)?((?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2})", re.IGNORECASE)
"""Also as openssl x509 -fingerprint -sha256 prints it."""
_PART_OF_ONE = re.compile(r"(sha.* Fingerprint=)?([0-9A-F]{2}:)+[0-9A-F]{2}:?", re.IGNORECASE)

admin_option = click.option(
    "--admin",
    envvar="MRALAB_ADMIN",
    metavar="HOST:PORT",
    help="The running proxy's control API, the 'admin' of the line it prints [default: $MRALAB_ADMIN].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _connect(admin: str | None) -> Admin:
    from ..web.client import Admin

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
    """Trust the certificates in files (PEM, DER or PKCS #7, such as .p7b) from the next request on.

    \b
    Example:
      mralab trust add root.pem intermediate.pem
    """
    remote = _connect(admin)
    pem = "".join(_pem(certificate) for certificates in _read_each(files) for certificate in certificates)
    answer = remote.ask("POST", "/api/trust", {"pem": pem})
    _show_store(answer, f"{answer['added']} added", as_json)


@trust.command("remove")
@click.argument("what", nargs=-1, required=True, metavar="FINGERPRINT|FILE...")
@admin_option
@json_option
def trust_remove(what: tuple[str, ...], admin: str | None, as_json: bool) -> None:
    """Trust certificates no more, named by SHA-256 fingerprint or by a file that holds them.

    Exit 1: some of them are not in the trust store. Those that are have been removed.

    \b
    Example:
      mralab trust remove root.pem
    """
    from ..control.control import fingerprint

    remote = _connect(admin)
    named = {_normal(word): word for word in what if _FINGERPRINT.fullmatch(word)}
    files = [word for word in what if not _FINGERPRINT.fullmatch(word)]
    wrong = [word for word in files if _PART_OF_ONE.fullmatch(word) and not Path(word).exists()]
    if wrong:
        raise InputError(
            [f"{word}: is neither a SHA-256 fingerprint, which has 32 bytes, nor a file" for word in wrong]
        )
    for file, certificates in zip(files, _read_each([Path(word) for word in files]), strict=True):
        named |= {fingerprint(one): f"{file}: {one.subject.rfc4514_string()}" for one in certificates}
    there = {one["fingerprint"] for one in remote.ask("GET", "/api/trust")["certificates"]}
    answer = remote.ask("DELETE", "/api/trust", {"fingerprints": list(named)})
    absent = [name for print_, name in named.items() if print_ not in there]
    _show_store(answer, f"{answer['removed']} removed", as_json)
    for name in absent:
        click.echo(f"{name}: not in the trust store", err=True)
    sys.exit(1 if absent else 0)


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
    from ..web.xconfiguration import parse, read_back

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
      mralab login emusk --via http://127.0.0.1:41236
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
    remote = _connect(admin)
    with _Place(out) as place:  # before the log ends: an archive that cannot be saved would be lost
        archive = remote.ask("POST", "/api/diagnostic-logging/stop")
        file = place.save(archive.name, archive.data)
    click.echo(json.dumps({"archive": str(file), "bytes": len(archive.data)}) if as_json else str(file))


class _Place:
    """Where a file will go: ``out``, or the working folder.

    Raises ``MralabError`` on entering if it cannot go there.
    """

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._made = False

    def __enter__(self) -> Self:
        try:
            if self._out is None:
                tempfile.TemporaryFile(dir=".").close()
            else:
                self._made = not self._out.exists()
                self._out.open("ab").close()
        except OSError as error:
            raise MralabError(f"{self._out or Path.cwd()}: cannot be written: {error.strerror}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._made and self._out is not None:
            with contextlib.suppress(OSError):
                self._out.unlink()

    def save(self, name: str, data: bytes) -> Path:
        """Write ``data`` to ``out``, else to ``name`` in the working folder; where that fails to a temporary folder."""
        file = self._out or Path(name)
        try:
            file.write_bytes(data)
        except OSError as error:
            raise MralabError(f"{file}: cannot be written: {error.strerror}", _rescue(name, data)) from error
        return file


def _rescue(name: str, data: bytes) -> str:
    """Save ``data`` in a temporary folder; return the sentence that says where, or that it is lost."""
    try:
        file = Path(tempfile.mkdtemp(prefix="mralab-"), name)
        file.write_bytes(data)
    except OSError as error:
        return f"nor can it be saved elsewhere ({error.strerror}): the archive is lost"
    return f"the archive is in {file}"


_MOST_BYTES: Final = 16 << 20
"""No file of certificates is larger; /dev/zero is."""


def _read_each(files: Iterable[Path]) -> list[list[x509.Certificate]]:
    """The certificates of each file. Raises ``InputError`` with every problem in them."""
    from ..tls.trust_store import parse_pem

    certificates: list[list[x509.Certificate]] = []
    problems: list[str] = []
    for file in files:
        try:
            with file.open("rb") as stream:
                data = stream.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise InputError([f"{file}: too large for a file of certificates (over {_MOST_BYTES >> 20} MB)"])
            certificates.append(parse_pem(data, str(file)))
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror}")
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return certificates


def _normal(word: str) -> str:
    """A fingerprint as the control API has it: ``AB:CD:..``."""
    return bytes.fromhex(word.rpartition("=")[2].replace(":", "")).hex(":").upper()


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
