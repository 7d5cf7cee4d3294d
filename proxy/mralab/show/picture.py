"""``python -m mralab.show.picture FILE.svg``: run the demo and draw its table."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from ..lab.demo import run
from .sheet import show
from .terminal import demo_sheet


def draw() -> str:
    """Run the demo and return its table as SVG, without links to fonts: the viewer uses its own."""
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(run(Path(folder)))
    console = Console(record=True, width=150, file=io.StringIO(), highlight=False)
    show(demo_sheet(results), console)
    svg = console.export_svg(title="mralab demo", unique_id="mralab")
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), "utf-8")
