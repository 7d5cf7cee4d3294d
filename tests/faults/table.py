"""``python -m tests.faults.table FOLDER... > docs/faults.md``: make one table of the figures of several runs.

The folders are those given as ``MRALAB_FIGURES``. Small and full runs may be mixed; the latest figure of each counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROWS = (
    "slowloris, slow body",
    "10 000 idle keep-alive clients",
    "10 GB through 64 MB",
    "descriptor exhaustion",
    "server reset or cut mid-body",
    "client gone mid-body",
    "server hangs at SYN, TLS, head, body",
    "hostile response head",
    "ambiguous framing, either direction",
    "random bytes",
    "log disk full, folder gone",
    "log rotation",
    "log injection",
    "SIGTERM",
    "SIGHUP reload",
    "configuration or trust store turned to garbage, emptied",
    "trust store replaced",
    "certificate expires while its connection is pooled",
    "clock steps a day, an hour",
    "DNS slow, SERVFAIL, changed",
    "overload, twice the capacity",
    "kill -9 and restart",
    "soak",
)
HEAD = """\
# Faults: what mralab survives, and what the client gets

Each line is a test under `tests/faults` (the last, `tests/soak`) against a real `mralab serve` process, with what it
measured: small in `make test`, at full size in `make soak FULL=1`. Unless a line says otherwise, nothing was left open
(descriptors, threads), standard error stayed empty, and the process went on. Written by
`python -m tests.faults.table`, never by hand, on a virtual machine of two cores that other work used at the same time.

| fault | what the client got | small | full |
|---|---|---|---|
"""


def table(folders: list[Path]) -> str:
    """Return the document."""
    figures: dict[tuple[str, str], dict[bool, dict[str, Any]]] = {}
    for file in sorted(
        (file for folder in folders for file in folder.glob("*.jsonl")), key=lambda it: it.stat().st_mtime
    ):
        for line in map(json.loads, file.read_text().splitlines()):
            figures.setdefault((line["row"], line["test"]), {})[line["full"]] = line
    unknown = {row for row, _ in figures} - set(ROWS)
    if unknown:
        raise SystemExit(f"no rows of the table: {', '.join(sorted(unknown))}")
    text = HEAD
    for row in ROWS:
        shown = row
        for (of, _), sizes in sorted(figures.items()):
            if of == row:
                latest = sizes.get(True) or sizes[False]
                cells = [shown, latest["got"], *(sizes.get(full, {}).get("measured", "") for full in (False, True))]
                text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
                shown = ""
    return text


if __name__ == "__main__":
    print(table([Path(folder) for folder in sys.argv[1:]]), end="")
