"""``make`` lists its targets, and says what to do if no package can be installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.oldest import constraints, tools

from .conftest import ROOT


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "MAKEFLAGS": "", **environment},
    )


def test_make_alone_lists_every_target(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    listed = re.findall("^make ([a-z-]+) ", make(tmp_path).stdout, re.MULTILINE)
    declared = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY: ")
    ).split()[1:]
    assert sorted(listed) == sorted(declared)
    assert not (tmp_path / ".venv").exists()


def test_without_packages_make_fails_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    nothing = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    result = make(tmp_path, "demo", f"PYTHON={sys.executable}", **nothing)
    assert result.returncode == 2
    assert "make wheelhouse" in result.stderr
    assert f"PIP_NO_INDEX=1 PIP_FIND_LINKS={tmp_path}/wheelhouse" in result.stderr


def test_the_oldest_versions_are_those_of_the_project() -> None:
    assert "cryptography==43" in constraints()
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", each) for each in constraints())
    assert "pytest>=8.2" in tools()
