"""Tutorial, how-tos, control API and Python pages, followed literally with the wheel alone in a fresh environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from .conftest import ROOT
from .markdown import Command, File, run, steps

DOCUMENTS: Final = [
    *(ROOT / "docs" / name for name in ("tutorial.md", "control-api.md", "python.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
NEEDS: Final = {
    "tutorial.md": ("openssl",),
    "before-my-upgrade.md": ("openssl",),
    "from-node.md": ("node", "openssl", "curl"),
    "from-a-shell.md": ("openssl", "curl"),
    "control-api.md": ("openssl", "curl"),
    "container.md": ("docker",),
}
"""Programs without which a document cannot be followed."""


def missing(name: str) -> list[str]:
    programs = [program for program in NEEDS.get(name, ()) if shutil.which(program) is None]
    if programs or name != "container.md":
        return programs
    running = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    return [] if running else ["a running docker"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_each_step_does_what_the_document_says(
    document: Path, environment: Path, wheel: Path, from_wheelhouse: dict[str, str], tmp_path: Path
) -> None:
    if absent := missing(document.name):
        pytest.skip(f"needs {', '.join(absent)}")
    (tmp_path / "work").mkdir()
    built = tmp_path / "checkout" / "dist"  # as after `make wheel`
    built.mkdir(parents=True)
    shutil.copy(wheel, built)
    checkout = ROOT if document.name == "container.md" else built.parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "MRALAB"))}
    own = {
        "PATH": f"{environment}:{kept['PATH']}",
        "HOME": str(tmp_path),
        "MRALAB_CHECKOUT": str(checkout),
        "PIP_NO_COMPILE": "0",  # pip's way to say --no-compile: Python compiles the modules that are imported
    }
    differences = run(document.read_text("utf-8"), tmp_path / "work", {**kept, **from_wheelhouse, **own})
    assert not differences, "\n\n".join(differences)


def test_a_document_that_says_otherwise_fails(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    text = (
        "`a/b`:\n```toml\nx = 1\n```\n\n```console\n$ cat a/b; false\nx = ...\n$ echo $?\n1\n$ (exit 3)\n"
        "$ seq 3\n...\n2\n```\n"
    )
    assert list(steps(text))[:2] == [File("a/b", "x = 1\n"), Command("cat a/b; false", ("x = ...",))]
    failed, other = run(text, tmp_path / "work", dict(os.environ))
    assert failed == "$ (exit 3)\nexit 3\n"
    assert other.startswith("$ seq 3\nexpected:")
    with pytest.raises(ValueError, match="line 1: a block of toml without a file name"):
        list(steps("```toml\nx = 1\n```\n"))


def test_the_index_names_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    names = [str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md") if file.name != "README.md"]
    assert [name for name in names if f"]({name})" not in index] == []
