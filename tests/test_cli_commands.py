"""The commands: each module of ``cli`` registers itself."""

from __future__ import annotations

from pathlib import Path

from mralab import cli


def test_every_module_with_a_command_is_imported_by_the_package() -> None:
    files = Path(cli.__file__).parent.glob("*.py")
    modules = {file.stem for file in files if "@main." in file.read_text("utf-8")} - {"__init__"}
    assert {name.replace("-", "_") for name in cli.main.commands} == modules
