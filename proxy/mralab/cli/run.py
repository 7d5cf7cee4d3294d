"""``mralab run``: failures by name, or from files, with what is expected of each."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import MralabError
from .document import print_document
from .event_loop import run as run_in_loop
from .group import FOLDER, json_option
from .root import main

if TYPE_CHECKING:
    from ..lab.run import ScenarioResult


@main.command()
@click.argument("names", nargs=-1, metavar="NAME|FILE...")
@click.option("--all", "every", is_flag=True, help="Run every scenario that comes with mralab.")
@click.option(
    "--jobs", default=4, show_default=True, type=click.IntRange(1, 64), metavar="N", help="Labs at the same time."
)
@click.option(
    "--out", type=FOLDER, help="Folder for the logs, before and after [default: they are removed at the end]."
)
@json_option
def run(names: tuple[str, ...], every: bool, jobs: int, out: Path | None, as_json: bool) -> None:
    """Run scenarios and compare each with what is expected.

    NAME is one of mralab scenarios, FILE a TOML file of your own (docs/scenarios.md). Each scenario logs in before the
    upgrade, with X14.2, and once the remedy is applied, and gets one line.

    Exit 0: every expectation was met. Exit 1: one was not; the differences are printed.

    \b
    Example:
      mralab run --all
      mralab run expired ./mine.toml
    """
    from ..lab.run import run_all
    from ..lab.run_report import run_report, summary
    from ..lab.scenario import find_scenarios, shipped_scenarios
    from ..mocks.pki import mint

    if every == bool(names):
        raise MralabError(
            "--all runs every scenario: leave out the names" if every else "no scenario given: NAME, FILE or --all",
            "mralab scenarios lists the names",
        )
    chosen = shipped_scenarios() if every else find_scenarios(names)
    start = time.monotonic()
    with _folder(out) as folder:
        results = run_in_loop(
            lambda: run_all(chosen, Path(folder), mint(), jobs=jobs, done=(lambda _: None) if as_json else _print)
        )
        seconds = time.monotonic() - start
    if as_json:
        print_document(run_report(results, seconds, kept=out is not None))
    else:
        click.echo(summary(results, seconds))
    if any(result.differences for result in results):
        sys.exit(1)


def _folder(out: Path | None) -> tempfile.TemporaryDirectory[str] | nullcontext[str]:
    if out is None:
        return tempfile.TemporaryDirectory(prefix="mralab-")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "not a folder" if out.exists() else f"cannot be created: {error.strerror}"
        raise MralabError(f"--out {out}: {reason}", "choose another folder") from error
    return nullcontext(str(out))


def _print(result: ScenarioResult) -> None:
    from ..show import terminal

    terminal.console().print(terminal.run_line(result), soft_wrap=True)
