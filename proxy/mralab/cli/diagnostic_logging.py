"""``mralab diagnostic-logging``: the log of a running proxy over a period, as an archive."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Self

import click

from ..errors import MralabError
from .control_api import admin_option, connect
from .document import print_answer_document
from .group import FILE, json_option
from .root import main


@main.group("diagnostic-logging")
def diagnostic_logging() -> None:
    """Collect the log of a period in an archive.

    On an Expressway: Maintenance > Diagnostics > Diagnostic logging.

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
    """Start a new log. A log that is being collected is discarded.

    \b
    Example:
      mralab diagnostic-logging start --admin 127.0.0.1:41235
    """
    answer = connect(admin).request("POST", "/api/diagnostic-logging/start")
    if as_json:
        print_answer_document("diagnostic-logging-start", answer)
    else:
        click.echo(f"started {answer['started']}")


@diagnostic_logging.command("stop")
@click.option("--out", type=FILE, help="File of the archive [default: the archive's own name in this folder].")
@admin_option
@json_option
def diagnostic_logging_stop(out: Path | None, admin: str | None, as_json: bool) -> None:
    """Stop the log and save its archive.

    \b
    Example:
      mralab diagnostic-logging stop --out login.tar.gz
    """
    remote = connect(admin)
    with _Destination(out) as destination:  # checked before the log stops: an archive that cannot be saved is lost
        archive = remote.request("POST", "/api/diagnostic-logging/stop")
        file = destination.save(archive.name, archive.data)
    if as_json:
        print_answer_document("diagnostic-logging-stop", {"archive": str(file), "bytes": len(archive.data)})
    else:
        click.echo(str(file))


class _Destination:
    """The file ``out``, or the working folder. Entering it raises ``MralabError`` if nothing can be written there."""

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
        """Write ``data`` to ``out``, else to ``name`` in the working folder; if that fails, to a temporary folder."""
        file = self._out or Path(name)
        try:
            file.write_bytes(data)
        except OSError as error:
            raise MralabError(f"{file}: cannot be written: {error.strerror}", _rescue(name, data)) from error
        return file


def _rescue(name: str, data: bytes) -> str:
    """Save ``data`` in a temporary folder. Return a sentence with its path, or that it is lost."""
    try:
        file = Path(tempfile.mkdtemp(prefix="mralab-"), name)
        file.write_bytes(data)
    except OSError as error:
        return f"nor can it be saved elsewhere ({error.strerror}): the archive is lost"
    return f"the archive is in {file}"
