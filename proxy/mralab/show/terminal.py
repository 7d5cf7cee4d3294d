"""What people see in a terminal: the demo's table, a login's steps, errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.logescape import escape
from ..core.release import BEFORE, DEFAULT

if TYPE_CHECKING:
    from ..diagnose.findings import Remedy
    from ..diagnose.preflight import Checked
    from ..lab.client import Login
    from ..lab.demo import Outcome


class _Console(Console):
    """A console that leaves a reader that has gone to the command: rich would exit with 1, which means findings."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled."""
        raise  # noqa: PLE0704 - rich calls this in its except clause


def console(*, stderr: bool = False) -> Console:
    """A console that colours only a terminal, never with NO_COLOR, and is wide enough where there is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=None if stream.isatty() else 140, highlight=False, emoji=False, markup=False)


def demo_table(outcomes: Iterable[Outcome]) -> Table:
    """Scenario, before, after, why, fix, and the login after the fix."""
    table = Table(show_lines=True)
    for title, ratio in (
        ("Scenario", 3),
        (BEFORE, 2),
        (DEFAULT, 4),
        ("Why", 8),
        ("Fix", 8),
        ("After the fix", 2),
    ):
        table.add_column(title, ratio=ratio, overflow="fold")
    for outcome in outcomes:
        table.add_row(
            outcome.scenario.title,
            _short(outcome.before),
            _short(outcome.after),
            _lines(finding.cause for finding in outcome.findings),
            _lines(_remedy(remedy) for remedy in outcome.applied),
            _short(outcome.fixed) if outcome.fixed else Text("not tried"),
        )
    return table


def _lines(texts: Iterable[str]) -> Text:
    return Text("\n\n".join(dict.fromkeys(texts)))


def _remedy(remedy: Remedy) -> str:
    return f"{remedy.text} ({remedy.where})" if remedy.where else remedy.text


def _short(login: Login) -> Text:
    if login.ok:
        return Text("login works", style="green")
    text = Text("login fails", style="bold red")
    seen: dict[str, str] = {}
    for step in login.steps:
        if not step.ok and step.status is not None:
            seen.setdefault(step.server, f"{step.status} {step.reason}")
    for server, status in seen.items():
        text.append(f"\n{server}\n {status}", style="not bold red")
    return text


def login_table(login: Login) -> Table:
    """A login, a line a step: what was asked, of whom, status, and what that means for the user."""
    table = Table()
    for title in ("Step", "Asked", "Of", "Status", "Means"):
        table.add_column(title, overflow="fold", no_wrap=title == "Step")
    for step in login.steps:
        status = f"{step.status} {step.reason}".strip() if step.status is not None else "-"
        style = "green" if step.ok else "red"
        table.add_row(step.name, f"{step.method} {step.url}", step.server, Text(status, style=style), step.meaning)
    return table


_STATES = {
    "accepted": ("accepts", "green"),
    "refused": ("refuses", "bold red"),
    "failed": ("TLS fails", "bold red"),
    "not-asked": ("not asked", "yellow"),
}


def preflight_table(answers: Iterable[Checked]) -> Table:
    """A row for each server and preference: the certificate shown, what X14.2 would do, why, and what helps."""
    table = Table(show_lines=True)
    for title, ratio in (("Server", 3), ("Asked for", 2), ("Shows", 6), (DEFAULT, 2), ("Why", 8), ("Fix", 7)):
        table.add_column(title, ratio=ratio, overflow="fold")
    for answer in answers:
        word, style = _STATES[answer.state]
        table.add_row(
            Text(str(answer.question)),
            Text(" or ".join(prefer.upper() for prefer in answer.prefer) + " first"),
            Text(_certificate(answer)),
            Text(word, style=style),
            _lines((*(f"{finding.code}: {finding.cause}" for finding in answer.findings), *answer.notes)),
            _lines(_remedy(finding.remedies[0]) for finding in answer.findings if finding.remedies),
        )
    return table


def _certificate(answer: Checked) -> str:
    """Key, subject, issuer, names and days left of what a server showed, and how long its chain is."""
    certificate = answer.certificate
    if certificate is None:
        return "nothing"
    lines = [f"{certificate.key}, {certificate.subject}", f"by {certificate.issuer}"]
    lines.append(f"names: {', '.join(certificate.names) or 'none'}")
    if answer.chain:
        leaf, count = answer.chain[0], sum(member.sent for member in answer.chain)
        left = f"{leaf.days_left} days left" if leaf.days_left >= 0 else "expired"
        lines.append(f"until {leaf.not_after[:10]}, {left}")
        if len(answer.chain) > 1:
            lines.append(f"sent {count} of the chain's {len(answer.chain)} certificates")
    return "\n".join(escape(line) for line in lines)
