"""``mralab diagnose``: findings and remedies from logs, diagnostic-logging archives and captures."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from ..core.log.escape import escape
from ..errors import InputError
from .document import print_document
from .group import FILE_OR_FOLDER, json_option
from .html_file import html_file, html_option
from .root import main

if TYPE_CHECKING:
    from ..diagnose.case import Case, Progress
    from ..diagnose.report import Report
    from ..diagnose.sources import Source
    from ..show.report_model import ReportPage

_CODES_ARE_IN = "the codes are in docs/findings.md, and in the findings of --json"
_FOUND = frozenset(("issue-found", "potential-problem", "missing-information"))


def _moment(_: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read an option's time: ISO 8601; without a zone it is that of this machine.

    ``--until`` includes the day, minute or second that it names.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace(",", "."))
        if option.name == "until":
            moment += _named_by(text.strip()) - timedelta(microseconds=1)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a time: write 2026-01-29T14:01:16+01:00, 2026-01-29 14:01 or 2026-01-29", param=option
        ) from None


def _named_by(text: str) -> timedelta:
    """Return how long the time lasts that a text names: a day, a minute, a second, or a moment."""
    _, _, clock = text.replace("T", " ").partition(" ")
    clock = re.split("[Z+-]", clock, maxsplit=1)[0].strip()
    if not clock:
        return timedelta(days=1)
    if "." in clock or "," in clock:
        return timedelta(microseconds=1)
    return timedelta(minutes=1) if len(clock.replace(":", "")) <= len("HHMM") else timedelta(seconds=1)


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(allow_dash=True))
@click.option(
    "--server", "servers", multiple=True, metavar="NAME[:PORT]", help="Only findings at this name or address."
)
@click.option("--code", "codes", multiple=True, help="Only findings with this code, such as self-signed.")
@click.option("--since", metavar="TIME", callback=_moment, help="Leave out lines before this time.")
@click.option(
    "--until", metavar="TIME", callback=_moment, help="Leave out lines after this time (a date: after that day)."
)
@click.option("--trust", type=FILE_OR_FOLDER, help="Expressway-C's trusted CAs, for captures: a PEM file or folder.")
@html_option
@json_option
def diagnose(
    paths: tuple[str, ...],
    servers: tuple[str, ...],
    codes: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    trust: Path | None,
    html: str | None,
    as_json: bool,
) -> None:
    """Explain failed logins from logs, archives or captures.

    PATH is a traffic_server log, a diagnostic-logging archive (.tar.gz) of one peer or several, a packet capture (pcap,
    pcapng), a mail message (.eml) with any of these, any of these compressed, or a folder of them; - is standard input.
    The content of a file shows what it is.

    Exit 0: nothing found. Exit 1: findings. Exit 2: no line of traffic_server and no connection of a capture could be
    read; or nothing was found, but a PATH cannot be opened.

    \b
    Example:
      mralab diagnose diagnostic_log_vcsc_2026-01-29_14_05_00.tar.gz
      mralab diagnose loggingsnapshot.txt --html report.html
      grep traffic_server messages | mralab diagnose - --server cucm.steven.lab
    """
    from ..core.nearest import did_you_mean
    from ..diagnose.case import Case
    from ..diagnose.comparisons import COMPARED_CODES
    from ..diagnose.conclusions import Wanted, conclude, unknown_servers
    from ..diagnose.rules import CODES
    from ..diagnose.sources import Sources
    from ..show import diagnosis, screen
    from ..tls.trust_store import load_store

    known = (*CODES, *COMPARED_CODES)
    wrong = [f"--code {code}: there is no such code{did_you_mean(code, known)}" for code in codes if code not in known]
    hint = _CODES_ARE_IN if wrong else ""
    if since is not None and until is not None and since > until:
        wrong.append(f"--since {since:%Y-%m-%dT%H:%M:%SZ} is after --until {until:%Y-%m-%dT%H:%M:%SZ}")
    if wrong:
        raise InputError(wrong, hint)
    case = Case(load_store(trust) if trust is not None else None, since, until, ladders=html is not None)
    page = html_file(html)
    output = Path(html) if html is not None and not page.is_stdout else None
    sources = Sources(paths, sys.stdin.buffer if sys.stdin is not None else None, output=output)
    with _progress() as progress:
        case.read(sources, progress)
    if unknown := unknown_servers(case, servers):
        raise InputError(
            f"--server {server}: no file shows it{f'; did you mean {near!r}?' if near else ''}"
            for server, near in unknown.items()
        )
    report = conclude(case, Wanted(servers, codes))
    page.write(lambda: _page(case, report))
    if as_json:
        print_document(report)
    elif not page.is_stdout:
        console = screen.console()
        console.print(diagnosis.diagnosis_text(report, console.width), soft_wrap=True)
    if not case.shows_anything:
        sys.exit(2)
    if any(finding.category in _FOUND for finding in report.findings):
        sys.exit(1)
    sys.exit(2 if sources.unopened else 0)


def _page(case: Case, report: Report) -> ReportPage:
    from ..show.report_diagnosis import diagnosis_page

    ladders = {peer.name: peer.ladder.ladder(report.findings) for peer in case.peers.values() if peer.ladder}
    return diagnosis_page(report, ladders)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Show a bar for each file on standard error, if that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from ..show import screen
    from ..show.progress import has_progress

    if not has_progress(sys.stderr):
        yield None
        return
    console = screen.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bars:
        task = bars.add_task("")
        shown = ""

        def progress(source: Source, size: int) -> None:
            nonlocal shown
            if source.path != shown:
                shown = source.path
                bars.reset(task, description=escape(PurePath(shown).name)[-40:], total=source.size)
            bars.advance(task, size)

        yield progress
