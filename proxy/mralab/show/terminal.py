"""Output for a terminal: the demo's table, the steps of a login, the report of preflight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from rich.text import Text

from ..core.counting import share
from ..core.log.escape import escape, visible
from ..core.release import BEFORE, DEFAULT
from ..diagnose.details import days
from .paragraphs import Line, titled, wrapped
from .screen import TABLE_WIDTH
from .sheet import Cell, Column, Sheet, cell

if TYPE_CHECKING:
    from ..diagnose.findings import Remedy
    from ..diagnose.preflight import ServerCheck
    from ..lab.login import Login
    from ..lab.run import ScenarioResult, StageResult
    from ..lab.scenario import Scenario


def demo_sheet(results: Iterable[ScenarioResult]) -> Sheet:
    """Return a row for each scenario: logins before and after the upgrade, causes, remedies, login after the fix."""
    fields = (BEFORE, DEFAULT, "Why", "Fix", "After the fix")
    rows = (
        (
            cell(result.scenario.title, style="bold"),
            _login_cell(result.before),
            _login_cell(result.after),
            _paragraphs(finding.cause for finding in result.findings),
            _paragraphs(_remedy(remedy) for remedy in result.applied),
            _login_cell(result.fixed) if result.fixed else cell("not tried"),
        )
        for result in results
    )
    return Sheet((Column("Scenario", "heading"), *map(Column, fields)), tuple(rows), has_rules=True)


def _paragraphs(texts: Iterable[str]) -> Cell:
    """Return each text once, with an empty line between two."""
    lines = [line for text in dict.fromkeys(texts) for line in (Line(""), *cell(text))]
    return tuple(lines[1:])


def _remedy(remedy: Remedy) -> str:
    return f"{remedy.text} ({remedy.where})" if remedy.where else remedy.text


def _login_cell(login: StageResult) -> Cell:
    if login.ok:
        return cell("login works", style="green")
    statuses: dict[str, str] = {}
    for step in login.steps:
        if not step.ok and step.status is not None:
            statuses.setdefault(step.server, f"{step.status} {step.reason}")
    failed = (f"{server}: {status}" for server, status in statuses.items())
    return (*cell("login fails", style="bold red"), *cell(*failed, style="red"))


def login_sheet(login: Login) -> Sheet:
    """Return a row for each request of a login: server, status, and what that means for the user."""
    columns = (
        Column("Step", "heading"),
        Column("Request"),
        Column("Server", "table"),  # a list has it in the request's URL
        Column("Status", "heading"),
        Column("Meaning"),
    )
    rows = []
    for step in login.steps:
        if step.skipped:
            continue  # login_outcome names it
        status = f"{step.status} {step.reason}".strip() if step.status is not None else "-"
        style = "green" if step.ok else "yellow" if step.replaced else "red"
        request = f"{step.method} {step.url}"
        rows.append(
            (cell(step.name), cell(request), cell(step.server), cell(status, style=style), cell(step.meaning)),
        )
    return Sheet(columns, tuple(rows))


def login_outcome(login: Login) -> Text:
    """Return what the user would see, the text on the screen where one is public, and the nodes that answered."""
    seen = f"{login.seen[0].upper()}{login.seen[1:]}."
    text = Text(f"{seen}\n", style="green" if login.seen == "signed in" else "bold red")
    if login.screen:
        text.append(f'Jabber shows: "{visible(login.screen)}" (Cisco 221845, on-premises)\n', style="not bold default")
    if skipped := ", ".join(step.name for step in login.steps if step.skipped):
        text.append(f"Not requested, because an earlier step failed: {visible(skipped)}.\n", style="not bold default")
    nodes = "; ".join(f"{service}: {', '.join(servers)}" for service, servers in login.nodes.items())
    return text.append(f"Through {visible(nodes)}." if nodes else "No step succeeded.", style="not bold default")


def scenario_sheet(scenarios: Iterable[Scenario]) -> Sheet:
    """Return a row for each scenario: name, title, and the codes expected with X14.2."""
    columns = (Column("Name", "heading"), Column("Scenario"), Column(f"{DEFAULT} is expected to find"))
    rows = (
        (cell(each.name), cell(each.title), cell(*(_codes(each.expect.servers) or ["nothing"]))) for each in scenarios
    )
    return Sheet(columns, tuple(rows))


_NAME_WIDTH: Final = 33  # columns; a longer name shifts the rest of its line


def run_line(result: ScenarioResult, width: int) -> Text:
    """Return the result of a scenario's run in one line, or in a block if ``width`` is small, then each difference."""
    text = Text("FAILED", style="bold red") if result.differences else Text("OK    ", style="green")
    stages = [(BEFORE, _stage(result.before)), (DEFAULT, _stage(result.after))]
    if result.fixed is not None:
        codes = dict.fromkeys(remedy.code for remedy in result.applied)
        stages.append((f"{', '.join(codes) or 'nothing applied'}:", _stage(result.fixed)))
    if width >= TABLE_WIDTH:
        name = f"{visible(result.scenario.name):{_NAME_WIDTH}}"
        line = " | ".join(f"{stage} {visible(shown)}" for stage, shown in stages)
        text.append(f" {name} {line}", style="not bold default")
        for difference in result.differences:
            text.append(f"\n       {escape(difference)}", style="not bold default")
        return text
    text.append(f" {visible(result.scenario.name)}", style="not bold default")
    for stage, shown in stages:
        for row in wrapped(f"{stage} {visible(shown)}", width - 9, "  "):
            text.append(f"\n       {row}", style="not bold default")
    for difference in result.differences:
        for row in wrapped(f"- {escape(difference)}", width - 9):
            text.append(f"\n       {row}", style="not bold default")
    return text


