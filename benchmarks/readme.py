"""Copy the latest results to README: ``python -m benchmarks.readme``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .figures import latest
from .table import BEGIN, END, readme_block

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).parent / "results"


def current_block(readme: str) -> str:
    """Return the text between the markers, markers included. Raises ``ValueError`` if one is missing."""
    return readme[readme.index(BEGIN) : readme.index(END) + len(END)]


def main() -> None:
    """Replace the block in README.md."""
    file = ROOT / "README.md"
    text = file.read_text("utf-8")
    file.write_text(text.replace(current_block(text), readme_block(latest(RESULTS))), encoding="utf-8")


if __name__ == "__main__":
    main()
