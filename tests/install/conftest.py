"""The wheel, and a virtual environment with it and nothing else of this repository: made once for all processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return ``once(name, make)``: the first of pytest-xdist's processes makes a folder, and the others wait for it."""
    temporary = tmp_path_factory.getbasetemp()  # in a process of pytest-xdist, a folder in that of the run
    root = temporary.parent if hasattr(pytestconfig, "workerinput") else temporary

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, complete = root / name, root / f"{name}.complete"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a process left that failed
                folder.mkdir()
                make(folder)
                complete.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def wheel(once: Once) -> Path:
    def build(folder: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)],
            check=True,
            capture_output=True,
            timeout=120,
        )

    return next(once("wheel", build).glob("*.whl"))


@pytest.fixture(scope="session")
def from_wheelhouse(wheel: Path, once: Once) -> dict[str, str]:
    """Variables with which pip installs the wheel and pytest from files, which are fetched once."""

    def fetch(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--wheel-dir", str(folder), str(wheel), "pytest"]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(once("wheelhouse", fetch))}


@pytest.fixture(scope="session")
def environment(wheel: Path, from_wheelhouse: dict[str, str], once: Once) -> Path:
    """An environment's commands: the wheel and pytest, nothing else of ours."""

    def install(folder: Path) -> None:
        venv.create(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        subprocess.run(
            [*pip, "install", "-q", "--no-compile", str(wheel), "pytest"],
            check=True,
            capture_output=True,
            timeout=300,
            env={**os.environ, **from_wheelhouse},
        )

    return once("environment", install) / "bin"
