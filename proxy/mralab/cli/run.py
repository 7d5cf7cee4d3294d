"""``mralab run``: failures by name, or from files, with what is expected of each."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.counting import counted, share
from ..errors import MralabError
from .document import print_document
from .event_loop import run as run_in_loop
from .group import FOLDER, WholeNumber, json_option
from .html_file import html_file, html_option
from .output_folder import create_folder
from .root import main

if TYPE_CHECKING:
    import tempfile
    from collections.abc import Iterable

    from ..lab.run import ScenarioResult
    from ..show.progress import Progress
    from ..show.report_model import ReportPage


@main.command()
@click.argument("names", nargs=-1, metavar="NAME|FILE...")
@click.option("--all", "every", is_flag=True, help="Run every scenario that comes with mralab.")
@click.option(
    "--jobs",
    default=4,
    show_default=True,
    type=WholeNumber(1, 64),
    metavar="N",
    help="Number of labs at a time.",
)
@click.option(
    "--out", type=FOLDER, help="Folder for the logs, before and after [default: they are removed at the end]."
)
@html_option
@json_option
def run(names: tuple[str, ...], every: bool, jobs: int, out: Path | None, html: str | None, as_json: bool) -> None:
    """Run scenarios and compare each with what is expected.

    NAME is one that mralab scenarios lists, FILE a TOML file of your own (docs/scenarios.md). Each scenario logs in
    before the upgrade, with X14.2, and after the remedy, and gets one line.

    Exit 0: every expectation was met. Exit 1: one was not; the differences are printed.

    \b
    Example:
      mralab run --all
      mralab run expired ./mine.toml --html report.html
    """
    from ..lab.run import run_all
    from ..lab.run_report import run_report, summary
    from ..lab.scenario import find_scenarios, shipped_scenarios
    from ..mocks.pki import mint
    from ..show.progress import progress

    if every == bool(names):
        raise MralabError(
            "--all runs every scenario: leave out the names" if every else "no scenario given: NAME, FILE or --all",
            "mralab scenarios lists the names",
        )
    chosen = shipped_scenarios() if every else find_scenarios(names)
    start = time.monotonic()
    page = html_file(html)
    with _folder(out) as folder, progress(f"running {counted(len(chosen), 'scenario')}") as line:
        done = _Done(len(chosen), line, print_results=not as_json and not page.is_stdout)
        results = run_in_loop(lambda: run_all(chosen, Path(folder), mint(), jobs=jobs, done=done))
        seconds = time.monotonic() - start
    page.write(lambda: _page(results))
    if as_json:
        print_document(run_report(results, seconds, kept=out is not None))
    elif not page.is_stdout:
        click.echo(summary(results, seconds))
    if any(result.differences for result in results):
        sys.exit(1)


def _page(results: Iterable[ScenarioResult]) -> ReportPage:
    from ..show.report_run import run_page

    return run_page(results, "run")


def _folder(out: Path | None) -> tempfile.TemporaryDirectory[str] | nullcontext[str]:
    import tempfile

    if out is None:
        return tempfile.TemporaryDirectory(prefix="mralab-")
    create_folder(out, "--out")
    return nullcontext(str(out))


class _Done:
    """Print each result of a run, and show how many of all scenarios are done."""

    def __init__(self, number: int, line: Progress, *, print_results: bool) -> None:
        self._number = number
        self._line = line
        self._print_results = print_results
        self._count = 0

    def __call__(self, result: ScenarioResult) -> None:
        from ..show import screen, terminal

        self._count += 1
        with self._line.hidden():
            if self._print_results:
                console = screen.console()
                console.print(terminal.run_line(result, console.width), soft_wrap=True)
        self._line.show(f"{share(self._count, self._number, 'scenario')} {'is' if self._count == 1 else 'are'} done")
