"""``mralab demo``: the article's login before and after X14.2, then the remedies."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .document import print_document
from .event_loop import run_with_progress
from .group import FOLDER, json_option
from .html_file import html_file, html_option
from .output_folder import create_folder
from .root import main

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..lab.run import ScenarioResult
    from ..show.report_model import ReportPage


@main.command()
@click.option(
    "--out",
    type=FOLDER,
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the logs. Logs of an earlier demo in it are replaced.",
)
@html_option
@json_option
def demo(out: Path, html: str | None, as_json: bool) -> None:
    """Run the article's login before and after X14.2.

    Then apply the remedies and log in again.

    Exit 0: every result is as in the article. Exit 1: a result differs; the differences are printed.

    \b
    Example:
      mralab demo --out /tmp/article --html article.html
    """
    from ..lab import demo as demonstration
    from ..lab.run_report import demo_report
    from ..show import screen, sheet, terminal

    page = html_file(html)
    create_folder(out, "--out")
    results = run_with_progress("minting certificates", lambda show: demonstration.run(out, _numbered(show)))
    page.write(lambda: _page(results))
    differences = [f"{result.scenario.name}: {text}" for result in results for text in result.differences]
    if as_json:
        print_document(demo_report(results))
    elif not page.is_stdout:
        sheet.show(terminal.demo_sheet(results), screen.console())
        click.echo("\nLogs, before and after:")
        for log in (log for result in results for log in result.logs):
            click.echo(f"  {log}")
        if not differences:
            click.echo("Every result is as in the article.")
    if differences:
        click.echo("Not as expected:\n" + "\n".join(f"  {text}" for text in differences), err=True)
        sys.exit(1)


def _page(results: Iterable[ScenarioResult]) -> ReportPage:
    from ..show.report_run import run_page

    return run_page(results, "demo")


def _numbered(show: Callable[[str], object]) -> Callable[[str], object]:
    """Return a function that shows the title of a scenario with its number."""
    from ..lab.demo import ARTICLE

    numbers = itertools.count(1)
    return lambda title: show(f"scenario {next(numbers)} of {len(ARTICLE)}: {title}")
