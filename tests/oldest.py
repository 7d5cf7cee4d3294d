"""Print the oldest versions that pyproject.toml allows, as pip's constraints, for ``make test-oldest``.

``--tools`` prints the development tools that those tests need, in their newest versions.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[1]
_NOT_NEEDED: Final = frozenset(
    [
        "build",
        "hatchling",
        "import-linter",
        "mypy",
        "pytest-aiohttp",
        "ruff",
        "schemathesis",
        "types-defusedxml",
        "types-pyyaml",
    ]
)
"""pytest-aiohttp needs a newer aiohttp than mralab."""


def _project() -> dict[str, Any]:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))


def constraints() -> list[str]:
    """Return ``name==oldest version`` for each dependency. Raises ``ValueError`` for one without a lower bound."""
    pinned = []
    for requirement in _project()["project"]["dependencies"]:
        parts = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
        if parts is None:
            raise ValueError(f"{requirement}: has no least version")
        pinned.append(f"{parts[1]}=={parts[2]}")
    return pinned


def tools() -> list[str]:
    """Return the requirements of the development tools that the tests need."""
    names = {each: re.split(r"[<>=]", each)[0] for each in _project()["dependency-groups"]["dev"]}
    return [each for each, name in names.items() if name not in _NOT_NEEDED]


if __name__ == "__main__":
    print("\n".join(tools() if "--tools" in sys.argv else constraints()))  # noqa: T201 - that is its task
