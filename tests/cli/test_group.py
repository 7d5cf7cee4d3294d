"""The commands: each module of ``cli`` registers itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mralab import cli

from .command import mralab


def _commands(group: click.Group, words: str) -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{words} {name}".strip()
        if isinstance(command, click.Group):
            yield from _commands(command, f"{words} {name}".strip())


COMMANDS = sorted(_commands(cli.main, ""))


def test_every_module_with_a_command_is_imported_by_the_package() -> None:
    files = Path(cli.__file__).parent.glob("*.py")
    modules = {file.stem for file in files if "@main." in file.read_text("utf-8")} - {"__init__"}
    assert {name.replace("-", "_") for name in cli.main.commands} == modules


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    text = CliRunner().invoke(cli.main, [*command.split(), "--help"]).output
    assert "Example:\n    mralab " in text


def test_the_error_for_an_unknown_command_suggests_the_nearest() -> None:
    assert "did you mean 'remove'?" in mralab("trust", "remov").stderr
    assert "did you mean 'diagnostic-logging'?" in mralab("diagnostic-loging").stderr


def test_the_first_line_of_help_fits_into_the_list_of_commands() -> None:
    commands = CliRunner().invoke(cli.main, ["--help"]).output.partition("Commands:")[2]
    assert commands
    assert "..." not in commands
