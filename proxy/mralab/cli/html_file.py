"""The option ``--html FILE``: the answer of a command as one file that a person can forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import MralabError
from .output_file import OUTPUT, OutputFile

if TYPE_CHECKING:
    from ..show.report_model import ReportPage

html_option = click.option(
    "--html",
    "html",
    type=OUTPUT,
    metavar="FILE",
    help="Also write a report to this file: one HTML page that loads nothing; - prints it instead of the text.",
)


def html_file(name: str | None) -> HtmlFile:
    """Return the file of ``--html`` for the command that runs.

    Raises ``MralabError`` if it cannot be written, if the command reads it (a customer's log is not replaced), or if
    standard output is to have the JSON too.
    """
    context = click.get_current_context()
    if name is None:
        return HtmlFile(None)
    file = context.with_resource(OutputFile(name, "--html"))
    if file.is_stdout:
        if context.params.get("as_json"):
            raise MralabError(f"--html {name}: standard output is for the JSON (--json)", "write the report to a file")
    elif any(_is_same(name, value) for value in _texts(context.params)):
        raise MralabError(f"--html {name}: is a file that this command reads", "choose another file")
    return HtmlFile(file)


def _texts(params: Mapping[str, object]) -> Iterator[str | Path]:
    """Yield the values of a command's other parameters that may be names of files."""
    for name, given in params.items():
        for value in given if isinstance(given, tuple) else (given,):
            if name != "html" and isinstance(value, str | Path):
                yield value


def _is_same(name: str, value: str | Path) -> bool:
    try:
        return Path(name).samefile(value)
    except (OSError, ValueError):  # not a file, or not even a name of one
        return False


class HtmlFile:
    """The report of a command; without a ``file``, nothing is written."""

    def __init__(self, file: OutputFile | None) -> None:
        self._file = file

    @property
    def is_stdout(self) -> bool:
        """Whether the report is written to standard output, in place of the command's text."""
        return self._file is not None and self._file.is_stdout

    def write(self, make: Callable[[], ReportPage]) -> None:
        """Write the report that ``make`` returns, if there is a file to write it to."""
        if self._file is None:
            return
        from ..show.html import report_html

        self._file.write(report_html(make()).encode())
