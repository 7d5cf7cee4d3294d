"""Output for a terminal: the demo's table, the steps of a login, the report of preflight."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.log.escape import escape
from ..core.release import BEFORE, DEFAULT
from ..diagnose.details import days

if TYPE_CHECKING:
    from ..diagnose.findings import Remedy
    from ..diagnose.preflight import ServerCheck
    from ..lab.login import Login
    from ..lab.run import ScenarioResult, StageResult
    from ..lab.scenario import Scenario


class _Console(Console):
    """A console that does not handle broken pipes: rich would exit with 1, which means findings."""

    def on_broken_pipe(self) -> None:
        """Raise the ``BrokenPipeError`` that is being handled; ``cli.exit_codes`` handles it."""
        raise  # noqa: PLE0704 - rich calls this in its except clause


def console(*, stderr: bool = False) -> Console:
    """Return a console. It uses colour only on a terminal, never with NO_COLOR, and 140 columns without a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=None if stream.isatty() else 140, highlight=False, emoji=False, markup=False)


def demo_table(results: Iterable[ScenarioResult]) -> Table:
    """Return a row for each scenario: logins before and after the upgrade, causes, remedies, login after the fix."""
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
    for result in results:
        table.add_row(
            result.scenario.title,
            _login_cell(result.before),
            _login_cell(result.after),
            _paragraphs(finding.cause for finding in result.findings),
            _paragraphs(_remedy(remedy) for remedy in result.applied),
            _login_cell(result.fixed) if result.fixed else Text("not tried"),
        )
    return table


def _paragraphs(texts: Iterable[str]) -> Text:
    return Text("\n\n".join(dict.fromkeys(texts)))


def _remedy(remedy: Remedy) -> str:
    return f"{remedy.text} ({remedy.where})" if remedy.where else remedy.text


def _login_cell(login: StageResult) -> Text:
    if login.ok:
        return Text("login works", style="green")
    text = Text("login fails", style="bold red")
    statuses: dict[str, str] = {}
    for step in login.steps:
        if not step.ok and step.status is not None:
            statuses.setdefault(step.server, f"{step.status} {step.reason}")
    for server, status in statuses.items():
        text.append(f"\n{server}\n {status}", style="not bold red")
    return text


def login_table(login: Login) -> Table:
    """Return a row for each step of a login: request, server, status, and what that means for the user."""
    table = Table()
    for title in ("Step", "Request", "Server", "Status", "Meaning"):
        table.add_column(title, overflow="fold", no_wrap=title == "Step")
    for step in login.steps:
        status = f"{step.status} {step.reason}".strip() if step.status is not None else "-"
        style = "green" if step.ok else "yellow" if step.replaced else "red"
        table.add_row(step.name, f"{step.method} {step.url}", step.server, Text(status, style=style), step.meaning)
    return table


def login_outcome(login: Login) -> Text:
    """Return what the user would see, the text on the screen where one is public, and the nodes that answered."""
    seen = f"{login.seen[0].upper()}{login.seen[1:]}."
    text = Text(f"{seen}\n", style="green" if login.seen == "signed in" else "bold red")
    if login.screen:
        text.append(f'Jabber shows: "{login.screen}" (Cisco 221845, on-premises)\n', style="not bold default")
    nodes = "; ".join(f"{service}: {', '.join(servers)}" for service, servers in login.nodes.items())
    return text.append(f"Through {nodes or 'no server'}.", style="not bold default")


def scenario_table(scenarios: Iterable[Scenario]) -> Table:
    """Return a row for each scenario: name, title, and the codes expected with X14.2."""
    table = Table()
    for title in ("Name", "Scenario", f"{DEFAULT} is expected to find"):
        table.add_column(title, overflow="fold", no_wrap=title == "Name")
    for scenario in scenarios:
        table.add_row(scenario.name, scenario.title, _codes(scenario.expect.servers, "\n") or "nothing")
    return table


_NAME_WIDTH = 33  # columns; a longer name shifts the rest of its line


