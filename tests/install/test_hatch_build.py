"""The build's own metadata: URLs, and README with links that work away from the repository."""

from __future__ import annotations

import importlib.util
import re
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import ROOT


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@forge.example:team/mralab.git", "https://forge.example/team/mralab"),
        ("ssh://git@forge.example:2222/team/mralab.git", "https://forge.example/team/mralab"),
        ("https://user:secret@forge.example/team/mralab", "https://forge.example/team/mralab"),
        ("https://forge.example/group/team/mralab/", "https://forge.example/group/team/mralab"),
        ("/srv/git/mralab.git", ""),
        ("../mralab", ""),
        ("", ""),
    ],
)
def test_the_web_address_of_a_remote(hook: ModuleType, remote: str, address: str) -> None:
    assert hook.web_address(remote) == address


def test_links_and_pictures_become_absolute(hook: ModuleType) -> None:
    text = "![a](docs/a.svg)\n\n[b](docs/b.md#c), [d](https://e.example/), [f](#f), `[hosts]`\n"
    assert hook.absolute(text, "https://forge.example/m") == (
        "![a](https://forge.example/m/raw/main/docs/a.svg)\n\n"
        "[b](https://forge.example/m/blob/main/docs/b.md#c), [d](https://e.example/), [f](#f), `[hosts]`\n"
    )
    assert hook.absolute(text, "") == "b, [d](https://e.example/), [f](#f), `[hosts]`\n"


def without_blocks(markdown: str) -> str:
    """Return a document without its code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.DOTALL | re.MULTILINE)


def anchors(markdown: str) -> set[str]:
    """Return the anchors that a forge gives the headings: small letters, hyphens for blanks, no other punctuation."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(markdown), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_of_the_documents_leads_to_a_file_and_a_heading() -> None:
    broken: list[str] = []
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", without_blocks(file.read_text("utf-8"))):
            name, _, anchor = link.partition("#")
            target = file.parent / name if name else file
            if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
                broken.append(f"{file.relative_to(ROOT)}: {link}")
    assert broken == []


def test_the_wheels_metadata_has_no_relative_link(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    assert "Classifier: Framework :: Pytest\n" in metadata
    assert not re.search(r"\]\((?!https?:|#)", metadata.partition("\n\n")[2])


def test_dependencies_whose_private_names_are_used_have_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounded = {re.split("[<>=]", each)[0] for each in project["dependencies"] if "<" in each}
    assert {"cryptography", "pyopenssl"} <= bounded
