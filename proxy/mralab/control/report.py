"""Texts for people: messages on standard error, and times."""

from __future__ import annotations

import sys
from datetime import UTC, datetime


def report(text: str) -> None:
    """Print a message of mralab on standard error."""
    print(f"mralab: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a process without a terminal reports there


def utc_text(at: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 with milliseconds: ``2024-05-01T12:00:00.000Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