def run_line(result: ScenarioResult) -> Text:
    """Return one line for a scenario's run, and one more for each difference."""
    text = Text("FAILED", style="bold red") if result.differences else Text("OK    ", style="green")
    stages = [f"{BEFORE} {_stage(result.before)}", f"{DEFAULT} {_stage(result.after)}"]
    if result.fixed is not None:
        codes = dict.fromkeys(remedy.code for remedy in result.applied)
        stages.append(f"{', '.join(codes) or 'nothing applied'}: {_stage(result.fixed)}")
    text.append(f" {result.scenario.name:{_NAME_WIDTH}} {' | '.join(stages)}", style="not bold default")
    for difference in result.differences:
        text.append(f"\n       {escape(difference)}", style="not bold default")
    return text


def _stage(stage: StageResult) -> str:
    seen = ", ".join(dict.fromkeys(stage.seen))
    return f"{seen} ({codes})" if (codes := _codes(stage.servers, "; ")) else seen


def _codes(servers: Mapping[str, Iterable[str]], between: str) -> str:
    return between.join(f"{', '.join(codes)} at {server}" for server, codes in servers.items())


_STATES = {
    "accepted": ("X14.2 accepts", "green"),
    "refused": ("X14.2 refuses", "bold red"),
    "failed": ("TLS fails", "bold red"),
    "not-asked": ("not checked", "yellow"),
}
_MARGIN = 9  # columns for the words "shows", "why", "note", "fix"


def preflight_report(checks: Iterable[ServerCheck], width: int) -> Text:
    """Return a block for each server and preference: what X14.2 would do, the certificate, the causes, the remedies.

    Lines break between words at ``width``. Names are never broken, so that they can be searched for and copied: print
    the report with ``soft_wrap``.
    """
    report = Text()
    for check in checks:
        word, style = _STATES[check.state]
        preferred = " or ".join(prefer.upper() for prefer in check.prefer)
        report.append(f"\n{check.title}{f', {preferred} first' if preferred else ''}: ")
        report.append(f"{word}\n", style=style)
        fixes = dict.fromkeys(_remedy(remedy) for finding in check.findings for remedy in finding.remedies)
        blocks = [("shows", _certificate(check))]
        blocks += [("why", [f"{finding.code}: {finding.cause}"]) for finding in check.findings]
        blocks += [("note", [note]) for note in check.notes]
        blocks += [("fix", [f"- {fix}" for fix in fixes])]
        for title, paragraphs in blocks:
            lines = [line for paragraph in paragraphs for line in _wrap(paragraph, width - _MARGIN)]
            for number, line in enumerate(lines):
                report.append(f"  {'' if number else title:<{_MARGIN - 2}}{line}\n")
    return report


def _wrap(text: str, width: int) -> list[str]:
    """Break a paragraph between words; a list entry's further lines are indented."""
    hang = "  " if text.startswith("- ") else ""
    return textwrap.wrap(
        text, max(width, 30), subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _certificate(check: ServerCheck) -> list[str]:
    """Return key, subject, issuer, names and days left of the server's certificate, and the length of its chain."""
    certificate = check.certificate
    if certificate is None:
        return ["no certificate"]
    lines = [f"{certificate.key}, {certificate.subject}".removeprefix(", "), f"by {certificate.issuer}"]
    lines.append(f"names: {', '.join(certificate.names) or 'none'}")
    if certificate.not_after:
        lines.append(f"valid from {certificate.not_before[:10]} until {certificate.not_after[:10]}{_days_left(check)}")
    if len(check.chain) > 1:
        count = sum(member.sent for member in check.chain)
        lines.append(f"sent {count} of the chain's {len(check.chain)} certificates")
    return [escape(line) for line in lines]


def _days_left(check: ServerCheck) -> str:
    if not check.chain:
        return ""
    left = check.chain[0].days_left
    return f", {days(left)} left" if left >= 0 else ", expired"
