"""``mralab diagnostic-logging``: the log of a running proxy over a period, as an archive."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from ..errors import MralabError
from .control_api import admin_option, connect
from .document import print_answer_document
from .group import json_option
from .output_file import OUTPUT, OutputFile
from .root import main


@main.group("diagnostic-logging")
def diagnostic_logging() -> None:
    """Collect the log of a period of time in an archive.

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
    """Start a new log. One that is already being collected is discarded.

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
@click.option(
    "--out",
    type=OUTPUT,
    metavar="FILE",
    help="File to save the archive to; - is standard output [default: the archive's own name, in the current folder].",
)
@admin_option
@json_option
def diagnostic_logging_stop(out: str | None, admin: str | None, as_json: bool) -> None:
    """Stop the log and save its archive.

    \b
    Example:
      mralab diagnostic-logging stop --out login.tar.gz
    """
    with _destination(out, as_json=as_json) as destination:  # before the log stops: an unsaved archive is lost
        archive = connect(admin).request("POST", "/api/diagnostic-logging/stop")
        name = _save(destination, archive.name, archive.data)
    if as_json:
        print_answer_document("diagnostic-logging-stop", {"archive": name, "bytes": len(archive.data)})
    elif name:
        click.echo(name)


def _destination(out: str | None, *, as_json: bool) -> AbstractContextManager[OutputFile | None]:
    """Return the file ``out``, entered with None for the working folder.

    Raises ``MralabError`` if nothing can be written there; a file is checked on entering.
    """
    import tempfile

    if out is None:
        try:
            tempfile.TemporaryFile(dir=".").close()
        except OSError as error:
            raise MralabError(f"{Path.cwd()}: cannot be written: {error.strerror}") from error
        return nullcontext()
    file = OutputFile(out, "--out")
    if file.is_stdout and as_json:
        raise MralabError(f"--out {out}: standard output is for the JSON (--json)", "write the archive to a file")
    if file.is_stdout and sys.stdout.isatty():
        raise MralabError(f"--out {out}: standard output is a terminal", "write the archive to a file or a pipe")
    return file


def _save(destination: OutputFile | None, name: str, data: bytes) -> str:
    """Write an archive to its destination, else to ``name`` in the working folder; if that fails, to a temporary one.

    Return the file's name; empty for standard output.
    """
    try:
        if destination is not None:
            destination.write(data)
            return destination.name
        with OutputFile(f"./{name}") as file:
            file.write(data)
    except MralabError as error:
        raise MralabError(error.message, _rescue(name, data)) from error
    except OSError as error:
        raise MralabError(f"standard output: cannot be written: {error.strerror}", _rescue(name, data)) from error
    return name


def _rescue(name: str, data: bytes) -> str:
    """Save ``data`` in a temporary folder. Return a sentence with its path, or that it is lost."""
    import tempfile

    try:
        file = Path(tempfile.mkdtemp(prefix="mralab-"), name)
        file.write_bytes(data)
    except OSError as error:
        return f"nor can it be saved elsewhere ({error.strerror}): the archive is lost"
    return f"the archive is in {file}"
