"""The public names: each can be imported, and the version is the same everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import mralab
from mralab import MralabError, errors

ROOT = Path(__file__).parents[1]


def test_every_public_name_can_be_imported() -> None:
    for name in mralab.__all__:
        assert getattr(mralab, name) is not None


def test_every_error_of_the_package_is_public_and_has_one_base() -> None:
    declared = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert declared <= set(mralab.__all__)
    assert all(issubclass(getattr(mralab, name), MralabError) for name in mralab.__all__ if name.endswith("Error"))


def test_the_package_imports_nothing_heavy() -> None:
    code = "import mralab, sys; print({'aiohttp', 'cryptography', 'pydantic'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_the_command_line_imports_nothing_that_only_some_commands_need() -> None:
    heavy = {"aiohttp", "asyncio", "cryptography", "hashlib", "pydantic", "rich", "ssl", "tempfile"}
    code = f"import mralab.cli, sys; print({heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_version_and_changelog_agree() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert mralab.__version__ == declared
    releases = re.findall(r"^## (\d\S*) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0][0] == declared
