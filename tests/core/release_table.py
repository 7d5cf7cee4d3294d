"""docs/releases.md, generated from ``mralab.core.release``: ``python -m tests.core.release_table`` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mralab.core.release import RELEASES, Release

FILE: Final = Path(__file__).parents[2] / "docs" / "releases.md"
_HEAD: Final = """# Releases

What `release` in a configuration stands for. Written by `python -m tests.core.release_table` from
`proxy/mralab/core/release.py`; edit that file.

Cisco disagrees with itself about the start of verification: document 225476 says X14.0.8, document 218018 and the X14.2
release notes say X14.2. The rows follow 225476. A maintenance release that no document names, but whose number lies
before one that is named, is known as well; others are refused. *Published* values are in the document given,
*inferred* ones follow from it. Two attempts for one request (the article's capture) and the texts of OpenSSL 1.1.1 are
the same for all releases, because no public source tells the releases apart in that.

| releases | verify | prefer | tls |
|---|---|---|---|
"""


def table() -> str:
    """Return the document."""
    return _HEAD + "".join(_lines())


def _lines() -> Iterator[str]:
    groups: dict[tuple[object, ...], list[Release]] = {}
    for row in RELEASES.values():
        train = row.name.split(".")[:2]
        texts = tuple(row.sources[name] for name in ("verify", "prefer", "tls"))
        groups.setdefault((*train, row.verify, row.prefer, row.tls, texts), []).append(row)
    notes: dict[str, int] = {}
    for rows in groups.values():
        first = rows[0]
        names = first.name if len(rows) == 1 else f"{first.name} to {rows[-1].name}"
        cells = [first.verify, first.prefer, ", ".join(first.tls)]
        marks = [notes.setdefault(first.sources[key], len(notes) + 1) for key in ("verify", "prefer", "tls")]
        yield f"| {names} | " + " | ".join(f"{c} [{m}]" for c, m in zip(cells, marks, strict=True)) + " |\n"
    yield "\n"
    yield from (f"{number}. {text}\n" for text, number in notes.items())
    yield "\nThat the release exists:\n\n"
    sources: dict[str, list[str]] = {}
    for row in RELEASES.values():
        sources.setdefault(row.sources["name"], []).append(row.name)
    yield from (f"- {', '.join(names)}: {source}\n" for source, names in sources.items())


if __name__ == "__main__":
    FILE.write_text(table())
