"""What a running proxy remembers, as ``findings``, ``log`` and ``transactions`` print it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from ..core.log.escape import escape, visible
from .document import print_answer_document
from .group import WholeNumber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MOST: Final = 100_000

most_option = click.option(
    "-n", "--most", type=WholeNumber(1, _MOST), default=20, show_default=True, help="Number of latest entries to show."
)


def print_answer(
    answer: dict[str, Any], name: str, as_json: bool, rows: Callable[[dict[str, Any]], Iterable[str]]
) -> None:
    """Print an answer, as text or as the document ``name``, and on standard error what is missing of it."""
    if as_json:
        print_answer_document(name, answer)
    else:
        for row in rows(answer):
            click.echo(row)
    for worker in answer["silent"]:
        click.echo(f"incomplete: {escape(worker)}", err=True)
    for loss in answer["lost"]:
        click.echo(f"incomplete: {escape(loss['what'])}", err=True)


def finding_rows(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the rows of findings as the control API has them, each with its remedies, for the width of the terminal."""
    from ..diagnose.finding_json import presented_text
    from ..diagnose.findings import ANSWERED_SINCE
    from ..show.paragraphs import wrapped
    from ..show.screen import columns

    width = columns(sys.stdout)
    found = tuple(found)
    for number, finding in enumerate(found, 1):
        times = "once, at" if finding["count"] == 1 else f"{finding['count']} times, last"
        dialled = f", dialled at {escape(finding['dial'])}" if finding["dial"] else ""
        since = ANSWERED_SINCE if finding.get("answered") else _repaired(finding, found)
        cause = f"{finding['cause']} ({times} {clock(finding['last'])}{dialled}{since})"
        yield from wrapped(visible(f"{number}. {finding['code']}: {cause}"), width, "   ")
        if presented := presented_text(finding.get("presented", ())):
            yield from (f"   {row}" for row in wrapped(visible(presented), width - 3))
        for remedy in finding["remedies"]:
            text = f"- {remedy['text']}{f' ({where})' if (where := remedy['where']) else ''}"
            yield from (f"   {row}" for row in wrapped(visible(text), width - 3))


def _repaired(finding: dict[str, Any], found: Iterable[dict[str, Any]]) -> str:
    """Return that a later finding at the same server and port proves ``finding`` repaired; empty if none does."""
    from ..diagnose.outlook import proves_repaired

    for other in found:
        is_later = other is not finding and other["first"] > finding["last"] and other["action"] != "Continue"
        is_same_place = is_later and (other["server"], other["port"]) == (finding["server"], finding["port"])
        if is_same_place and proves_repaired(finding["code"], other["code"]):
            return f"; repaired, since then it is {other['code']}"
    return ""


def clock(at: float) -> str:
    """Return a time of the day in UTC."""
    return f"{time.strftime('%H:%M:%S', time.gmtime(at))} UTC"
