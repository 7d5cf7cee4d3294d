"""The option ``--html FILE``: the answer of a command as one file that a person can forward."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from ..errors import MralabError
from .group import FILE

if TYPE_CHECKING:
    from ..show.report_model import ReportPage

html_option = click.option(
    "--html", "html", type=FILE, help="Also write a report to this file: one HTML page that loads nothing."
)


def html_file(file: Path | None) -> HtmlFile:
    """Return the file of ``--html`` for the command that runs.

    Raises ``MralabError`` if it cannot be written, or if the command reads it: a customer's log is not replaced.
    """
    context = click.get_current_context()
    if file is not None and any(_is_same(file, value) for value in _texts(context.params)):
        raise MralabError(f"--html {file}: is a file that this command reads", "choose another file")
    return context.with_resource(HtmlFile(file))


def _texts(params: Mapping[str, object]) -> Iterator[str | Path]:
    """Yield the values of a command's other parameters that may be names of files."""
    for name, given in params.items():
        for value in given if isinstance(given, tuple) else (given,):
            if name != "html" and isinstance(value, str | Path):
                yield value


def _is_same(file: Path, value: str | Path) -> bool:
    try:
        return file.samefile(value)
    except (OSError, ValueError):  # not a file, or not even a name of one
        return False


class HtmlFile:
    """The file of ``--html``; without one, nothing is written.

    Entering it raises ``MralabError`` if the file cannot be written: that is known before the command begins. A file
    that did not exist is removed again if nothing was written.
    """

    def __init__(self, file: Path | None) -> None:
        """``file`` is replaced if it exists."""
        self._file = file
        self._is_empty = False

    def __enter__(self) -> Self:
        if self._file is not None:
            try:
                self._is_empty = not self._file.exists()
                self._file.open("ab").close()
            except OSError as error:
                raise self._unwritable(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_empty and self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink()

    def write(self, make: Callable[[], ReportPage]) -> None:
        """Write the report that ``make`` returns, if there is a file to write it to."""
        if self._file is None:
            return
        from ..show.html import report_html

        document = report_html(make())
        try:
            self._file.write_text(document, "utf-8", newline="\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self._is_empty = False

    def _unwritable(self, error: OSError) -> MralabError:
        return MralabError(f"--html {self._file}: cannot be written: {error.strerror}", "choose another file")
