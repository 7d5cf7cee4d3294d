"""docs/commands.md, generated from the commands' own help: ``python -m tests.commands_reference`` writes it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from mralab.cli import main

FILE: Final = Path(__file__).parents[1] / "docs" / "commands.md"
_HEAD: Final = """# Commands

Written by `python -m tests.commands_reference` from the commands in `proxy/mralab/cli`; edit these. Every command has
`--help`, too.

| exit code | |
|---|---|
| 0 | success |
| 1 | a login failed, a server would be refused, something was found, or an expectation was not met |
| 2 | wrong usage or configuration, or output that cannot be written |
| 3 | `preflight`: nothing would be refused, but a server could not be checked |
| 130 | Ctrl-C |
| 141 | the reader of a pipe has closed it |

Results are tables if there are 120 columns or more and every name fits, otherwise lists; names, fingerprints and log
lines are never broken. Output that does not go to a terminal has `COLUMNS` columns, or 140. Colour and progress (one
line on standard error) are for terminals only; `NO_COLOR` switches colour off.

`--html FILE` writes the answer as one HTML file to forward or print: summary, ladders before and after, the certificate
chain, log lines, remedies. It loads nothing and has no scripts.
"""


def document() -> str:
    """Return the document."""
    return _HEAD + "".join(_sections(main, "mralab"))


def _sections(group: click.Group, path: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        yield _section(command, f"{path} {name}")
        if isinstance(command, click.Group):
            yield from _sections(command, f"{path} {name}")


def _section(command: click.Command, path: str) -> str:
    # Not click's own help text: its layout differs between versions of click.
    given = [each for each in command.params if isinstance(each, click.Argument)]
    arguments = [each.metavar or each.human_readable_name for each in given]
    text = f"\n## {' '.join([path, *arguments])}\n\n{_described(str(command.help))}"
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        text += "\n| option | |\n|---|---|\n" + "".join(map(_row, options))
    return text


def _described(text: str) -> str:
    """Return a command's help text as Markdown: what it says, then its examples as code."""
    prose, _, example = inspect.cleandoc(text).partition("\b\nExample:\n")
    prose = prose.replace("\b\n", "").strip() + "\n"
    return f"{prose}\n```text\n{inspect.cleandoc(example)}\n```\n" if example else prose


def _row(option: click.Option) -> str:
    value = "" if option.is_flag else f" {_value(option)}"
    default = f" [default: {option.default}]" if option.show_default is True else ""
    names = ", ".join(f"`{name}{value}`" for name in option.opts)
    cells = (cell.replace("|", r"\|") for cell in (names, f"{option.help}{default}"))
    return f"| {' | '.join(cells)} |\n"


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    return "|".join(option.type.choices) if isinstance(option.type, click.Choice) else option.type.name.upper()


if __name__ == "__main__":
    FILE.write_text(document(), "utf-8")
