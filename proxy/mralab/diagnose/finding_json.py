"""A finding as JSON data: the one form for the control API, ``preflight --json`` and ``demo --json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .findings import Finding


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return every field of a finding, and of its remedies, under its own name.

    ``preflight_report`` describes each field: a new one needs a line there.
    """
    return asdict(finding)