def _stage(stage: StageResult) -> str:
    seen = ", ".join(dict.fromkeys(stage.seen))
    if (discovery := stage.discovery) is not None:
        outcome = "green" if discovery.ok else "failed"
        seen = f"TLS verify mode {discovery.tls_verify}: discovery {outcome}; {seen}"
    return f"{seen} ({'; '.join(codes)})" if (codes := _codes(stage.servers)) else seen


def _codes(servers: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"{', '.join(codes)} at {server}" for server, codes in servers.items()]


_STATES = {
    "accepted": ("{release} accepts", "green"),
    "refused": ("{release} refuses", "bold red"),
    "failed": ("TLS fails", "bold red"),
    "not-asked": ("not checked", "yellow"),
}
_MARGIN = 9  # columns for the words "shows", "why", "note", "fix"


def preflight_report(checks: Iterable[ServerCheck], width: int) -> Text:
    """Return a block for each server and preference: state, certificate, causes, remedies.

    Lines break between words at ``width``. Names are never broken, so that they can be searched for and copied: print
    the report with ``soft_wrap``.
    """
    report = Text()
    for check in checks:
        word, style = _STATES[check.state]
        preferred = " or ".join(prefer.upper() for prefer in check.prefer)
        report.append(f"\n{visible(check.title)}{f', {preferred} first' if preferred else ''}: ")
        report.append(f"{word.format(release=check.release)}\n", style=style)
        fixes = dict.fromkeys(_remedy(remedy) for finding in check.findings for remedy in finding.remedies)
        blocks = [("shows", _certificate(check))]
        blocks += [("why", [f"{finding.code}: {finding.cause}"]) for finding in check.findings]
        blocks += [("note", [note]) for note in check.notes]
        blocks += [("fix", [f"- {fix}" for fix in fixes])]
        for title, paragraphs in blocks:
            lines = [Line(paragraph) for paragraph in paragraphs]
            for row in titled(title, lines, width, indent=2, margin=_MARGIN):
                report.append_text(row).append("\n")
    return report


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
        lines.append(f"sent {share(count, len(check.chain), 'certificate')} of its chain")
    return [escape(line) for line in lines]


def _days_left(check: ServerCheck) -> str:
    if not check.chain:
        return ""
    left = check.chain[0].days_left
    return f", {days(left)} left" if left >= 0 else ", expired"
